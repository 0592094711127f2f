"""Facts that wait: stored with the position, handled again when their instant has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from shared.bus.dead_letters import headers_as_json, headers_from_json
from shared.bus.headers import Headers
from shared.ids import uuid7


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that waits until `due` (domain's instant), as it came."""

    topic: str
    partition: int
    offset: int
    key: str
    due: datetime
    headers: Headers
    body: bytes | None
    attempts: int
    id: UUID = msgspec.field(default_factory=uuid7)


_INSERT = """
INSERT INTO deferred (id, topic, partition, log_offset, key, due, headers, body, attempts)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::timestamptz[], $7::jsonb[],
    $8::bytea[], $9::int[])
"""

_CLAIM = """
SELECT id, topic, partition, log_offset, key, due, headers, body, attempts FROM deferred
WHERE due <= $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY due, id LIMIT 1 FOR UPDATE SKIP LOCKED
"""


async def put_off(connection: asyncpg.Connection, facts: Sequence[Waiting]) -> None:
    """Store facts that wait, all in one statement."""
    await connection.execute(
        _INSERT,
        [fact.id for fact in facts],
        [fact.topic for fact in facts],
        [fact.partition for fact in facts],
        [fact.offset for fact in facts],
        [fact.key for fact in facts],
        [fact.due for fact in facts],
        [headers_as_json(fact.headers) for fact in facts],
        [fact.body for fact in facts],
        [fact.attempts for fact in facts],
    )


async def claim(connection: asyncpg.Connection, now: datetime, only: UUID | None = None) -> Waiting | None:
    """Lock and return one fact whose instant has come (`only` this one), or None; another replica's are passed over."""
    row = await connection.fetchrow(_CLAIM, now, only)
    if row is None:
        return None
    return Waiting(
        id=row["id"],
        topic=row["topic"],
        partition=row["partition"],
        offset=row["log_offset"],
        key=row["key"],
        due=row["due"],
        headers=headers_from_json(row["headers"]),
        body=row["body"],
        attempts=row["attempts"],
    )


async def settle(connection: asyncpg.Connection, fact: Waiting) -> None:
    """Remove a fact that has been handled."""
    await connection.execute("DELETE FROM deferred WHERE id = $1", fact.id)


async def next_due(connection: asyncpg.Connection) -> datetime | None:
    """Return the instant at which the first waiting fact is due."""
    due: datetime | None = await connection.fetchval("SELECT min(due) FROM deferred")
    return due
