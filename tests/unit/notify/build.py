"""Customers, reminders and facts for the tests of notify."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from msgspec import structs

from services.notify.domain.decision import Policy
from services.notify.domain.folds import FOLDS
from services.notify.domain.model import Customer, Reminder
from shared.events.card import AccountOverdueReported, PaymentPosted
from shared.events.cases import CaseAccount, ReminderDue
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased, Phone
from shared.events.kinds import Fact, MessageChannel
from shared.rules.rulebook import rulebook

MORNING = datetime(2026, 2, 25, 1, 0, tzinfo=UTC)
"""Wednesday 09:00 in Shanghai."""

POLICY = Policy(rulebook(), "Asia/Shanghai")


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def overdue(account_id: str = "A1", minor: int = 123_456, currency: str = "CNY", at: datetime = MORNING) -> Fact:
    return AccountOverdueReported(
        customer_id="C1",
        account_id=account_id,
        card_last4="1234",
        product_code="classic",
        currency=currency,
        as_of=at,
        statement_date=date(2026, 1, 20),
        due_date=date(2026, 2, 10),
        min_payment_due=minor,
        amount_past_due=minor,
        principal_past_due=minor,
        balance=minor,
        credit_limit=5_000_000,
        periods_past_due=1,
    )


def payment(minor: int = 123_456, account_id: str = "A1", payment_id: str = "P1", at: datetime = MORNING) -> Fact:
    return PaymentPosted(
        customer_id="C1",
        account_id=account_id,
        payment_id=payment_id,
        currency="CNY",
        amount=minor,
        valued_at=at + hours(1),
    )


def contacts(at: datetime = MORNING, **changed: object) -> CustomerContactsChanged:
    usual = CustomerContactsChanged(
        customer_id="C1",
        as_of=at,
        name="张三",
        language="zh",
        time_zone="Asia/Shanghai",
        phones=(Phone(number="+861012345678", kind="home"), Phone(number="+8613800138000", kind="mobile")),
        emails=("zhang@example.com",),
    )
    return structs.replace(usual, **changed)


def erased(at: datetime = MORNING) -> CustomerContactsErased:
    return CustomerContactsErased(customer_id="C1", as_of=at)


def case_account(account_id: str = "A1", currency: str = "CNY", minor: int = 123_456) -> CaseAccount:
    return CaseAccount(
        account_id=account_id,
        card_last4="1234",
        product_code="classic",
        due_date=date(2026, 2, 10),
        currency=currency,
        owed=minor,
        min_payment_due=minor,
    )


def reminder_due(channel: MessageChannel = "sms", *accounts: CaseAccount, at: datetime = MORNING) -> ReminderDue:
    return ReminderDue(
        reminder_id="R1",
        case_id="K1",
        customer_id="C1",
        step="remind-1",
        channel=channel,
        template="reminder_first",
        pay_by=date(2026, 2, 28),
        accounts=accounts or (case_account(),),
        due_at=at,
    )


def reminder(channel: MessageChannel = "sms", *accounts: CaseAccount, at: datetime = MORNING) -> Reminder:
    fact = reminder_due(channel, *accounts, at=at)
    return Reminder(**{name: getattr(fact, name) for name in Reminder.__struct_fields__})


def customer(*facts: Fact) -> Customer:
    known = Customer()
    for fact in facts:
        known = FOLDS[type(fact)](known, fact)
    return known


def known_customer(*further: Fact) -> Customer:
    """One who owes and can be reached, and of whom `further` facts have come."""
    return customer(overdue(), contacts(), *further)
