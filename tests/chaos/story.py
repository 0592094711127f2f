"""Who owes what and what becomes of it: customers and their scripts, made from the seed and a number. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

from deploy.demo import events
from deploy.demo.client import Caller
from deploy.demo.events import Event
from deploy.demo.story import Account, Customer, Member, Record, load
from shared.events.kinds import StopKind

ZONE = ZoneInfo("Asia/Shanghai")
OPENING = datetime(2026, 3, 2, 8, 30, tzinfo=ZONE)
"""A Monday."""
STAFF: tuple[Member, ...] = load().staff
CITY = "上海市"

Do = Literal["introduce", "report", "pay", "reverse", "stop", "lift", "cure", "settle", "opt_out"]

_DISTRICTS = tuple(sorted({area for member in STAFF for area in member.areas}))
_RECORDS: tuple[Record, ...] = get_args(Record)
_STOPS: tuple[StopKind, ...] = ("dispute", "complaint", "hardship", "cease_contact")
CEASE = _STOPS.index("cease_contact")
_MIDDLE: tuple[Do, ...] = ("pay", "pay", "pay", "reverse", "stop", "stop", "lift", "report", "introduce", "opt_out")
_BACKDATED = (1.0, 3000.0)
"""Seconds by which an event's own instant lies before its sending: what is told in one order happened in another."""

IDENTITY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "arrears.account.overdue_reported.v1": ("account_id", "as_of"),
        "arrears.account.cured.v1": ("account_id", "as_of"),
        "arrears.payment.posted.v1": ("payment_id",),
        "arrears.payment.reversed.v1": ("payment_id",),
        "arrears.customer.stop_set.v1": ("customer_id", "kind", "set_at"),
        "arrears.customer.stop_lifted.v1": ("customer_id", "kind", "lifted_at"),
        "arrears.customer.contacts_changed.v1": ("customer_id", "as_of"),
    }
)
"""The fields of each event that no other event of its type shares, in this workload."""
_INSTANTS = frozenset({"as_of", "set_at", "lifted_at"})


def identity_of(kind: str, data: Mapping[str, Any]) -> str | None:
    """The name of an event's one effect: the same for what was sent and for the fact that tells it; None: not ours."""
    fields = IDENTITY.get(kind)
    if fields is None:
        return None
    values = (
        str(datetime.fromisoformat(data[name]).timestamp() if name in _INSTANTS else data[name]) for name in fields
    )
    return " ".join((kind, *values))


def caller(role: str, number: int = 0) -> Caller:
    """A colleague of a role."""
    return Caller.of([member for member in STAFF if member.role == role][number])


@dataclass(frozen=True)
class Step:
    """One thing that the card system tells. `after`: machine's seconds since the customer began."""

    after: float
    do: Do
    account: int = 0
    amount: int = 0
    number: int = 0
    """Of the payment, or of the stop's kind."""


@dataclass(frozen=True)
class Person:
    """A customer and the script. `settles`: it ends with everything paid, and nothing can bring the debt back."""

    customer: Customer
    script: tuple[Step, ...]
    settles: bool


def person(seed: int, number: int) -> Person:
    """Make the customer of that number."""
    chance = Random(f"person {seed} {number}")
    customer = _customer(chance, number)
    settles = chance.random() < 0.35
    steps = tuple(_script(chance, customer, settles=settles))
    return Person(customer, steps, settles)


def _customer(chance: Random, number: int) -> Customer:
    count = 1 if chance.random() < 0.7 else 2
    return Customer(
        customer_id=f"K{number:05}",
        name=f"客户{number}",
        phone=f"+86139{number:08}",
        email=f"k{number:05}@mail.example" if chance.random() < 0.8 else None,
        district=chance.choice(_DISTRICTS),
        street=f"中山北路 {number} 号",
        accounts=tuple(_account(chance, f"B{number:05}{letter}") for letter in "ab"[:count]),
    )


def _account(chance: Random, account_id: str) -> Account:
    limit = chance.choice((1_000_000, 2_000_000, 5_000_000))
    days = chance.choice((4, 12, 25, 45, 100, 140, 170, 200, 230, 260, 300, 340))
    return Account(
        account_id=account_id,
        last4=f"{chance.randint(0, 9999):04}",
        product=chance.choice(("classic", "gold", "platinum")),
        past_due=round(limit * chance.uniform(0.1, 0.8)),
        days_past_due=days,
        credit_limit=limit,
        record=chance.choice(_RECORDS),
    )


def _script(chance: Random, customer: Customer, *, settles: bool) -> Iterator[Step]:
    for place in range(len(customer.accounts)):
        yield Step(0.0, "report", place)
    yield Step(0.0, "introduce")
    at, paid, stops = 0.5, 0, 0
    reversible: list[int] = []
    for _ in range(chance.randint(1, 6)):
        at += chance.uniform(0.3, 9.0)
        do = chance.choice(_MIDDLE)
        place = chance.randrange(len(customer.accounts))
        if do == "pay":
            paid += 1
            reversible.append(paid)
            yield Step(at, "pay", place, 1_000 + 37 * paid + chance.randint(0, 30), paid)
        elif do == "reverse" and reversible and not settles:
            yield Step(at, "reverse", number=reversible.pop())
        elif do in ("stop", "lift"):
            stops += do == "stop"
            yield Step(at, do, number=stops % len(_STOPS))
        elif do in ("introduce", "opt_out") or (do == "report" and not settles):
            yield Step(at, do, place)
    if settles:
        for place, account in enumerate(customer.accounts):
            yield Step(at + chance.uniform(0.5, 6.0), "settle", place, account.past_due * 2 + place, 900 + place)
    elif chance.random() < 0.2:
        yield Step(at + 1.0, "cure", 0)


def tell(person: Person, step: Step, serial: int, now: datetime, chance: Random) -> Event | None:
    """Make the event of a step, sent at `now`; none for what is no event. `serial` makes it unlike any other."""
    customer = person.customer
    at = now - timedelta(seconds=chance.uniform(*_BACKDATED)) + timedelta(microseconds=serial)
    account = customer.accounts[step.account]
    event: Event | None = None
    match step.do:
        case "introduce":
            event = events.contacts_changed(customer, at, ZONE.key, CITY)
        case "report":
            event = events.overdue_reported(customer, account, at, ZONE)
        case "pay" | "settle":
            instant = now if step.do == "settle" else at
            event = events.payment_posted(customer.customer_id, account, step.number, step.amount, instant)
        case "reverse":
            paid_then = next(each for each in person.script if each.do == "pay" and each.number == step.number)
            account, amount = customer.accounts[paid_then.account], paid_then.amount
            event = events.payment_reversed(customer.customer_id, account, step.number, amount, now)
        case "stop":
            event = events.stop_set(customer.customer_id, _STOPS[step.number], at)
        case "lift":
            event = events.stop_lifted(customer.customer_id, _STOPS[step.number], now + timedelta(microseconds=serial))
        case "cure":
            event = events.account_cured(customer.customer_id, account, at)
        case "opt_out":
            pass
    return None if event is None else event | {"id": f"{event['id']}-{serial}"}


CALLS: Final[tuple[tuple[str, str, str], ...]] = (
    ("NOAS", "UNK", "NONE"),
    ("BUSY", "UNK", "NONE"),
    ("CONN", "SELF", "REFUSE"),
    ("CONN", "SELF", "INFO"),
    ("CONN", "SELF", "CALLBK"),
    ("CONN", "REL", "RELAY"),
    ("CONN", "SELF", "PTP"),
    ("CONN", "SELF", "HARD"),
)
"""Line, party and outcome of the calls that are logged."""
DOORS: Final[tuple[tuple[str, str], ...]] = (("SELF", "PTP"), ("SELF", "REFUSE"), ("REL", "RELAY"), ("SELF", "PAID"))
"""Party and outcome of the visits that are made."""
