"""The tables and messages of the FastStream hop, as its user writes them, and the decision of the floor hop."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel

from benchmarks.peers.messages import Snapshot


class Inbox(SQLModel, table=True):
    """An event that has been taken, so that a repeated delivery takes no effect."""

    event_id: str = Field(primary_key=True)


class AccountState(SQLModel, table=True):
    """An account's newest state."""

    __tablename__ = "account_state"

    account_id: str = Field(sa_column=Column(Text, primary_key=True))
    customer_id: str
    as_of: str
    days: int
    past_due: int = Field(sa_column=Column(BigInteger, nullable=False))
    balance: int = Field(sa_column=Column(BigInteger, nullable=False))
    bucket: int
    score: float
    treatment: str
    version: int = Field(sa_column=Column(BigInteger, nullable=False))


def decide(snapshot: Snapshot) -> tuple[int, float, str]:
    """Return bucket, score and treatment, as the floor hop decides."""
    late = sum(month.status > 0 for month in snapshot.history)
    worst = max((month.status for month in snapshot.history), default=0)
    paid = sum(month.paid for month in snapshot.history)
    use = snapshot.balance / (snapshot.credit_limit or 1)
    score = 600 - 20 * snapshot.periods_past_due - 40 * use - 12 * late - 6 * worst
    score += 8 * min(paid / (snapshot.min_payment_due * 6 + 1), 3.0)
    bucket = min(snapshot.periods_past_due, 7)
    return bucket, score, "visit" if bucket >= 4 else "call" if bucket >= 2 else "remind"


def values(snapshot: Snapshot, version: int) -> dict[str, Any]:
    """Return the columns of an account's new state, without its key."""
    bucket, score, treatment = decide(snapshot)
    return {
        "customer_id": snapshot.customer_id,
        "as_of": snapshot.as_of,
        "days": snapshot.periods_past_due * 30,
        "past_due": snapshot.amount_past_due,
        "balance": snapshot.balance,
        "bucket": bucket,
        "score": score,
        "treatment": treatment,
        "version": version,
    }
