"""What the facts say of a customer's overdue accounts. Any order and any repetition of them give the same state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import Struct, structs

from shared.events.card import AccountCured, AccountOverdueReported, MonthlyStatus, PaymentPosted, PaymentReversed
from shared.events.kinds import Bucket, Fact, Grade
from shared.events.risk import Treatment
from shared.money import Money
from shared.rules.paid import AccountLedger, with_cured, with_payment, with_reversal, with_snapshot


class Reported(Struct, frozen=True, array_like=True):
    """What the newest overdue snapshot said beside the debt itself; a cure leaves it as it is.

    Amounts are minor units of the account's currency; `history` is newest month first.
    """

    as_of: datetime
    past_due: int
    due_date: date
    credit_limit: int
    periods_past_due: int
    history: tuple[MonthlyStatus, ...]


class LastGrading(Struct, frozen=True, array_like=True):
    """The grading that was published last: enough to see whether the next one says anything new.

    `reasons` = (characteristic, place of the bin) in their order. `card`: empty where it was not kept yet.
    """

    version: int
    score: int
    grade: Grade
    bucket: Bucket
    treatment: Treatment
    reasons: tuple[tuple[str, int], ...]
    card_version: str
    card: str = ""


class Account(Struct, frozen=True):
    """One account: its debt, what was reported with it, and how it was graded last."""

    ledger: AccountLedger
    reported: Reported | None = None
    last: LastGrading | None = None


class Customer(Struct, frozen=True, omit_defaults=True):
    """A customer's accounts by id."""

    accounts: dict[str, Account] = {}

    def account(self, account_id: str) -> Account:
        """Return the account, an empty one if nothing is known of it yet."""
        return self.accounts.get(account_id) or Account(AccountLedger(account_id))

    def with_account(self, account: Account) -> Customer:
        """Return the customer with this account put in its place."""
        return Customer({**self.accounts, account.ledger.account_id: account})


def with_overdue(account: Account, fact: AccountOverdueReported) -> Account:
    """Merge an overdue snapshot; one older than the one held changes nothing. Raises `CurrencyMismatch`."""
    past_due = Money(fact.amount_past_due, fact.currency)
    ledger = with_snapshot(account.ledger, past_due, fact.as_of, fact.due_date)
    told = Reported(
        as_of=fact.as_of,
        past_due=fact.amount_past_due,
        due_date=fact.due_date,
        credit_limit=fact.credit_limit,
        periods_past_due=fact.periods_past_due,
        history=tuple(sorted(fact.history, key=lambda month: month.month, reverse=True)),
    )
    held = account.reported
    reported = told if held is None or _precedence(told) > _precedence(held) else held
    return _changed(account, ledger, reported)


def with_cure(account: Account, fact: AccountCured) -> Account:
    """Merge the card system's word that nothing was past due."""
    return _changed(account, with_cured(account.ledger, fact.as_of), account.reported)


def with_posted(account: Account, fact: PaymentPosted) -> Account:
    """Merge a payment. Raises `CurrencyMismatch`."""
    amount = Money(fact.amount, fact.currency)
    return _changed(account, with_payment(account.ledger, fact.payment_id, amount, fact.valued_at), account.reported)


def with_reversed(account: Account, fact: PaymentReversed) -> Account:
    """Merge a payment's reversal. Raises `CurrencyMismatch`."""
    amount = Money(fact.amount, fact.currency)
    return _changed(account, with_reversal(account.ledger, fact.payment_id, amount, fact.reversed_at), account.reported)


Fold = Callable[[Account, Any], Account]

FOLDS: Mapping[type[Fact], Fold] = {
    AccountOverdueReported: with_overdue,
    AccountCured: with_cure,
    PaymentPosted: with_posted,
    PaymentReversed: with_reversed,
}
"""Every fact that changes what is known of an account; the very same object comes back when one changes nothing."""


def _changed(account: Account, ledger: AccountLedger, reported: Reported | None) -> Account:
    """Return `account` itself when nothing changed, so that callers see it by identity."""
    if ledger is account.ledger and reported is account.reported:
        return account
    return structs.replace(account, ledger=ledger, reported=reported)


def _precedence(reported: Reported) -> tuple[datetime, int, date, bytes]:
    """Order snapshots as the ledger does, and those that differ in nothing it knows by their whole content."""
    return reported.as_of, -reported.past_due, reported.due_date, msgspec.json.encode(reported)
