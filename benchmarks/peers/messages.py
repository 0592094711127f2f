"""The message of the FastStream chain."""

from __future__ import annotations

from pydantic import BaseModel


class Month(BaseModel):
    """A month of the history."""

    month: str
    status: int
    statement_balance: int
    paid: int


class Snapshot(BaseModel):
    """An overdue snapshot, its values taken as they are."""

    customer_id: str
    account_id: str
    card_last4: str
    product_code: str
    currency: str
    as_of: str
    statement_date: str
    due_date: str
    min_payment_due: int
    amount_past_due: int
    principal_past_due: int
    interest_past_due: int
    late_fee: int
    balance: int
    credit_limit: int
    periods_past_due: int
    history: list[Month]
