"""Facts about one account, and its grading on a day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from services.scoring.domain.account import FOLDS, Account
from services.scoring.domain.card import Card
from services.scoring.domain.loading import load_card
from services.scoring.settings import SHIPPED_CARDS
from shared.events.card import AccountCured, AccountOverdueReported, MonthlyStatus, PaymentPosted, PaymentReversed
from shared.events.kinds import Fact
from shared.rules.paid import AccountLedger

DAY = date(2026, 2, 25)
CARD: Card = load_card(SHIPPED_CARDS / "expert-points-2026-01.yaml")


def at(day: int, hour: int = 1) -> datetime:
    """Return an instant of February 2026, 09:00 in Shanghai unless told."""
    return datetime(2026, 2, day, hour, tzinfo=UTC)


def months(*statuses: int, billed: int = 100_000, paid: int = 0) -> tuple[MonthlyStatus, ...]:
    """Return a history, newest month (January 2026) first."""
    first = date(2026, 1, 15)
    return tuple(
        MonthlyStatus(
            month=f"{first - timedelta(days=30 * back):%Y-%m}", status=status, statement_balance=billed, paid=paid
        )
        for back, status in enumerate(statuses)
    )


def snapshot(
    *,
    past_due: int = 120_000,
    days: int = 5,
    as_of: datetime | None = None,
    currency: str = "CNY",
    limit: int = 2_000_000,
    periods: int = 1,
    history: Sequence[MonthlyStatus] = (),
    account_id: str = "a-1",
    customer_id: str = "c-1",
) -> AccountOverdueReported:
    """Return an overdue snapshot whose oldest due date is `days` before `DAY`."""
    return AccountOverdueReported(
        customer_id=customer_id,
        account_id=account_id,
        card_last4="1234",
        product_code="gold",
        currency=currency,
        as_of=as_of or at(24),
        statement_date=date(2026, 2, 5),
        due_date=DAY - timedelta(days=days),
        min_payment_due=past_due,
        amount_past_due=past_due,
        principal_past_due=past_due,
        balance=past_due,
        credit_limit=limit,
        periods_past_due=periods,
        history=tuple(history),
    )


def payment(amount: int, *, number: int = 1, valued_at: datetime | None = None) -> PaymentPosted:
    """Return a posted payment."""
    return PaymentPosted(
        customer_id="c-1",
        account_id="a-1",
        payment_id=f"p-{number}",
        currency="CNY",
        amount=amount,
        valued_at=valued_at or at(25),
    )


def reversal(amount: int, *, number: int = 1, reversed_at: datetime | None = None) -> PaymentReversed:
    """Return a payment's reversal."""
    return PaymentReversed(
        customer_id="c-1",
        account_id="a-1",
        payment_id=f"p-{number}",
        currency="CNY",
        amount=amount,
        reversed_at=reversed_at or at(25, 2),
    )


def cure(as_of: datetime | None = None) -> AccountCured:
    """Return a cure."""
    return AccountCured(customer_id="c-1", account_id="a-1", as_of=as_of or at(25))


def account(*facts: Fact) -> Account:
    """Return the account after these facts."""
    return folded(Account(AccountLedger("a-1")), facts)


def folded(start: Account, facts: Iterable[Fact]) -> Account:
    """Return `start` after these facts."""
    for fact in facts:
        start = FOLDS[type(fact)](start, fact)
    return start
