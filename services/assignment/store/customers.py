"""Customers with their cases: loaded under lock, written over the version that was read, with their timelines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from services.assignment.domain import worklist
from services.assignment.domain.lifecycle import next_due as next_due_of
from services.assignment.domain.model import Customer, Entry
from services.assignment.domain.policy import Policy
from services.assignment.domain.staff import WORKED
from shared.db.guard import all_saved

SWEEP = 1000
"""So many customers at most one round of a timer takes."""

_encode = msgspec.json.Encoder().encode
_customer = msgspec.json.Decoder(Customer).decode

HELD = "SELECT customer_id, version, entries, leased_by, leased_until, state FROM customer "
_LOAD = HELD + "WHERE customer_id = ANY ($1::text[]) ORDER BY customer_id FOR UPDATE"
_LOAD_CASES = HELD + "WHERE case_id = ANY ($1::text[]) ORDER BY customer_id FOR UPDATE"
_LOAD_DUE = HELD + "WHERE next_due <= $1 ORDER BY next_due, customer_id LIMIT $2 FOR UPDATE SKIP LOCKED"
_WORKED = str(WORKED)
_OLDER = "status = 'open' AND decided_by < $1"
_ANY_OLDER = f"SELECT EXISTS (SELECT FROM customer WHERE {_OLDER})"  # noqa: S608 - every part is ours
_LOAD_OLDER = f"{HELD} WHERE {_OLDER} ORDER BY customer_id LIMIT $2 FOR UPDATE SKIP LOCKED"
_LEFT = "SELECT staff_id FROM staff WHERE NOT (active AND role = 'phone_agent')"
_LOAD_UNASSIGNED = f"""{HELD}
WHERE queue IN {_WORKED} AND (collector IS NULL OR collector IN ({_LEFT}) OR collector = ANY ($1::text[]))
ORDER BY customer_id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
# Asked several times a second: each part is answered from its own small index.
_ANY_UNASSIGNED = f"""
SELECT EXISTS (SELECT 1 FROM customer WHERE queue IN {_WORKED} AND collector IS NULL)
    OR EXISTS (SELECT 1 FROM customer WHERE queue IN {_WORKED} AND collector IN ({_LEFT}))
    OR EXISTS (SELECT 1 FROM customer WHERE queue IN {_WORKED} AND collector = ANY ($1::text[]))
"""  # noqa: S608 - every part is ours
# None of those at law uses up a capacity.
_LOADS = f"""
SELECT collector, count(*) AS cases FROM customer
WHERE queue IN {_WORKED} AND collector IS NOT NULL GROUP BY 1
"""  # noqa: S608 - every part is ours
_GONE = """
field_agent IS NOT NULL AND (field_agent = ANY ($1::text[])
    OR field_agent IN (SELECT staff_id FROM staff WHERE NOT (active AND role = 'field_agent')))
"""
_ANY_WITH_GONE = f"SELECT EXISTS (SELECT FROM customer WHERE {_GONE})"  # noqa: S608 - every part is ours
_LOAD_WITH_GONE = f"{HELD} WHERE {_GONE} ORDER BY customer_id LIMIT $2 FOR UPDATE SKIP LOCKED"
_WITH_CONTACTS = """
SELECT customer_id, (state -> 'reach' ->> 'as_of')::timestamptz AS as_of FROM customer
WHERE customer_id > $1 AND state -> 'reach' ->> 'as_of' IS NOT NULL ORDER BY customer_id LIMIT $2
"""
_SAVE = """
INSERT INTO customer (customer_id, version, entries, state, next_due, case_id, status, queue, bucket, grade, collector,
    team, workable, offer_from, rank, currency, owed, leased_by, leased_until, proposed, decided_by,
    field_agent)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::jsonb[], $5::timestamptz[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::boolean[], $14::timestamptz[], $15::integer[],
    $16::text[], $17::bigint[], $18::text[], $19::timestamptz[], $20::text[], $21::text[], $22::text[])
    AS t (customer_id)
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE
SET version = excluded.version, entries = excluded.entries, state = excluded.state, next_due = excluded.next_due,
    case_id = excluded.case_id, status = excluded.status, queue = excluded.queue, bucket = excluded.bucket,
    grade = excluded.grade, collector = excluded.collector, team = excluded.team, workable = excluded.workable,
    offer_from = excluded.offer_from, rank = excluded.rank, currency = excluded.currency, owed = excluded.owed,
    leased_by = excluded.leased_by, leased_until = excluded.leased_until, proposed = excluded.proposed,
    decided_by = excluded.decided_by, field_agent = excluded.field_agent
WHERE customer.version = excluded.version - 1
RETURNING customer_id
"""
_SAVE_ENTRIES = """
INSERT INTO timeline (customer_id, seq, case_id, kind, at, zh, en, data)
SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[],
    $8::jsonb[])
"""


class Held(Struct, frozen=True):
    """A customer as loaded: the version it was read at (0: not there yet), its timeline's length, its lease."""

    customer: Customer
    version: int = 0
    entries: int = 0
    leased_by: str | None = None
    leased_until: datetime | None = None


class Change(Struct, frozen=True):
    """A customer as loaded (with the lease as it is to be), as decided, and the timeline lines that came of it."""

    before: Held
    after: Customer
    entries: tuple[Entry, ...] = ()


async def with_contacts(connection: asyncpg.Connection, after: str, limit: int) -> list[tuple[str, datetime]]:
    """Return of whom contact data are held, above a customer and in order, each with the data's instant (C4)."""
    rows = await connection.fetch(_WITH_CONTACTS, after, limit)
    return [(row["customer_id"], row["as_of"]) for row in rows]


async def load_customers(connection: asyncpg.Connection, keys: Iterable[str]) -> dict[str, Held]:
    """Lock and return the customers of these keys; one who is not known yet is a stub at version 0."""
    wanted = sorted(set(keys))
    held = {each.customer.customer_id: each for each in held_of(await connection.fetch(_LOAD, wanted))}
    return {key: held.get(key) or Held(Customer(customer_id=key)) for key in wanted}


async def load_cases(connection: asyncpg.Connection, case_ids: Iterable[str]) -> dict[str, Held]:
    """Lock and return, by case, the customers whose newest case is one of these."""
    found = held_of(await connection.fetch(_LOAD_CASES, sorted(set(case_ids))))
    return {each.customer.case.case_id: each for each in found if each.customer.case is not None}


async def load_due(connection: asyncpg.Connection, now: datetime) -> list[Held]:
    """Lock and return some customers with something due, leaving those that somebody else holds."""
    return held_of(await connection.fetch(_LOAD_DUE, now, SWEEP))


async def load_decided_before(connection: asyncpg.Connection, edition: str) -> list[Held]:
    """Lock and return some customers whose open case was last decided by an older strategy than `edition`."""
    return held_of(await connection.fetch(_LOAD_OLDER, edition, SWEEP))


async def any_decided_before(connection: asyncpg.Connection, edition: str) -> bool:
    """Tell whether there is such a case."""
    return bool(await connection.fetchval(_ANY_OLDER, edition))


async def load_unassigned(connection: asyncpg.Connection, away: Sequence[str]) -> list[Held]:
    """Lock and return some customers whose case is to be worked and has no collector, or one who left or is `away`."""
    return held_of(await connection.fetch(_LOAD_UNASSIGNED, away, SWEEP))


async def any_unassigned(connection: asyncpg.Connection, away: Sequence[str]) -> bool:
    """Tell whether any case waits for a collector, or lies with one who left or is `away`."""
    return bool(await connection.fetchval(_ANY_UNASSIGNED, away))


async def any_with_gone(connection: asyncpg.Connection, away: Sequence[str]) -> bool:
    """Tell whether any case is with a field collector who left or is `away`."""
    return bool(await connection.fetchval(_ANY_WITH_GONE, away))


async def load_with_gone(connection: asyncpg.Connection, away: Sequence[str]) -> list[Held]:
    """Lock and return some customers whose case is with a field collector who left or is `away`."""
    return held_of(await connection.fetch(_LOAD_WITH_GONE, away, SWEEP))


async def loads(connection: asyncpg.Connection) -> dict[str, int]:
    """Return how many cases each collector has to work; those at law or with an agency are others' to work."""
    return {row["collector"]: row["cases"] for row in await connection.fetch(_LOADS)}


async def next_due(connection: asyncpg.Connection) -> datetime | None:
    """Return the earliest instant at which something is to be done by itself."""
    due: datetime | None = await connection.fetchval("SELECT min(next_due) FROM customer WHERE next_due IS NOT NULL")
    return due


async def save(connection: asyncpg.Connection, changes: Sequence[Change], policy: Policy, now: datetime) -> None:
    """Write customers over the versions they were read at, and the lines of their timelines. Raises `StaleState`."""
    if not changes:
        return
    rows = [_columns(change, policy, now) for change in changes]
    saved = await connection.fetch(_SAVE, *(list(column) for column in zip(*rows, strict=True)))
    all_saved(sent=len(changes), returned=len(saved))
    lines = [line for change in changes for line in _lines(change)]
    if lines:
        await connection.execute(_SAVE_ENTRIES, *(list(column) for column in zip(*lines, strict=True)))


def _columns(change: Change, policy: Policy, now: datetime) -> tuple[Any, ...]:
    before, customer = change.before, change.after
    case, place = customer.case, worklist.place_of(customer)
    workable = worklist.workable(customer)
    return (
        customer.customer_id,
        before.version + 1,
        before.entries + len(change.entries),
        _encode(customer).decode(),
        next_due_of(customer, policy, now),
        case.case_id if case else None,
        ("open" if case.open else "closed") if case else None,
        case.queue if case else None,
        case.bucket if case else None,
        case.grade if case else None,
        case.collector if case else None,
        case.team if case else None,
        workable,
        case.offer_from if case else None,
        place.rank,
        place.currency,
        place.owed,
        before.leased_by if workable else None,
        before.leased_until if workable else None,
        case.proposal.queue if case and case.proposal else None,
        policy.strategy.edition,
        case.hand_over.field_agent_id if case and case.hand_over else None,
    )


def _lines(change: Change) -> list[tuple[Any, ...]]:
    return [
        (
            change.after.customer_id,
            change.before.entries + number,
            entry.case_id,
            entry.kind,
            entry.at,
            entry.zh,
            entry.en,
            _encode(entry.data).decode(),
        )
        for number, entry in enumerate(change.entries, start=1)
    ]


def held_of(rows: Sequence[asyncpg.Record]) -> list[Held]:
    """Return what rows of `HELD` hold."""
    return [
        Held(_customer(row["state"]), row["version"], row["entries"], row["leased_by"], row["leased_until"])
        for row in rows
    ]
