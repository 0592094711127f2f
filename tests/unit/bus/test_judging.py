from __future__ import annotations

import pytest

from shared.bus.headers import Numbers
from shared.bus.positions import Position, Stopped, judge, passed, taken

NEW = Position()
MIDDLE = Position(epoch=5, sequence=10, offset=100, last_id="id-10", seen={3: 4})
ADOPTING = Position(epoch=5, sequence=10, offset=100, last_id=None, seen={3: 4}, adopt=True)


@pytest.mark.parametrize(
    ("position", "numbers", "fact_id", "verdict"),
    [
        # the next one
        (MIDDLE, Numbers(5, 11, None), "id-11", "take"),
        # at or below: a duplicate, whoever repeats it
        (MIDDLE, Numbers(5, 10, None), "id-10", "duplicate"),
        (MIDDLE, Numbers(5, 1, (3, 4)), "id-1", "duplicate"),
        (Position(5, 10, 100, None), Numbers(5, 10, None), "id-10", "duplicate"),
        # a lower epoch is history
        (MIDDLE, Numbers(4, 11, None), "id-11", "stale"),
        (MIDDLE, Numbers(1, 1, (0, 0)), "id-1", "stale"),
        # the first record of a stream, and of a new epoch that follows exactly what was read
        (NEW, Numbers(5, 1, (0, 0)), "id-1", "take"),
        (MIDDLE, Numbers(6, 11, (5, 10)), "id-11", "take"),
        # its base is below what was read: taken, and noted as a fork
        (MIDDLE, Numbers(6, 10, (5, 9)), "id-10", "fork"),
        (MIDDLE, Numbers(6, 5, (3, 4)), "id-5", "fork"),
        # accepted by a person: the place before the first of a new epoch
        (Position(6, 0, 100, None, {5: 10}), Numbers(6, 1, (0, 0)), "id-1", "take"),
        (Position(6, 0, 100, None, {5: 10}), Numbers(7, 1, (0, 0)), "id-1", "take"),
        (Position(6, 0, 100, None, {5: 10}), Numbers(5, 11, None), "id-11", "stale"),
        # subscribed from the log's end on: the first above the position is taken as given, never one at or below it
        (ADOPTING, Numbers(5, 12, None), "id-12", "adopt"),
        (ADOPTING, Numbers(6, 12, None), "id-12", "adopt"),
        (ADOPTING, Numbers(6, 1, (0, 0)), "id-1", "adopt"),
        (ADOPTING, Numbers(5, 11, None), "id-11", "take"),
        (ADOPTING, Numbers(5, 10, None), "id-10", "duplicate"),
        (ADOPTING, Numbers(4, 11, None), "id-11", "stale"),
        (Position(adopt=True), Numbers(5, 7, None), "id-7", "adopt"),
    ],
)
def test_each_row_of_the_table_that_goes_on(position: Position, numbers: Numbers, fact_id: str, verdict: str) -> None:
    assert judge(position, numbers, fact_id) == verdict


@pytest.mark.parametrize(
    ("position", "numbers", "fact_id", "reason", "following"),
    [
        (MIDDLE, Numbers(5, 12, None), "id-12", "gap: expected 5:11, got 5:12", (5, 12)),
        (MIDDLE, Numbers(5, 10, None), "another", "fork: number 5:10 was given twice", (5, 11)),
        # a higher epoch whose first record is not there
        (MIDDLE, Numbers(6, 12, None), "id-12", "gap: 6:12 of a new epoch", (6, 12)),
        (NEW, Numbers(5, 2, None), "id-2", "gap: 5:2 of a new epoch", (5, 2)),
        # its base is above what was read, or in an epoch that was never read
        (MIDDLE, Numbers(6, 12, (5, 11)), "id-12", "gap: 6:12 follows 5:11, read up to 5:10", (6, 12)),
        (MIDDLE, Numbers(9, 1, (8, 1)), "id-1", "gap: 9:1 follows 8:1", (9, 1)),
        (MIDDLE, Numbers(9, 6, (3, 5)), "id-6", "gap: 9:6 follows 3:5", (9, 6)),
        (NEW, Numbers(6, 11, (5, 10)), "id-11", "gap: 6:11 follows 5:10, read up to 0:0", (6, 11)),
        # a stream begun anew: its writer knows of nothing that was taken
        (MIDDLE, Numbers(6, 1, (0, 0)), "id-1", "anew: 6:1 begins the stream again from nothing, but 5:10", (6, 1)),
    ],
)
def test_each_row_of_the_table_that_stops_says_what_was_expected(
    position: Position, numbers: Numbers, fact_id: str, reason: str, following: tuple[int, int]
) -> None:
    verdict = judge(position, numbers, fact_id)
    assert isinstance(verdict, Stopped)
    assert verdict.reason.startswith(reason)
    assert verdict.following == following


def test_what_the_cleaner_may_have_removed_is_no_loss_while_catching_up_and_all_else_is_as_ever() -> None:
    for numbers in (Numbers(5, 12, None), Numbers(6, 12, None), Numbers(6, 12, (5, 11)), Numbers(9, 1, (8, 1))):
        assert judge(MIDDLE, numbers, "id", leaps=True) == "leap"
    assert judge(MIDDLE, Numbers(5, 11, None), "id-11", leaps=True) == "take"
    assert judge(MIDDLE, Numbers(5, 9, None), "id-9", leaps=True) == "duplicate"
    assert judge(MIDDLE, Numbers(4, 11, None), "id-11", leaps=True) == "stale"
    assert judge(MIDDLE, Numbers(6, 10, (5, 9)), "id-10", leaps=True) == "fork"
    for numbers, name in ((Numbers(5, 10, None), "another"), (Numbers(6, 1, (0, 0)), "id-1")):
        assert isinstance(judge(MIDDLE, numbers, name, leaps=True), Stopped)


def test_a_stream_begun_anew_is_taken_as_a_fork_where_the_setting_says_so() -> None:
    assert judge(MIDDLE, Numbers(6, 1, (0, 0)), "id-1", anew=True) == "fork"
    assert judge(NEW, Numbers(6, 1, (0, 0)), "id-1", anew=True) == "take"


def test_taking_moves_number_and_offset_and_remembers_where_the_old_epoch_ended() -> None:
    assert taken(MIDDLE, Numbers(5, 11, None), "id-11", 100) == Position(5, 11, 101, "id-11", {3: 4})
    assert taken(MIDDLE, Numbers(6, 11, (5, 10)), "id-11", 100) == Position(6, 11, 101, "id-11", {3: 4, 5: 10})
    assert taken(ADOPTING, Numbers(6, 12, None), "id-12", 100) == Position(6, 12, 101, "id-12", {3: 4, 5: 10})
    assert taken(NEW, Numbers(5, 1, (0, 0)), "id-1", 0) == Position(5, 1, 1, "id-1", {})


def test_passing_moves_the_offset_only_and_back_as_well_as_on() -> None:
    assert passed(MIDDLE, 100) == Position(5, 10, 101, "id-10", {3: 4})
    assert passed(ADOPTING, 100).adopt
    assert passed(MIDDLE, 0) == Position(5, 10, 1, "id-10", {3: 4})
