"""What a card may look at, on histories of known content."""

from __future__ import annotations

import pytest
from msgspec import structs

from services.scoring.domain.characteristics import CHARACTERISTICS, Standing, standing_of
from tests.unit.scoring.facts import DAY, account, months, snapshot


def standing(*statuses: int, billed: int = 500_000, paid: int = 0, limit: int = 2_000_000) -> Standing:
    found = standing_of(account(snapshot(limit=limit, history=months(*statuses, billed=billed, paid=paid))), DAY)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("total_months_overdue", standing(2, 1, 0, -1, -2, 0), 3),
        ("total_months_overdue", standing(), None),
        ("months_paid_in_full", standing(2, -1, -1, 0, -2, -1), 50),
        ("months_paid_in_full", standing(), None),
        ("largest_payment_share", standing(1, 0, paid=390_000), 19),
        ("largest_payment_share", standing(1, 0, limit=0), None),
        ("utilisation", standing(1, 0, billed=1_000_000), 50),
        ("utilisation", standing(1, 0, billed=-5), 0),
        ("utilisation", standing(1, 0, limit=0), None),
    ],
)
def test_a_characteristic_is_a_whole_number_or_unknown(name: str, given: Standing, expected: int | None) -> None:
    assert CHARACTERISTICS[name](given) == expected


def test_the_largest_payment_is_that_of_one_month() -> None:
    first, second = standing(1, 0).history
    given = structs.replace(standing(1), history=(first, structs.replace(second, paid=400_000)))
    assert CHARACTERISTICS["largest_payment_share"](given) == 20
