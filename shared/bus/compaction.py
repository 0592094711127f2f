"""Reading a compacted topic after a long time away (C3, C4).

What is younger than L is never removed, so whoever was at the log's end within L treats a missing number as a loss.
Whoever was not reads the log again from its start up to where it ends just now, and takes numbers that are missing for
facts that were replaced since. After still longer an erasure may have come and gone unread: then every subject that
stands in the log is marked on the way, and the others are erased here as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
from msgspec import Struct

from shared.bus import positions
from shared.bus.partitions import partition_of
from shared.bus.positions import Move, NotOwner, Position
from shared.bus.topics import COMPACTION_LAG, TOMBSTONES_KEPT
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.envelope import Envelope
from shared.events.registry import FACT_TYPES, Topic
from shared.ids import derived_id
from shared.telemetry.spans import child_traceparent

STRICT_FOR: Final = COMPACTION_LAG - timedelta(hours=1)
"""So long after it was last at the log's end a missing number is a loss; the hour is for clocks that differ."""

SCAN_AFTER: Final = TOMBSTONES_KEPT
"""So long after it was last at the log's end an erasure may have come and gone."""

PAGE = 500

Subjects = Callable[[asyncpg.Connection, str, int], Awaitable[Sequence[tuple[str, datetime]]]]
"""Of whom a service holds data of a compacted topic: so many keys above one, in order, each with its data's `as_of`."""


class CatchUp(Struct, frozen=True):
    """One compacted topic that is read again: gaps are taken up to the offset `until`; `begun_at`: database's clock.

    `scans`: the subjects on the way are marked, and the others erased at the end.
    """

    until: int
    begun_at: datetime
    scans: bool


_AGES = """
SELECT topic, at < clock_timestamp() - $3::interval AS late, at < clock_timestamp() - $4::interval AS scans,
    clock_timestamp() AS now, scan_end
FROM inbox_position WHERE partition = $1 AND topic = ANY ($2::text[]) AND state = 'running'
"""
_BEGIN = """
UPDATE inbox_position SET scan_end = $6
WHERE (topic, partition, epoch, sequence, log_offset) = ($1, $2, $3, $4, $5) AND state = 'running' AND scan_end IS NULL
RETURNING topic
"""
_END = """
UPDATE inbox_position SET scan_end = NULL, at = greatest(at, $6)
WHERE (topic, partition, epoch, sequence, log_offset) = ($1, $2, $3, $4, $5) AND state = 'running'
RETURNING topic
"""
_FORGET = "DELETE FROM inbox_seen WHERE (topic, partition) = ($1, $2)"
_MARK = """
INSERT INTO inbox_seen (topic, partition, key)
SELECT DISTINCT s.topic, $1::int, s.key FROM unnest($2::text[], $3::text[]) AS s (topic, key) ORDER BY 1, 3
ON CONFLICT DO NOTHING
"""
_UNSEEN = """
SELECT k.key FROM unnest($3::text[]) AS k (key)
WHERE NOT EXISTS (SELECT FROM inbox_seen s WHERE (s.topic, s.partition, s.key) = ($1, $2, k.key))
"""


async def begin(
    connection: asyncpg.Connection,
    partition: int,
    stood: dict[str, Position],
    ends: dict[str, int],
    swept: Collection[str],
) -> dict[str, CatchUp]:
    """Return which of these compacted topics are to be read again, and note where a scan begins.

    Raises:
        NotOwner: a position is not where it `stood`.
    """
    found: dict[str, CatchUp] = {}
    for row in await connection.fetch(_AGES, partition, sorted(stood), STRICT_FOR, SCAN_AFTER):
        topic, position = row["topic"], stood[row["topic"]]
        until = max(ends[topic], row["scan_end"] or 0)
        scans = row["scan_end"] is not None
        if not scans and row["scans"] and topic in swept and position.sequence > 0:
            await _begin_scan(connection, topic, partition, position, until)
            scans = True
        if scans or row["late"]:
            found[topic] = CatchUp(until, row["now"], scans)
    return found


async def _begin_scan(connection: asyncpg.Connection, topic: str, partition: int, at: Position, end: int) -> None:
    async with connection.transaction():
        if not await connection.fetch(_BEGIN, topic, partition, at.epoch, at.sequence, at.offset, end):
            raise NotOwner(f"{topic}/{partition} is not where it stood when the scan was to begin")
        await connection.execute(_FORGET, topic, partition)


async def mark(connection: asyncpg.Connection, partition: int, seen: Sequence[tuple[str, str]]) -> None:
    """Mark the subjects (topic, key) that stand in the log; called under the lock of their positions."""
    await connection.execute(_MARK, partition, [topic for topic, _ in seen], [key for _, key in seen])


async def end(connection: asyncpg.Connection, topic: str, partition: int, at: Position, done: CatchUp) -> None:
    """Note that everything published before the catch-up began has been read.

    Raises:
        NotOwner: the position is not `at` that place any more.
    """
    async with connection.transaction():
        if not await connection.fetch(_END, topic, partition, at.epoch, at.sequence, at.offset, done.begun_at):
            raise NotOwner(f"{topic}/{partition} is not where it stood when its catch-up ended")
        await connection.execute(_FORGET, topic, partition)


class Sweep(Struct, frozen=True):
    """What erases the subjects of one topic that a scan did not see, by the service's own handler."""

    topic: Topic
    partition: int
    partitions: int
    subjects: Subjects

    async def page(self, connection: asyncpg.Connection, after: str) -> tuple[list[tuple[str, datetime]], str | None]:
        """Return the subjects of one page who belong to this partition, and where the next page begins."""
        page = await self.subjects(connection, after, PAGE)
        mine = [(key, as_of) for key, as_of in page if partition_of(key, self.partitions) == self.partition]
        return mine, page[-1][0] if len(page) == PAGE else None

    async def erasures(self, uow: UnitOfWork, at: Position, subjects: Sequence[tuple[str, datetime]]) -> list[Incoming]:
        """Return an erasure of each subject that stands nowhere in the log, as if it had been read.

        Raises:
            NotOwner: somebody else reads the stream.
        """
        await positions.move(uow.connection, [Move(self.partition, {self.topic.name: at}, {self.topic.name: at})])
        keys = [key for key, _ in subjects]
        rows = await uow.connection.fetch(_UNSEEN, self.topic.name, self.partition, keys)
        unseen = {row["key"] for row in rows}
        return [self._erasure(key, as_of, at.epoch) for key, as_of in subjects if key in unseen]

    def _erasure(self, key: str, as_of: datetime, epoch: int) -> Incoming:
        kind = next(kind for kind in FACT_TYPES if kind.topic is self.topic and kind.erases)
        # What follows from it is named after it (E6), and no two erasures may give one name: so it has a place of its
        # own, behind everything that a stream has numbered.
        identity = derived_id("sweep", self.topic.name, key, as_of.isoformat())
        envelope = Envelope(
            id=str(identity),
            type=kind.name,
            source=self.topic.source,
            time=as_of,
            key=key,
            traceparent=child_traceparent(None, f"sweep {self.topic.name}"),
            cause_id=None,
            topic=self.topic.name,
            partition=self.partition,
            epoch=epoch,
            sequence=identity.int >> 65 | 1 << 62,
        )
        (name,) = kind.key_fields
        return Incoming(envelope, kind.model(**{name: key, "as_of": as_of}))
