"""From `sending` to what became of it: each message is handed over once, and its answer written at once.

Whatever happens between the hand-over and the write (a crash, a lost database) leaves the row `sending`; it is later
found in the hands of a process that is gone, and is then unconfirmed (a customer's) or due again (a colleague's).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec import structs
from opentelemetry.trace import SpanKind

from services.notify.addresses import Refused, mark
from services.notify.channels.gateway import Gateway
from services.notify.domain import notices as facts
from services.notify.domain.delivery import Accepted, Answer, Message, RefusedForGood, next_state, pause_after
from services.notify.domain.notices import Notice, reason_of
from services.notify.receipts import Settlements, count, settle
from services.notify.store import notices, receipts
from services.notify.store.notices import Result
from services.notify.store.receipts import LeftPart
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.db.faults import is_retriable
from shared.events.kinds import MessageChannel
from shared.telemetry.spans import fact_span

_log = logging.getLogger("arrears.notify")

_WRITE_TRIES: Final = 30
_WRITE_PAUSE_SECONDS: Final = 1.0
_LAST_ANSWERS_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice in this process's hands, and the message that it is."""

    notice: Notice
    message: Message


@dataclass(frozen=True, slots=True)
class Answered:
    """What the gateway said of a notice."""

    notice: Notice
    answer: Answer


@dataclass(frozen=True, slots=True)
class Hands:
    """The gateways, and under which name this process holds what it hands over (`<instance>/<process>`)."""

    gateways: Mapping[MessageChannel, Gateway]
    holder: str

    async def hand_over(self, bus: Bus, claimed: Sequence[Claimed], deadline: float | None) -> None:
        """Hand all over, each at most once, and write each answer as it comes.

        When the service is stopped, what has begun gets a few seconds to be answered and written.
        """
        pending = {asyncio.create_task(self._one(each, deadline)) for each in claimed}
        writing: set[asyncio.Task[None]] = set()
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self.write(bus, [each.result() for each in done]))
                writing = {task}
                await asyncio.shield(task)
        except asyncio.CancelledError:
            if pending:
                done, pending = await asyncio.wait(pending, timeout=_LAST_ANSWERS_SECONDS)
                writing.add(asyncio.create_task(self.write(bus, [each.result() for each in done])))
            if writing:
                await asyncio.wait(writing, timeout=_LAST_ANSWERS_SECONDS)
            raise
        finally:
            for left in (*pending, *writing):
                left.cancel()
            await asyncio.gather(*pending, *writing, return_exceptions=True)

    async def write(self, bus: Bus, answered: Sequence[Answered]) -> None:
        """Write what became of notices, and tell it; again while the database is away, for half a minute.

        A row that is no longer in this process's hands was given up as lost: what it says stays as it is.
        """
        if not answered:
            return

        async def act(uow: UnitOfWork) -> tuple[Sequence[Answered], set[str], Settlements]:
            again = await mark(uow, [refused for each in answered for refused in _refused(each)])
            final = [Answered(each.notice, again.get(each.notice.notice_id, each.answer)) for each in answered]
            early = await receipts.left(uow.connection, parts_left(final))
            kept = await notices.record(uow.connection, [_result(each, uow) for each in final], self.holder)
            for each in final:
                if each.notice.notice_id in kept:
                    _tell(uow, each)
            return final, kept, await settle(uow, early)

        for attempt in range(1, _WRITE_TRIES + 1):
            try:
                final, kept, settlements = await bus.transact(act)
                break
            except Exception as error:
                # A COMMIT without an answer is repeated as well: a row that was written is no longer in our hands.
                if attempt == _WRITE_TRIES or not is_retriable(error):
                    raise
                _log.warning("the result of a hand-over waits to be written", extra={"attempt": attempt})
                await asyncio.sleep(_WRITE_PAUSE_SECONDS)
        else:
            raise AssertionError("unreachable")
        for each in final:
            outcome = next_state(each.answer, to_colleague=each.notice.staff_id is not None)
            _count(bus, each, outcome if each.notice.notice_id in kept else "given_up")
        count(bus, settlements)

    async def _one(self, claimed: Claimed, deadline: float | None) -> Answered:
        notice = claimed.notice
        attributes = {"arrears.channel": notice.channel, "arrears.purpose": notice.purpose}
        with fact_span(f"send {notice.channel}", notice.traceparent, SpanKind.CLIENT, attributes) as span:
            answer = await self.gateways[notice.channel].hand_over(claimed.message, deadline)
            span.set_attribute("arrears.outcome", type(answer).__name__)
        if notice.customer_id is None and isinstance(answer, RefusedForGood):
            answer = RefusedForGood(answer.code)  # a colleague is told until it is taken, wherever that is by then
        return Answered(notice, answer)


def claimed_at(notice: Notice, *, template_version: str, barrier_at: datetime | None) -> Notice:
    """Return the notice as it is once it is in hand."""
    return structs.replace(
        notice, attempts=notice.attempts + 1, template_version=template_version, barrier_at=barrier_at
    )


def _result(each: Answered, uow: UnitOfWork) -> Result:
    answer, notice = each.answer, each.notice
    return Result(
        notice_id=notice.notice_id,
        state=next_state(answer, to_colleague=notice.staff_id is not None),
        reason=reason_of(answer),
        provider_ref=answer.reference if isinstance(answer, Accepted) else None,
        gateway=(answer.gateway or None) if isinstance(answer, Accepted) else None,
        at=uow.now,
        pause=pause_after(answer, notice.attempts).total_seconds(),
    )


def _refused(each: Answered) -> list[Refused]:
    """Return of what address nobody is to try again, if the answer speaks of one and it is a customer's."""
    notice, answer = each.notice, each.answer
    if not isinstance(answer, RefusedForGood) or not answer.address or notice.customer_id is None:
        return []
    return [Refused(notice, notice.customer_id, answer)]


def parts_left(answered: Sequence[Answered]) -> list[LeftPart]:
    """Return the parts that gateways took; receipts will name them.

    A message counts as sent whatever its parts are called. One of whose parts has no id, or one that another part
    bears as well, has none here: no receipts could ever say what became of the whole.
    """
    took = [(each.notice.notice_id, each.answer) for each in answered if isinstance(each.answer, Accepted)]
    named = Counter((answer.gateway, each_id) for _, answer in took for each_id in answer.parts)
    return [
        LeftPart(
            gateway=answer.gateway, message_id=each_id, notice_id=notice_id, number=number, total=len(answer.parts)
        )
        for notice_id, answer in took
        if all(each_id and named[answer.gateway, each_id] == 1 for each_id in answer.parts)
        for number, each_id in enumerate(answer.parts, 1)
    ]


def _tell(uow: UnitOfWork, each: Answered) -> None:
    notice = each.notice
    match next_state(each.answer, to_colleague=notice.staff_id is not None):
        case "sent":
            uow.emit(facts.sent(notice, uow.now), traceparent=notice.traceparent)
        case "failed":
            reason = reason_of(each.answer)
            assert reason is not None
            uow.emit(facts.failed(notice, uow.now, reason), traceparent=notice.traceparent)
        case "unconfirmed":
            uow.emit(facts.unconfirmed(notice, uow.now), traceparent=notice.traceparent)
        case "due":
            pass


def _count(bus: Bus, each: Answered, outcome: str) -> None:
    reason = reason_of(each.answer)
    bus.metrics.notices.labels(each.notice.channel, outcome, "" if reason is None else reason.code).inc()
