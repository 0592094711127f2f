"""Stops are a function of the facts, whatever their order and repetition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.rules.model import StopKind
from shared.rules.stops import Stops, active, active_at, stop_of_outcome, with_lift, with_stop

MORNING = datetime(2026, 2, 25, 1, 0, tzinfo=UTC)
Step = tuple[bool, StopKind, int]
KINDS: tuple[StopKind, ...] = ("dispute", "hardship", "deceased")


def folded(steps: list[Step]) -> Stops:
    stops = Stops()
    for is_set, kind, minute in steps:
        stops = (with_stop if is_set else with_lift)(stops, kind, MORNING + timedelta(minutes=minute))
    return stops


STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from(KINDS), st.integers(0, 4)), max_size=8)


@given(STEPS, st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_stops(steps: list[Step], random: Random) -> None:
    shuffled = [*steps, *steps[::2]]
    random.shuffle(shuffled)
    assert folded(shuffled) == folded(steps)


def test_a_stop_holds_until_lifted_and_again_when_set_anew() -> None:
    stops = with_stop(Stops(), "dispute", MORNING)
    assert active(stops) == {"dispute"}
    stops = with_lift(stops, "dispute", MORNING + timedelta(hours=1))
    assert active(stops) == frozenset()
    assert active(with_stop(stops, "dispute", MORNING + timedelta(hours=2))) == {"dispute"}


def test_a_stop_set_and_lifted_at_one_instant_holds() -> None:
    assert active(with_lift(with_stop(Stops(), "hardship", MORNING), "hardship", MORNING)) == {"hardship"}


def test_what_held_at_an_instant_is_known_by_the_latest_setting_and_lifting() -> None:
    lifted = MORNING + timedelta(hours=2)
    stops = with_lift(with_stop(Stops(), "dispute", MORNING), "dispute", lifted)
    held = [bool(active_at(stops, MORNING + timedelta(minutes=minute))) for minute in (-1, 0, 119, 120)]
    assert held == [False, True, True, False]


def test_lifting_what_was_never_set_stops_nothing() -> None:
    assert active(with_lift(Stops(), "deceased", MORNING)) == frozenset()


def test_outcomes_that_name_a_dispute_complaint_hardship_or_protection_stop_and_others_do_not() -> None:
    assert [stop_of_outcome(code) for code in ("DISP", "COMP", "HARD", "PROT", "PTP", "NONE")] == [
        "dispute",
        "complaint",
        "hardship",
        "cease_contact",
        None,
        None,
    ]


def test_stops_survive_storage() -> None:
    stops = with_lift(with_stop(Stops(), "dispute", MORNING), "complaint", MORNING)
    assert msgspec.json.decode(msgspec.json.encode(stops), type=Stops) == stops
