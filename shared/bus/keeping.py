"""The partitions in which published segments are kept for a time (P9): an hour each, made ahead, dropped when old.

Nobody who publishes waits for it: a partition is attached under a lock that lets writers pass, and one that cannot be
dropped within a moment is dropped in a later round. Hours are the database's, in UTC.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from shared.db.pool import borrow

HOURS_AHEAD: Final = 6
"""So long publishing finds a partition when this job does not run."""

_ROUND_SECONDS: Final = 600.0
_HOUR: Final = timedelta(hours=1)
_NAME: Final = "outbox_kept_%Y%m%d%H"

_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended('outbox_kept', 0))"
_NOW = "SELECT date_trunc('hour', now(), 'UTC')"
_PARTS = """
SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'outbox_kept'::regclass
"""
_MAKE = "CREATE TABLE {name} (LIKE outbox_kept INCLUDING ALL)"
# CREATE TABLE … PARTITION OF would keep writers out of all partitions; this does not.
_ATTACH = "ALTER TABLE outbox_kept ATTACH PARTITION {name} FOR VALUES FROM ('{begin}') TO ('{end}')"
# A drop waits for whoever reads, a backup perhaps, and everybody who publishes would wait behind it.
_SHORTLY = "SET LOCAL lock_timeout = '200ms'"
_DROP = "DROP TABLE {name}"


async def run(pool: asyncpg.Pool, hours: int) -> None:
    """Turn over for ever; nothing on the domain's clock waits for it."""
    while True:
        async with borrow(pool) as connection:
            await turn_over(connection, hours)
        await asyncio.sleep(_ROUND_SECONDS)


async def turn_over(connection: asyncpg.Connection, hours: int) -> None:
    """Make the partitions of this hour and the next ones, and drop those whose last segment is `hours` old.

    With 0 hours none is made, and what was kept goes.
    """
    now: datetime = await connection.fetchval(_NOW)
    parts = {_begin_of(row["name"]) for row in await connection.fetch(_PARTS)}
    wanted = {now + ahead * _HOUR for ahead in range(HOURS_AHEAD + 1)} if hours else set()
    if wanted - parts:
        await _make(connection, wanted)
    for begin in sorted(part for part in parts if part + _HOUR * (hours + 1) <= now):
        await _drop(connection, begin)


async def _make(connection: asyncpg.Connection, wanted: set[datetime]) -> None:
    """Make what is missing; another replica that is at it has the same in mind."""
    async with connection.transaction():
        if not await connection.fetchval(_ALONE):
            return
        parts = {_begin_of(row["name"]) for row in await connection.fetch(_PARTS)}
        for begin in sorted(wanted - parts):
            name = begin.strftime(_NAME)
            await connection.execute(_MAKE.format(name=name))
            await connection.execute(_ATTACH.format(name=name, begin=begin, end=begin + _HOUR))


async def _drop(connection: asyncpg.Connection, begin: datetime) -> None:
    try:
        async with connection.transaction():
            await connection.execute(_SHORTLY)
            await connection.execute(_DROP.format(name=begin.strftime(_NAME)))
    except (asyncpg.LockNotAvailableError, asyncpg.UndefinedTableError):
        return  # somebody reads it, so a later round drops it; or another replica has


def _begin_of(name: str) -> datetime:
    return datetime.strptime(name, _NAME).replace(tzinfo=UTC)
