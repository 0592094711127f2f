"""Whatever the counts, merged bins go one way; the regression finds what made the data."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.training.binning import Count, evidence_of, merge, total
from services.scoring.training.fitting import bins_of, fit_points, marginals_of, patterns_of
from services.scoring.training.logistic import fit, probability, solve
from services.scoring.training.plan import Direction, load_plan

COUNTS = st.integers(0, 500).flatmap(lambda size: st.builds(Count, st.just(size), st.integers(0, size)))


@given(fine=st.lists(COUNTS, min_size=1, max_size=12), direction=st.sampled_from(["increasing", "decreasing"]))
def test_merged_bins_go_one_way_and_lose_no_account(fine: list[Count], direction: Direction) -> None:
    """Seen to fail with neighbours merged only for their size."""
    begins, counts = merge(fine, direction, smallest=20)
    rates = [count.rate for count in counts]
    assert rates == sorted(rates, reverse=direction == "decreasing")
    assert total(counts) == total(fine)
    assert begins[0] == 0
    assert all(earlier < later for earlier, later in pairwise(begins))


def test_a_bin_that_is_too_small_joins_the_neighbour_it_differs_least_from() -> None:
    fine = [Count(1000, 100), Count(10, 9), Count(1000, 950)]
    begins, counts = merge(fine, "increasing", smallest=20)
    assert begins == (0, 1)
    assert counts == (Count(1000, 100), Count(1010, 959))


def test_neighbours_that_nobody_can_tell_apart_are_one_bin() -> None:
    assert merge([Count(100, 50), Count(100, 51)], "increasing", smallest=1) == ((0,), (Count(200, 101),))


def test_evidence_is_above_nought_where_more_default_than_in_the_whole() -> None:
    whole = Count(200, 100)
    assert evidence_of(Count(100, 70), whole) > 0 > evidence_of(Count(100, 30), whole)


def test_the_regression_finds_the_weights_that_made_the_counts() -> None:
    intercept, weights = -0.5, (1.5, 0.8)
    patterns: dict[tuple[float, ...], Count] = {}
    for first in (-1.0, 0.0, 1.0):
        for second in (-1.0, 0.0, 1.0):
            chance = probability(intercept + weights[0] * first + weights[1] * second)
            patterns[first, second] = Count(1_000_000, round(1_000_000 * chance))
    assert fit(patterns) == pytest.approx([intercept, *weights], abs=1e-3)


def test_a_characteristic_that_contradicts_its_own_bins_once_the_others_are_known_is_left_out() -> None:
    """Seen to fail with every weight kept: alone the second one rises, beside the first one it falls."""
    rows = [(2, 4), (1, 3), (1, 4), (2, 3)]  # periods past due, worst status
    counts = dict(zip(rows, (Count(900, 700), Count(900, 200), Count(100, 10), Count(100, 90)), strict=True))
    told = [
        ((periods, None, worst, None, None, None, None, None), defaulted)
        for (periods, worst), count in counts.items()
        for defaulted in [True] * count.defaults + [False] * (count.accounts - count.defaults)
    ]
    plan = load_plan()
    assert list(plan.characteristics)[:3:2] == ["periods_past_due", "worst_status"]
    bins = bins_of(plan, marginals_of(plan, told))
    assert [each.name for each in bins] == ["periods_past_due", "worst_status"]
    scales = fit_points(plan, bins, patterns_of(plan, bins, told))
    assert [scale.bins.name for scale in scales] == ["periods_past_due"]


def test_equations_are_solved_with_a_nought_on_the_diagonal() -> None:
    assert solve([[0.0, 2.0], [3.0, 1.0]], [4.0, 5.0]) == pytest.approx([1.0, 2.0])
