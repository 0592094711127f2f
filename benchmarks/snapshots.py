"""The events of a run: overdue snapshots, each of another customer with one card. Pure, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from shared.events.card import AccountOverdueReported
from shared.events.registry import BY_MODEL

SOURCE = "/bank/bench"
_TYPE = BY_MODEL[AccountOverdueReported].name
_ZONE = ZoneInfo("Asia/Shanghai")
_PRODUCTS = ("gold", "platinum", "student")


def snapshots(run: str, first: int, count: int, at: datetime) -> list[AccountOverdueReported]:
    """Return the snapshots `first` to `first + count - 1` of `run`, as of `at`."""
    return [msgspec.convert(_data(run, number, at), AccountOverdueReported) for number in range(first, first + count)]


def events(run: str, first: int, count: int, at: datetime) -> list[dict[str, Any]]:
    """Return the same as CloudEvents from the card system; ids are the run's own, so that no event is a repetition."""
    return [
        {
            "specversion": "1.0",
            "id": f"{run}-{number}",
            "source": SOURCE,
            "type": _TYPE,
            "time": at.isoformat(),
            "datacontenttype": "application/json",
            "data": _data(run, number, at),
        }
        for number in range(first, first + count)
    ]


def batches(made: list[dict[str, Any]], size: int) -> list[bytes]:
    """Return the events as bodies of CloudEvents batches."""
    encode = msgspec.json.Encoder().encode
    return [encode(made[start : start + size]) for start in range(0, len(made), size)]


def lines(made: list[dict[str, Any]], size: int) -> list[bytes]:
    """Return the events as bodies of lines, one event each."""
    encode = msgspec.json.Encoder().encode_lines
    return [encode(made[start : start + size]) for start in range(0, len(made), size)]


def _data(run: str, number: int, at: datetime) -> dict[str, Any]:
    random = Random(number)  # the same figures in every run
    days, limit = random.randint(1, 200), random.randrange(10_000_00, 90_000_00, 1_000_00)
    past_due = random.randint(100_00, limit // 2)
    today = at.astimezone(_ZONE).date()
    due = today - timedelta(days=days)
    periods = -(-days // 30)
    return {
        "customer_id": f"c-{run}-{number}",
        "account_id": f"a-{run}-{number}",
        "card_last4": f"{number % 10_000:04}",
        "product_code": random.choice(_PRODUCTS),
        "currency": "CNY",
        "as_of": at.isoformat(),
        "statement_date": (due - timedelta(days=20)).isoformat(),
        "due_date": due.isoformat(),
        "min_payment_due": past_due // 10,
        "amount_past_due": past_due,
        "principal_past_due": past_due * 88 // 100,
        "interest_past_due": past_due * 8 // 100,
        "late_fee": past_due * 4 // 100,
        "balance": past_due * 11 // 10,
        "credit_limit": limit,
        "periods_past_due": periods,
        "history": list(_history(random, periods, today.year * 12 + today.month - 1, limit // 4)),
    }


def _history(random: Random, periods: int, months: int, statement: int) -> Iterator[dict[str, Any]]:
    for ago in range(6):
        month = months - ago
        yield {
            "month": f"{month // 12:04}-{month % 12 + 1:02}",
            "status": max(periods - ago, random.randint(-1, 1)),
            "statement_balance": statement,
            "paid": random.randrange(0, statement),
        }
