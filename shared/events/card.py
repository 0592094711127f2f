"""Facts of the topic `card`: what the bank's card systems know. Written by ingest alone."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

from shared.events.kinds import (
    Code,
    Currency,
    Fact,
    Instant,
    Key,
    LastFour,
    Minor,
    Month,
    Periods,
    PositiveMinor,
    SignedMinor,
    StopKind,
)


class MonthlyStatus(Struct, frozen=True, kw_only=True):
    """One month of an account's history.

    `status`: -2 no use, -1 paid in full, 0 revolving, n = n months overdue.
    """

    month: Month
    status: Annotated[int, Meta(ge=-2, le=99)]
    statement_balance: SignedMinor
    paid: Minor


class AccountOverdueReported(Fact, frozen=True, kw_only=True):
    """A snapshot of an overdue account at `as_of`; an older snapshot than the one held changes nothing.

    `due_date` is the oldest unpaid due date, from which days past due are counted. `amount_past_due` is what must be
    paid to be in order again; `balance` is the whole debt (negative: in the customer's favour). Late fee and interest
    are the issuer's own figures, shown and never computed here. A full card number is never accepted.
    """

    customer_id: Key
    account_id: Key
    card_last4: LastFour
    product_code: Code
    currency: Currency
    as_of: Instant
    statement_date: date
    due_date: date
    min_payment_due: Minor
    amount_past_due: Minor
    principal_past_due: Minor
    interest_past_due: Minor = 0
    late_fee: Minor = 0
    balance: SignedMinor
    credit_limit: Minor
    periods_past_due: Periods
    history: Annotated[tuple[MonthlyStatus, ...], Meta(max_length=6)] = ()


class AccountCured(Fact, frozen=True, kw_only=True):
    """The card system holds the account to be in order again at `as_of`."""

    customer_id: Key
    account_id: Key
    as_of: Instant


class PaymentPosted(Fact, frozen=True, kw_only=True):
    """A payment to an account, counted from `valued_at`."""

    customer_id: Key
    account_id: Key
    payment_id: Key
    currency: Currency
    amount: PositiveMinor
    valued_at: Instant


class PaymentReversed(Fact, frozen=True, kw_only=True):
    """A posted payment was taken back (bounced, charged back); it may arrive before the payment itself."""

    customer_id: Key
    account_id: Key
    payment_id: Key
    currency: Currency
    amount: PositiveMinor
    reversed_at: Instant


class StopSet(Fact, frozen=True, kw_only=True):
    """From now on the customer may not be pressed, for the reason that `kind` names."""

    customer_id: Key
    kind: StopKind
    set_at: Instant


class StopLifted(Fact, frozen=True, kw_only=True):
    """The stop of this kind no longer holds."""

    customer_id: Key
    kind: StopKind
    lifted_at: Instant
