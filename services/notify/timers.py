"""What happens by itself: notices fall due, reports find their readers, hand-overs of a dead process are given up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.notify.channels.receiving import ReceiptBox
from services.notify.domain import notices as facts
from services.notify.domain.notices import Notice, report_draft
from services.notify.domain.reports import recipients
from services.notify.receipts import receipts_timer
from services.notify.sending import Senders
from services.notify.store import notices, reports
from services.notify.store.notices import Ended
from shared.bus.bus import Bus
from shared.bus.timers import Timer
from shared.bus.unit_of_work import UnitOfWork
from shared.events.kinds import Reason

SWEEP: Final = 200
"""So many rows at most one round takes."""

_GONE = Reason(
    "process_gone",
    "发送程序在写下结果前中断，是否发出不明。",
    "The sending process ended before it wrote the result; the message may have left.",
)


async def tell_reports(bus: Bus) -> int:
    """Give each report that is due to whom it is meant for, one notice a colleague; returns how many reports."""

    async def sweep(uow: UnitOfWork) -> int:
        await reports.lock_roster(uow.connection, alone=False)
        due = await reports.due_reports(uow.connection, uow.now, SWEEP)
        roster = await reports.colleagues(uow.connection) if due else []
        told: dict[str, int] = {}
        drafts = []
        for each in due:
            readers = recipients(each.report, roster, each.told)
            told[each.report.key] = max(each.told, len(readers))
            drafts += [
                report_draft(each.report, reader, bus.partition_of(reader.staff_id), each.traceparent)
                for reader in readers
            ]
        await notices.add(uow.connection, drafts)
        await reports.mark_told(uow.connection, told)
        return len(due)

    return await bus.transact(sweep)


def give_up_lost(holder: str) -> Timer:
    """Return the timer that ends hand-overs whose process is gone; `holder` is this process."""

    async def sweep(uow: UnitOfWork) -> list[Notice]:
        lost = await notices.lost(uow.connection, holder, SWEEP)
        await notices.give_up(uow.connection, [_given_up(notice) for notice in lost], uow.now)
        for notice in lost:
            if notice.customer_id is not None:
                uow.emit(facts.unconfirmed(notice, uow.now), traceparent=notice.traceparent)
        return lost

    async def once(bus: Bus) -> int:
        lost = await bus.transact(sweep)
        for notice in lost:
            bus.metrics.notices.labels(notice.channel, _given_up(notice).state, _GONE.code).inc()
        return len(lost)

    return Timer("hand-overs lost", once, notices.next_sending)


def timers(senders: Senders, boxes: Sequence[ReceiptBox]) -> tuple[Timer, ...]:
    """Return every timer of notify. `boxes`: where the gateways lay receipts."""
    return (
        Timer("reports to tell", tell_reports, reports.next_report),
        Timer("notices to colleagues", senders.to_colleagues, notices.next_to_colleague),
        Timer("notices to customers", senders.to_customers, notices.next_to_customer),
        give_up_lost(senders.hands.holder),
        receipts_timer(boxes),
    )


def _given_up(notice: Notice) -> Ended:
    state = "due" if notice.customer_id is None else "unconfirmed"
    return Ended(notice_id=notice.notice_id, state=state, reason=_GONE)
