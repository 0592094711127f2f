"""What of the outbox is known to be in the log, and what is still to be published (P6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import asyncpg

from shared.bus import failpoints
from shared.bus.streams import Segment, StreamKey, unpack
from shared.db.pool import borrow
from shared.events.registry import TOPICS

_log = logging.getLogger(__name__)


class Cursor(NamedTuple):
    """A place in a stream's order: epochs first, then numbers."""

    epoch: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.sequence}"


class Row(Protocol):
    """A row of the database, by column."""

    def __getitem__(self, column: str, /) -> Any:  # noqa: ANN401 - a column's type is the table's
        """Return the column's value."""


_LOAD = """
SELECT s.epoch, p.epoch AS published_epoch, p.sequence AS published FROM outbox_stream s
LEFT JOIN outbox_published p USING (topic, partition) WHERE (topic, partition) = ($1, $2)
"""

_NEXT_FACTS = 2000
"""About so many facts are read at once: a few batches for Kafka, however large the segments are."""

_NEXT = """
SELECT epoch, first, body, base_epoch, base FROM (
    SELECT *, sum(count) OVER (ORDER BY epoch, first) - count AS before FROM (
        SELECT * FROM outbox_segment
        WHERE (topic, partition) = ($1, $2) AND (epoch, first + count - 1) > ($3, $4)
        ORDER BY epoch, first LIMIT 64
    ) AS next
) AS counted
WHERE before < $5 ORDER BY epoch, first
"""

_PENDING = """
SELECT topic, partition, max(epoch) AS epoch, max(first + count - 1) AS last FROM outbox_segment GROUP BY 1, 2
"""

_PUBLISHED = """
SELECT topic, partition, epoch, sequence FROM outbox_published
WHERE (topic, partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))
"""

_AGE = "SELECT coalesce(sum(count), 0) AS pending, min(appended_at) AS oldest FROM outbox_segment"

# Monotone and conditional on the stream's epoch being that of the publisher's term, whoever writes it and however late.
# A segment goes only where `published` may move: else a restart would find neither the fact nor that it was sent.
# What is above the stream's head was acknowledged to a database that has been put back since.
_MOVE = """
WITH done AS (
    SELECT d.topic, d.partition, d.epoch, d.sequence
    FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS d (topic, partition, epoch, sequence, term)
    JOIN outbox_stream s ON (s.topic, s.partition) = (d.topic, d.partition) AND d.sequence <= s.head
    WHERE s.epoch = d.term
), moved AS (
    INSERT INTO outbox_published AS p (topic, partition, epoch, sequence)
    SELECT * FROM done ORDER BY topic, partition
    ON CONFLICT (topic, partition) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence
    WHERE (p.epoch, p.sequence) < (excluded.epoch, excluded.sequence)
)
"""
_DONE = """
DELETE FROM outbox_segment g USING done d
WHERE g.topic = d.topic AND g.partition = d.partition AND (g.epoch, g.first + g.count - 1) <= (d.epoch, d.sequence)
"""
_RECORD = _MOVE + _DONE

# The same, but what is deleted goes into the table of kept segments, in the same statement (P9). Of a compacted topic
# nothing is kept: told again behind newer facts, an old one would replace them when the log is cleaned.
_RECORD_AND_KEEP = (
    _MOVE
    + ", gone AS ("
    + _DONE
    + """
RETURNING g.topic, g.partition, g.epoch, g.first, g.count, g.body, g.base_epoch, g.base
)
INSERT INTO outbox_kept (topic, partition, epoch, first, count, body, kept_at, base_epoch, base)
SELECT topic, partition, epoch, first, count, body, now(), base_epoch, base FROM gone WHERE topic <> ALL ($6::text[])
"""
)
_NEVER_KEPT = [topic.name for topic in TOPICS if topic.compacted]


async def load_stream(connection: asyncpg.Connection, key: StreamKey) -> tuple[int, Cursor]:
    """Return a stream's present epoch and the place up to which it is known to be in the log."""
    row = await connection.fetchrow(_LOAD, *key)
    if row is None:
        return 0, Cursor(0, 0)
    return row["epoch"], Cursor(row["published_epoch"] or 0, row["published"] or 0)


async def next_segments(connection: asyncpg.Connection, key: StreamKey, after: Cursor) -> list[Segment]:
    """Return the segments of one epoch above `after` that follow one another without a hole."""
    return chain(key, await connection.fetch(_NEXT, *key, *after, _NEXT_FACTS))


def chain(key: StreamKey, rows: Iterable[Row]) -> list[Segment]:
    """Make segments of rows in their order, up to a hole or to the next epoch."""
    found: list[Segment] = []
    for row in rows:
        base = row["base_epoch"], row["base"]
        segment = Segment(*key, row["epoch"], row["first"], base, unpack(row["body"]))
        if found and (segment.epoch != found[-1].epoch or segment.first != found[-1].last + 1):
            break
        found.append(segment)
    return found


async def pending_streams(connection: asyncpg.Connection) -> list[tuple[StreamKey, Cursor]]:
    """Return the streams that have segments in the table, each with its last number there."""
    rows = await connection.fetch(_PENDING)
    return [((row["topic"], row["partition"]), Cursor(row["epoch"], row["last"])) for row in rows]


async def published_streams(connection: asyncpg.Connection, keys: Sequence[StreamKey]) -> dict[StreamKey, Cursor]:
    """Return the place up to which each of these streams is known to be in the log; those of which nothing is, lack."""
    rows = await connection.fetch(_PUBLISHED, [topic for topic, _ in keys], [partition for _, partition in keys])
    return {(row["topic"], row["partition"]): Cursor(row["epoch"], row["sequence"]) for row in rows}


async def stream_epochs(connection: asyncpg.Connection) -> dict[StreamKey, int]:
    """Return the present epoch of every stream."""
    rows = await connection.fetch("SELECT topic, partition, epoch FROM outbox_stream")
    return {(row["topic"], row["partition"]): row["epoch"] for row in rows}


async def backlog(connection: asyncpg.Connection) -> tuple[int, datetime | None]:
    """Return how many facts wait to be published, and since when the oldest does."""
    row = await connection.fetchrow(_AGE)
    return (row["pending"], row["oldest"]) if row else (0, None)


class Recorder:
    """Moves `published` behind the sends, all streams in one statement; losing a move only repeats a send.

    `keep`: what was published is kept for a time instead of being deleted (P9).
    """

    def __init__(self, pool: asyncpg.Pool, *, keep: bool = False) -> None:
        self._pool = pool
        self._keep = keep
        self._dirty: dict[StreamKey, tuple[Cursor, int]] = {}
        self._wake = asyncio.Event()

    def note(self, key: StreamKey, cursor: Cursor, term: int) -> None:
        """Remember that everything up to `cursor` was acknowledged in a term that began in the epoch `term`."""
        self._dirty[key] = (cursor, term)
        self._wake.set()

    async def run(self) -> None:
        """Record for ever; what could not be recorded stays noted."""
        while True:
            if not self._dirty:
                self._wake.clear()
                await self._wake.wait()
            await self.flush()

    def forget(self) -> None:
        """Drop what is noted: the server that it was noted for may have been put back. A send is then repeated."""
        self._dirty.clear()

    async def flush(self) -> None:
        """Record what is noted."""
        if not self._dirty:
            return
        failpoints.reach("recording")
        async with borrow(self._pool) as connection:  # may find that the server is another, and forget
            noted, self._dirty = self._dirty, {}
            keys = sorted(noted)
            try:
                await self._record(
                    connection,
                    [topic for topic, _ in keys],
                    [partition for _, partition in keys],
                    [noted[key][0].epoch for key in keys],
                    [noted[key][0].sequence for key in keys],
                    [noted[key][1] for key in keys],
                )
            except BaseException:
                self._dirty = {**noted, **self._dirty}
                raise
        failpoints.reach("recorded")

    async def _record(self, connection: asyncpg.Connection, *columns: list[str] | list[int]) -> None:
        """Move `published`. Where there is no partition to keep segments in they are deleted: publishing goes on."""
        if self._keep:
            try:
                await connection.execute(_RECORD_AND_KEEP, *columns, _NEVER_KEPT)
            except asyncpg.CheckViolationError:
                _log.warning("no partition for kept segments: they are deleted")
            else:
                return
        await connection.execute(_RECORD, *columns)
