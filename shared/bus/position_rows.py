"""Positions as operators act on them: listed, accepted, resumed, subscribed; every act is kept (E5).

Each act is one conditional update of the row, so it is safe while replicas run: whoever holds an old view changes
nothing, and every loop compares its view with the rows every ten seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from shared.ids import uuid7

ActName = Literal["accept-gap", "accept-epoch", "accept-fork", "resume", "subscribe"]

ACCEPTS: Mapping[str, ActName] = {"gap": "accept-gap", "anew": "accept-epoch", "fork": "accept-fork"}
"""What a stream is stopped for, and the act that accepts it."""

NEWEST = 500
"""So many acts and notes are shown, the newest first."""


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One stream as it is read here. `next_epoch`, `next_sequence`: where it goes on if what stopped it is accepted."""

    topic: str
    partition: int
    state: Literal["running", "stopped"]
    reason: str | None
    stopped_at: datetime | None
    epoch: int
    sequence: int
    log_offset: int
    next_epoch: int | None
    next_sequence: int | None
    adopt: bool
    at: datetime


class Decided(NamedTuple):
    """Who acts, and why."""

    by: str
    reason: str


class ActRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided about a stream: `found` is why it stood still, old and new are its positions."""

    id: UUID
    topic: str
    partition: int
    act: ActName
    acted_by: str
    reason: str
    found: str
    old_epoch: int
    old_sequence: int
    new_epoch: int
    new_sequence: int
    at: datetime


class ForkRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a writer forgot: its epoch goes on from the base, and more had been taken."""

    topic: str
    partition: int
    epoch: int
    base_epoch: int
    base: int
    had_epoch: int
    had: int
    at: datetime


class StaleRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was dropped of an earlier epoch."""

    topic: str
    partition: int
    epoch: int
    first: int
    last: int
    count: int
    first_at: datetime
    last_at: datetime


_ROWS = """
SELECT topic, partition, state, reason, stopped_at, epoch, sequence, log_offset, next_epoch, next_sequence, adopt, at
FROM inbox_position WHERE ($1::text IS NULL OR state = $1) ORDER BY topic, partition
"""
_ACTS = "SELECT * FROM inbox_act ORDER BY at DESC, id DESC LIMIT $1"
_FORKS = "SELECT * FROM inbox_fork ORDER BY at DESC, topic, partition LIMIT $1"
_STALE = "SELECT * FROM inbox_stale ORDER BY last_at DESC, topic, partition LIMIT $1"

_ACCEPT = """
WITH was AS (
    SELECT * FROM inbox_position
    WHERE topic = $1 AND partition = $2 AND state = 'stopped' AND starts_with(reason, $3 || ':')
        AND (next_epoch, next_sequence) = ($4::bigint, $5::bigint)
    FOR UPDATE
)
UPDATE inbox_position p
SET epoch = was.next_epoch, sequence = was.next_sequence - 1, last_id = NULL, adopt = false, state = 'running',
    reason = NULL, next_epoch = NULL, next_sequence = NULL, stopped_at = NULL,
    seen = CASE WHEN was.epoch = was.next_epoch OR was.sequence = 0 THEN was.seen
        ELSE was.seen || jsonb_build_object(was.epoch::text, was.sequence) END
FROM was WHERE p.topic = was.topic AND p.partition = was.partition
RETURNING was.reason AS found, was.epoch AS old_epoch, was.sequence AS old_sequence, p.epoch, p.sequence
"""
_RESUME = """
WITH was AS (
    SELECT * FROM inbox_position WHERE topic = $1 AND partition = $2 AND state = 'stopped' FOR UPDATE
)
UPDATE inbox_position p
SET state = 'running', reason = NULL, next_epoch = NULL, next_sequence = NULL, stopped_at = NULL
FROM was WHERE p.topic = was.topic AND p.partition = was.partition
RETURNING was.reason AS found, was.epoch AS old_epoch, was.sequence AS old_sequence, p.epoch, p.sequence
"""
# From the start again would do everything twice, so that is only for a stream of which nothing was taken. What else is
# given up can be found by the act: the old position and the reason.
_SUBSCRIBE = """
WITH was AS (
    SELECT * FROM inbox_position
    WHERE topic = $1 AND partition = $2 AND ((epoch, sequence) = (0, 0) OR (state = 'stopped' AND $4))
    FOR UPDATE
)
UPDATE inbox_position p
SET log_offset = $3, adopt = $4, last_id = NULL, state = 'running', reason = NULL, next_epoch = NULL,
    next_sequence = NULL, stopped_at = NULL
FROM was WHERE p.topic = was.topic AND p.partition = was.partition
RETURNING was.reason AS found, was.epoch AS old_epoch, was.sequence AS old_sequence, p.epoch, p.sequence
"""
_KEEP = """
INSERT INTO inbox_act (id, topic, partition, act, acted_by, reason, found, old_epoch, old_sequence, new_epoch,
    new_sequence, at)
VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, ''), $8, $9, $10, $11, clock_timestamp()) RETURNING *
"""
_FORGOTTEN = """
INSERT INTO inbox_fork (topic, partition, epoch, base_epoch, base, had_epoch, had, at)
VALUES ($1, $2, $3, 0, 0, $4, $5, clock_timestamp()) ON CONFLICT DO NOTHING
"""
_MAKE = """
INSERT INTO inbox_position (topic, partition, epoch, sequence, log_offset, seen, state, reason, at)
VALUES ($1, $2, 0, 0, 0, '{}', 'stopped', 'no_position: never subscribed', 'epoch') ON CONFLICT DO NOTHING
"""


async def rows(connection: asyncpg.Connection, state: str | None = None) -> list[PositionRow]:
    """Return the positions, of one state or all."""
    return [PositionRow(**row) for row in await connection.fetch(_ROWS, state)]


async def acts(connection: asyncpg.Connection) -> list[ActRow]:
    """Return the newest acts."""
    return [ActRow(**row) for row in await connection.fetch(_ACTS, NEWEST)]


async def forks(connection: asyncpg.Connection) -> list[ForkRow]:
    """Return the newest forks."""
    return [ForkRow(**row) for row in await connection.fetch(_FORKS, NEWEST)]


async def stale(connection: asyncpg.Connection) -> list[StaleRow]:
    """Return what was dropped last of earlier epochs."""
    return [StaleRow(**row) for row in await connection.fetch(_STALE, NEWEST)]


async def accept(
    connection: asyncpg.Connection, stream: tuple[str, int], act: ActName, following: tuple[int, int], who: Decided
) -> ActRow | None:
    """Move a stopped stream past what `act` accepts, if it still is to go on at `following`.

    Returns None when it is not stopped for that, or would go on elsewhere.
    """
    found = next(found for found, accepting in ACCEPTS.items() if accepting == act)
    row = await connection.fetchrow(_ACCEPT, *stream, found, *following)
    if row is not None and act == "accept-epoch":
        await connection.execute(_FORGOTTEN, *stream, row["epoch"], row["old_epoch"], row["old_sequence"])
    return await _keep(connection, stream, act, who, row)


async def resume(connection: asyncpg.Connection, stream: tuple[str, int], who: Decided) -> ActRow | None:
    """Have a stopped stream read again from where it stands; None when it is not stopped."""
    return await _keep(connection, stream, "resume", who, await connection.fetchrow(_RESUME, *stream))


async def subscribe_from(
    connection: asyncpg.Connection, stream: tuple[str, int], offset: int, who: Decided, *, adopt: bool
) -> ActRow | None:
    """Begin a stream at `offset` of its log; with `adopt` the first record above the position is taken as given.

    Returns None when something of it was taken already, unless it is stopped and `adopt` gives up what lies between.
    """
    await connection.execute(_MAKE, *stream)
    row = await connection.fetchrow(_SUBSCRIBE, *stream, offset, adopt)
    return await _keep(connection, stream, "subscribe", who, row)


async def _keep(
    connection: asyncpg.Connection,
    stream: tuple[str, int],
    act: ActName,
    who: Decided,
    row: asyncpg.Record | None,
) -> ActRow | None:
    """Keep an act with the positions before and after it."""
    if row is None:
        return None
    kept = await connection.fetchrow(_KEEP, uuid7(), *stream, act, who.by, who.reason, *row)
    assert kept is not None
    return ActRow(**kept)
