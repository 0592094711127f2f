"""How old a debt is: days past due and the bucket they fall into."""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

Bucket = Literal["M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7+"]

BUCKETS: Final[tuple[Bucket, ...]] = ("M0", "M1", "M2", "M3", "M4", "M5", "M6", "M7+")
"""From not overdue (M0) to worst; a bucket's rank is its place."""

_DAYS_A_BUCKET = 30


def days_past_due(oldest_due: date, today: date) -> int:
    """Return the days since the oldest unpaid due date; 0 on that day and before it. Both are dates of the issuer."""
    return max(0, (today - oldest_due).days)


def bucket(dpd: int) -> Bucket:
    """Return the bucket of `dpd` days past due: M1 for 1 to 30, M6 for 151 to 180, M7+ above, M0 when not overdue."""
    return BUCKETS[min(max(0, -(-dpd // _DAYS_A_BUCKET)), len(BUCKETS) - 1)]


def worst_bucket(*buckets: Bucket) -> Bucket:
    """Return the worst of the buckets (a case has its worst account's), M0 for none."""
    return max(buckets, key=BUCKETS.index, default="M0")
