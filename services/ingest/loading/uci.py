"""The public UCI file (default of credit card clients, Yeh and Lien 2009, CC BY 4.0) as a portfolio.

It has no due date, currency, customer or contact data. So: customer and account are the row's number; the currency is
TWD; the oldest due date lies as many months before `as_of` as the newest status says. What is past due is a minimum
payment of a tenth of the newest positive statement, at least 1,000 TWD and at most that statement; nothing where there
was none. Rows that are not overdue (`PAY_0` below 1) tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.ingest.loading import cells
from services.ingest.loading.cells import CellError
from services.ingest.loading.mapping import Fault, Told, event_of
from services.ingest.loading.rows import Row

SOURCE: Final = "/uci/default-of-credit-card-clients"
TYPE: Final = "arrears.account.overdue_reported.v1"

_STATUS: Final = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")  # there is no PAY_1
_MINOR: Final = 100
_SHARE: Final = 10
_FLOOR: Final = 1_000 * _MINOR
_ZONE: Final = ZoneInfo("Asia/Taipei")


def tell(row: Row, as_of: date) -> Told:
    """Return the snapshot that a row tells at the midnight with which `as_of` begins, or what is wrong with it."""
    numbers: dict[str, int] = {}
    faults = []
    for name in ("ID", "LIMIT_BAL", *_STATUS, *(f"{what}{n}" for what in ("BILL_AMT", "PAY_AMT") for n in range(1, 7))):
        try:
            numbers[name] = cells.whole(row.cells.get(name, ""))
        except CellError as error:
            faults.append(Fault(name, error.zh, error.en))
    if faults:
        return Told(row, faults=tuple(faults))
    if numbers["PAY_0"] < 1:
        return Told(row)
    return Told(row, event_of(SOURCE, TYPE, _snapshot(numbers, as_of), ("account_id", "as_of"), "as_of"))


def _snapshot(row: Mapping[str, int], as_of: date) -> dict[str, Any]:
    statements = [row[f"BILL_AMT{n}"] * _MINOR for n in range(1, 7)]
    due = minimum_payment(next((amount for amount in statements if amount > 0), 0))
    identity = f"uci-{row['ID']:05d}"
    return {
        "customer_id": identity,
        "account_id": identity,
        "card_last4": f"{row['ID'] % 10_000:04d}",
        "product_code": "uci",
        "currency": "TWD",
        "as_of": datetime.combine(as_of, time(), _ZONE).isoformat(),
        "statement_date": f"{as_of - timedelta(days=1):%Y-%m-%d}",
        "due_date": f"{months_before(as_of, row['PAY_0']):%Y-%m-%d}",
        "min_payment_due": due,
        "amount_past_due": due,
        "principal_past_due": due,
        "balance": statements[0],
        "credit_limit": row["LIMIT_BAL"] * _MINOR,
        "periods_past_due": row["PAY_0"],
        "history": [
            {
                "month": f"{months_before(as_of, back):%Y-%m}",
                "status": row[status],
                "statement_balance": statements[back - 1],
                "paid": row[f"PAY_AMT{back}"] * _MINOR,
            }
            for back, status in enumerate(_STATUS, 1)
        ],
    }


def minimum_payment(statement: int) -> int:
    """Return the minimum payment on a statement, in minor units: a tenth, at least the floor, at most all of it."""
    return min(max(statement // _SHARE, _FLOOR), max(statement, 0))


def months_before(day: date, months: int) -> date:
    """Return the same day so many months earlier, or the last day of a month that is shorter."""
    index = day.year * 12 + day.month - 1 - months
    first = date(index // 12, index % 12 + 1, 1)
    following = date((index + 1) // 12, (index + 1) % 12 + 1, 1)
    return min(first.replace(day=1) + timedelta(days=day.day - 1), following - timedelta(days=1))
