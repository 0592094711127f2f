"""Appending facts to the service's streams (E1, E3, L1, L2, H2).

A stream is one partition of a topic. An append locks the stream's row and holds it to the commit, so number order is
commit order and no number is skipped. It is the last statement of its transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg
import msgspec

from shared.bus.headers import Packed
from shared.errors import Retriable

StreamKey = tuple[str, int]
"""A stream: (topic's short name, partition)."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Packed]).decode

# The order by which rows are locked is the order in which INSERT is fed; UPDATE … FROM promises none and deadlocked.
_APPEND = """
WITH wanted AS (
    SELECT * FROM unnest($1::text[], $2::int[], $3::int[], $4::bytea[]) AS w (topic, partition, count, body)
), heads AS (
    INSERT INTO outbox_stream AS s (topic, partition, epoch, head, base_epoch, base, timeline)
    SELECT topic, partition, extract(epoch FROM clock_timestamp())::bigint, count, 0, 0,
        left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
    FROM wanted ORDER BY topic, partition
    ON CONFLICT (topic, partition) DO UPDATE SET head = s.head + excluded.head,
        timeline = CASE WHEN s.timeline = '' THEN excluded.timeline ELSE s.timeline END
    RETURNING topic, partition, epoch, head, base_epoch, base, timeline
), stored AS (
    INSERT INTO outbox_segment (topic, partition, epoch, first, count, body, appended_at, base_epoch, base)
    SELECT topic, partition, h.epoch, h.head - w.count + 1, w.count, w.body, clock_timestamp(), h.base_epoch, h.base
    FROM heads h JOIN wanted w USING (topic, partition)
)
SELECT topic, partition, epoch, head, base_epoch, base,
    timeline <> left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) AS other
FROM heads
"""

# An epoch without numbers gives its place to the new one: so does `published` where a term had moved it there (E4).
_RAISE = """
WITH locked AS (SELECT topic, partition, epoch, head, base FROM outbox_stream ORDER BY topic, partition FOR UPDATE),
raised AS (
    UPDATE outbox_stream s
    SET base_epoch = CASE WHEN s.head > s.base THEN s.epoch ELSE s.base_epoch END,
        base = CASE WHEN s.head > s.base THEN s.head ELSE s.base END,
        epoch = greatest(s.epoch + 1, extract(epoch FROM clock_timestamp())::bigint)
    FROM locked WHERE (s.topic, s.partition) = (locked.topic, locked.partition)
    RETURNING s.topic, s.partition, s.epoch, locked.epoch AS left_epoch, locked.head > locked.base AS numbered
)
UPDATE outbox_published p SET epoch = r.epoch
FROM raised r WHERE (p.topic, p.partition, p.epoch) = (r.topic, r.partition, r.left_epoch) AND NOT r.numbered
"""


_LOCK = "SELECT FROM outbox_stream ORDER BY topic, partition FOR UPDATE"


class OtherHistory(Retriable):
    """The database is on another timeline than the stream: it was restored, or a standby took over (E3)."""


class Segment(NamedTuple):
    """What one transaction appended to one stream: facts numbered from `first` on.

    `base` = (epoch, number) that came before the first number of this epoch, (0, 0) if nothing did.
    """

    topic: str
    partition: int
    epoch: int
    first: int
    base: tuple[int, int]
    facts: Sequence[Packed]

    @property
    def last(self) -> int:
        """The number of the last fact."""
        return self.first + len(self.facts) - 1


async def append(connection: asyncpg.Connection, facts: dict[StreamKey, list[Packed]]) -> list[Segment]:
    """Number `facts` and store one segment a stream; nothing may be locked after this in the transaction.

    Raises:
        OtherHistory: the numbers so far belong to another history, so a new epoch has to begin first.
    """
    if not facts:
        return []
    keys = list(facts)
    rows = await connection.fetch(
        _APPEND,
        [topic for topic, _ in keys],
        [partition for _, partition in keys],
        [len(facts[key]) for key in keys],
        [pack(facts[key]) for key in keys],
    )
    if any(row["other"] for row in rows):
        raise OtherHistory("the database is on another timeline than its streams")
    return [
        Segment(
            topic=row["topic"],
            partition=row["partition"],
            epoch=row["epoch"],
            first=row["head"] - len(facts[row["topic"], row["partition"]]) + 1,
            base=(row["base_epoch"], row["base"]),
            facts=facts[row["topic"], row["partition"]],
        )
        for row in rows
    ]


async def lock_streams(connection: asyncpg.Connection) -> None:
    """Lock all streams in their order."""
    await connection.execute(_LOCK)


async def raise_epochs(connection: asyncpg.Connection) -> None:
    """Begin a new epoch in every stream (E2); numbers go on growing, and the base says where the old epoch ended."""
    await connection.execute(_RAISE)


def pack(facts: Sequence[Packed]) -> bytes:
    """Return the body of a segment with these facts."""
    return _encode(facts)


def unpack(body: bytes) -> list[Packed]:
    """Return the facts of a stored segment's body."""
    return _decode(body)
