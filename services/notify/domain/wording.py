"""What a template may say: values made ready for a reader of one language, and nothing else of the customer.

Amounts stand by currency and are never added across currencies; of a card only the last four digits appear.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from services.notify.domain.decision import Send
from services.notify.domain.model import Reminder, ReportBody, ReportLine
from shared.events.kinds import Language
from shared.money import Money, format_money, totals

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]

Words = Mapping[str, Mapping[str, Mapping[Language, str]]]
"""Codes in words: kind of code (outcome, party, …) → code → language → words."""


class Both(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text in both languages."""

    zh: str
    en: str

    def words(self, language: Language) -> str:
        """Return the text in one language."""
        return self.zh if language == "zh" else self.en


class Issuer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every notice says of the bank: one deployment serves one issuer."""

    name: Both
    sms_signature: Both
    hotline: str
    hotline_hours: Both
    ways_to_pay: tuple[Both, ...]
    sms_source: str
    mail_sender: str
    time_zone: str


def reminder_words(reminder: Reminder, send: Send, issuer: Issuer, at: datetime) -> dict[str, Any]:
    """Return what a reminder's template may say, in the customer's language and by the customer's calendar."""
    language = send.reach.language
    return {
        "name": plain(send.reach.name),
        "pay_by": day_words(reminder.pay_by, language),
        "today": day_words(at.astimezone(ZoneInfo(send.zone)).date(), language),
        "totals": [format_money(total, language) for total in totals(each.owed for each in send.owing).values()],
        "accounts": [
            {
                "last4": each.account.card_last4,
                "owed": format_money(each.owed, language),
                "due_date": day_words(each.account.due_date, language),
            }
            for each in send.owing
        ],
        **issuer_words(issuer, language),
    }


def issuer_words(issuer: Issuer, language: Language) -> dict[str, Any]:
    """Return what a template may say of the bank."""
    return {
        "bank": issuer.name.words(language),
        "signature": issuer.sms_signature.words(language),
        "hotline": issuer.hotline,
        "hotline_hours": issuer.hotline_hours.words(language),
        "ways_to_pay": [way.words(language) for way in issuer.ways_to_pay],
    }


def report_words(body: ReportBody, language: Language, issuer: Issuer, words: Words) -> dict[str, Any]:
    """Return what a report's template may say, in the colleague's language and by the issuer's clock."""
    given = {name: _report_value(name, value, language, issuer, words) for name, value in structs.asdict(body).items()}
    return {**given, **issuer_words(issuer, language)}


def _report_value(name: str, value: Any, language: Language, issuer: Issuer, words: Words) -> Any:  # noqa: ANN401 - any field of a report
    if isinstance(value, datetime):
        return instant_words(value, language, issuer.time_zone)
    if isinstance(value, date):
        return day_words(value, language)
    if name in words and isinstance(value, str):
        return words[name].get(value, {}).get(language, value)
    if name == "lines":
        return [_line_words(line, language, issuer) for line in value]
    return value


def _line_words(line: ReportLine, language: Language, issuer: Issuer) -> dict[str, Any]:
    given = {
        name: instant_words(value, language, issuer.time_zone) if isinstance(value, datetime) else value
        for name, value in structs.asdict(line).items()
    }
    return {**given, "owed": [format_money(Money(minor, currency), language) for currency, minor in line.owed]}


def day_words(day: date, language: Language) -> str:
    """Return a date as it is read: `2026年3月4日`, `4 March 2026`."""
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def instant_words(at: datetime, language: Language, zone: str) -> str:
    """Return an instant by the clock of `zone`: `2026年3月4日 09:30`, `4 March 2026 09:30`."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{day_words(local.date(), language)} {local:%H:%M}"


def plain(text: str) -> str:
    """Return the text on one line without control or invisible characters, so that a name can't pose as our words."""
    kept = "".join(" " if char.isspace() else char for char in text if char.isspace() or _visible(char))
    return " ".join(kept.split())


def _visible(char: str) -> bool:
    return not unicodedata.category(char).startswith("C")
