from __future__ import annotations

from datetime import date

import pytest

from shared.rules.aging import BUCKETS, Bucket, bucket, days_past_due, worst_bucket


@pytest.mark.parametrize(
    ("today", "dpd"),
    [(date(2026, 2, 24), 0), (date(2026, 2, 25), 0), (date(2026, 2, 26), 1), (date(2026, 3, 27), 30)],
)
def test_days_past_due_count_from_the_day_after_the_due_date(today: date, dpd: int) -> None:
    assert days_past_due(date(2026, 2, 25), today) == dpd


@pytest.mark.parametrize(
    ("dpd", "expected"),
    [
        (0, "M0"),
        (1, "M1"),
        (30, "M1"),
        (31, "M2"),
        (60, "M2"),
        (61, "M3"),
        (90, "M3"),
        (91, "M4"),
        (120, "M4"),
        (121, "M5"),
        (150, "M5"),
        (151, "M6"),
        (180, "M6"),
        (181, "M7+"),
        (4000, "M7+"),
    ],
)
def test_a_bucket_is_thirty_days(dpd: int, expected: Bucket) -> None:
    assert bucket(dpd) == expected


def test_a_case_is_as_bad_as_its_worst_account() -> None:
    assert worst_bucket("M2", "M7+", "M1") == "M7+"
    assert worst_bucket() == "M0"
    assert list(BUCKETS) == sorted(BUCKETS)
