"""How far each stream has been read, and what a record's numbers say about the next one (R3, R5, R6, E5).

One row a stream. It is moved first in the transaction that stores the effect, on the condition of its old value:
whoever holds an old view changes nothing. At or below the position: a duplicate. The next: taken. Further: a loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import asyncpg
import msgspec
from msgspec import Struct

from shared.bus.headers import Numbers
from shared.errors import Retriable
from shared.events.registry import Topic


class NotOwner(Retriable):
    """The positions in the database are not the ones held in memory: another owner, or an old view."""


class Position(Struct, frozen=True):
    """Everything up to (`epoch`, `sequence`) has taken effect; `offset` is a hint where the next record lies.

    `seen` = {earlier epoch: highest number taken}; `last_id` = id of the fact at the position. `adopt`: the next record
    above the position is taken whatever its numbers say, once.
    """

    epoch: int = 0
    sequence: int = 0
    offset: int = 0
    last_id: str | None = None
    seen: Mapping[int, int] = msgspec.field(default_factory=dict)
    adopt: bool = False

    def __str__(self) -> str:
        return f"{self.epoch}:{self.sequence}"


class Move(Struct, frozen=True):
    """The positions of one partition number as they were and are to be, by topic.

    `ends`: where each log is known to end; whose position gets there has been read to the end just now.
    """

    partition: int
    old: Mapping[str, Position]
    new: Mapping[str, Position]
    ends: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream is not read any further until a person has looked.

    `following`: the place at which it goes on if the person accepts what was found; None where nothing can be accepted.
    """

    reason: str
    following: tuple[int, int] | None = None

    @property
    def is_gap(self) -> bool:
        """Whether a number is missing, which may still be found elsewhere in the log."""
        return self.reason.startswith("gap:")


Take = Literal["take", "fork", "adopt", "leap"]
"""Taken: as the next; although more was had than its epoch goes on from; as given, whatever its numbers; over a gap
that a log's cleaner may have left.
"""

Drop = Literal["duplicate", "stale"]


def judge(
    position: Position, numbers: Numbers, fact_id: str, *, anew: bool = False, leaps: bool = False
) -> Take | Drop | Stopped:
    """Say what becomes of a record with these numbers, given how far the stream has been read.

    `anew`: a stream that begins again from nothing is a fork like any other (development). `leaps`: missing numbers
    were replaced and removed, not lost (C3).
    """
    if numbers.epoch < position.epoch:
        return "stale"
    if numbers.epoch == position.epoch:
        verdict = _judge_same_epoch(position, numbers.sequence, fact_id)
    else:
        verdict = _judge_new_epoch(position, numbers, anew=anew)
    if position.adopt and isinstance(verdict, Stopped) and numbers[:2] > (position.epoch, position.sequence):
        return "adopt"
    if leaps and isinstance(verdict, Stopped) and verdict.is_gap:
        return "leap"
    return verdict


def _judge_same_epoch(position: Position, sequence: int, fact_id: str) -> Take | Drop | Stopped:
    if sequence == position.sequence + 1:
        return "take"
    epoch = position.epoch
    if sequence > position.sequence:
        return Stopped(f"gap: expected {epoch}:{position.sequence + 1}, got {epoch}:{sequence}", (epoch, sequence))
    if sequence == position.sequence and position.last_id not in (None, fact_id):
        return Stopped(f"fork: number {epoch}:{sequence} was given twice", (epoch, sequence + 1))
    return "duplicate"


def _judge_new_epoch(position: Position, numbers: Numbers, *, anew: bool) -> Take | Stopped:
    place = numbers[:2]
    got = f"{numbers.epoch}:{numbers.sequence}"
    if numbers.base is None:
        return Stopped(f"gap: {got} of a new epoch without its first record, after {position}", place)
    if numbers.base == (0, 0):
        if position.sequence and not anew:
            return Stopped(f"anew: {got} begins the stream again from nothing, but {position} was taken", place)
        return "fork" if position.sequence else "take"
    epoch, last = numbers.base
    had = position.sequence if epoch == position.epoch else position.seen.get(epoch)
    if had is None or had < last:
        return Stopped(f"gap: {got} follows {epoch}:{last}, read up to {position}", place)
    return "take" if (epoch, last) == (position.epoch, position.sequence) else "fork"


def taken(position: Position, numbers: Numbers, fact_id: str, offset: int) -> Position:
    """Return the position after taking the record at `offset`."""
    seen = position.seen
    if numbers.epoch != position.epoch and position.sequence:
        seen = {**seen, position.epoch: position.sequence}
    return Position(numbers.epoch, numbers.sequence, offset + 1, fact_id, seen)


def passed(position: Position, offset: int) -> Position:
    """Return the position after passing over the record at `offset`: the offset moves, the number does not."""
    return Position(position.epoch, position.sequence, offset + 1, position.last_id, position.seen, position.adopt)


_SUBSCRIBE = """
INSERT INTO inbox_position (topic, partition, epoch, sequence, log_offset, seen, state, at)
SELECT topic, partition, 0, 0, 0, '{}', 'running', 'epoch'
FROM unnest($1::text[]) AS topic, generate_series(0, $2::int - 1) AS partition
ORDER BY topic, partition ON CONFLICT DO NOTHING
"""

_LOAD = """
SELECT topic, epoch, sequence, log_offset, last_id, seen, adopt, state, reason FROM inbox_position
WHERE partition = $1 AND topic = ANY ($2::text[])
"""

_MOVE = """
WITH wanted AS (
    SELECT * FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::bigint[], $8::bigint[], $9::text[], $10::jsonb[], $11::boolean[], $12::bigint[])
    AS w (partition, topic, old_epoch, old_sequence, old_offset, epoch, sequence, log_offset, last_id, seen, adopt,
        log_end)
), mine AS (
    SELECT p.topic, p.partition FROM inbox_position p JOIN wanted w USING (topic, partition)
    WHERE p.state = 'running'
        AND (p.epoch, p.sequence, p.log_offset) = (w.old_epoch, w.old_sequence, w.old_offset)
    ORDER BY p.partition, p.topic FOR UPDATE OF p
)
UPDATE inbox_position p
SET epoch = w.epoch, sequence = w.sequence, log_offset = w.log_offset, last_id = w.last_id, seen = w.seen,
    adopt = w.adopt, at = CASE WHEN w.log_offset >= w.log_end THEN clock_timestamp() ELSE p.at END
FROM wanted w JOIN mine USING (topic, partition)
WHERE (p.topic, p.partition) = (w.topic, w.partition)
    AND (p.epoch, p.sequence, p.log_offset) = (w.old_epoch, w.old_sequence, w.old_offset)
RETURNING p.topic, EXISTS (SELECT FROM deferred) OR EXISTS (SELECT FROM dead_letter WHERE state = 'open') AS queues
"""

_STOP = """
UPDATE inbox_position SET state = 'stopped', reason = $6, next_epoch = $7, next_sequence = $8,
    stopped_at = clock_timestamp()
WHERE topic = $1 AND partition = $2 AND (epoch, sequence, log_offset) = ($3, $4, $5) AND state = 'running'
RETURNING topic
"""

_TOUCH = """
UPDATE inbox_position SET at = clock_timestamp()
WHERE partition = $1 AND topic = ANY ($2::text[]) AND state = 'running'
"""


async def subscribe(connection: asyncpg.Connection, topics: Sequence[Topic], partitions: int) -> None:
    """Make the rows that are missing, each from the very first number on."""
    await connection.execute(_SUBSCRIBE, [topic.name for topic in topics], partitions)


async def load(connection: asyncpg.Connection, partition: int, topics: Sequence[str]) -> dict[str, Position | Stopped]:
    """Return the position of each topic of `partition`; a topic without a row is stopped."""
    rows = {row["topic"]: row for row in await connection.fetch(_LOAD, partition, topics)}
    return {topic: _position(rows.get(topic)) for topic in topics}


def _position(row: asyncpg.Record | None) -> Position | Stopped:
    if row is None:
        return Stopped("no_position: the service was not subscribed; run its migrations")
    if row["state"] != "running":
        return Stopped(row["reason"])
    seen = msgspec.json.decode(row["seen"], type=dict[int, int])
    return Position(row["epoch"], row["sequence"], row["log_offset"], row["last_id"], seen, row["adopt"])


async def move(connection: asyncpg.Connection, moves: Sequence[Move]) -> bool:
    """Move positions, first thing in the transaction; all of them, or none.

    Returns whether any fact waits or lies dead in this database: no other statement is needed to know that none does.

    Raises:
        NotOwner: a row is not at its old value any more.
    """
    wanted = [(each, topic) for each in moves for topic in sorted(each.new)]
    before, after = [each.old[topic] for each, topic in wanted], [each.new[topic] for each, topic in wanted]
    rows = await connection.fetch(
        _MOVE,
        [each.partition for each, _ in wanted],
        [topic for _, topic in wanted],
        [position.epoch for position in before],
        [position.sequence for position in before],
        [position.offset for position in before],
        [position.epoch for position in after],
        [position.sequence for position in after],
        [position.offset for position in after],
        [position.last_id for position in after],
        [msgspec.json.encode(position.seen).decode() for position in after],
        [position.adopt for position in after],
        [each.ends.get(topic) for each, topic in wanted],
    )
    if len(rows) != len(wanted):
        partitions = ", ".join(str(each.partition) for each in moves)
        raise NotOwner(f"partition {partitions}: {len(rows)} of {len(wanted)} positions are as I knew them")
    return any(row["queues"] for row in rows)


async def stop(connection: asyncpg.Connection, topic: str, partition: int, at: Position, why: Stopped) -> bool:
    """Stop the stream with a reason that a person can act on; return False if it has moved meanwhile."""
    epoch, sequence = why.following or (None, None)
    rows = await connection.fetch(
        _STOP, topic, partition, at.epoch, at.sequence, at.offset, why.reason, epoch, sequence
    )
    return bool(rows)


async def touch(connection: asyncpg.Connection, partition: int, topics: Sequence[str]) -> None:
    """Note that these topics are read to the end just now."""
    await connection.execute(_TOUCH, partition, topics)
