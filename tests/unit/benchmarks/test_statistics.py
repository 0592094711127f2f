from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import median, percentile, spread

SOME = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50)


@pytest.mark.parametrize(("values", "middle"), [([3.0], 3.0), ([9.0, 1.0, 5.0], 5.0), ([4.0, 1.0, 2.0, 9.0], 3.0)])
def test_the_median_is_the_middle_whatever_the_order(values: list[float], middle: float) -> None:
    assert median(values) == middle


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


@given(SOME)
def test_no_percentile_lies_outside_the_values(values: list[float]) -> None:
    assert min(values) <= percentile(values, 0.5) <= percentile(values, 0.99) <= max(values)


def test_rounds_that_agree_have_no_spread_and_others_a_share_of_their_median() -> None:
    assert spread([7.0, 7.0, 7.0]) == 0.0
    assert spread([8.0, 10.0, 12.0]) == pytest.approx(0.4)


@pytest.mark.parametrize("figure", [median, lambda values: percentile(values, 0.5)])
def test_nothing_has_no_figure(figure: object) -> None:
    with pytest.raises(ValueError, match="no values"):
        figure([])  # type: ignore[operator]  # either function
