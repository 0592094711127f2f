"""The rows of dead letters as operators act on them: found, locked, resolved, kept.

`resolved_by`, `resolved_at`: who acted last and when. While a letter is open that was a replay that failed again; the
state says whether it is resolved. `dead_letter_act` keeps every act, and goes with its letter. Order in every
transaction: the letter first, as a waiting fact is, then the state rows of the handler.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from shared.bus.dead_letters import headers_from_json, storable
from shared.bus.headers import Headers
from shared.bus.masking import OUR_HEADERS
from shared.bus.topics import RETENTION
from shared.events.registry import TOPICS
from shared.ids import uuid7

State = Literal["open", "replayed", "discarded"]
ActName = Literal["replay", "discard", "discard_and_erase"]

MOST_FORGOTTEN = 5_000
"""So many letters are removed by one call: a transaction that is short enough for its limits."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter as it is stored; `body` is None as well where it was erased, and in lists."""

    id: UUID
    topic: str
    partition: int
    log_offset: int
    epoch: int | None
    sequence: int | None
    key: str | None
    headers: Headers
    body: bytes | None
    code: str
    detail: str
    step: str
    attempts: int
    traceparent: str | None
    failed_at: datetime
    state: State
    resolved_at: datetime | None
    resolved_by: str | None
    resolved_reason: str | None


class Acted(msgspec.Struct, frozen=True, kw_only=True):
    """What one operator did with one letter, when, why, and what came of it."""

    at: datetime
    by: str
    act: ActName
    reason: str | None
    outcome: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters; None means any."""

    state: str | None = None
    topic: str | None = None
    code: str | None = None


_PAGE = """
SELECT id, topic, partition, log_offset, epoch, sequence, key, headers, NULL::bytea AS body, code, detail, step,
    attempts, traceparent, failed_at, state, resolved_at, resolved_by, resolved_reason
FROM dead_letter
WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR topic = $2) AND ($3::text IS NULL OR code = $3)
    AND ($4::timestamptz IS NULL OR (failed_at, id) < ($4, $5::uuid))
ORDER BY failed_at DESC, id DESC LIMIT $6
"""
_FIND = """
SELECT id, topic, partition, log_offset, epoch, sequence, key, headers, body, code, detail, step, attempts,
    traceparent, failed_at, state, resolved_at, resolved_by, resolved_reason
FROM dead_letter WHERE id = $1
"""
_LOCK = "SELECT id FROM dead_letter WHERE id = $1 AND state = 'open' FOR UPDATE SKIP LOCKED"
_OPEN = """
SELECT id FROM dead_letter
WHERE state = 'open' AND code = $1 AND ($2::text IS NULL OR topic = $2)
ORDER BY topic, partition, epoch, sequence, log_offset, id LIMIT $3
"""
_EARLIER = """
SELECT id FROM dead_letter
WHERE state = 'open' AND key = $1 AND topic = $2 AND partition = $3 AND (epoch, sequence) < ($4, $5)
ORDER BY epoch, sequence LIMIT 1
"""
_REPLAYED = """
UPDATE dead_letter SET state = 'replayed', attempts = attempts + 1, resolved_by = $2, resolved_at = $3 WHERE id = $1
"""
_FAILED = """
UPDATE dead_letter SET attempts = attempts + 1, code = $2, detail = $3, step = $4, resolved_by = $5, resolved_at = $6
WHERE id = $1 AND state = 'open' RETURNING id
"""
_DISCARD = """
UPDATE dead_letter SET state = 'discarded', resolved_by = $2, resolved_reason = $3, resolved_at = $4
WHERE id IN (
    SELECT id FROM dead_letter WHERE id = ANY ($1::uuid[]) AND state = 'open' ORDER BY id FOR UPDATE SKIP LOCKED)
RETURNING id
"""
_ERASE = """
UPDATE dead_letter SET body = NULL, detail = '', headers = CASE WHEN sequence IS NULL THEN headers ELSE (
    SELECT coalesce(jsonb_agg(h.pair ORDER BY h.place), '[]')
    FROM jsonb_array_elements(headers) WITH ORDINALITY AS h (pair, place) WHERE h.pair ->> 0 = ANY ($2::text[])) END
WHERE id = ANY ($1::uuid[])
"""
# A record without numbers is known again by its headers when the log is read once more, so those stay.

_ACTED = """
INSERT INTO dead_letter_act (id, letter, at, by, act, reason, outcome)
SELECT n.id, n.letter, $3, $4, $5, $6, $7 FROM unnest($1::uuid[], $2::uuid[]) AS n (id, letter)
"""
_ACTS = "SELECT at, by, act, reason, outcome FROM dead_letter_act WHERE letter = $1 ORDER BY at, id"
_FORGET = """
DELETE FROM dead_letter WHERE id IN (
    SELECT id FROM dead_letter
    WHERE state <> 'open' AND resolved_at < $1
        AND (sequence IS NOT NULL OR (failed_at < $2 AND topic <> ALL ($3::text[])))
    ORDER BY resolved_at LIMIT $4 FOR UPDATE SKIP LOCKED)
RETURNING id
"""
_COMPACTED = [topic.name for topic in TOPICS if topic.compacted]


async def page_of(
    connection: asyncpg.Connection, wanted: Wanted, after: tuple[datetime, UUID] | None, fetch: int
) -> list[Letter]:
    """Return at most `fetch` letters without their bodies, the newest first, from behind `after`."""
    instant, identity = after or (None, None)
    rows = await connection.fetch(_PAGE, wanted.state, wanted.topic, wanted.code, instant, identity, fetch)
    return [_letter(row) for row in rows]


async def find(connection: asyncpg.Connection, letter_id: UUID) -> Letter | None:
    """Return one letter."""
    row = await connection.fetchrow(_FIND, letter_id)
    return None if row is None else _letter(row)


async def claim(connection: asyncpg.Connection, letter_id: UUID) -> Letter | None:
    """Lock and return one open letter; None when there is none, or somebody else is acting on it."""
    if await connection.fetchval(_LOCK, letter_id) is None:
        return None
    return await find(connection, letter_id)


async def open_ids(connection: asyncpg.Connection, code: str, topic: str | None, limit: int) -> list[UUID]:
    """Return the open letters of an error code in the order of their streams."""
    return [row["id"] for row in await connection.fetch(_OPEN, code, topic, limit)]


async def earlier_open(connection: asyncpg.Connection, letter: Letter) -> UUID | None:
    """Return the first open letter that stands before this one in the stream and is about the same key."""
    found: UUID | None = await connection.fetchval(
        _EARLIER, letter.key, letter.topic, letter.partition, letter.epoch, letter.sequence
    )
    return found


async def mark_replayed(connection: asyncpg.Connection, letter: Letter, by: str, now: datetime) -> None:
    """Note that the letter's fact has been handled after all."""
    await connection.execute(_REPLAYED, letter.id, by, now)


async def note_failure(
    connection: asyncpg.Connection, letter_id: UUID, why: tuple[str, str, str], by: str, now: datetime
) -> bool:
    """Note that a replay failed again and `why` (code, detail, step); False when the letter is no longer open."""
    code, detail, step = why
    detail = storable(detail[:2000])
    return await connection.fetchval(_FAILED, letter_id, code, detail, step, by, now) is not None


async def mark_discarded(
    connection: asyncpg.Connection, ids: Sequence[UUID], by: str, reason: str, now: datetime
) -> list[UUID]:
    """Note that these letters take no effect, and why; returns those that were open and nobody else's just then."""
    return [row["id"] for row in await connection.fetch(_DISCARD, ids, by, reason, now)]


async def erase(connection: asyncpg.Connection, ids: Sequence[UUID]) -> None:
    """Remove the bytes of letters, what their errors quote of them, and the headers that are not the bus's own."""
    await connection.execute(_ERASE, ids, list(OUR_HEADERS))


async def note_acts(connection: asyncpg.Connection, ids: Sequence[UUID], acted: Acted) -> None:
    """Keep that somebody did this with these letters."""
    await connection.execute(
        _ACTED, [uuid7() for _ in ids], ids, acted.at, acted.by, acted.act, acted.reason, acted.outcome
    )


async def acts_on(connection: asyncpg.Connection, letter_id: UUID) -> list[Acted]:
    """Return what was done with a letter, in order; what was refused did nothing and is not kept."""
    return [Acted(**dict(row)) for row in await connection.fetch(_ACTS, letter_id)]


async def forget_resolved(connection: asyncpg.Connection, before: datetime) -> int:
    """Remove letters that were resolved before an instant of the domain's clock, with all acts on them.

    At most `MOST_FORGOTTEN` a call: as long as it returns that many, there are more. An open letter is never removed.
    A record without numbers is known again by nothing but its letter, so that stays as long as the log may hold the
    record: `shared.bus.topics.RETENTION`, in a compacted topic for ever.
    """
    removed = await connection.fetch(_FORGET, before, before - RETENTION, _COMPACTED, MOST_FORGOTTEN)
    return len(removed)


def _letter(row: asyncpg.Record) -> Letter:
    return Letter(**{**dict(row), "headers": headers_from_json(row["headers"])})
