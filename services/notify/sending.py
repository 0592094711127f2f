"""The senders: due notices are decided once more at the moment of sending, taken in hand, and handed over.

A notice to a customer passes the read barrier first: it is decided with everything that was published up to fifteen
seconds before it leaves. A report to a colleague is bound by no barrier, no hours and no rules of contact.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.notify.domain import notices as facts
from services.notify.domain.decision import Policy, Send, Suppress, Verdict, Wait, decide, ledger_of
from services.notify.domain.delivery import LEASE, NotNow
from services.notify.domain.notices import Notice
from services.notify.hand_over import Answered, Claimed, Hands, claimed_at
from services.notify.rendering import TemplateUnknown
from services.notify.store import customers, notices, reports
from services.notify.store.notices import Ended, PutOff, Written
from services.notify.writing import Writer, message_of
from shared.bus.barrier import LEAVE_SECONDS
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.db.faults import CommitUnknown
from shared.events.kinds import Reason
from shared.events.registry import CARD, CASES, CONTACTS

_log = logging.getLogger("arrears.notify")

BATCH: Final = 100
"""So many notices at most are in hand at once: as many as surely leave within the window."""

REPORTS_SECONDS: Final = LEASE.total_seconds() / 3
"""So long a round of reports may begin to leave; what does not is due again. A gateway hands over one after the other,
so what waits behind the round, reports as well as reminders, has its end well within its own lease."""

_BEHIND: Final = (CARD, CASES, CONTACTS)
"""What must have been read before a customer is written to."""

_PARTITIONS: Final = 4
_CLOSED_SECONDS: Final = 10.0
_BLOCKED_SECONDS: Final = 30.0

_TEMPLATE_UNKNOWN = Reason(
    "template_unknown", "没有此名称的已批准模板。", "There is no approved template of that name."
)
_INACTIVE = Reason("staff_inactive", "该同事已不在岗。", "The colleague is no longer active.")
_BLOCKED = Reason(
    "dead_letter_open",
    "该客户有未处理的死信，暂不发送。",
    "A dead letter of this customer is open; nothing is sent.",
)


@dataclass
class Plan:
    """What one transaction decided about due notices: which are in hand, which end, wait, or are left for later."""

    written: list[Written] = field(default_factory=list)
    claimed: list[Claimed] = field(default_factory=list)
    ended: list[tuple[Notice, Ended]] = field(default_factory=list)
    waits: list[PutOff] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many notices were acted on."""
        return len(self.claimed) + len(self.ended) + len(self.waits) + len(self.blocked)

    def take(self, notice: Notice, written: Written, barrier_at: datetime | None) -> None:
        """Take a notice in hand."""
        in_hand = claimed_at(notice, template_version=written.template_version, barrier_at=barrier_at)
        self.written.append(written)
        self.claimed.append(Claimed(in_hand, message_of(in_hand, written)))

    def end(self, notice: Notice, state: str, reason: Reason) -> None:
        """End a notice of which nothing is handed over."""
        self.ended.append((notice, Ended(notice_id=notice.notice_id, state=state, reason=reason)))

    async def store(self, uow: UnitOfWork, holder: str, barrier_at: datetime | None) -> None:
        """Write the decisions and tell those that end something."""
        connection, now = uow.connection, uow.now
        await notices.claim(connection, self.written, holder, now=now, barrier_at=barrier_at)
        await notices.put_off(connection, self.waits)
        await notices.pause(connection, self.blocked, _BLOCKED, _BLOCKED_SECONDS)
        await notices.end(connection, [ended for _, ended in self.ended], now)
        for notice, ended in self.ended:
            fact = facts.failed if ended.state == "failed" else facts.suppressed
            uow.emit(fact(notice, now, ended.reason), traceparent=notice.traceparent)


@dataclass
class Senders:
    """Both senders of one process. `closed`: partitions whose barrier did not open, until when they are left alone."""

    hands: Hands
    writer: Writer
    policy: Policy
    closed: dict[int, float] = field(default_factory=dict)

    async def to_customers(self, bus: Bus) -> int:
        """One round over the partitions that have due notices to customers; returns how many were acted on."""
        async with bus.reading() as connection:
            due = await notices.due_partitions(connection, bus.clock.now(), 1000)
        present = time.monotonic()
        open_now = [partition for partition in due if self.closed.get(partition, 0.0) <= present]
        return sum([await self._partition(bus, partition) for partition in open_now[:_PARTITIONS]])

    async def to_colleagues(self, bus: Bus) -> int:
        """One round over due reports to colleagues; returns how many were acted on."""
        began = time.monotonic()
        plan = await self._decided(bus, self._decide_reports, None)
        await self.hands.hand_over(bus, plan.claimed, began + REPORTS_SECONDS)
        return plan.count

    async def _partition(self, bus: Bus, partition: int) -> int:
        # The deadline is counted from before the question, so it is never later than the barrier's instant allows.
        asked = time.monotonic()
        barrier_at = await bus.barrier(partition, _BEHIND)
        if barrier_at is None:
            _log.warning("the read barrier did not open; nothing is sent", extra={"partition": partition})
            self.closed[partition] = time.monotonic() + _CLOSED_SECONDS
            return 0

        async def decided(uow: UnitOfWork, plan: Plan) -> None:
            await self._decide_reminders(bus, uow, plan, partition, barrier_at)

        plan = await self._decided(bus, decided, barrier_at)
        await self.hands.hand_over(bus, plan.claimed, asked + LEAVE_SECONDS)
        return plan.count

    async def _decided(
        self, bus: Bus, act: Callable[[UnitOfWork, Plan], Awaitable[None]], barrier_at: datetime | None
    ) -> Plan:
        plan = Plan()

        async def decided(uow: UnitOfWork) -> None:
            nonlocal plan
            plan = Plan()
            await act(uow, plan)
            await plan.store(uow, self.hands.holder, barrier_at)

        try:
            await bus.transact(decided)
        except CommitUnknown:
            # Nothing was handed over, so whatever may have been taken in hand goes back.
            await self.hands.write(bus, [Answered(each.notice, NotNow("not_begun")) for each in plan.claimed])
            raise
        for notice, ended in plan.ended:
            bus.metrics.notices.labels(notice.channel, ended.state, ended.reason.code).inc()
        return plan

    async def _decide_reminders(
        self, bus: Bus, uow: UnitOfWork, plan: Plan, partition: int, barrier_at: datetime
    ) -> None:
        connection, now = uow.connection, uow.now
        locked = await notices.lock_customers(connection, now, partition, BATCH)
        due = await notices.due_to_customers(connection, now, locked, BATCH)
        held = await customers.load(connection, locked)
        blocked = await uow.blocked_keys(locked)
        sent = await notices.messages(connection, locked, now)
        for notice in due:
            assert notice.customer_id is not None
            if notice.customer_id in blocked:
                plan.blocked.append(notice.notice_id)
                continue
            made = sent.setdefault(notice.customer_id, [])
            verdict = decide(notice.reminder, held[notice.customer_id].customer, ledger_of(made), now, self.policy)
            _count(bus, notice, verdict)
            self._settle(plan, notice, verdict, now, barrier_at)
            if isinstance(verdict, Send):
                made.append((now, notice.channel, verdict.address))

    def _settle(self, plan: Plan, notice: Notice, verdict: Verdict, now: datetime, barrier_at: datetime) -> None:
        match verdict:
            case Suppress(reason):
                plan.end(notice, "suppressed", reason)
            case Wait(until, reason):
                plan.waits.append(PutOff(notice_id=notice.notice_id, due=until, reason=reason))
            case Send():
                try:
                    plan.take(notice, self.writer.reminder(notice, notice.reminder, verdict, now), barrier_at)
                except TemplateUnknown:
                    plan.end(notice, "failed", _TEMPLATE_UNKNOWN)

    async def _decide_reports(self, uow: UnitOfWork, plan: Plan) -> None:
        due = await notices.due_to_colleagues(uow.connection, uow.now, BATCH)
        roster = {each.staff_id: each for each in await reports.colleagues(uow.connection)} if due else {}
        gone = []
        for notice in due:
            assert notice.staff_id is not None
            colleague = roster[notice.staff_id]
            if not colleague.active:
                plan.end(notice, "suppressed", _INACTIVE)
                gone.append(notice.notice_id)
                continue
            try:
                plan.take(notice, self.writer.report(notice, colleague), None)
            except TemplateUnknown:
                plan.end(notice, "failed", _TEMPLATE_UNKNOWN)
        # Whoever comes in the place of a reader who left untold is told instead: no report is lost with a person.
        await reports.reopen_untold(uow.connection, gone)


def _count(bus: Bus, notice: Notice, verdict: Verdict) -> None:
    rule = "" if isinstance(verdict, Send) else verdict.reason.code
    bus.metrics.contact_decisions.labels(notice.channel, type(verdict).__name__.lower(), rule).inc()
