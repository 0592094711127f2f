"""The parts of messages that have left, and what the network's receipts say of each.

A row is where the answer to a part and its receipt meet, whichever comes first and from whichever replica: both are
written over it, and who comes second sees both. Parts are locked before notices (L1).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
from msgspec import Struct

from services.notify.domain.notices import Notice
from services.notify.domain.receipts import Delivery, Part, Receipt
from services.notify.store.notices import COLUMNS, as_json, notice_of
from shared.events.kinds import Reason

EARLY: Final = timedelta(minutes=10)
"""So long before the answer a receipt may come; an older one of the same id is of a message that is no longer known."""

_LEFT = """
INSERT INTO sms_part AS held (gateway, message_id, notice_id, number, total, at)
SELECT gateway, message_id, notice_id, number, total, clock_timestamp()
FROM jsonb_to_recordset($1::jsonb) AS t (gateway text, message_id text, notice_id text, number int, total int)
ORDER BY gateway, message_id
ON CONFLICT (gateway, message_id) DO UPDATE
SET notice_id = excluded.notice_id, number = excluded.number, total = excluded.total, at = excluded.at,
    word = CASE WHEN held.notice_id = excluded.notice_id
        OR held.notice_id IS NULL AND held.at > clock_timestamp() - $2::interval THEN held.word END
RETURNING notice_id, word
"""
_TOLD = """
INSERT INTO sms_part AS held (gateway, message_id, word, at)
SELECT gateway, message_id, word, clock_timestamp()
FROM jsonb_to_recordset($1::jsonb) AS t (gateway text, message_id text, word text)
ORDER BY gateway, message_id
ON CONFLICT (gateway, message_id) DO UPDATE
SET word = CASE WHEN excluded.word = 'DELIVRD' THEN excluded.word ELSE coalesce(held.word, excluded.word) END
RETURNING notice_id
"""
_LOCK = f"""
SELECT {COLUMNS}, n.delivery FROM notice n WHERE n.notice_id = ANY ($1) AND n.state = 'sent'
ORDER BY n.notice_id FOR UPDATE
"""  # noqa: S608 - our own words
_PARTS = """
SELECT notice_id, number, total, message_id, word FROM sms_part WHERE notice_id = ANY ($1) ORDER BY notice_id, number
"""
_SETTLE = """
UPDATE notice n SET delivery = w.delivery, delivery_at = $2, reason = w.reason
FROM jsonb_to_recordset($1::jsonb) AS w (notice_id text, delivery text, reason jsonb)
WHERE n.notice_id = w.notice_id
"""


class LeftPart(Struct, frozen=True, kw_only=True):
    """A part that a gateway took."""

    gateway: str
    message_id: str
    notice_id: str
    number: int
    total: int


class Settled(Struct, frozen=True, kw_only=True):
    """What the receipts of all parts together say of a notice. `reason`: why it did not arrive."""

    notice_id: str
    delivery: Delivery
    reason: Reason | None


async def left(connection: asyncpg.Connection, parts: Sequence[LeftPart]) -> set[str]:
    """Note parts that have left; returns the notices of which a receipt has been there before them."""
    if not parts:
        return set()
    rows = await connection.fetch(_LEFT, as_json(parts), EARLY)
    return {row["notice_id"] for row in rows if row["word"] is not None}


async def told(connection: asyncpg.Connection, receipts: Sequence[Receipt]) -> set[str]:
    """Note receipts, one a part; returns the notices whose parts they name. Delivered stands, else the first word."""
    rows = await connection.fetch(_TOLD, as_json(receipts))
    return {row["notice_id"] for row in rows if row["notice_id"] is not None}


async def lock_sent(
    connection: asyncpg.Connection, notice_ids: Collection[str]
) -> list[tuple[Notice, Delivery | None]]:
    """Lock and return those of the notices that count as sent, each with what receipts said so far."""
    rows = await connection.fetch(_LOCK, sorted(notice_ids))
    return [(notice_of(row, but=("delivery",)), row["delivery"]) for row in rows]


async def parts_of(connection: asyncpg.Connection, notice_ids: Collection[str]) -> dict[str, list[Part]]:
    """Return the parts of notices, in their order."""
    found: dict[str, list[Part]] = {}
    for row in await connection.fetch(_PARTS, sorted(notice_ids)):
        fields = dict(row)
        found.setdefault(fields.pop("notice_id"), []).append(Part(**fields))
    return found


async def settle(connection: asyncpg.Connection, settled: Sequence[Settled], now: datetime) -> None:
    """Write what became of notices after they had left; their rows are locked."""
    if settled:
        await connection.execute(_SETTLE, as_json(settled), now)
