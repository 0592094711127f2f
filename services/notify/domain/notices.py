"""A notice as the senders see it, how it begins, and the fact that its end makes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from services.notify.domain.delivery import Answer, AnswerLost, NotNow, RefusedForGood
from services.notify.domain.model import Colleague, Reminder, Report, ReportBody
from shared.events.cases import ReminderDue
from shared.events.kinds import MessageChannel, Reason
from shared.events.notices import (
    NoticeDelivered,
    NoticeFailed,
    NoticeSent,
    NoticeSuppressed,
    NoticeUnconfirmed,
    NoticeUndelivered,
    Purpose,
)
from shared.ids import derived_id


class Draft(Struct, frozen=True, kw_only=True):
    """A notice at its beginning. `natural_key`: the same asking gives one notice, and the same id."""

    natural_key: str
    partition: int
    customer_id: str | None
    staff_id: str | None
    case_id: str | None
    purpose: Purpose
    channel: MessageChannel
    template: str
    due: datetime
    payload: Reminder | ReportBody
    created_at: datetime
    traceparent: str

    @property
    def notice_id(self) -> str:
        """The id under which it travels, however often."""
        return str(derived_id("notice", self.natural_key))


class Notice(Struct, frozen=True, kw_only=True):
    """A notice that is due, or on its way. `payload` is a `Reminder` or a `ReportBody`, encoded."""

    notice_id: str
    customer_id: str | None
    staff_id: str | None
    case_id: str | None
    purpose: Purpose
    channel: MessageChannel
    template: str
    template_version: str | None
    attempts: int
    payload: msgspec.Raw
    barrier_at: datetime | None
    traceparent: str

    @property
    def reminder(self) -> Reminder:
        """What a notice to a customer is to say."""
        return msgspec.json.decode(self.payload, type=Reminder)

    @property
    def report(self) -> ReportBody:
        """What a notice to a colleague is to say."""
        return msgspec.json.decode(self.payload, type=ReportBody)


def reminder_draft(fact: ReminderDue, partition: int, traceparent: str) -> Draft:
    """Return the notice that a reminder asks for: one a `reminder_id`."""
    return Draft(
        natural_key=f"reminder:{fact.reminder_id}",
        partition=partition,
        customer_id=fact.customer_id,
        staff_id=None,
        case_id=fact.case_id,
        purpose="reminder",
        channel=fact.channel,
        template=fact.template,
        due=fact.due_at,
        payload=Reminder(
            reminder_id=fact.reminder_id,
            case_id=fact.case_id,
            step=fact.step,
            channel=fact.channel,
            template=fact.template,
            pay_by=fact.pay_by,
            accounts=fact.accounts,
            due_at=fact.due_at,
        ),
        created_at=fact.due_at,
        traceparent=traceparent,
    )


def report_draft(report: Report, colleague: Colleague, partition: int, traceparent: str) -> Draft:
    """Return the notice by which one colleague is told of a report."""
    return Draft(
        natural_key=f"{report.key}:{colleague.staff_id}",
        partition=partition,
        customer_id=None,
        staff_id=colleague.staff_id,
        case_id=report.body.case_id,
        purpose=report.purpose,
        channel="email",
        template=report.purpose,
        due=report.occurred_at,
        payload=report.body,
        created_at=report.occurred_at,
        traceparent=traceparent,
    )


def sent(notice: Notice, at: datetime) -> NoticeSent:
    """The gateway took it."""
    return NoticeSent(**_common(notice), sent_at=at, barrier_at=notice.barrier_at)


def delivered(notice: Notice, at: datetime, parts: int) -> NoticeDelivered:
    """All its parts have arrived."""
    return NoticeDelivered(**_common(notice), delivered_at=at, parts=parts)


def undelivered(notice: Notice, at: datetime, reason: Reason) -> NoticeUndelivered:
    """It left and did not arrive whole."""
    return NoticeUndelivered(**_common(notice), undelivered_at=at, reason=reason)


def failed(notice: Notice, at: datetime, reason: Reason) -> NoticeFailed:
    """It was refused for good, or can't be written."""
    return NoticeFailed(**_common(notice), failed_at=at, code=reason.code, detail=reason.en)


def unconfirmed(notice: Notice, at: datetime) -> NoticeUnconfirmed:
    """Nobody knows whether it left."""
    return NoticeUnconfirmed(**_common(notice), unconfirmed_at=at, barrier_at=notice.barrier_at)


def suppressed(notice: Notice, at: datetime, reason: Reason) -> NoticeSuppressed:
    """It was not sent, for a reason."""
    return NoticeSuppressed(**_common(notice), suppressed_at=at, reason=reason)


def reason_of(answer: Answer) -> Reason | None:
    """Return in words what a gateway said that did not simply take the message."""
    match answer:
        case NotNow(code):
            return Reason(
                code, f"网关暂未接收（{code}），稍后重试。", f"Not taken for now ({code}); tried again later."
            )
        case RefusedForGood(code, address) if address:
            return Reason(
                code,
                f"网关称此地址无效（{code}），未发出；更新联系资料前不再使用。",
                f"The gateway says that this address is not valid ({code}); not used again until contact data change.",
            )
        case RefusedForGood(code):
            return Reason(code, f"网关拒收（{code}），未发出。", f"Refused by the gateway ({code}); it did not leave.")
        case AnswerLost(code):
            return Reason(
                code, f"未收到网关答复（{code}），是否发出不明。", f"The answer was lost ({code}); it may have left."
            )
        case _:
            return None


def _common(notice: Notice) -> dict[str, Any]:
    return {
        "notice_id": notice.notice_id,
        "customer_id": notice.customer_id,
        "staff_id": notice.staff_id,
        "case_id": notice.case_id,
        "purpose": notice.purpose,
        "channel": notice.channel,
        "template": notice.template,
        # What is refused before it was written has no text yet, so no version either.
        "template_version": notice.template_version or "none",
    }
