"""What a card may look at: whole numbers, or unknown. Sex, age and the like are never among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

from msgspec import Struct, structs

from services.scoring.domain.account import Account
from shared.events.card import MonthlyStatus
from shared.rules.aging import days_past_due
from shared.rules.paid import is_paid, owed

_PAID_IN_FULL = -1


class Standing(Struct, frozen=True, gc=False):
    """An account as it stands on a day of the issuer's zone.

    `past_due`: minor units that are owed now. `days`: since the oldest unpaid due date; nothing owed: 0.
    """

    today: date
    past_due: int
    currency: str
    days: int
    periods: int
    credit_limit: int
    history: Sequence[MonthlyStatus]
    reversed_payments: int


def standing_of(account: Account, today: date) -> Standing | None:
    """Return how the account stands, or none while no overdue snapshot of it has come."""
    reported, debt = account.reported, owed(account.ledger)
    if reported is None or debt is None:
        return None
    paid = is_paid(account.ledger)
    return Standing(
        today=today,
        past_due=debt.minor,
        currency=debt.currency,
        days=0 if paid else days_past_due(oldest_due(account) or reported.due_date, today),
        periods=0 if paid else reported.periods_past_due,
        credit_limit=reported.credit_limit,
        history=reported.history,
        reversed_payments=sum(1 for payment in account.ledger.payments if payment.reversals),
    )


def without_debt(standing: Standing) -> Standing:
    """Return the standing with nothing owed: no day and no period is past due."""
    return structs.replace(standing, days=0, periods=0)


def oldest_due(account: Account) -> date | None:
    """Return the oldest unpaid due date, none while nothing is known.

    Where a payment is taken back after a cure, the due date that it had settled is unpaid again.
    """
    snapshot, reported = account.ledger.snapshot, account.reported
    if snapshot is not None and snapshot.oldest_due is not None:
        return snapshot.oldest_due
    return None if reported is None else reported.due_date


def past_due_share(standing: Standing) -> int | None:
    """Return what is past due as whole percent of the limit, rounded down; unknown without a limit."""
    return standing.past_due * 100 // standing.credit_limit if standing.credit_limit else None


def months_overdue_share(standing: Standing) -> int | None:
    """Return the share of the history's months that were overdue, in whole percent; unknown without a history."""
    overdue = len([month for month in standing.history if month.status >= 1])
    return overdue * 100 // len(standing.history) if standing.history else None


def worst_status(standing: Standing) -> int | None:
    """Return the most months overdue in the history, 0 if never; unknown without a history."""
    return max([0, *[month.status for month in standing.history]]) if standing.history else None


def trend(standing: Standing) -> int | None:
    """Return by how many months overdue the newest month is worse (or, below 0, better) than the oldest one.

    Unknown with less than two months.
    """
    if len(standing.history) < 2:
        return None
    newest, oldest = standing.history[0], standing.history[-1]
    return max(newest.status, 0) - max(oldest.status, 0)


def payments_share(standing: Standing) -> int | None:
    """Return what was paid in the history as whole percent of what its statements asked; unknown where none did."""
    billed = sum([max(month.statement_balance, 0) for month in standing.history])
    return min(sum([month.paid for month in standing.history]) * 100 // billed, 100) if billed else None


def total_months_overdue(standing: Standing) -> int | None:
    """Return the months overdue, summed over the history (2, 1, 0 gives 3); unknown without a history."""
    return sum([max(month.status, 0) for month in standing.history]) if standing.history else None


def months_paid_in_full(standing: Standing) -> int | None:
    """Return the share of the history's months that were paid in full, in whole percent; unknown without a history."""
    paid = len([month for month in standing.history if month.status == _PAID_IN_FULL])
    return paid * 100 // len(standing.history) if standing.history else None


def largest_payment_share(standing: Standing) -> int | None:
    """Return the largest month's payments as whole percent of the limit; unknown without history or limit."""
    if not standing.history or not standing.credit_limit:
        return None
    return max([month.paid for month in standing.history]) * 100 // standing.credit_limit


def utilisation(standing: Standing) -> int | None:
    """Return the newest statement's balance as whole percent of the limit; unknown without history or limit."""
    if not standing.history or not standing.credit_limit:
        return None
    return max(standing.history[0].statement_balance, 0) * 100 // standing.credit_limit


CHARACTERISTICS: Mapping[str, Callable[[Standing], int | None]] = {
    "days_past_due": lambda standing: standing.days,
    "periods_past_due": lambda standing: standing.periods,
    "past_due_share": past_due_share,
    "amount_past_due": lambda standing: standing.past_due,
    "months_overdue_share": months_overdue_share,
    "worst_status": worst_status,
    "trend": trend,
    "payments_share": payments_share,
    "total_months_overdue": total_months_overdue,
    "months_paid_in_full": months_paid_in_full,
    "largest_payment_share": largest_payment_share,
    "utilisation": utilisation,
    "reversed_payments": lambda standing: standing.reversed_payments,
}
"""Every characteristic by the name that cards call it."""

MONEY = frozenset({"amount_past_due"})
"""Those that are amounts: their bins are given for each currency, in minor units."""
