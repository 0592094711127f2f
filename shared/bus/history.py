"""Notices that the database is another history than the one that gave the numbers so far (E3).

Restored from a backup, or failed over to a standby that lacks the last commits, a database would give numbers again
that Kafka knows under other facts. So every new connection compares whose data these are and on which timeline, every
append compares the timeline again, and another history begins new epochs. To begin one with nothing lost is harmless:
readers have exactly the base.
"""

from __future__ import annotations

import logging
from datetime import datetime

import asyncpg

from shared.bus.streams import lock_streams, raise_epochs

_log = logging.getLogger(__name__)

# A server that is still recovering has no insert position; nothing can be appended there either.
_PRESENT = """
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
    CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline
"""
_FIRST = "INSERT INTO bus_history (one, system_identifier) VALUES (true, $1) ON CONFLICT DO NOTHING"
_STORED = """
SELECT h.system_identifier AS system,
    EXISTS (SELECT FROM outbox_stream WHERE timeline NOT IN ('', $1)) AS moved
FROM bus_history h
"""
_REMEMBER = "UPDATE bus_history SET system_identifier = $1"
_FOLLOW = "UPDATE outbox_stream SET timeline = $1"


async def begin_if_other(connection: asyncpg.Connection) -> None:
    """Begin new epochs if this database is another history than it was.

    Raises:
        asyncpg.UndefinedTableError: the migrations have not been run.
    """
    row = await connection.fetchrow(_PRESENT)
    assert row is not None
    system, timeline = row["system"], row["timeline"]
    if not timeline or not await _differs(connection, system, timeline):
        return
    async with connection.transaction():
        await lock_streams(connection)
        if not await _differs(connection, system, timeline):  # another replica was first
            return
        await raise_epochs(connection)
        await connection.execute(_FOLLOW, timeline)
        await connection.execute(_REMEMBER, system)
    _log.error("the database is another history: new epochs begun", extra={"system": system, "timeline": timeline})


async def _differs(connection: asyncpg.Connection, system: str, timeline: str) -> bool:
    stored = await connection.fetchrow(_STORED, timeline)
    if stored is None:
        await connection.execute(_FIRST, system)
        return False
    return bool(stored["system"] != system or stored["moved"])


async def started_at(connection: asyncpg.Connection) -> datetime:
    """Return when the server behind a connection started: another instant is another server, or the same put back."""
    instant: datetime = await connection.fetchval("SELECT pg_postmaster_start_time()")
    return instant
