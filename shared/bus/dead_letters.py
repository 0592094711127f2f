"""Facts that can never take effect, kept whole for a person (D1).

A dead letter is a row of the service that failed, written in the transaction that moves the position: the rest flow on,
and nothing is lost. Its bytes may be personal data, so it is erasable and never leaves this database by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg
import msgspec

from shared.bus.headers import Headers
from shared.bus.partitions import partition_of
from shared.events.registry import STAFF, TOPICS
from shared.ids import uuid7
from shared.telemetry.metrics import Metrics


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that failed: its bytes and headers, where it stood, why and at which step it failed."""

    topic: str
    partition: int
    offset: int
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


_INSERT = """
INSERT INTO dead_letter (id, topic, partition, log_offset, epoch, sequence, key, headers, body, code, detail, step,
    attempts, traceparent, failed_at, state)
SELECT n.*, $15::timestamptz, 'open' FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[],
    $6::bigint[], $7::text[], $8::jsonb[], $9::bytea[], $10::text[], $11::text[], $12::text[], $13::int[], $14::text[])
    AS n (id, topic, partition, log_offset, epoch, sequence, key, headers, body, code, detail, step, attempts,
        traceparent)
WHERE n.sequence IS NOT NULL OR NOT EXISTS (
    SELECT FROM dead_letter d
    WHERE (d.topic, d.partition, d.log_offset, d.headers) = (n.topic, n.partition, n.log_offset, n.headers)
        AND d.sequence IS NULL AND (d.body IS NULL OR d.body = n.body)
)
"""
# A record without numbers may be read again at any time (the number is the truth, the offset only a hint), and nothing
# else tells that it was buried before. Its body may have been erased since.

# A key that was not text is stored with the replacement character in it. A record with neither a number nor our source
# is a stranger's; should it be a fact of ours that was stripped, the gap shows it.
_BLOCKED = """
SELECT k.key FROM unnest($1::text[], $2::int[]) AS k (key, partition)
WHERE EXISTS (SELECT FROM dead_letter d WHERE d.state = 'open' AND d.key = k.key)
    OR EXISTS (SELECT FROM deferred f WHERE f.key = k.key AND f.due IS NULL)
    OR EXISTS (
        SELECT FROM dead_letter d JOIN unnest($3::text[], $4::jsonb[]) AS t (topic, ours) USING (topic)
        WHERE d.state = 'open' AND (d.key IS NULL OR d.key LIKE '%\ufffd%') AND d.partition = k.partition
            AND (d.sequence IS NOT NULL OR d.headers @> t.ours))
"""
_ABOUT_CUSTOMERS = [topic for topic in TOPICS if topic is not STAFF]
_TOPICS = [topic.name for topic in _ABOUT_CUSTOMERS]
_SOURCES = [msgspec.json.encode([("ce_source", topic.source)]).decode() for topic in _ABOUT_CUSTOMERS]
_PARKED = "SELECT topic, count(*) AS facts FROM deferred WHERE due IS NULL GROUP BY topic"
_OPEN_BY_CODE = "SELECT topic, code, count(*) AS letters FROM dead_letter WHERE state = 'open' GROUP BY topic, code"

_NUL = "\u0100"
"""Stands for the byte 0 in stored headers: no column takes the character 0, and no other byte gives this one."""


def headers_as_json(headers: Headers) -> str:
    """Return record headers as JSON; each byte of a value is one character, so no value is lost."""
    pairs = [
        (storable(name), None if value is None else value.decode("latin-1").replace("\x00", _NUL))
        for name, value in headers
    ]
    return msgspec.json.encode(pairs).decode()


def headers_from_json(text: str) -> list[tuple[str, bytes | None]]:
    """Return the record headers that `headers_as_json` wrote."""
    pairs = msgspec.json.decode(text, type=list[tuple[str, str | None]])
    return [(name, None if value is None else value.replace(_NUL, "\x00").encode("latin-1")) for name, value in pairs]


def storable(text: str) -> str:
    """Return text that a column takes: whatever a stranger wrote must not keep the letter from being stored."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


async def bury(connection: asyncpg.Connection, letters: Sequence[DeadLetter], now: datetime) -> None:
    """Store dead letters, all in one statement."""
    await connection.execute(
        _INSERT,
        [uuid7() for _ in letters],
        [letter.topic for letter in letters],
        [letter.partition for letter in letters],
        [letter.offset for letter in letters],
        [letter.epoch for letter in letters],
        [letter.sequence for letter in letters],
        [None if letter.key is None else storable(letter.key) for letter in letters],
        [headers_as_json(letter.headers) for letter in letters],
        [letter.body for letter in letters],
        [letter.code for letter in letters],
        [storable(letter.detail[:2000]) for letter in letters],
        [letter.step for letter in letters],
        [letter.attempts for letter in letters],
        [letter.traceparent for letter in letters],
        now,
    )


async def blocked_keys(connection: asyncpg.Connection, keys: Iterable[str], partitions: int) -> set[str]:
    """Return those of `keys` on which nobody acts until a person has looked at a dead letter (D3).

    Nor until what was parked behind it has been taken: less is known of the customer than was told. A fact of which
    nobody knows whom it is about may be a stop of anyone there: it blocks its whole partition number.
    """
    asked = list(keys)
    numbers = [partition_of(key, partitions) for key in asked]
    return {row["key"] for row in await connection.fetch(_BLOCKED, asked, numbers, _TOPICS, _SOURCES)}


async def measure(connection: asyncpg.Connection, metrics: Metrics) -> None:
    """Show how many letters are open and how many facts are parked; those of which none is left are not shown."""
    rows = await connection.fetch(_OPEN_BY_CODE)
    metrics.dead_letters_open.clear()
    for row in rows:
        metrics.dead_letters_open.labels(row["topic"], row["code"]).set(row["letters"])
    metrics.facts_parked.clear()
    for row in await connection.fetch(_PARKED):
        metrics.facts_parked.labels(row["topic"]).set(row["facts"])
