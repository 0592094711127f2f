"""What every template is tried with when it is loaded: one account and several, one currency and two, all fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from services.notify.domain.decision import Owing, Send
from services.notify.domain.model import Reach, Reminder, ReportBody, ReportLine
from services.notify.domain.wording import Issuer, Words, reminder_words, report_words
from shared.events.cases import CaseAccount
from shared.events.kinds import Language, MessageChannel
from shared.events.notices import Purpose
from shared.money import Money

_AT: Final = datetime(2026, 2, 25, 2, 30, tzinfo=UTC)
_SOON: Final = _AT + timedelta(days=2)
_AMOUNTS: Final = (("CNY", 123_456, "1234"), ("USD", 99_900, "5678"), ("CNY", 1, "9012"))


def contexts(
    purpose: Purpose, channel: MessageChannel, language: Language, issuer: Issuer, words: Words
) -> Sequence[dict[str, Any]]:
    """Return what a template of `purpose` is tried with."""
    if purpose == "reminder":
        return [_reminder(channel, language, issuer, accounts) for accounts in (1, 2, 3)]
    return [report_words(body, language, issuer, words) for body in _reports()]


def _reminder(channel: MessageChannel, language: Language, issuer: Issuer, accounts: int) -> dict[str, Any]:
    owing = tuple(
        Owing(
            CaseAccount(
                account_id=f"A{last4}",
                card_last4=last4,
                product_code="classic",
                due_date=date(2026, 2, 5),
                currency=currency,
                owed=minor,
                min_payment_due=minor,
            ),
            Money(minor, currency),
        )
        for currency, minor, last4 in _AMOUNTS[:accounts]
    )
    reach = Reach(
        as_of=_AT, name="张三" if language == "zh" else "Li Lei", language=language, time_zone="Asia/Shanghai"
    )
    reminder = Reminder(
        reminder_id="R1",
        case_id="K1",
        step="remind",
        channel=channel,
        template="sample",
        pay_by=date(2026, 3, 4),
        accounts=tuple(each.account for each in owing),
        due_at=_AT,
    )
    send = Send(address="-", zone=issuer.time_zone, reach=reach, owing=owing, ruled_by=())
    return reminder_words(reminder, send, issuer, _AT)


def _reports() -> Sequence[ReportBody]:
    line = ReportLine(
        case_id="K1",
        field_agent_id="F1",
        bucket="M2",
        owed=(("CNY", 123_456), ("USD", 99_900)),
        visit_id="V1",
        starts_at=_AT,
        ends_at=_SOON,
        due_at=_SOON,
    )
    whole = ReportBody(
        visit_id="V1",
        case_id="K1",
        field_agent_id="F1",
        phone_agent_id="P1",
        team="north",
        party="SELF",
        outcome="PTP",
        on_time=True,
        reason="nobody_home",
        happened_at=_AT,
        due_at=_SOON,
        day=date(2026, 2, 25),
        lines=(line, line),
    )
    return [whole, ReportBody()]
