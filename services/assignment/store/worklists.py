"""What the desk reads and keeps beside the cases: worklists, lists, timelines, notes, and who read personal data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct, structs

from services.assignment.domain.staff import WORKED
from services.assignment.store.customers import HELD, Held, held_of
from shared.ids import uuid7

_IN_SCOPE = "($1 OR ($2::text IS NOT NULL AND (team = $2 OR team IS NULL)) OR collector = $3)"
# Two requests of one collector at once would each skip the row that the other holds, and take two cases.
_ONE_DESK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 7458))"
_LEASED = f"{HELD} WHERE workable AND collector = $1 AND leased_by = $1 AND leased_until > $2 LIMIT 1 FOR UPDATE"
_FREE = f"""{HELD}
WHERE workable AND collector = $1 AND (leased_until IS NULL OR leased_until <= $2 OR leased_by = $1)
  AND (offer_from IS NULL OR offer_from <= $3) AND NOT jsonb_exists(state -> 'case', 'promise')
ORDER BY -rank, currency, -owed, customer_id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_WORKLIST = f"""{HELD}
WHERE workable AND {_IN_SCOPE}
  AND ($4::integer IS NULL OR (-rank, currency, -owed, customer_id) > (-$4::integer, $5::text, -$6::bigint, $7::text))
ORDER BY -rank, currency, -owed, customer_id LIMIT $8
"""
_CASES = f"""{HELD}
WHERE case_id IS NOT NULL AND ({_IN_SCOPE} OR (collector IS NULL AND customer_id = $11))
  AND ($4::text IS NULL OR customer_id > $4)
  AND ($5::text IS NULL OR status = $5) AND ($6::text IS NULL OR queue = $6) AND ($7::text IS NULL OR bucket = $7)
  AND ($8::text IS NULL OR grade = $8) AND ($9::text IS NULL OR collector = $9)
  AND (NOT $10 OR (queue IN {WORKED} AND collector IS NULL)) AND ($11::text IS NULL OR customer_id = $11)
  AND ($12::text IS NULL OR proposed = $12)
ORDER BY customer_id LIMIT $13
"""
_OPEN = f"""{HELD}
WHERE status = 'open' AND {_IN_SCOPE} AND ($4::text IS NULL OR customer_id > $4) ORDER BY customer_id LIMIT $5
"""
_CASE = f"{HELD} WHERE case_id = $4 AND {_IN_SCOPE}"
_CUSTOMER_OF_CASE = f"""
SELECT customer_id FROM customer
WHERE customer_id = (SELECT customer_id FROM timeline WHERE case_id = $4 LIMIT 1) AND {_IN_SCOPE}
"""  # noqa: S608 - every part is ours
_TIMELINE = """
SELECT t.seq, t.at, t.kind, t.zh, t.en, t.data, c.note
FROM timeline t LEFT JOIN contact c ON t.kind = 'contact' AND c.contact_id = t.data ->> 'contact_id'
WHERE t.case_id = $1 AND ($2::integer IS NULL OR t.seq > $2) ORDER BY t.seq LIMIT $3
"""
_REASSIGNMENTS = """
SELECT customer_id, seq, case_id, at, zh, en, data FROM timeline
WHERE kind = 'case_assigned' AND data ->> 'earlier_staff_id' IS NOT NULL
  AND ($1 OR $2::text IN (data ->> 'team', data ->> 'earlier_team'))
  AND ($3::timestamptz IS NULL OR (at, customer_id, seq) < ($3, $4::text, $5::integer))
ORDER BY at DESC, customer_id DESC, seq DESC LIMIT $6
"""
_SAVE_CONTACT = """
INSERT INTO contact (contact_id, customer_id, case_id, staff_id, channel, line, party, outcome, purpose, phone_id,
    contacted_at, logged_at, note)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
_SAVE_READ = "INSERT INTO personal_data_read (read_id, staff_id, case_id, at) VALUES ($1, $2, $3, $4)"
_SAVE_SKIP = "INSERT INTO skipped_case (skip_id, staff_id, case_id, reason, at) VALUES ($1, $2, $3, $4, $5)"


class Scope(Struct, frozen=True):
    """Whose cases a caller may see: everybody's, a team's (and those without a team), or a person's own.

    `nobodys`: also a case that has no collector; for commands on one case, lists never show them by this.
    """

    everybody: bool = False
    team: str | None = None
    person: str | None = None
    nobodys: bool = False


class Filters(Struct, frozen=True):
    """What a list of cases is narrowed to."""

    status: str | None = None
    queue: str | None = None
    bucket: str | None = None
    grade: str | None = None
    collector: str | None = None
    unassigned: bool = False
    customer_id: str | None = None
    proposed: str | None = None


async def take_next(
    connection: asyncpg.Connection, staff_id: str, now: datetime, machine_now: datetime, until: datetime
) -> Held | None:
    """Lock and return the case that is on the collector's desk, else the first of the own worklist that is free.

    The answer carries the lease to be saved. Leases are on the machine's clock; what may be offered, on the domain's.
    """
    await connection.execute(_ONE_DESK, staff_id)
    found = held_of(await connection.fetch(_LEASED, staff_id, machine_now))
    if not found:
        found = held_of(await connection.fetch(_FREE, staff_id, machine_now, now))
    return structs.replace(found[0], leased_by=staff_id, leased_until=until) if found else None


async def worklist_page(
    connection: asyncpg.Connection, scope: Scope, after: tuple[int, str, int, str] | None, fetch: int
) -> list[Held]:
    """Return a page of the worklist in scope, first things first."""
    place = after or (None, None, None, None)
    return held_of(await connection.fetch(_WORKLIST, scope.everybody, scope.team, scope.person, *place, fetch))


async def cases_page(
    connection: asyncpg.Connection, scope: Scope, filters: Filters, after: str | None, fetch: int
) -> list[Held]:
    """Return a page of the newest cases in scope, by customer.

    Whoever names a customer finds a case that is nobody's yet, too: a customer may call in before anybody calls.
    """
    return held_of(
        await connection.fetch(
            _CASES, scope.everybody, scope.team, scope.person, after, *structs.astuple(filters), fetch
        )
    )


async def open_cases(connection: asyncpg.Connection, scope: Scope, after: str | None, fetch: int) -> list[Held]:
    """Return some customers in scope with an open case, by id."""
    return held_of(await connection.fetch(_OPEN, scope.everybody, scope.team, scope.person, after, fetch))


async def case(connection: asyncpg.Connection, scope: Scope, case_id: str) -> Held | None:
    """Return the customer whose newest case this is, or none when there is none in scope."""
    found = held_of(await connection.fetch(_CASE, scope.everybody, scope.team, scope.person, case_id))
    return found[0] if found else None


async def customer_of_case(connection: asyncpg.Connection, scope: Scope, case_id: str) -> str | None:
    """Return whose case this is or was, or none when there is none in scope."""
    found: str | None = await connection.fetchval(_CUSTOMER_OF_CASE, scope.everybody, scope.team, scope.person, case_id)
    return found


async def timeline(connection: asyncpg.Connection, case_id: str, after: int | None, fetch: int) -> list[dict[str, Any]]:
    """Return a page of a case's timeline, oldest first, with the collectors' notes."""
    rows = await connection.fetch(_TIMELINE, case_id, after, fetch)
    return [{**dict(row), "data": msgspec.json.decode(row["data"])} for row in rows]


async def reassignments(
    connection: asyncpg.Connection, scope: Scope, after: tuple[datetime, str, int] | None, fetch: int
) -> list[dict[str, Any]]:
    """Return a page of the timeline lines by which a case went from one collector to another, newest first."""
    place = after or (None, None, None)
    rows = await connection.fetch(_REASSIGNMENTS, scope.everybody, scope.team, *place, fetch)
    return [{**dict(row), "data": msgspec.json.decode(row["data"])} for row in rows]


async def save_contact(connection: asyncpg.Connection, row: Sequence[object]) -> None:
    """Keep a logged contact with its note; the columns are in the table's order."""
    await connection.execute(_SAVE_CONTACT, *row)


async def save_personal_data_read(connection: asyncpg.Connection, staff_id: str, case_id: str, at: datetime) -> None:
    """Record that somebody read a customer's name and numbers unmasked."""
    await connection.execute(_SAVE_READ, str(uuid7()), staff_id, case_id, at)


async def save_skip(connection: asyncpg.Connection, staff_id: str, case_id: str, reason: str, at: datetime) -> None:
    """Record why a case was put aside without a contact."""
    await connection.execute(_SAVE_SKIP, str(uuid7()), staff_id, case_id, reason, at)
