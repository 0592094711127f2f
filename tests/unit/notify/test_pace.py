"""A gateway is never handed more than its owner states, and less when it says that it is too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.channels.pace import BURST_SECONDS, STAND_STILL_SECONDS, Pace

RATES = st.sampled_from([0.5, 1.0, 7.0, 50.0, 500.0])


@given(RATES, st.lists(st.tuples(st.floats(0, 2), st.integers(1, 5)), min_size=1, max_size=40))
def test_in_any_stretch_of_time_no_more_leaves_than_the_rate_allows(
    rate: float, asked: list[tuple[float, int]]
) -> None:
    """Seen to fail with a reservation that takes one token for all parts."""
    pace, now, used = Pace(rate), 100.0, list[float]()
    for pause, tokens in asked:
        now += pause
        used += pace.reserve(tokens, now, None) or []
    assert used == sorted(used)
    burst = max(BURST_SECONDS * rate, 1.0)
    for first, began in enumerate(used):
        for last in range(first, len(used)):
            assert last - first + 1 <= (used[last] - began) * rate + burst + 1e-6


@given(RATES, st.integers(1, 5), st.integers(1, 60))
def test_what_cannot_leave_whole_before_its_deadline_takes_nothing(rate: float, tokens: int, before: int) -> None:
    pace = Pace(rate)
    for _ in range(before):
        pace.reserve(1, 100.0, None)
    instants = pace.reserve(tokens, 100.0, 101.0)
    if instants is None:
        following = pace.reserve(1, 100.0, None)
        assert following is not None
        assert following[0] == pytest.approx(max(100.0, 100.0 + before / rate - max(BURST_SECONDS - 1 / rate, 0)))
    else:
        assert max(instants) <= 101.0


def test_what_waited_for_its_turn_does_not_wait_at_rest() -> None:
    pace = Pace(1.0)
    assert pace.reserve(2, 100.0, None) == [100.0, 101.0]
    assert pace.reserve(1, 200.0, None) == [200.0]


def test_a_gateway_that_says_too_fast_is_left_alone_and_then_served_at_half_the_rate() -> None:
    """Seen to fail with the answer ignored."""
    pace = Pace(100.0)
    for _ in range(8):
        pace.too_fast(100.0)
    assert pace.rate == 50.0
    instants = pace.reserve(20, 100.0, None)
    assert instants is not None
    assert instants[0] >= 100.0 + STAND_STILL_SECONDS
    assert instants[-1] - instants[0] > 0.2
    pace.too_fast(100.0 + STAND_STILL_SECONDS)
    assert pace.rate == 25.0


def test_the_rate_comes_back_with_what_is_taken_and_never_exceeds_the_stated_one() -> None:
    pace = Pace(100.0)
    for second in range(20):
        pace.too_fast(100.0 + second * 2)
    assert pace.rate == pytest.approx(100 / 64)
    for _ in range(200):
        pace.taken()
    assert pace.rate == 100.0


@given(st.sampled_from([1.0, 10.0, 12.0, 500.0]), st.integers(1, 50), st.sampled_from([1.5, 5.0, 60.0]))
def test_after_a_rest_a_message_of_several_parts_fits_again_however_often_it_was_too_fast(
    stated: float, times: int, every: float
) -> None:
    """Nothing is taken meanwhile. Seen to fail with a rate that only comes back with what is taken."""
    pace, now = Pace(stated), 100.0
    for _ in range(times):
        pace.too_fast(now)
        now += every
    slow = pace.rate
    now += 60.0
    assert pace.reserve(4, now, now + 9.8) is not None
    assert pace.rate > slow or slow == stated


def test_what_waits_in_vain_at_the_slowest_rate_leaves_in_the_end() -> None:
    """Asked for every five seconds, as the notices that are put back are. Seen to fail as the one above."""
    pace = Pace(10.0)
    for second in range(12):
        pace.too_fast(100.0 + 2 * second)
    asked = [122.0 + 5 * number for number in range(5)]
    found = [pace.reserve(4, now, now + 9.8) is not None for now in asked]
    assert found[0] is False
    assert found[-1] is True
