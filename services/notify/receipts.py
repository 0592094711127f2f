"""From the network's receipts to what they say of notices: every part counted, whoever's session brought them.

A receipt is confirmed to the centre when it is stored. Nothing here ever makes a message be sent again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final

import asyncpg

from services.notify.channels.receiving import ReceiptBox
from services.notify.domain import notices as facts
from services.notify.domain.notices import Notice
from services.notify.domain.receipts import Part, delivery_of, merged, undelivered_reason
from services.notify.store import receipts
from services.notify.store.receipts import Settled
from shared.bus.bus import Bus
from shared.bus.timers import Timer
from shared.bus.unit_of_work import UnitOfWork

BATCH: Final = 500
"""So many receipts at most go into one transaction."""

_WAITING_NOW: Final = datetime(1970, 1, 1, tzinfo=UTC)

Settlements = Sequence[tuple[Notice, Settled]]


def receipts_timer(boxes: Sequence[ReceiptBox]) -> Timer:
    """Return the timer that stores what lies in the boxes of this process's gateways."""

    async def once(bus: Bus) -> int:
        return sum([await _store(bus, box) for box in boxes])

    async def next_due(_connection: asyncpg.Connection) -> datetime | None:
        return _WAITING_NOW if any(box.waiting for box in boxes) else None

    return Timer("receipts", once, next_due, full=BATCH)


async def _store(bus: Bus, box: ReceiptBox) -> int:
    """Store some receipts and confirm them. If that fails they stay in the box and are stored again: harmless."""
    waiting = box.waiting[:BATCH]
    if not waiting:
        return 0

    async def act(uow: UnitOfWork) -> Settlements:
        about = await receipts.told(uow.connection, merged(each.receipt for each in waiting))
        return await settle(uow, about)

    count(bus, await bus.transact(act))
    box.stored(waiting)
    return len(waiting)


async def settle(uow: UnitOfWork, notice_ids: Collection[str]) -> Settlements:
    """Decide anew what the receipts say of notices, write and tell what has changed, and return it.

    The notice's row is locked before its parts are read: of two who bring the last two parts, the second sees both.
    """
    if not notice_ids:
        return ()
    locked = await receipts.lock_sent(uow.connection, notice_ids)
    parts = await receipts.parts_of(uow.connection, [notice.notice_id for notice, _ in locked])
    changed: list[tuple[Notice, Settled]] = []
    for notice, before in locked:
        settled = _settled(notice, parts[notice.notice_id])
        if settled is not None and settled.delivery != before:
            changed.append((notice, settled))
            _tell(uow, notice, settled, len(parts[notice.notice_id]))
    await receipts.settle(uow.connection, [settled for _, settled in changed], uow.now)
    return changed


def count(bus: Bus, settlements: Settlements) -> None:
    """Count what receipts said; after the commit."""
    outcomes = Counter(
        (notice.channel, settled.delivery, "" if settled.reason is None else settled.reason.code)
        for notice, settled in settlements
    )
    for labels, number in outcomes.items():
        bus.metrics.notices.labels(*labels).inc(number)


def _settled(notice: Notice, parts: Sequence[Part]) -> Settled | None:
    delivery = delivery_of(parts)
    if delivery is None:
        return None
    reason = undelivered_reason(parts) if delivery == "undelivered" else None
    return Settled(notice_id=notice.notice_id, delivery=delivery, reason=reason)


def _tell(uow: UnitOfWork, notice: Notice, settled: Settled, parts: int) -> None:
    reason = settled.reason
    fact = facts.delivered(notice, uow.now, parts) if reason is None else facts.undelivered(notice, uow.now, reason)
    uow.emit(fact, traceparent=notice.traceparent)
