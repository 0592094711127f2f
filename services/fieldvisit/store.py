"""Every SQL statement of the field desk, set-based."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import asyncpg
import msgspec
from msgspec import Struct

from services.fieldvisit.domain.model import Customer, Visit
from services.fieldvisit.domain.planning import Engagement
from services.fieldvisit.domain.visiting import next_due as next_due_of
from shared.db.guard import all_saved
from shared.events.staff import StaffChanged
from shared.forgetting import OLD_KEYS, Old
from shared.ids import uuid7
from shared.web.idempotency import erase_customers

ReportKind = Literal["completed", "missed", "breached"]

SWEEP = 200
"""So many customers at most one round of the timer takes."""

_encode = msgspec.json.Encoder().encode
_customer = msgspec.json.Decoder(Customer).decode
_colleague = msgspec.json.Decoder(StaffChanged).decode

_LOAD = "SELECT customer_id, version, state FROM customer WHERE customer_id = ANY ($1) ORDER BY customer_id FOR UPDATE"
_LOAD_DUE = """
SELECT customer_id, version, state FROM customer WHERE next_due <= $1
ORDER BY next_due LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_WITH_CONTACTS = """
SELECT customer_id, (state -> 'reach' ->> 'as_of')::timestamptz AS as_of FROM customer
WHERE customer_id > $1 AND state -> 'reach' ->> 'as_of' IS NOT NULL ORDER BY customer_id LIMIT $2
"""
_SAVE = """
INSERT INTO customer (customer_id, version, next_due, state)
SELECT customer_id, version, next_due, state
FROM unnest($1::text[], $2::bigint[], $3::timestamptz[], $4::jsonb[]) AS t (customer_id, version, next_due, state)
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE
SET version = excluded.version, next_due = excluded.next_due, state = excluded.state
WHERE customer.version = excluded.version - 1
RETURNING customer_id
"""
_SAVE_VISITS = """
INSERT INTO visit (visit_id, customer_id, hand_over_id, field_agent_id, team, people, state, due_at, breached,
    starts_at, ends_at)
SELECT visit_id, customer_id, hand_over_id, field_agent_id, team, people, state, due_at, breached, starts_at, ends_at
FROM jsonb_to_recordset($1::jsonb) AS t (visit_id text, customer_id text, hand_over_id text, field_agent_id text,
    team text, people text[], state text, due_at timestamptz, breached boolean, starts_at timestamptz,
    ends_at timestamptz)
ORDER BY visit_id
ON CONFLICT (visit_id) DO UPDATE
SET people = excluded.people, state = excluded.state, breached = excluded.breached,
    starts_at = excluded.starts_at, ends_at = excluded.ends_at
"""
_CUSTOMERS_OF = "SELECT visit_id, customer_id FROM visit WHERE visit_id = ANY ($1)"
_ENGAGEMENTS = """
SELECT visit_id, people, starts_at, ends_at FROM visit
WHERE people && $1::text[] AND state IN ('planned', 'started') AND ends_at > $2
"""
_VISITS = """
SELECT v.visit_id, c.state FROM visit v JOIN customer c USING (customer_id)
WHERE ($1 OR v.team = $2 OR v.people @> ARRAY[$3::text])
  AND ($4::text IS NULL OR v.state = $4)
  AND ($5::timestamptz IS NULL OR v.due_at < $5)
  AND ($6::boolean IS NULL OR v.breached = $6)
  AND ($7::timestamptz IS NULL OR (v.due_at, v.visit_id) > ($7, $8))
ORDER BY v.due_at, v.visit_id LIMIT $9
"""
_VISIT = """
SELECT v.visit_id, c.state FROM visit v JOIN customer c USING (customer_id)
WHERE v.visit_id = $4 AND ($1 OR v.team = $2 OR v.people @> ARRAY[$3::text])
"""
_NOTES = """
SELECT written_at, written_by, about, text FROM visit_note WHERE visit_id = $1 ORDER BY written_at, note_id
"""
_SAVE_NOTES = """
INSERT INTO visit_note (note_id, visit_id, written_at, written_by, about, text)
SELECT note_id, $1, $2, $3, about, text FROM unnest($4::text[], $5::text[], $6::text[]) AS t (note_id, about, text)
"""
# What collectors wrote may hold anything; that the visit was made or not, and what came of it, stays.
_ERASE_NOTES = "DELETE FROM visit_note WHERE visit_id = ANY ($1)"
_ERASE_LINES = """
UPDATE plan SET lines = (
    SELECT jsonb_agg(CASE WHEN l.line ->> 'visit_id' = ANY ($1) THEN l.line || '{"outside_window_reason": null}'
        ELSE l.line END ORDER BY l.place)
    FROM jsonb_array_elements(lines) WITH ORDINALITY AS l (line, place))
WHERE EXISTS (
    SELECT FROM jsonb_array_elements(lines) AS l (line)
    WHERE l.line ->> 'visit_id' = ANY ($1) AND l.line ->> 'outside_window_reason' IS NOT NULL)
"""
_SAVE_UNMASKED_READ = "INSERT INTO unmasked_read (read_id, visit_id, staff_id, at) VALUES ($1, $2, $3, $4)"
_STAFF = "SELECT state FROM staff WHERE staff_id = ANY ($1)"
_LOCK_STAFF = "SELECT state FROM staff WHERE staff_id = ANY ($1) ORDER BY staff_id FOR UPDATE"
_SAVE_STAFF = """
INSERT INTO staff (staff_id, version, state)
SELECT staff_id, version, state FROM unnest($1::text[], $2::integer[], $3::jsonb[]) AS t (staff_id, version, state)
ORDER BY staff_id
ON CONFLICT (staff_id) DO UPDATE SET version = excluded.version, state = excluded.state
WHERE staff.version < excluded.version
RETURNING staff_id
"""
_SAVE_PLAN = "INSERT INTO plan (plan_id, field_agent_id, team, filed_at, lines) VALUES ($1, $2, $3, $4, $5::jsonb)"
_PLANS = """
SELECT plan_id, field_agent_id, team, filed_at, lines FROM plan
WHERE ($1 OR team = $2 OR field_agent_id = $3) AND ($4::timestamptz IS NULL OR (filed_at, plan_id) < ($4, $5))
ORDER BY filed_at DESC, plan_id DESC LIMIT $6
"""
_PLAN = """
SELECT plan_id, field_agent_id, team, filed_at, lines FROM plan
WHERE plan_id = $4 AND ($1 OR team = $2 OR field_agent_id = $3)
"""
_SAVE_REPORTS = """
INSERT INTO report (report_id, kind, visit_id, case_id, customer_id, field_agent_id, team, due_at, at, on_time, detail)
SELECT report_id, kind, visit_id, case_id, customer_id, field_agent_id, team, due_at, at, on_time, detail
FROM jsonb_to_recordset($1::jsonb) AS t (report_id text, kind text, visit_id text, case_id text, customer_id text,
    field_agent_id text, team text, due_at timestamptz, at timestamptz, on_time boolean, detail text)
ORDER BY report_id
"""
_REPORTS = """
SELECT report_id, kind, visit_id, case_id, customer_id, field_agent_id, team, due_at, at, on_time, detail FROM report
WHERE $1::timestamptz IS NULL OR (at, report_id) > ($1, $2)
ORDER BY at, report_id LIMIT $3
"""


class Held(Struct, frozen=True):
    """A customer as loaded: the version it was read at, 0 when there is none yet."""

    version: int
    customer: Customer


class Change(Struct, frozen=True):
    """A customer as loaded, and as decided."""

    before: Held
    after: Customer


class Scope(Struct, frozen=True):
    """Whose visits and plans a caller may see: everybody's, a team's, or those that name a person."""

    everybody: bool = False
    team: str | None = None
    person: str | None = None


class Report(Struct, frozen=True, kw_only=True):
    """One line for the administrative assistant. `detail`: the outcome, or why it was not done."""

    report_id: str
    kind: ReportKind
    visit_id: str
    case_id: str
    customer_id: str
    field_agent_id: str
    team: str
    due_at: datetime
    at: datetime
    on_time: bool | None
    detail: str | None


async def with_contacts(connection: asyncpg.Connection, after: str, limit: int) -> list[tuple[str, datetime]]:
    """Return of whom contact data are held, above a customer and in order, each with the data's instant (C4)."""
    rows = await connection.fetch(_WITH_CONTACTS, after, limit)
    return [(row["customer_id"], row["as_of"]) for row in rows]


async def load_customers(connection: asyncpg.Connection, keys: Iterable[str]) -> dict[str, Held]:
    """Lock and return the customers of these keys; one who is not known yet is a stub at version 0."""
    wanted = sorted(set(keys))
    held = _held(await connection.fetch(_LOAD, wanted))
    return {key: held.get(key) or Held(0, Customer(customer_id=key)) for key in wanted}


async def erase(connection: asyncpg.Connection, customers: Sequence[Customer]) -> None:
    """Forget what was written of these customers' visits, and answers that show them; their rows are locked."""
    if customers:
        visits = [visit.visit_id for customer in customers for visit in customer.visits.values()]
        await connection.execute(_ERASE_NOTES, visits)
        await connection.execute(_ERASE_LINES, visits)
        await erase_customers(connection, [customer.customer_id for customer in customers])


async def load_due_customers(connection: asyncpg.Connection, now: datetime) -> list[Held]:
    """Lock and return some customers of whom a visit is due, leaving those that somebody else holds."""
    return list(_held(await connection.fetch(_LOAD_DUE, now, SWEEP)).values())


async def save_customers(connection: asyncpg.Connection, changes: Sequence[Change]) -> None:
    """Write customers over the versions they were read at, and their changed visits. Raises `StaleState`."""
    if not changes:
        return
    rows = await connection.fetch(
        _SAVE,
        [change.after.customer_id for change in changes],
        [change.before.version + 1 for change in changes],
        [next_due_of(change.after) for change in changes],
        [_encode(change.after).decode() for change in changes],
    )
    all_saved(sent=len(changes), returned=len(rows))
    visits = [row for change in changes for row in _changed_visits(change)]
    if visits:
        await connection.execute(_SAVE_VISITS, _encode(visits).decode())


def _held(rows: Sequence[asyncpg.Record]) -> dict[str, Held]:
    return {row["customer_id"]: Held(row["version"], _customer(row["state"])) for row in rows}


def _changed_visits(change: Change) -> list[dict[str, Any]]:
    before = change.before.customer.visits
    return [_visit_row(visit) for key, visit in change.after.visits.items() if before.get(key) != visit]


def _visit_row(visit: Visit) -> dict[str, Any]:
    return {
        "visit_id": visit.visit_id,
        "customer_id": visit.customer_id,
        "hand_over_id": visit.hand_over_id,
        "field_agent_id": visit.field_agent_id,
        "team": visit.team,
        "people": visit.people,
        "state": visit.state,
        "due_at": visit.due_at,
        "breached": visit.breached_at is not None,
        "starts_at": visit.slot.starts_at if visit.slot else None,
        "ends_at": visit.slot.ends_at if visit.slot else None,
    }


async def next_due(connection: asyncpg.Connection) -> datetime | None:
    """Return the earliest deadline that the timer waits for."""
    due: datetime | None = await connection.fetchval("SELECT min(next_due) FROM customer WHERE next_due IS NOT NULL")
    return due


async def customers_of(connection: asyncpg.Connection, visit_ids: Iterable[str]) -> dict[str, str]:
    """Return which customer each visit goes to; a visit that does not exist is left out."""
    rows = await connection.fetch(_CUSTOMERS_OF, sorted(set(visit_ids)))
    return {row["visit_id"]: row["customer_id"] for row in rows}


async def engagements(connection: asyncpg.Connection, people: Iterable[str], now: datetime) -> list[Engagement]:
    """Return for which planned or started visits these people are booked from now on."""
    rows = await connection.fetch(_ENGAGEMENTS, sorted(set(people)), now)
    return [Engagement(row["visit_id"], tuple(row["people"]), row["starts_at"], row["ends_at"]) for row in rows]


async def visits(
    connection: asyncpg.Connection,
    scope: Scope,
    *,
    state: str | None,
    due_before: datetime | None,
    breached: bool | None,
    after: tuple[datetime, str] | None,
    fetch: int,
) -> list[tuple[Visit, Customer]]:
    """Return the visits in scope that the filters let through, by deadline, each with its customer."""
    since, last = after or (None, None)
    rows = await connection.fetch(
        _VISITS, scope.everybody, scope.team, scope.person, state, due_before, breached, since, last, fetch
    )
    return [_visit_of(row) for row in rows]


async def visit(connection: asyncpg.Connection, scope: Scope, visit_id: str) -> tuple[Visit, Customer] | None:
    """Return one visit with its customer, or none when there is none in scope."""
    row = await connection.fetchrow(_VISIT, scope.everybody, scope.team, scope.person, visit_id)
    return None if row is None else _visit_of(row)


def _visit_of(row: asyncpg.Record) -> tuple[Visit, Customer]:
    customer = _customer(row["state"])
    found = customer.visit(row["visit_id"])
    if found is None:
        raise LookupError(f"visit {row['visit_id']} is in the list and not in its customer's state")
    return found, customer


async def notes(connection: asyncpg.Connection, visit_id: str) -> list[dict[str, Any]]:
    """Return what was written about a visit, oldest first."""
    return [dict(row) for row in await connection.fetch(_NOTES, visit_id)]


async def save_notes(
    connection: asyncpg.Connection, visit_id: str, by: str, at: datetime, texts: Sequence[tuple[str, str]]
) -> None:
    """Keep what a collector wrote: (about what, text)."""
    if texts:
        ids = [str(uuid7()) for _ in texts]
        about, written = zip(*texts, strict=True)
        await connection.execute(_SAVE_NOTES, visit_id, at, by, ids, list(about), list(written))


async def save_unmasked_read(connection: asyncpg.Connection, visit_id: str, staff_id: str, at: datetime) -> None:
    """Record that somebody read a customer's name and address unmasked."""
    await connection.execute(_SAVE_UNMASKED_READ, str(uuid7()), visit_id, staff_id, at)


async def roster(connection: asyncpg.Connection, staff_ids: Iterable[str]) -> dict[str, StaffChanged]:
    """Return what is known of these colleagues."""
    return _roster(await connection.fetch(_STAFF, sorted(set(staff_ids))))


async def lock_roster(connection: asyncpg.Connection, staff_ids: Iterable[str]) -> dict[str, StaffChanged]:
    """Return what is known of these colleagues and hold them, so that nobody else plans with them meanwhile."""
    return _roster(await connection.fetch(_LOCK_STAFF, sorted(set(staff_ids))))


def _roster(rows: Sequence[asyncpg.Record]) -> dict[str, StaffChanged]:
    colleagues = [_colleague(row["state"]) for row in rows]
    return {colleague.staff_id: colleague for colleague in colleagues}


async def save_staff(connection: asyncpg.Connection, colleagues: Sequence[StaffChanged]) -> set[str]:
    """Write what is newer than what is held; return whose it was."""
    if not colleagues:
        return set()
    rows = await connection.fetch(
        _SAVE_STAFF,
        [colleague.staff_id for colleague in colleagues],
        [colleague.version for colleague in colleagues],
        [_encode(colleague).decode() for colleague in colleagues],
    )
    return {row["staff_id"] for row in rows}


async def save_plan(
    connection: asyncpg.Connection, plan_id: str, field_agent_id: str, team: str, filed_at: datetime, lines: object
) -> None:
    """Keep a filed plan."""
    await connection.execute(_SAVE_PLAN, plan_id, field_agent_id, team, filed_at, _encode(lines).decode())


async def plans(
    connection: asyncpg.Connection, scope: Scope, *, after: tuple[datetime, str] | None, fetch: int
) -> list[dict[str, Any]]:
    """Return the plans in scope, newest first."""
    since, last = after or (None, None)
    rows = await connection.fetch(_PLANS, scope.everybody, scope.team, scope.person, since, last, fetch)
    return [dict(row) for row in rows]


async def plan(connection: asyncpg.Connection, scope: Scope, plan_id: str) -> dict[str, Any] | None:
    """Return one plan in scope, or none."""
    row = await connection.fetchrow(_PLAN, scope.everybody, scope.team, scope.person, plan_id)
    return None if row is None else dict(row)


async def save_reports(connection: asyncpg.Connection, lines: Sequence[Report]) -> None:
    """Keep what the administrative assistant is told."""
    if lines:
        await connection.execute(_SAVE_REPORTS, _encode(lines).decode())


async def reports(
    connection: asyncpg.Connection, *, after: tuple[datetime, str] | None, fetch: int
) -> list[dict[str, Any]]:
    """Return every visit done and not done, in order."""
    since, last = after or (None, None)
    return [dict(row) for row in await connection.fetch(_REPORTS, since, last, fetch)]


_TO_BE_DONE = "state IN ('accepted', 'planned', 'started', 'missed')"
_OF_ONE_TO_BE_DONE = f"t.visit_id IN (SELECT v.visit_id FROM visit v WHERE v.{_TO_BE_DONE})"  # noqa: S608 - of words of the code alone


def old_rows(kept: timedelta) -> tuple[Old, ...]:
    """Return what is forgotten after `kept`; a visit that is still to be done stays, and so do its notes."""
    return (
        Old("visit_note", "written_at", kept, but=_OF_ONE_TO_BE_DONE),
        Old("visit", "due_at", kept, but=f"t.{_TO_BE_DONE}"),
        Old("plan", "filed_at", kept),
        Old("report", "at", kept),
        Old("unmasked_read", "at", kept),
        OLD_KEYS,
    )
