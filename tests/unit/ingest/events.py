"""Sound events, one of each type, for tests to break."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.ingest.domain.rules import Present

NOW = datetime(2026, 2, 25, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai
PRESENT = Present(NOW, timedelta(minutes=5), ZoneInfo("Asia/Shanghai"))

_SNAPSHOT = {
    "customer_id": "c-1",
    "account_id": "a-1",
    "card_last4": "1234",
    "product_code": "gold",
    "currency": "CNY",
    "as_of": "2026-02-25T08:00:00+08:00",
    "statement_date": "2026-02-05",
    "due_date": "2026-01-25",
    "min_payment_due": 50_000,
    "amount_past_due": 120_000,
    "principal_past_due": 100_000,
    "balance": 900_000,
    "credit_limit": 2_000_000,
    "periods_past_due": 1,
    "history": [
        {"month": "2026-01", "status": 1, "statement_balance": 900_000, "paid": 0},
        {"month": "2025-12", "status": 0, "statement_balance": 800_000, "paid": 40_000},
    ],
}
_CONTACTS = {
    "customer_id": "c-1",
    "as_of": "2026-02-25T08:00:00+08:00",
    "name": "王芳",
    "language": "zh",
    "time_zone": "Asia/Shanghai",
    "phones": [{"number": "+8613800138000", "kind": "mobile"}],
    "emails": ["wang.fang@example.com"],
    "addresses": [
        {"address_id": "home", "kind": "home", "lines": ["人民路 1 号"], "district": "黄浦区", "city": "上海"}
    ],
    "at_home": [{"weekdays": [0, 1, 2, 3, 4], "since": "18:30", "until": "21:30"}],
}
_PAYMENT = {
    "customer_id": "c-1",
    "account_id": "a-1",
    "payment_id": "p-1",
    "currency": "CNY",
    "amount": 120_000,
}
DATA: dict[str, dict[str, Any]] = {
    "account.overdue_reported": _SNAPSHOT,
    "account.cured": {"customer_id": "c-1", "account_id": "a-1", "as_of": "2026-02-25T08:00:00+08:00"},
    "payment.posted": {**_PAYMENT, "valued_at": "2026-02-25T08:30:00+08:00"},
    "payment.reversed": {**_PAYMENT, "reversed_at": "2026-02-25T09:00:00+08:00"},
    "customer.stop_set": {"customer_id": "c-1", "kind": "dispute", "set_at": "2026-02-25T09:00:00+08:00"},
    "customer.stop_lifted": {"customer_id": "c-1", "kind": "dispute", "lifted_at": "2026-02-25T09:00:00+08:00"},
    "customer.contacts_changed": _CONTACTS,
    "contacts.erased": {"customer_id": "c-1", "as_of": "2026-02-25T09:00:00+08:00"},
}


def event(name: str = "account.overdue_reported", **changes: object) -> dict[str, Any]:
    """Return a sound event of the type `arrears.<name>.v1`, its attributes changed as asked."""
    return {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/bank/cards",
        "type": f"arrears.{name}.v1",
        "time": "2026-02-25T09:30:00+08:00",
        "datacontenttype": "application/json",
        "data": copy.deepcopy(DATA[name]),
        **changes,
    }


def with_data(name: str, path: str, value: object) -> dict[str, Any]:
    """Return a sound event whose data has `value` at `path`, for example `history[0].month`."""
    changed = event(name)
    *parents, last = path.replace("[", ".#").replace("]", "").split(".")
    at: Any = changed["data"]
    for part in parents:
        at = at[int(part[1:])] if part.startswith("#") else at[part]
    at[int(last[1:]) if last.startswith("#") else last] = value
    return changed
