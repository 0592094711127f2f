"""Facts that wait: stored with the position, handled again when their instant has come, or what is before them is done.

A fact without an instant is parked (D2). In the topics whose order matters to the service, none is handled while an
earlier fact of its topic and key waits or lies dead.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from shared.bus.dead_letters import headers_as_json, headers_from_json
from shared.bus.decoding import Raw
from shared.bus.headers import Headers
from shared.bus.unit_of_work import Incoming
from shared.ids import uuid7


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that waits until `due` (domain's instant), or without one behind the others of its key, as it came."""

    topic: str
    partition: int
    offset: int
    epoch: int
    sequence: int
    key: str
    due: datetime | None
    headers: Headers
    body: bytes | None
    attempts: int
    id: UUID = msgspec.field(default_factory=uuid7)


_INSERT = """
INSERT INTO deferred (id, topic, partition, log_offset, epoch, sequence, key, due, headers, body, attempts)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
    $8::timestamptz[], $9::jsonb[], $10::bytea[], $11::int[])
"""

_NEXT_OF_ITS_QUEUE = """
(f.topic <> ALL ($1::text[]) OR NOT EXISTS (
    SELECT FROM deferred e
    WHERE (e.key, e.topic) = (f.key, f.topic) AND (e.epoch, e.sequence) < (f.epoch, f.sequence)
) AND NOT EXISTS (
    SELECT FROM dead_letter d
    WHERE d.state = 'open' AND (d.key, d.topic) = (f.key, f.topic) AND (d.epoch, d.sequence) < (f.epoch, f.sequence)
))
"""

_CLAIM = f"""
SELECT id, topic, partition, log_offset, epoch, sequence, key, due, headers, body, attempts FROM deferred f
WHERE (due IS NULL OR due <= $2) AND ($3::uuid IS NULL OR id = $3) AND {_NEXT_OF_ITS_QUEUE}
ORDER BY due NULLS FIRST, epoch, sequence, id LIMIT 1 FOR UPDATE OF f SKIP LOCKED
"""  # noqa: S608 - both parts are ours

_NEXT_DUE = f"SELECT min(coalesce(due, to_timestamp(0))) FROM deferred f WHERE {_NEXT_OF_ITS_QUEUE}"  # noqa: S608 - as above

_BEFORE = """
SELECT EXISTS (SELECT FROM deferred WHERE (topic, key) = ($1, $2) AND (epoch, sequence) < ($3, $4))
"""


def waiting(raw: Raw, incoming: Incoming, due: datetime | None, attempts: int) -> Waiting:
    """Return a fact as it is stored while it waits."""
    return Waiting(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        epoch=incoming.envelope.epoch,
        sequence=incoming.envelope.sequence,
        key=incoming.key,
        due=due,
        headers=raw.headers,
        body=raw.body,
        attempts=attempts,
    )


async def put_off(connection: asyncpg.Connection, facts: Sequence[Waiting]) -> None:
    """Store facts that wait, all in one statement."""
    await connection.execute(
        _INSERT,
        [fact.id for fact in facts],
        [fact.topic for fact in facts],
        [fact.partition for fact in facts],
        [fact.offset for fact in facts],
        [fact.epoch for fact in facts],
        [fact.sequence for fact in facts],
        [fact.key for fact in facts],
        [fact.due for fact in facts],
        [headers_as_json(fact.headers) for fact in facts],
        [fact.body for fact in facts],
        [fact.attempts for fact in facts],
    )


async def claim(
    connection: asyncpg.Connection, now: datetime, in_order: Collection[str], only: UUID | None = None
) -> Waiting | None:
    """Lock and return one fact whose turn has come (`only` this one), or None; another replica's are passed over.

    `in_order`: the topics in which nothing is handled before what stands before it.
    """
    row = await connection.fetchrow(_CLAIM, list(in_order), now, only)
    if row is None:
        return None
    return Waiting(
        id=row["id"],
        topic=row["topic"],
        partition=row["partition"],
        offset=row["log_offset"],
        epoch=row["epoch"],
        sequence=row["sequence"],
        key=row["key"],
        due=row["due"],
        headers=headers_from_json(row["headers"]),
        body=row["body"],
        attempts=row["attempts"],
    )


async def settle(connection: asyncpg.Connection, fact: Waiting) -> None:
    """Remove a fact that has been handled."""
    await connection.execute("DELETE FROM deferred WHERE id = $1", fact.id)


async def next_due(connection: asyncpg.Connection, in_order: Collection[str]) -> datetime | None:
    """Return the instant at which the next fact's turn comes; long past when one waits for nothing but to be taken."""
    due: datetime | None = await connection.fetchval(_NEXT_DUE, list(in_order))
    return due


async def before(connection: asyncpg.Connection, topic: str, key: str, place: tuple[int, int]) -> bool:
    """Tell whether a fact of this topic and key waits that stands before this epoch and number."""
    found: bool = await connection.fetchval(_BEFORE, topic, key, *place)
    return found
