"""What must hold of an event beyond the form of its fields. Each rule is one sentence over sound values.

A rule names the fields that it reads and is asked only when all of them are sound, so one wrong field never hides
what another has to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.ingest.domain import words
from services.ingest.domain.card_number import holds_full_card_number
from services.ingest.domain.shape import shown
from services.ingest.domain.words import Wrong
from shared.errors import FieldError
from shared.events.card import (
    AccountCured,
    AccountOverdueReported,
    MonthlyStatus,
    PaymentPosted,
    PaymentReversed,
    StopLifted,
    StopSet,
)
from shared.events.contacts import Address, AtHome, CustomerContactsChanged, CustomerContactsErased
from shared.events.kinds import Fact
from shared.money import is_currency
from shared.rules.zones import is_zone

_EARLIEST = date(1970, 1, 1)
_PHONE_PATH = re.compile(r"data\.phones\[[0-9]+\]\.number")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# Instants outside cannot be turned into every zone; nothing on a card is that old, or so far ahead.
_FIRST_INSTANT, _LAST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Present:
    """When and where an event is judged: now, how far a sender's clock may be ahead, and the issuer's zone."""

    now: datetime
    tolerance: timedelta
    zone: ZoneInfo


Fault = tuple[str, Wrong]
"""A path below the event's data, and what is wrong there."""

Check = Callable[[Mapping[str, Any], Present], Iterator[Fault]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A check and the fields of the fact that it reads."""

    fields: tuple[str, ...]
    check: Check


def instant_fault(instant: datetime, present: Present) -> Wrong | None:
    """Return what is wrong with an instant that a sender gave: in the future, or absurdly long ago."""
    if instant > present.now + present.tolerance:
        return words.IN_THE_FUTURE
    return words.TOO_LONG_AGO if instant < _FIRST_INSTANT else None


def _instant(name: str) -> Rule:
    def has_happened(values: Mapping[str, Any], present: Present) -> Iterator[Fault]:
        fault = instant_fault(values[name], present)
        if fault is not None:
            yield name, fault

    return Rule((name,), has_happened)


def _day_of_snapshot(name: str) -> Rule:
    def is_not_after_the_snapshot(values: Mapping[str, Any], present: Present) -> Iterator[Fault]:
        day: date = values[name]
        if day < _EARLIEST:
            yield name, words.TOO_LONG_AGO
        elif day > _last_day(values["as_of"], present):
            yield name, words.AFTER_AS_OF

    return Rule((name, "as_of"), is_not_after_the_snapshot)


def _currency_exists(values: Mapping[str, Any], _present: Present) -> Iterator[Fault]:
    if not is_currency(values["currency"]):
        yield "currency", words.NO_SUCH_CURRENCY


def _months_differ_and_have_begun(values: Mapping[str, Any], present: Present) -> Iterator[Fault]:
    history: Sequence[MonthlyStatus] = values["history"]
    newest = f"{_last_day(values['as_of'], present):%Y-%m}"
    seen: set[str] = set()
    for index, month in enumerate(history):
        path = f"history[{index}].month"
        if month.month in seen:
            yield path, words.MONTH_TWICE
        if month.month > newest:
            yield path, words.AFTER_AS_OF
        seen.add(month.month)


def _zone_exists(values: Mapping[str, Any], _present: Present) -> Iterator[Fault]:
    if not is_zone(values["time_zone"]):
        yield "time_zone", words.NO_SUCH_ZONE


def _addresses_differ(values: Mapping[str, Any], _present: Present) -> Iterator[Fault]:
    addresses: Sequence[Address] = values["addresses"]
    seen: set[str] = set()
    for index, address in enumerate(addresses):
        if address.address_id in seen:
            yield f"addresses[{index}].address_id", words.ADDRESS_TWICE
        seen.add(address.address_id)


def _at_home_until_is_after_since(values: Mapping[str, Any], _present: Present) -> Iterator[Fault]:
    windows: Sequence[AtHome] = values["at_home"]
    for index, window in enumerate(windows):
        if window.until <= window.since:
            yield f"at_home[{index}].until", words.UNTIL_NOT_AFTER_SINCE


_CURRENCY = Rule(("currency",), _currency_exists)

RULES: Mapping[type[Fact], tuple[Rule, ...]] = {
    AccountOverdueReported: (
        _CURRENCY,
        _instant("as_of"),
        _day_of_snapshot("statement_date"),
        _day_of_snapshot("due_date"),
        Rule(("history", "as_of"), _months_differ_and_have_begun),
    ),
    AccountCured: (_instant("as_of"),),
    PaymentPosted: (_CURRENCY, _instant("valued_at")),
    PaymentReversed: (_CURRENCY, _instant("reversed_at")),
    StopSet: (_instant("set_at"),),
    StopLifted: (_instant("lifted_at"),),
    CustomerContactsChanged: (
        _instant("as_of"),
        Rule(("time_zone",), _zone_exists),
        Rule(("addresses",), _addresses_differ),
        Rule(("at_home",), _at_home_until_is_after_since),
    ),
    CustomerContactsErased: (_instant("as_of"),),
}
"""Every fact that is taken in, and what must hold of it."""


def broken_rules(model: type[Fact], sound: Mapping[str, Any], present: Present) -> Iterator[FieldError]:
    """Yield the error of each rule of `model` that the sound fields break; paths begin with `data.`."""
    for rule in RULES[model]:
        if all(name in sound for name in rule.fields):
            for path, wrong in rule.check(sound, present):
                yield wrong.at(f"data.{path}")


def may_hold_card_number(value: object) -> bool:
    """Return whether any text in `value`, names of members included, may hold a full card number; False is certain.

    All texts are looked at as one, parted by what no number spans, since nearly always there is nothing to find.
    """
    texts: list[str] = []
    _collect(value, texts)
    return holds_full_card_number("|".join(texts))


def _collect(value: object, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        for name, member in value.items():
            texts.append(name)
            _collect(member, texts)
    elif isinstance(value, list):
        for item in value:
            _collect(item, texts)


def card_numbers(value: object, path: str) -> Iterator[FieldError]:
    """Yield an error for each text in `value`, names of members included, that holds a full card number.

    A telephone number in E.164 form may pass the same check by chance and is let through where one belongs.
    """
    match value:
        case str():
            if holds_full_card_number(value) and not (_PHONE_PATH.fullmatch(path) and _E164.fullmatch(value)):
                yield words.FULL_CARD_NUMBER.at(shown(path))
        case dict():
            for name, member in value.items():
                if holds_full_card_number(name):
                    yield words.FULL_CARD_NUMBER.at(shown(f"{path}.{name}"))
                yield from card_numbers(member, f"{path}.{name}")
        case list():
            for index, item in enumerate(value):
                yield from card_numbers(item, f"{path}[{index}]")


def _last_day(as_of: datetime, present: Present) -> date:
    """Return the day of `as_of`, by the sender's own offset or in the issuer's zone, whichever is later.

    A system that writes UTC is on the day before for the first hours of the issuer's day, and means no harm.
    """
    if not _FIRST_INSTANT <= as_of < _LAST_INSTANT:
        return as_of.date()
    return max(as_of.date(), as_of.astimezone(present.zone).date())
