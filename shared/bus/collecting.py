"""Collects what a restored service told and does not know any more, for people to review (E7).

Facts that follow from others are told again when those are read again, with the ids that they had. What people or
timers began here is in the log and nowhere else, so somebody has to look at it. What is kept of it shows nobody's data;
the whole lies in the log at the offset.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.bus import clients
from shared.bus.headers import numbers_of, text_of
from shared.bus.masking import masked_body, masked_headers, masked_key
from shared.bus.topics import partition_counts
from shared.errors import Permanent
from shared.events.registry import TOPICS, Topic

CHUNK = 5_000
"""The log is gone through from its end in pieces of so many records, back to the first that was forgotten."""

_ALIVE = "SELECT count(*) FROM outbox_lease WHERE until > clock_timestamp()"
_STREAMS = "SELECT topic, partition, epoch, head, base FROM outbox_stream"
_KEEP = """
INSERT INTO forgotten_fact (topic, partition, log_offset, epoch, sequence, fact_id, fact_type, key, time, cause_id,
    body, collected_at)
SELECT *, clock_timestamp() FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[],
    $7::text[], $8::text[], $9::text[], $10::text[], $11::jsonb[])
ON CONFLICT DO NOTHING
"""
_REVIEW = """
UPDATE forgotten_fact SET reviewed_at = clock_timestamp(), reviewed_by = $1, review = $2
WHERE reviewed_at IS NULL AND ($3::text IS NULL OR (topic, partition, log_offset) = ($3, $4, $5))
RETURNING log_offset
"""
_LIST = """
SELECT topic, partition, log_offset, epoch, sequence, fact_type, key, time, cause_id IS NULL AS began_here, body,
    reviewed_by, review
FROM forgotten_fact WHERE $1 OR reviewed_at IS NULL ORDER BY cause_id IS NOT NULL, topic, partition, log_offset LIMIT $2
"""


class StillRunning(Permanent):
    """A replica of the service is alive."""


class Known(NamedTuple):
    """What the restored database knows of one stream."""

    epoch: int = 0
    head: int = 0
    base: int = 0

    def last(self, epoch: int) -> int:
        """Return the last number of an epoch that is of this history."""
        return self.head if epoch == self.epoch else self.base

    def forgot(self, epoch: int, sequence: int) -> bool:
        """Tell whether a number in the log is not of this history."""
        return sequence > self.last(epoch)


async def collect(connection: asyncpg.Connection, bootstrap: str, namespace: str, service: str) -> int:
    """Keep what `service` told and its database forgot; return how many facts that are now, reviewed or not.

    Raises:
        StillRunning: stop all replicas first; a replica that died is gone after ten seconds.
        KafkaError, OSError, TimeoutError: the broker is away.
    """
    if await connection.fetchval(_ALIVE):
        raise StillRunning("a replica of the service holds a lease; stop all of them, and wait ten seconds")
    rows = await connection.fetch(_STREAMS)
    known = {(row["topic"], row["partition"]): Known(row["epoch"], row["head"], row["base"]) for row in rows}
    topics = {topic.full_name(namespace): topic for topic in TOPICS if topic.writer == service}
    counts = await partition_counts(bootstrap, list(topics))
    kafka = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="none")
    await clients.start(kafka.start, kafka.stop)
    try:
        for full, topic in topics.items():
            for partition in range(counts[full]):
                stream = known.get((topic.name, partition), Known())
                async for records in _forgotten(kafka, TopicPartition(full, partition), topic, stream):
                    await connection.execute(_KEEP, *_columns(topic, records))
    finally:
        await clients.stop(kafka.stop)
    found: int = await connection.fetchval("SELECT count(*) FROM forgotten_fact")
    return found


async def _forgotten(
    kafka: AIOKafkaConsumer, tp: TopicPartition, topic: Topic, known: Known
) -> AsyncIterator[Sequence[ConsumerRecord]]:
    """Yield the forgotten records, the last ones first.

    Known facts that were published again may lie behind them (P9), so it goes on to the first that was forgotten.
    """
    begin, end = (await kafka.beginning_offsets([tp]))[tp], (await kafka.end_offsets([tp]))[tp]
    kafka.assign([tp])
    ever = first_is_missing = False
    while end > begin:
        start, found = max(begin, end - CHUNK), False
        kafka.seek(tp, start)
        while await kafka.position(tp) < end:
            for records in (await kafka.getmany(tp, timeout_ms=200)).values():
                some = [one for one in records if one.offset < end and _is_forgotten(one, topic, known)]
                if some:
                    first_is_missing = (first_is_missing or not ever) and not any(_is_first(one, known) for one in some)
                    found = ever = True
                    yield some
        end = start if found or first_is_missing else begin


def _is_forgotten(record: ConsumerRecord, topic: Topic, known: Known) -> bool:
    numbers = numbers_of(record.headers)
    ours = numbers is not None and text_of(record.headers, "ce_source") == topic.source
    return numbers is not None and ours and known.forgot(numbers.epoch, numbers.sequence)


def _is_first(record: ConsumerRecord, known: Known) -> bool:
    numbers = numbers_of(record.headers)
    return numbers is not None and numbers.sequence == known.last(numbers.epoch) + 1


def _columns(topic: Topic, records: Sequence[ConsumerRecord]) -> tuple[list[object], ...]:
    return tuple(list(column) for column in zip(*(_row(topic, record) for record in records), strict=True))


def _row(topic: Topic, record: ConsumerRecord) -> tuple[object, ...]:
    numbers = numbers_of(record.headers)
    assert numbers is not None
    shown = {name: value for name, value in masked_headers(record.headers) if value is not None}
    kind = shown.get("ce_type", "")
    body = None if record.value is None else json.dumps(masked_body(record.value, kind), ensure_ascii=False)
    key = masked_key(record.key.decode("utf-8", "replace")) if record.key else None
    place = (topic.name, record.partition, record.offset, numbers.epoch, numbers.sequence)
    return (*place, shown.get("ce_id", ""), kind, key, shown.get("ce_time"), shown.get("ce_causeid"), body)


async def listed(connection: asyncpg.Connection, *, reviewed_too: bool, most: int) -> list[dict[str, object]]:
    """Return forgotten facts, those that began here first."""
    return [dict(row) for row in await connection.fetch(_LIST, reviewed_too, most)]


async def mark_reviewed(
    connection: asyncpg.Connection, by: str, review: str, place: tuple[str, int, int] | None
) -> int:
    """Note who reviewed the fact at `place` (topic, partition, offset), or all that wait, and what came of it.

    Returns how many facts that were.
    """
    return len(await connection.fetch(_REVIEW, by, review, *(place or (None, None, None))))
