"""Facts and states as the tests of the field desk need them. Wednesday 2026-02-25, 10:00 in Shanghai, unless told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.fieldvisit.domain.folds import FOLDS, due_at, fold_handed_over
from services.fieldvisit.domain.model import Customer, Visit
from services.fieldvisit.domain.planning import Line, Proposal, address_of, plan
from services.fieldvisit.domain.rules import Policy
from services.fieldvisit.domain.visiting import start
from shared.events.card import AccountOverdueReported, PaymentPosted, StopSet
from shared.events.cases import CaseAccount, CaseHandedOver, CaseOpened
from shared.events.contacts import Address, AtHome, CustomerContactsChanged, CustomerContactsErased
from shared.events.kinds import Amount, StopKind
from shared.events.staff import StaffChanged
from shared.rules.calendar import working_calendar
from shared.rules.rulebook import rulebook

SHANGHAI = "Asia/Shanghai"
NOW = datetime(2026, 2, 25, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DUE = datetime(2026, 2, 27, 16, tzinfo=UTC)
POLICY = Policy(rulebook(), SHANGHAI)


def overdue(account_id: str = "A1", minor: int = 100_00, as_of: datetime = NOW - DAY, **changed: Any) -> Any:
    return AccountOverdueReported(
        **{
            "customer_id": "C1",
            "account_id": account_id,
            "card_last4": "1234",
            "product_code": "GOLD",
            "currency": "CNY",
            "as_of": as_of,
            "statement_date": date(2026, 1, 1),
            "due_date": date(2026, 1, 20),
            "min_payment_due": minor,
            "amount_past_due": minor,
            "principal_past_due": minor,
            "balance": minor,
            "credit_limit": 1_000_000,
            "periods_past_due": 1,
            **changed,
        }
    )


def payment(account_id: str = "A1", minor: int = 100_00, payment_id: str = "P1", at: datetime = NOW) -> PaymentPosted:
    return PaymentPosted(
        customer_id="C1", account_id=account_id, payment_id=payment_id, currency="CNY", amount=minor, valued_at=at
    )


def stop(kind: StopKind = "dispute", at: datetime = NOW) -> StopSet:
    return StopSet(customer_id="C1", kind=kind, set_at=at)


def opened(*account_ids: str, case_id: str = "K1") -> CaseOpened:
    accounts = tuple(
        CaseAccount(
            account_id=account_id,
            card_last4="1234",
            product_code="GOLD",
            due_date=date(2026, 1, 20),
            currency="CNY",
            owed=100_00,
            min_payment_due=100_00,
        )
        for account_id in account_ids
    )
    return CaseOpened(case_id=case_id, customer_id="C1", opened_at=NOW - DAY, accounts=accounts, bucket="M2")


def handed_over(hand_over_id: str = "H1", case_id: str = "K1", at: datetime = NOW) -> CaseHandedOver:
    return CaseHandedOver(
        hand_over_id=hand_over_id,
        list_id="L1",
        case_id=case_id,
        customer_id="C1",
        phone_agent_id="phone-1",
        field_agent_id="field-1",
        team="north",
        handed_over_at=at,
        bucket="M2",
        grade="D",
        owed=(Amount("CNY", 100_00),),
    )


def contacts(as_of: datetime = NOW - DAY, **changed: Any) -> CustomerContactsChanged:
    home = Address(address_id="home", kind="home", lines=("世纪大道 1 号",), district="浦东新区", city="上海")
    return CustomerContactsChanged(
        **{
            "customer_id": "C1",
            "as_of": as_of,
            "name": "张伟",
            "language": "zh",
            "time_zone": SHANGHAI,
            "addresses": (home,),
            **changed,
        }
    )


def erased(as_of: datetime = NOW) -> CustomerContactsErased:
    return CustomerContactsErased(customer_id="C1", as_of=as_of)


def hazardous(hazard: str = "院内有犬", as_of: datetime = NOW - HOUR) -> CustomerContactsChanged:
    home = Address(
        address_id="home", kind="home", lines=("世纪大道 1 号",), district="浦东新区", city="上海", hazard=hazard
    )
    return contacts(as_of, addresses=(home,))


EVENINGS = (AtHome(weekdays=(0, 1, 2, 3, 4), since="18:00", until="21:00"),)


def colleague(staff_id: str = "field-1", **changed: Any) -> StaffChanged:
    return StaffChanged(
        **{
            "staff_id": staff_id,
            "version": 1,
            "changed_at": NOW - DAY,
            "name": "李雷",
            "role": "field_agent",
            "team": "north",
            "email": f"{staff_id}@bank.example",
            "insured_until": date(2026, 12, 31),
            **changed,
        }
    )


ROSTER = {staff_id: colleague(staff_id) for staff_id in ("field-1", "field-2", "field-3")}


def known(*facts: Any, customer: Customer | None = None) -> Customer:
    """Fold facts in turn, a hand-over with its deadline."""
    held = customer or Customer(customer_id="C1")
    for fact in facts:
        if isinstance(fact, CaseHandedOver):
            due = due_at(fact.handed_over_at, working_calendar("CN"), SHANGHAI, rulebook())
            held = fold_handed_over(held, fact, due, None)
        else:
            held = FOLDS[type(fact)](held, fact)
    return held


def in_the_field(*facts: Any) -> Customer:
    """A customer who owes, can be reached, and was handed over."""
    return known(overdue(), contacts(), handed_over(), *facts)


def only_visit(customer: Customer) -> Visit:
    (visit,) = customer.visits.values()
    return visit


def line(visit: Visit, **changed: Any) -> Line:
    return Line(
        **{
            "visit_id": visit.visit_id,
            "starts_at": NOW + 2 * HOUR,
            "ends_at": NOW + 3 * HOUR,
            "members": ("field-1", "field-2"),
            "recorder_id": "R1",
            **changed,
        }
    )


def proposal(customer: Customer, *, now: datetime = NOW, engagements: Sequence[Any] = (), **changed: Any) -> Proposal:
    visit = only_visit(customer)
    written = line(visit, **{name: value for name, value in changed.items() if name != "roster"})
    return Proposal(
        line=written,
        visit=visit,
        customer=customer,
        address=address_of(customer, written.address_id),
        roster=changed.get("roster", ROSTER),
        engagements=engagements,
        now=now,
        policy=POLICY,
    )


def planned(customer: Customer | None = None, **changed: Any) -> Customer:
    after, _ = plan(proposal(customer or in_the_field(), **changed), "plan-1")
    return after


def started(customer: Customer | None = None, at: datetime = NOW + 2 * HOUR) -> Customer:
    before = customer or planned()
    after, _ = start(before, only_visit(before), at)
    return after
