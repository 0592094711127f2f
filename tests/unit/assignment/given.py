"""The customers, facts and instants that these tests speak of. All on fixed days of 2026, in Shanghai."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import yaml

from services.assignment.desk import load_strategy
from services.assignment.domain.aside import conclude
from services.assignment.domain.folds import fold
from services.assignment.domain.lifecycle import catch_up, next_due
from services.assignment.domain.model import Case, Customer, Entry
from services.assignment.domain.policy import Policy, Turn
from services.assignment.domain.roster import Colleague, Roster
from services.assignment.domain.staff import assign
from services.assignment.domain.strategy import parse
from services.assignment.settings import PACKAGED_STRATEGY
from shared.events.card import AccountCured, AccountOverdueReported, PaymentPosted, PaymentReversed, StopLifted, StopSet
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased, Phone
from shared.events.kinds import Fact, Grade, StopKind
from shared.events.risk import AccountGraded
from shared.events.staff import Leave
from shared.rules.rulebook import rulebook

F = TypeVar("F", bound=Fact)
ZONE = "Asia/Shanghai"
POLICY = Policy(load_strategy(PACKAGED_STRATEGY), ZONE, rulebook())


def at(text: str) -> datetime:
    """Return the instant of a local time, for example `at("02-25 09:00")`."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(ZONE))


WEDNESDAY = at("02-25 09:00")
DUE = {"M1": date(2026, 2, 10), "M2": date(2026, 1, 10), "M4": date(2025, 11, 10), "M6": date(2025, 9, 10)}
"""A due date that lies in the bucket on Wednesday 2026-02-25."""


def overdue(
    account_id: str = "A1",
    *,
    amount: int = 100_000,
    due: date = DUE["M1"],
    as_of: datetime = WEDNESDAY,
    currency: str = "CNY",
) -> AccountOverdueReported:
    return AccountOverdueReported(
        customer_id="C1",
        account_id=account_id,
        card_last4="1234",
        product_code="GOLD",
        currency=currency,
        as_of=as_of,
        statement_date=due - timedelta(days=20),
        due_date=due,
        min_payment_due=amount // 10,
        amount_past_due=amount,
        principal_past_due=amount,
        balance=amount * 2,
        credit_limit=amount * 4,
        periods_past_due=1,
    )


def paid(amount: int, payment_id: str = "P1", *, valued: datetime, account_id: str = "A1") -> PaymentPosted:
    return PaymentPosted(
        customer_id="C1",
        account_id=account_id,
        payment_id=payment_id,
        currency="CNY",
        amount=amount,
        valued_at=valued,
    )


def reversed_(amount: int, payment_id: str = "P1", *, when: datetime, account_id: str = "A1") -> PaymentReversed:
    return PaymentReversed(
        customer_id="C1",
        account_id=account_id,
        payment_id=payment_id,
        currency="CNY",
        amount=amount,
        reversed_at=when,
    )


def cured(when: datetime, account_id: str = "A1") -> AccountCured:
    return AccountCured(customer_id="C1", account_id=account_id, as_of=when)


def stop(kind: StopKind, when: datetime) -> StopSet:
    return StopSet(customer_id="C1", kind=kind, set_at=when)


def lift(kind: StopKind, when: datetime) -> StopLifted:
    return StopLifted(customer_id="C1", kind=kind, lifted_at=when)


def graded(grade: Grade, version: int = 1, account_id: str = "A1") -> AccountGraded:
    return AccountGraded(
        customer_id="C1",
        account_id=account_id,
        version=version,
        graded_at=WEDNESDAY,
        score=50,
        grade=grade,
        bucket="M1",
        reasons=(),
        card="points",
        card_version="2026-01",
        suggested_treatment="remind",
    )


def reachable(as_of: datetime = WEDNESDAY, **changes: object) -> CustomerContactsChanged:
    values: dict[str, object] = {
        "customer_id": "C1",
        "as_of": as_of,
        "name": "张三丰",
        "language": "zh",
        "time_zone": ZONE,
        "phones": (Phone(number="+8613800138000", kind="mobile"), Phone(number="+862112345678", kind="home")),
        **changes,
    }
    return CustomerContactsChanged(**values)  # type: ignore[arg-type]  # each test names the field that it changes


def erased(as_of: datetime = WEDNESDAY) -> CustomerContactsErased:
    return CustomerContactsErased(customer_id="C1", as_of=as_of)


def colleague(staff_id: str, role: str = "phone_agent", **changes: object) -> Colleague:
    values: dict[str, object] = {
        "staff_id": staff_id,
        "version": 1,
        "changed_at": WEDNESDAY,
        "name": "李雷",
        "role": role,
        "team": "north",
        "email": f"{staff_id}@bank.example",
        **changes,
    }
    return Colleague(**values)  # type: ignore[arg-type]  # each test names the field that it changes


def leave(first: date, last: date) -> Leave:
    return Leave(first_day=first, last_day=last)


def roster(*colleagues: Colleague, **loads: int) -> Roster:
    """Return the roster of these colleagues, with the open cases that each already has."""
    return Roster.of(colleagues, loads, POLICY.strategy.staffing)


class Story:
    """One customer followed through time: facts are told, the timer is let run, facts and entries are collected."""

    def __init__(self, *colleagues: Colleague) -> None:
        self.customer = Customer(customer_id="C1")
        self.roster = roster(*(colleagues or (colleague("P1"),)))
        self.policy = POLICY
        self.now = WEDNESDAY
        self.due: datetime | None = None
        self.facts: list[Fact] = []
        self.entries: list[Entry] = []
        self.kinds: list[str] = []

    def turn(self, now: datetime) -> Turn:
        return Turn(self.customer, now, self.policy)

    def keep(self, turn: Turn) -> None:
        """Take over what a turn has decided, and find a collector as the service does."""
        conclude(turn)
        assign(turn, self.roster)
        self.customer = turn.customer
        self.now = turn.now
        self.due = next_due(turn.customer, self.policy, turn.now)
        self.facts += turn.facts
        self.entries += turn.entries
        self.kinds += [entry.kind for entry in turn.entries]

    def told(self, now: datetime, *facts: Fact) -> Story:
        turn = self.turn(now)
        for fact in facts:
            fold(turn, fact)
        self.keep(turn)
        return self

    def timer(self, now: datetime) -> Story:
        """Let the timer act once at `now`."""
        turn = self.turn(now)
        catch_up(turn)
        self.keep(turn)
        return self

    def until(self, now: datetime) -> Story:
        """Let the timer act at every due instant up to `now`."""
        while self.due is not None and self.due <= now:
            self.timer(max(self.due, self.now))
        return self

    @property
    def case(self) -> Case:
        assert self.customer.case is not None
        return self.customer.case

    @property
    def step(self) -> str | None:
        return self.case.step.name if self.case.step else None

    def of(self, model: type[F]) -> list[F]:
        return [fact for fact in self.facts if isinstance(fact, model)]


def law_document(**changes: object) -> dict[str, Any]:
    """Return a strategy under which an unpaid visit of M4 and M5 leads, two days later, to law and then an agency."""
    document: dict[str, Any] = yaml.safe_load(PACKAGED_STRATEGY.read_text(encoding="utf-8"))
    steps = next(each for each in document["segments"] if each["name"] == "m4-m5")["steps"]
    steps[-1]["set_time_days"] = 2
    steps += [{"name": "sue", "do": "legal"}, {"name": "outsource", "do": "agency"}]
    return {**document, **changes}


def with_law(**changes: object) -> Policy:
    """Return the policy of that strategy."""
    return Policy(parse(law_document(**changes)), ZONE, rulebook())


def by_phone(bucket: str = "M4", *colleagues: Colleague) -> Story:
    """Return a story whose case has been reminded and stands in the phone queue (M4: on Friday 27 at 09:00)."""
    story = Story(*colleagues).told(WEDNESDAY, reachable(), overdue(due=DUE[bucket]), graded("D"))
    return story.until(at("02-27 09:00"))
