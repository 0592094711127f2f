"""Colleagues."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import asyncpg
import msgspec

from services.assignment.domain.roster import Colleague
from shared.db.guard import all_saved
from shared.events.kinds import StaffRole

_encode = msgspec.json.Encoder().encode
_colleague = msgspec.json.Decoder(Colleague).decode

_STAFF = "SELECT state FROM staff WHERE staff_id = ANY ($1::text[])"
_LOCK = "SELECT state FROM staff WHERE staff_id = $1 FOR UPDATE"
_PHONE_AGENTS = "SELECT state FROM staff WHERE role = 'phone_agent' AND active ORDER BY staff_id"
# One number for all of a database: whoever shares out cases waits for who is doing so.
_LOCK_LOADS = "SELECT pg_advisory_xact_lock(7459)"
_AWAY = """
SELECT state FROM staff WHERE role = $2 AND active AND leave_until >= $1 ORDER BY staff_id
"""
_PAGE = """
SELECT state FROM staff
WHERE ($1::text IS NULL OR team = $1) AND ($2::text IS NULL OR role = $2) AND ($3::text IS NULL OR staff_id > $3)
ORDER BY staff_id LIMIT $4
"""
_SAVE = """
INSERT INTO staff (staff_id, version, role, team, active, state, leave_until)
VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)
ON CONFLICT (staff_id) DO UPDATE
SET version = excluded.version, role = excluded.role, team = excluded.team, active = excluded.active,
    state = excluded.state, leave_until = excluded.leave_until
WHERE staff.version = excluded.version - 1
RETURNING staff_id
"""


async def colleagues(connection: asyncpg.Connection, staff_ids: Iterable[str]) -> dict[str, Colleague]:
    """Return what is known of these colleagues."""
    found = [_colleague(row["state"]) for row in await connection.fetch(_STAFF, sorted(set(staff_ids)))]
    return {each.staff_id: each for each in found}


async def lock(connection: asyncpg.Connection, staff_id: str) -> Colleague | None:
    """Lock and return a colleague."""
    row = await connection.fetchrow(_LOCK, staff_id)
    return _colleague(row["state"]) if row else None


async def phone_agents(connection: asyncpg.Connection) -> list[Colleague]:
    """Return every active phone collector."""
    return [_colleague(row["state"]) for row in await connection.fetch(_PHONE_AGENTS)]


async def lock_loads(connection: asyncpg.Connection) -> None:
    """Wait until nobody else is sharing out cases, and be the one until the transaction ends."""
    await connection.execute(_LOCK_LOADS)


async def away_since(connection: asyncpg.Connection, day: date, role: StaffRole) -> list[Colleague]:
    """Return the active colleagues of this role who have a leave on `day` or after it."""
    return [_colleague(row["state"]) for row in await connection.fetch(_AWAY, day, role)]


async def page(
    connection: asyncpg.Connection, team: str | None, role: str | None, after: str | None, fetch: int
) -> list[Colleague]:
    """Return a page of colleagues by id."""
    return [_colleague(row["state"]) for row in await connection.fetch(_PAGE, team, role, after, fetch)]


async def save(connection: asyncpg.Connection, colleague: Colleague) -> None:
    """Write a colleague over the version before. Raises `StaleState`."""
    state = _encode(colleague).decode()
    saved = await connection.fetch(
        _SAVE,
        colleague.staff_id,
        colleague.version,
        colleague.role,
        colleague.team,
        colleague.active,
        state,
        max((leave.last_day for leave in colleague.leave), default=None),
    )
    all_saved(sent=1, returned=len(saved))
