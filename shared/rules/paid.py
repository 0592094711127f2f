"""When is an account paid? One pure function of the facts, for every service that acts.

What is owed is the newest snapshot's past due, minus the payments valued after its `as_of`, plus their reversals; zero
or less is paid. Facts come late, twice, before the overdue fact, back-dated and reversed before they are posted: each
is merged into an `AccountLedger`, and any order and any repetition of the same facts give the same ledger.

How the dates are read:
- a payment valued at or before `as_of` is inside the snapshot, and so is a reversal dated at or before it;
- a reversal dated after `as_of` of a payment inside the snapshot adds back what it takes;
- a payment valued after `as_of` counts less what was reversed of it, whatever the reversal's date;
- reversals of one payment never take back more than the payment;
- a reversal whose payment is not known yet changes nothing until the payment comes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from shared.money import CurrencyMismatch, Money

ABSORBED_AFTER: Final = timedelta(days=180)
"""A payment or reversal dated this long before the newest snapshot is dropped: no card scheme or direct debit that we
know takes money back later, and if one did, the next snapshot would say so."""


class Snapshot(Struct, frozen=True, array_like=True):
    """What the card system held at `as_of`: `past_due` minor units, and the oldest unpaid due date (none: cured)."""

    as_of: datetime
    past_due: int
    oldest_due: date | None = None


class Reversal(Struct, frozen=True, array_like=True):
    """So much of a payment, in minor units, was taken back at `reversed_at`."""

    reversed_at: datetime
    amount: int


class Payment(Struct, frozen=True, array_like=True):
    """A payment and what was reversed of it; `valued_at` is none while only a reversal has come."""

    payment_id: str
    amount: int = 0
    valued_at: datetime | None = None
    reversals: tuple[Reversal, ...] = ()


class AccountLedger(Struct, frozen=True, omit_defaults=True):
    """What the facts say of one account's debt; compact, and stored as it is.

    `currency` is empty until a fact with an amount has come. A cure is the snapshot of nothing past due.
    """

    account_id: str
    currency: str = ""
    snapshot: Snapshot | None = None
    payments: tuple[Payment, ...] = ()


def with_snapshot(ledger: AccountLedger, past_due: Money, as_of: datetime, oldest_due: date | None) -> AccountLedger:
    """Merge a snapshot; one older than the one held changes nothing. Raises `CurrencyMismatch`.

    Of two snapshots of one instant the lower amount holds: nobody is pressed for more than the issuer's lowest word.
    """
    return _newest(_in_currency(ledger, past_due.currency), Snapshot(as_of, past_due.minor, oldest_due))


def with_cured(ledger: AccountLedger, as_of: datetime) -> AccountLedger:
    """Merge the card system's word that nothing was past due at `as_of`."""
    return _newest(ledger, Snapshot(as_of, 0))


def with_payment(ledger: AccountLedger, payment_id: str, amount: Money, valued_at: datetime) -> AccountLedger:
    """Merge a posted payment. Raises `CurrencyMismatch`.

    The same payment told in two ways is taken as the later dated, then the larger one, whichever came first.
    """

    def merged(held: Payment) -> Payment:
        told = (valued_at, amount.minor)
        if held.valued_at is not None:
            told = max(told, (held.valued_at, held.amount))
        return Payment(payment_id, told[1], told[0], held.reversals)

    return _merge(_in_currency(ledger, amount.currency), payment_id, merged)


def with_reversal(ledger: AccountLedger, payment_id: str, amount: Money, reversed_at: datetime) -> AccountLedger:
    """Merge a reversal, whole or in part, even one that comes before its payment. Raises `CurrencyMismatch`."""
    reversal = Reversal(reversed_at, amount.minor)

    def merged(held: Payment) -> Payment:
        reversals = tuple(sorted({*held.reversals, reversal}, key=structs.astuple))
        return structs.replace(held, reversals=reversals)

    return _merge(_in_currency(ledger, amount.currency), payment_id, merged)


def owed(ledger: AccountLedger) -> Money | None:
    """Return what is past due now, never below zero; none while no snapshot has come, for then nothing is known.

    After a cure of an account whose amounts are unknown there is nothing owed and no currency: none as well.
    """
    if ledger.snapshot is None or not ledger.currency:
        return None
    return Money(max(0, _balance(ledger.snapshot, ledger.payments)), ledger.currency)


def is_paid(ledger: AccountLedger) -> bool:
    """Tell whether there is nothing to ask for: zero or less is owed, or nothing overdue was ever reported."""
    return ledger.snapshot is None or _balance(ledger.snapshot, ledger.payments) <= 0


def paid_between(ledger: AccountLedger, after: datetime, until: datetime) -> int:
    """Return the minor units paid with a value date after `after` up to `until`, less what was reversed of them."""
    return sum(
        payment.amount - _reversed(payment)
        for payment in ledger.payments
        if payment.valued_at is not None and after < payment.valued_at <= until
    )


def _balance(snapshot: Snapshot, payments: tuple[Payment, ...]) -> int:
    return snapshot.past_due - sum(_counts(payment, snapshot.as_of) for payment in payments)


def _counts(payment: Payment, as_of: datetime) -> int:
    """Return how much a payment lowers what the snapshot of `as_of` says; negative when it was taken back since."""
    if payment.valued_at is None:
        return 0
    if payment.valued_at > as_of:
        return payment.amount - _reversed(payment)
    return _reversed(payment, as_of) - _reversed(payment)


def _reversed(payment: Payment, until: datetime | None = None) -> int:
    taken = sum(each.amount for each in payment.reversals if until is None or each.reversed_at <= until)
    return min(taken, payment.amount)


def _in_currency(ledger: AccountLedger, currency: str) -> AccountLedger:
    if ledger.currency == currency:
        return ledger
    if ledger.currency:
        raise CurrencyMismatch(ledger.currency, currency)
    return structs.replace(ledger, currency=currency)


def _newest(ledger: AccountLedger, snapshot: Snapshot) -> AccountLedger:
    held = ledger.snapshot
    if held is not None and _precedence(held) >= _precedence(snapshot):
        return ledger
    payments = _unabsorbed(ledger.payments, snapshot.as_of)
    return structs.replace(ledger, snapshot=snapshot, payments=payments)


def _precedence(snapshot: Snapshot) -> tuple[datetime, int, date]:
    return snapshot.as_of, -snapshot.past_due, snapshot.oldest_due or date.max


def _merge(ledger: AccountLedger, payment_id: str, merged: Callable[[Payment], Payment]) -> AccountLedger:
    by_id = {payment.payment_id: payment for payment in ledger.payments}
    held = by_id.get(payment_id, Payment(payment_id))
    payment = merged(held)
    if payment == held:
        return ledger
    by_id[payment_id] = payment
    payments = tuple(by_id[key] for key in sorted(by_id))
    if ledger.snapshot is not None:
        payments = _unabsorbed(payments, ledger.snapshot.as_of)
    return ledger if payments == ledger.payments else structs.replace(ledger, payments=payments)


def _unabsorbed(payments: tuple[Payment, ...], as_of: datetime) -> tuple[Payment, ...]:
    """Drop each part of a payment by its own date alone, so that the order in which facts came leaves no trace."""
    horizon = as_of - ABSORBED_AFTER
    kept = (_later_part(payment, horizon) for payment in payments)
    return tuple(payment for payment in kept if payment is not None)


def _later_part(payment: Payment, horizon: datetime) -> Payment | None:
    reversals = tuple(each for each in payment.reversals if each.reversed_at > horizon)
    if payment.valued_at is None or payment.valued_at <= horizon:
        return Payment(payment.payment_id, reversals=reversals) if reversals else None
    if reversals == payment.reversals:
        return payment
    return Payment(payment.payment_id, payment.amount, payment.valued_at, reversals)
