"""Sends kept facts again under the numbers that they had, to mend what Kafka has lost (P9).

Readers drop by number what they have taken, so it may run beside the publisher, and twice. It ends with the last fact
that is kept: else the log's end would no longer tell a database that was put back what it has forgotten (E4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import asyncpg

from shared.bus.outbox import Cursor, chain
from shared.bus.producing import ProduceTooLarge, Producing
from shared.bus.publisher import BATCH_BYTES, records_above
from shared.bus.streams import Segment, StreamKey
from shared.errors import Permanent
from shared.events.registry import TOPICS, Topic
from shared.ids import uuid7

_TOPICS = {topic.name: topic for topic in TOPICS}

_STREAM = """
SELECT coalesce(p.sequence, 0) AS published,
    (SELECT min(first) FROM outbox_segment g WHERE (g.topic, g.partition) = ($1, $2)) AS pending
FROM outbox_stream s LEFT JOIN outbox_published p USING (topic, partition) WHERE (s.topic, s.partition) = ($1, $2)
"""
# Numbers grow over epochs, so within one database they alone say what follows what.
_RUNS = """
SELECT min(first) AS first, max(first + count - 1) AS last
FROM (
    SELECT *, count(*) FILTER (WHERE first IS DISTINCT FROM before) OVER (ORDER BY first) AS run
    FROM (
        SELECT first, count, lag(first + count) OVER (ORDER BY first) AS before
        FROM outbox_kept WHERE (topic, partition) = ($1, $2)
    ) AS row
) AS numbered
GROUP BY run ORDER BY 1
"""
_NEXT = """
SELECT epoch, first, body, base_epoch, base FROM outbox_kept
WHERE (topic, partition) = ($1, $2) AND first <= $4
    AND first >= (SELECT max(first) FROM outbox_kept WHERE (topic, partition) = ($1, $2) AND first <= $3)
ORDER BY first LIMIT 4
"""
_BEFORE = """
SELECT CASE WHEN base = $3 - 1 THEN base_epoch ELSE epoch END AS epoch, $3 - 1 AS sequence FROM outbox_kept
WHERE (topic, partition) = ($1, $2) AND first <= $3 ORDER BY first DESC LIMIT 1
"""
_LAST = "SELECT max(first + count - 1) FROM outbox_kept WHERE (topic, partition) = ($1, $2)"
_ASK = """
INSERT INTO outbox_republish (id, topic, partition, first, last, reason, asked_by, asked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
"""
_DONE = "UPDATE outbox_republish SET done_at = clock_timestamp() WHERE id = $1"


class NotKept(Permanent):
    """Not all that was asked for is kept; the message says which numbers are."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which numbers of a stream are to be published again, why, and who wants it; `last` None: all published ones."""

    key: StreamKey
    first: int
    last: int | None
    reason: str
    by: str


class _Run(NamedTuple):
    """Kept numbers without a hole."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


async def republish(
    connection: asyncpg.Connection, producing: Producing, namespace: str, wish: Wish
) -> tuple[int, int]:
    """Send what is wished for again, in order, and record who wished it; returns the first and last number sent.

    Raises:
        NotKept: not all of it is kept, or nothing of this topic ever is.
        ProduceUnknown: the broker did not answer; some of it may be in the log. The same call again is safe.
        ProduceTooLarge: the topic's limit was lowered below a fact that was published once.
    """
    topic = _TOPICS[wish.key[0]]
    if topic.compacted:
        raise NotKept(f"nothing of {topic.name} is kept: behind newer facts an old one would replace them")
    last, cursor = await _found(connection, wish)
    act = uuid7()
    await connection.execute(_ASK, act, *wish.key, wish.first, last, wish.reason, wish.by)
    sending = _Sending(connection, producing, topic, topic.full_name(namespace), wish.key)
    await sending.send(cursor, last)
    end: int = await connection.fetchval(_LAST, *wish.key) or last
    if end > last:
        await sending.send(await _before(connection, wish.key, end), end)
    await connection.execute(_DONE, act)
    return wish.first, last


async def _found(connection: asyncpg.Connection, wish: Wish) -> tuple[int, Cursor]:
    """Return the last number that is meant, and the place before the first."""
    stream = await connection.fetchrow(_STREAM, *wish.key)
    if stream is None:
        raise NotKept(f"no stream {wish.key[0]}/{wish.key[1]} is written here")
    # A segment is kept when all of it is published, so one that is half sent is still the publisher's.
    published = min(stream["published"], (stream["pending"] or stream["published"] + 1) - 1)
    last = published if wish.last is None else wish.last
    runs = [_Run(row["first"], row["last"]) for row in await connection.fetch(_RUNS, *wish.key)]
    if not any(run.first <= wish.first <= last <= run.last for run in runs):
        kept = ", ".join(map(str, runs)) or "none"
        raise NotKept(f"{wish.first}-{last} is asked for, published is {published}, kept are: {kept}")
    return last, await _before(connection, wish.key, wish.first)


async def _before(connection: asyncpg.Connection, key: StreamKey, number: int) -> Cursor:
    """Return the place of the number before a kept one, whether that is kept or not."""
    [row] = await connection.fetch(_BEFORE, *key, number)
    return Cursor(row["epoch"], row["sequence"])


class _Sending:
    """Sends kept numbers of one stream, in batches as the publisher makes them."""

    def __init__(
        self, connection: asyncpg.Connection, producing: Producing, topic: Topic, full_name: str, key: StreamKey
    ) -> None:
        self._connection = connection
        self._producing = producing
        self._topic = topic
        self._full_name = full_name
        self._key = key

    async def send(self, cursor: Cursor, last: int) -> None:
        """Send what stands above `cursor`, up to the number `last`."""
        most = BATCH_BYTES
        while cursor.sequence < last:
            segments = await self._next(cursor, last)
            records, places = records_above(segments, cursor, self._topic.source, most)
            count = sum(place.sequence <= last for place in places)
            try:
                sent = await self._producing.send(self._full_name, self._key[1], records[:count])
            except ProduceTooLarge:
                if count == 1:
                    raise
                most //= 2
                continue
            cursor = places[sent - 1]

    async def _next(self, cursor: Cursor, last: int) -> Sequence[Segment]:
        rows = await self._connection.fetch(_NEXT, *self._key, cursor.sequence + 1, last)
        segments = chain(self._key, rows)
        if not segments or not segments[0].first <= cursor.sequence + 1 <= segments[0].last:
            raise NotKept(f"dropped meanwhile: what follows {cursor}; everything up to there was sent")
        return segments
