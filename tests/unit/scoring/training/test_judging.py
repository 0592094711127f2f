"""The numbers that a card is judged by are what they are defined to be."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.training.binning import Count, total
from services.scoring.training.judging import auc, calibrate, calibration_error, ks, perfect, tenths
from services.scoring.training.logistic import probability

ACCOUNTS = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=30)


def held(accounts: list[tuple[int, bool]]) -> dict[int, Count]:
    found: dict[int, Count] = {}
    for points, defaulted in accounts:
        found[points] = found.get(points, Count()) + Count(1, int(defaulted))
    return found


def calibrated(slope: float, size: int = 10_000) -> dict[int, Count]:
    """Return accounts whose rates are just what the line says."""
    return {points: Count(size, round(size * probability(slope * points))) for points in range(-40, 41, 4)}


@given(ACCOUNTS.filter(lambda accounts: len({defaulted for _, defaulted in accounts}) == 2))
def test_auc_is_the_share_of_pairs_in_the_right_order(accounts: list[tuple[int, bool]]) -> None:
    bad = [points for points, defaulted in accounts if defaulted]
    good = [points for points, defaulted in accounts if not defaulted]
    right = sum((b > g) + (b == g) / 2 for b, g in product(bad, good))
    assert auc(held(accounts)) == pytest.approx(right / (len(bad) * len(good)))


def test_ks_is_the_largest_distance_of_the_two_shares() -> None:
    assert ks({0: Count(4, 1), 1: Count(4, 3)}) == pytest.approx(0.5)
    assert ks({0: Count(4, 0), 1: Count(4, 4)}) == 1


def test_the_line_that_made_the_rates_is_found_and_leaves_no_calibration_error() -> None:
    accounts = calibrated(0.05)
    intercept, slope = calibrate(accounts)
    assert intercept == pytest.approx(0, abs=1e-3)
    assert slope == pytest.approx(0.05, abs=1e-4)
    assert calibration_error(accounts, lambda points: probability(0.05 * points)) < 1e-4


def test_a_line_that_is_too_steep_shows_as_calibration_error_beyond_chance() -> None:
    accounts = calibrated(0.05, size=300)

    def steep(points: int) -> float:
        return probability(0.08 * points)

    assert calibration_error(accounts, steep) > perfect(accounts, steep).high


def test_what_a_perfect_model_shows_by_chance_is_the_same_every_time_and_less_of_more_accounts() -> None:
    few, many = calibrated(0.05, size=20), calibrated(0.05, size=180)

    def right(points: int) -> float:
        return probability(0.05 * points)

    noise = perfect(few, right)
    assert noise == perfect(few, right)
    assert 0 < perfect(many, right).mean < noise.mean < noise.high


@given(ACCOUNTS)
def test_tenths_hold_every_account_once_and_rise(accounts: list[tuple[int, bool]]) -> None:
    parts = tenths(held(accounts), lambda _: 0.5)
    assert total(part.count for part in parts) == total(held(accounts).values())
    spans = [bound for part in parts for bound in (part.first, part.last)]
    assert spans == sorted(spans)
