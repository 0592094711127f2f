"""Gives up a number whose fact can never be sent (P8): `arrears.bus.voided.v1` travels under it instead.

An operator asks for it; the publisher does it, and only while its stream halts at exactly that number, so the fact
itself is not under way. No other way takes a committed fact out of the outbox. Readers take the number and do nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from shared.bus.headers import Packed
from shared.bus.outbox import Cursor
from shared.bus.streams import StreamKey, pack, unpack
from shared.errors import Permanent
from shared.events.registry import VOIDED
from shared.ids import uuid7
from shared.telemetry.spans import child_traceparent

_log = logging.getLogger(__name__)

_FIND = """
SELECT s.head, coalesce(p.sequence, 0) AS published, g.first, g.body
FROM outbox_stream s LEFT JOIN outbox_published p USING (topic, partition)
LEFT JOIN outbox_segment g ON (g.topic, g.partition) = (s.topic, s.partition) AND g.first <= $3
    AND g.first + g.count > $3
WHERE (s.topic, s.partition) = ($1, $2)
"""
_ASK = """
INSERT INTO outbox_void (topic, partition, sequence, fact_id, fact_type, reason, voided_by, asked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp())
ON CONFLICT (topic, partition, sequence) DO UPDATE SET reason = excluded.reason, voided_by = excluded.voided_by,
    asked_at = excluded.asked_at WHERE outbox_void.done_at IS NULL
"""
_ASKED = """
SELECT reason, voided_by, asked_at FROM outbox_void
WHERE (topic, partition, sequence) = ($1, $2, $3) AND done_at IS NULL
"""
_DONE = "UPDATE outbox_void SET done_at = clock_timestamp() WHERE (topic, partition, sequence) = ($1, $2, $3)"
_LOCK = "SELECT FROM outbox_stream WHERE (topic, partition) = ($1, $2) FOR UPDATE"
_SEGMENT = """
SELECT epoch, first, body FROM outbox_segment
WHERE (topic, partition) = ($1, $2) AND first <= $3 AND first + count > $3 FOR UPDATE
"""
_REPLACE = "UPDATE outbox_segment SET body = $5 WHERE (topic, partition, epoch, first) = ($1, $2, $3, $4)"
_EPOCH_OF_HOLE = """
SELECT epoch, base_epoch, base FROM outbox_segment WHERE (topic, partition) = ($1, $2) AND base < $3 AND first > $3
UNION ALL SELECT epoch, base_epoch, base FROM outbox_stream WHERE (topic, partition) = ($1, $2) AND base < $3
ORDER BY 1 LIMIT 1
"""
_FILL = """
INSERT INTO outbox_segment (topic, partition, epoch, first, count, body, appended_at, base_epoch, base)
VALUES ($1, $2, $3, $4, 1, $5, clock_timestamp(), $6, $7)
"""


class NotTheNext(Permanent):
    """The number is not the one that its stream waits at."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An operator's word that a number may be given up. It travels to all readers, so it names no customer."""

    reason: str
    by: str
    at: datetime


async def ask(connection: asyncpg.Connection, key: StreamKey, number: int, reason: str, by: str) -> None:
    """Record that `number` may be given up, by whom and why.

    Raises:
        NotTheNext: it is not the first one that waits to be published.
    """
    row = await connection.fetchrow(_FIND, *key, number)
    waits_at = 0 if row is None else row["published"] + 1
    if row is None or number != waits_at or number > row["head"]:
        raise NotTheNext(f"{key[0]}/{key[1]} waits at number {waits_at}, not at {number}" if row else "no such stream")
    fact = None if row["body"] is None else unpack(row["body"])[number - row["first"]]
    await connection.execute(_ASK, *key, number, fact and fact.id, fact and fact.type, reason, by)


async def give_up_if_asked(connection: asyncpg.Connection, key: StreamKey, cursor: Cursor) -> bool:
    """Put the void in the place of the number after `cursor`, if an operator asked for it; tell whether it was done.

    The stream must halt at that number.
    """
    number = cursor.sequence + 1
    async with connection.transaction():
        stream = await connection.fetchrow(_LOCK, *key)
        row = await connection.fetchrow(_ASKED, *key, number)
        if row is None or stream is None:
            return False
        asked = Asked(row["reason"], row["voided_by"], row["asked_at"])
        segment = await connection.fetchrow(_SEGMENT, *key, number)
        if segment is None:  # the fact itself is gone: a hole
            known = await connection.fetchrow(_EPOCH_OF_HOLE, *key, number)
            epoch, *base = known or (cursor.epoch, 0, 0)
            await connection.execute(_FILL, *key, epoch, number, pack([void(number, None, asked)]), *base)
        else:
            facts, at = list(unpack(segment["body"])), number - segment["first"]
            facts[at] = void(number, facts[at], asked)
            await connection.execute(_REPLACE, *key, segment["epoch"], segment["first"], pack(facts))
        await connection.execute(_DONE, *key, number)
    _log.warning("number given up", extra={"topic": key[0], "partition": key[1], "sequence": number})
    return True


def void(number: int, fact: Packed | None, asked: Asked) -> Packed:
    """Return what travels under `number` instead of `fact`.

    Its key is its own: under the customer's it would replace him in a compacted topic (C5).
    """
    value = {
        "number": number,
        "fact_id": None if fact is None else fact.id,
        "fact_type": None if fact is None else fact.type,
        "reason": asked.reason,
        "voided_by": asked.by,
    }
    return Packed(
        id=str(uuid7()),
        type=VOIDED,
        time=asked.at.isoformat(),
        key=f"void:{number}",
        traceparent=child_traceparent(None if fact is None else fact.traceparent, "void"),
        cause_id=None,
        value=msgspec.json.encode(value),
    )
