"""What a decision is made by: the strategy, the issuer's time zone, the rule book, and the present instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import structs

from services.assignment.domain.model import Case, Customer, Entry, EntryData, EntryKind
from services.assignment.domain.strategy import Strategy
from shared.events.kinds import Fact
from shared.rules.localtime import local_midnight
from shared.rules.rulebook import RuleBook

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """The issuer's own choices: how cases are worked, and by whose calendar days are counted."""

    strategy: Strategy
    zone: str
    book: RuleBook

    def day_of(self, instant: datetime) -> date:
        """Return the issuer's calendar day of `instant`."""
        return instant.astimezone(ZoneInfo(self.zone)).date()

    def midnight(self, day: date) -> datetime:
        """Return the instant at which `day` begins for the issuer."""
        return local_midnight(day, self.zone)

    def lapse_after(self, day: date) -> datetime:
        """Return when a set time whose last day is `day` has lapsed: the next morning, when people are at work."""
        return local_at(day + _ONE_DAY, self.strategy.lapse_at, self.zone)


def local_at(day: date, clock: time, zone: str) -> datetime:
    """Return the instant, in UTC, at which the clock of `zone` shows `clock` on `day`."""
    return (
        local_midnight(day, zone)
        .astimezone(ZoneInfo(zone))
        .replace(hour=clock.hour, minute=clock.minute)
        .astimezone(ZoneInfo("UTC"))
    )


@dataclass(slots=True)
class Turn:
    """One decision being made about one customer: what is known now, and what it makes (facts, timeline).

    The functions of this package take a turn, replace `customer`, and add to `facts` and `entries`; they read no clock
    and no database, so a turn's result depends on its beginning alone. `trace` is the trace of what is being taken in;
    `by_itself`: a timer acts, and goes on with the trace that the case keeps.
    """

    customer: Customer
    now: datetime
    policy: Policy
    trace: str | None = None
    by_itself: bool = False
    facts: list[Fact] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    @property
    def today(self) -> date:
        """The issuer's calendar day."""
        return self.policy.day_of(self.now)

    def case(self) -> Case:
        """Return the open case; only for code that has made sure of it."""
        case = self.customer.open_case
        if case is None:
            raise ValueError("no open case")
        return case

    def set_case(self, **changes: object) -> None:
        """Replace fields of the customer's case."""
        if self.customer.case is None:
            raise ValueError("no case")
        self.customer = structs.replace(self.customer, case=structs.replace(self.customer.case, **changes))

    def note(
        self, kind: EntryKind, zh: str, en: str, *, at: datetime | None = None, **data: str | int | bool | None
    ) -> None:
        """Add a line to the timeline of the customer's case, if there is one."""
        if self.customer.case is not None:
            self.note_for(self.customer.case.case_id, kind, zh, en, at=at, **data)

    def note_for(
        self,
        case_id: str,
        kind: EntryKind,
        zh: str,
        en: str,
        *,
        at: datetime | None = None,
        **data: str | int | bool | None,
    ) -> None:
        """Add a line to the timeline of the case named."""
        kept: EntryData = {name: value for name, value in data.items() if value is not None}
        self.entries.append(Entry(case_id, kind, at or self.now, zh, en, kept))
