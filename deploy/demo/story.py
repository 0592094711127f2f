"""The story file: who the people are, what is overdue, and what the debtors do. Checked whole when it is loaded.

Amounts are minor units (fen) of the account's currency. `when` is the story's day and the local time: `2 14:30` is
half past two on the second working day.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.events.kinds import Bucket, Language, StaffRole, StopKind
from shared.rules.calendar import working_calendar

PACKAGED = Path(__file__).with_name("story.yaml")

CallAnswer = Literal[
    "no_answer", "busy", "void_number", "third_party", "relative", "promise", "informed", "callback", "refuses",
    "hardship", "complains",
]  # fmt: skip
DoorAnswer = Literal[
    "promises", "refuses", "pays", "relative", "nobody_home", "wrong_address", "dog", "breakdown"
]  # fmt: skip
Record = Literal["good", "fair", "poor"]

_WHEN = re.compile(r"(?P<day>[1-9]) (?P<time>(?:[01]\d|2[0-3]):[0-5]\d)")
_NAMED, _ALL = 10, 30
_OPENING = time(8, 0)


class StoryError(Exception):
    """The story file is wrong; the text names each place and what is wrong there."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class When(_Part):
    """A moment of the story: its n-th working day, at a local time."""

    day: int = Field(ge=1)
    at: time


def _when(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _WHEN.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no moment of the story; write the day and the time, as '2 14:30'")
    return When(day=int(match["day"]), at=time.fromisoformat(match["time"]))


def kind_alone(value: object) -> object:
    """Take a kind that stands alone for the whole: `no_answer` for `{kind: no_answer}`."""
    return {"kind": value} if isinstance(value, str) else value


Moment = Annotated[When, BeforeValidator(_when)]


class Call(_Part):
    """How a debtor's telephone answers once. `share`, `days`, `keeps`: of a promise to pay a part in so many days."""

    kind: CallAnswer
    share: float = Field(default=1.0, gt=0, le=1)
    days: int = Field(default=1, ge=0, le=14)
    keeps: bool = True


class Door(_Part):
    """What the field collectors find once. `breakdown`: they never get there, and do not say so in time."""

    kind: DoorAnswer


class Act(_Part):
    """Something that happens by itself. `account`: the n-th of the customer's, or all; `share`: of what is owed."""

    when: Moment
    do: Literal["pay", "reverse", "cure", "stop", "lift", "opt_out", "move"]
    account: int | Literal["all"] = "all"
    share: float = Field(default=1.0, gt=0, le=1)
    stop: StopKind | None = None

    @model_validator(mode="after")
    def _stop_where_needed(self) -> Self:
        if (self.do in ("stop", "lift")) != (self.stop is not None):
            raise ValueError("`stop` names the kind of a stop or a lift, and belongs nowhere else")
        return self


class Window(_Part):
    """When somebody is at home: weekdays (0 = Monday) and local times."""

    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = Field(min_length=1)
    since: time
    until: time


class Month(_Part):
    """A month of an account: its status as the card system has it, what stood on the statement, what was paid."""

    status: int
    statement: int
    paid: int = Field(ge=0)


class Account(_Part):
    """An overdue card. `record`: how the last six months were paid; `months`: the same exactly, newest first."""

    account_id: str
    last4: str = Field(pattern=r"^\d{4}$")
    product: str
    currency: str = "CNY"
    past_due: int = Field(ge=0)
    days_past_due: int = Field(ge=0, le=400)
    credit_limit: int = Field(gt=0)
    record: Record
    months: tuple[Month, ...] = ()


class Home(_Part):
    """Where somebody lives: the address, and its place in degrees (WGS 84) where that is known."""

    district: str
    street: str
    latitude: float | None = None
    longitude: float | None = None


class Customer(_Part):
    """A cardholder. `story`: what becomes of a named one, in one line; `manner`: what one of a portfolio does.

    `moves_to`: the new home of one who moves.
    """

    customer_id: str
    story: str | None = None
    manner: str | None = None
    name: str
    language: Language = "zh"
    phone: str = Field(pattern=r"^\+86\d{11}$")
    email: str | None
    district: str
    street: str
    latitude: float | None = None
    longitude: float | None = None
    moves_to: Home | None = None
    hazard: str | None = None
    home: tuple[Window, ...] = ()
    reported: Moment = When(day=1, at=time(8, 30))
    accounts: tuple[Account, ...] = Field(min_length=1)
    calls: tuple[Annotated[Call, BeforeValidator(kind_alone)], ...] = ()
    doors: tuple[Annotated[Door, BeforeValidator(kind_alone)], ...] = ()
    acts: tuple[Act, ...] = ()

    @model_validator(mode="after")
    def _knows_where_to_move(self) -> Self:
        if self.moves_to is None and any(act.do == "move" for act in self.acts):
            raise ValueError("whoever moves needs `moves_to`")
        return self

    @property
    def label(self) -> str:
        """Name and id, as the telling shows them."""
        return f"{self.name} {self.customer_id}"

    def call(self, number: int) -> Call:
        """How the telephone answers at the n-th call (from 0); the last answer repeats itself."""
        return self.calls[min(number, len(self.calls) - 1)] if self.calls else Call(kind="no_answer")

    def door(self, number: int) -> Door:
        """What the n-th visit finds (from 0); the last answer repeats itself."""
        return self.doors[min(number, len(self.doors) - 1)] if self.doors else Door(kind="promises")


class Group(_Part):
    """A few of the other twenty, made alike: bucket and record are theirs, names and amounts come from the seed."""

    count: int = Field(ge=1)
    what: str
    bucket: Bucket
    record: Record
    home: tuple[Window, ...] = ()
    hazard: str | None = None
    calls: tuple[Annotated[Call, BeforeValidator(kind_alone)], ...] = ()
    doors: tuple[Annotated[Door, BeforeValidator(kind_alone)], ...] = ()
    acts: tuple[Act, ...] = ()


class Member(_Part):
    """A colleague. `areas`: the districts of a field collector; `languages`, `skills`: the colleague's own."""

    staff_id: str
    name: str
    role: StaffRole
    team: str
    email: str
    areas: tuple[str, ...] = ()
    languages: tuple[Language, ...] = ("zh",)
    skills: tuple[str, ...] = ()
    recorder_id: str | None = None


class Stage(_Part):
    """Where and when it plays, and who works there: `days` are the working days, in order."""

    title: str
    zone: str
    city: str
    seed: int
    days: tuple[date, ...] = Field(min_length=1)
    staff: tuple[Member, ...]

    @property
    def zone_info(self) -> ZoneInfo:
        """The issuer's zone, in which the story's times stand."""
        return ZoneInfo(self.zone)

    @property
    def opening(self) -> datetime:
        """When the story begins: the first morning, before anybody works."""
        return self.instant(When(day=1, at=_OPENING))

    def instant(self, when: When) -> datetime:
        """The instant of a moment of the story."""
        return datetime.combine(self.days[when.day - 1], when.at, self.zone_info)

    def of_role(self, role: StaffRole) -> tuple[Member, ...]:
        """The colleagues of one role, in the file's order."""
        return tuple(member for member in self.staff if member.role == role)


class Story(Stage):
    """The whole story: the named customers, and groups for the others."""

    customers: tuple[Customer, ...]
    others: tuple[Group, ...]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        faults = [*_numbers(self), *_identities(self), *_calendar(self), *_moments(self), *_reversals(self)]
        if faults:
            raise ValueError("; ".join(faults))
        return self


def load(path: Path = PACKAGED) -> Story:
    """Read and check a story.

    Raises:
        StoryError: the file is missing, no YAML, or says what cannot be.
    """
    try:
        told: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Story.model_validate(told)
    except OSError as error:
        raise StoryError(f"{path.name} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise StoryError(f"{path.name} is no YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc'])) or 'story'}: {each['msg']}" for each in error.errors()]
        raise StoryError("\n".join([f"{path.name} is wrong:", *lines])) from error


def _numbers(story: Story) -> Iterator[str]:
    if len(story.customers) != _NAMED or not all(customer.story for customer in story.customers):
        yield f"{_NAMED} customers have a named story, not {len(story.customers)}"
    total = len(story.customers) + sum(group.count for group in story.others)
    if total != _ALL:
        yield f"there are {_ALL} customers, not {total}"
    for role, least in (("supervisor", 1), ("admin_assistant", 1), ("phone_agent", 1), ("field_agent", 2)):
        if sum(member.role == role for member in story.staff) < least:
            yield f"at least {least} of the staff are {role}"


def _identities(story: Story) -> Iterator[str]:
    accounts = [account.account_id for customer in story.customers for account in customer.accounts]
    for what, names in (
        ("customer", [customer.customer_id for customer in story.customers]),
        ("telephone", [customer.phone for customer in story.customers]),
        ("account", accounts),
        ("colleague", [member.staff_id for member in story.staff]),
    ):
        yield from (f"{what} {name} is there twice" for name in _twice(names))
    areas = {area for member in story.of_role("field_agent") for area in member.areas}
    for customer in story.customers:
        if customer.district not in areas:
            yield f"{customer.customer_id}: no field collector has the district {customer.district}"


def _calendar(story: Story) -> Iterator[str]:
    calendar = working_calendar()
    first = story.days[0]
    expected = [first]
    while len(expected) < len(story.days):
        expected.append(calendar.add_working_days(expected[-1], 1))
    if not calendar.is_working_day(first) or list(story.days) != expected:
        yield f"days are not consecutive working days; from {first} on they are {', '.join(map(str, expected))}"


def _moments(story: Story) -> Iterator[str]:
    whens = [(customer.customer_id, customer.reported) for customer in story.customers]
    whens += [(customer.customer_id, act.when) for customer in story.customers for act in customer.acts]
    whens += [(group.what, act.when) for group in story.others for act in group.acts]
    for who, when in whens:
        if when.day > len(story.days):
            yield f"{who}: there is no day {when.day}"
    for customer in story.customers:
        for act in customer.acts:
            if isinstance(act.account, int) and not 0 <= act.account < len(customer.accounts):
                yield f"{customer.customer_id}: there is no account {act.account}"


def _reversals(story: Story) -> Iterator[str]:
    for customer in story.customers:
        paid: set[int | str] = set()
        for act in sorted(customer.acts, key=lambda act: (act.when.day, act.when.at)):
            if act.do == "pay":
                paid.add(act.account)
            elif act.do == "reverse" and act.account not in paid:
                yield f"{customer.customer_id}: nothing that could be reversed was paid to account {act.account} before"


def _twice(names: Sequence[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
