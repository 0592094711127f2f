from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.ingest.domain.intake import Sound, judge
from services.ingest.domain.rules import Present
from services.ingest.loading.rows import Row
from services.ingest.loading.uci import minimum_payment, months_before, tell

AS_OF = date(2026, 3, 31)
PRESENT = Present(datetime(2026, 4, 1, tzinfo=UTC), timedelta(minutes=5), ZoneInfo("Asia/Shanghai"))
FIRST = {
    "ID": "1", "LIMIT_BAL": "20000", "SEX": "2", "EDUCATION": "2", "MARRIAGE": "1", "AGE": "24", "PAY_0": "2",
    "PAY_2": "2", "PAY_3": "-1", "PAY_4": "-1", "PAY_5": "-2", "PAY_6": "-2", "BILL_AMT1": "3913", "BILL_AMT2": "3102",
    "BILL_AMT3": "689", "BILL_AMT4": "0", "BILL_AMT5": "0", "BILL_AMT6": "0", "PAY_AMT1": "0", "PAY_AMT2": "689",
    "PAY_AMT3": "0", "PAY_AMT4": "0", "PAY_AMT5": "0", "PAY_AMT6": "0", "default_payment_next_month": "1",
}  # fmt: skip


def test_a_row_is_a_snapshot_that_intake_takes() -> None:
    told = tell(Row(2, FIRST), AS_OF)
    assert told.event is not None
    assert isinstance(judge(told.event, PRESENT), Sound)
    data = told.event["data"]
    assert data["due_date"] == "2026-01-31"
    assert (data["amount_past_due"], data["balance"], data["credit_limit"]) == (100_000, 391_300, 2_000_000)
    assert data["history"][0] == {"month": "2026-02", "status": 2, "statement_balance": 391_300, "paid": 0}
    assert [month["month"] for month in data["history"]][-1] == "2025-09"


def test_sex_education_marriage_and_age_are_told_to_nobody() -> None:
    told = tell(Row(2, FIRST), AS_OF)
    other = tell(Row(2, {**FIRST, "SEX": "1", "EDUCATION": "3", "MARRIAGE": "2", "AGE": "70"}), AS_OF)
    assert told.event == other.event


@pytest.mark.parametrize("status", ["-2", "-1", "0"])
def test_an_account_that_is_not_overdue_tells_nothing(status: str) -> None:
    told = tell(Row(2, {**FIRST, "PAY_0": status}), AS_OF)
    assert told.event is None
    assert not told.faults


def test_nothing_is_past_due_where_no_statement_was_positive() -> None:
    told = tell(Row(2, {**FIRST, **{f"BILL_AMT{n}": "-5" for n in range(1, 7)}}), AS_OF)
    assert told.event is not None
    assert told.event["data"]["amount_past_due"] == 0


@pytest.mark.parametrize(
    ("statement", "minimum"),
    [(0, 0), (-500, 0), (30_000, 30_000), (100_000, 100_000), (500_000, 100_000), (2_000_000, 200_000)],
)
def test_the_minimum_payment_is_a_tenth_with_a_floor_and_never_more_than_is_owed(statement: int, minimum: int) -> None:
    assert minimum_payment(statement) == minimum


@pytest.mark.parametrize(
    ("day", "months", "earlier"),
    [
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2026, 3, 31), 2, date(2026, 1, 31)),
        (date(2026, 1, 15), 1, date(2025, 12, 15)),
        (date(2024, 3, 30), 1, date(2024, 2, 29)),
        (date(2026, 12, 31), 12, date(2025, 12, 31)),
        (date(2026, 2, 28), 8, date(2025, 6, 28)),
    ],
)
def test_so_many_months_before_is_the_same_day_or_the_last_of_a_shorter_month(
    day: date, months: int, earlier: date
) -> None:
    assert months_before(day, months) == earlier


def test_a_cell_that_is_no_number_is_said_by_its_column() -> None:
    told = tell(Row(7, {**FIRST, "PAY_0": "late", "BILL_AMT3": ""}), AS_OF)
    assert [fault.column for fault in told.faults] == ["PAY_0", "BILL_AMT3"]
