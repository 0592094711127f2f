"""A case comes into a collector's hands, stays there, and leaves them only for a reason."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.assignment.domain.staff import assign, reassign
from shared.errors import Problem
from shared.events.cases import CaseAssigned
from tests.unit.assignment.given import WEDNESDAY, Story, at, by_phone, colleague, leave, overdue, roster

AWAY = leave(date(2026, 2, 26), date(2026, 2, 27))


@pytest.mark.parametrize(
    ("changes", "keeps", "why"),
    [
        ({"leave": (AWAY,)}, "P1", None),
        ({"leave": (leave(date(2026, 2, 27), date(2026, 3, 5)),)}, "P1", None),
        ({"leave": (leave(date(2026, 2, 27), date(2026, 3, 6)),)}, "P2", "collector_on_long_leave"),
        ({"leave": (AWAY, leave(date(2026, 2, 28), date(2026, 3, 20)))}, "P2", "collector_on_long_leave"),
        ({"leave": (leave(date(2026, 2, 28), date(2026, 3, 20)),)}, "P1", None),
        ({"active": False}, "P2", "collector_left"),
        ({"role": "field_agent"}, "P2", "collector_left"),
        ({"capacity": 0}, "P1", None),
    ],
)
def test_a_case_keeps_its_collector_but_through_leaving_or_a_long_leave(
    changes: dict[str, Any], keeps: str, why: str | None
) -> None:
    """Seven days are short, eight are long; leaves that follow each other are one.

    Seen to fail: with `why_not_kept` without the leave, P1 keeps the cases for weeks of absence.
    """
    story = by_phone("M4", colleague("P1"))
    turn = story.turn(at("02-27 10:00"))
    assert assign(turn, roster(colleague("P1", **{"role": "phone_agent", **changes}), colleague("P2")))
    assert turn.case().collector == keeps
    told = [fact for fact in turn.facts if isinstance(fact, CaseAssigned)]
    assert [(fact.earlier_staff_id, fact.reasons[0].code) for fact in told] == ([("P1", why)] if why else [])


def test_a_hand_over_is_told_with_from_whom_to_whom_and_why() -> None:
    turn = by_phone("M4", colleague("P1")).turn(at("02-27 10:00"))
    assign(turn, roster(colleague("P2", team="south")))
    (entry,) = turn.entries
    assert entry.zh.startswith("由 P1 转给 P2：原催收员已离岗；")
    assert entry.data["earlier_staff_id"] == "P1"
    assert (entry.data["earlier_team"], entry.data["team"]) == ("north", "south")
    assert entry.data["strategy"] == "default@2026-02"
    assert entry.data["reasons"] == "collector_left,language,earlier_away,load"


def test_nobody_else_at_work_leaves_a_case_where_it_is() -> None:
    turn = by_phone("M4", colleague("P1")).turn(at("02-27 10:00"))
    assert not assign(turn, roster(colleague("P1", leave=(leave(date(2026, 2, 1), date.max),))))
    assert (turn.case().collector, turn.facts) == ("P1", [])


def test_one_collector_a_customer_from_phone_to_field() -> None:
    story = by_phone().until(at("03-02 09:00"))
    assert story.step == "visit"
    assert [fact.queue for fact in story.of(CaseAssigned)] == ["phone"]


def test_the_next_episode_goes_to_the_same_collector() -> None:
    story = by_phone("M4", colleague("P2"))
    story.roster = roster(colleague("P1"), colleague("P2"), P2=99)
    story.told(at("02-27 10:00"), overdue(amount=0, as_of=at("02-27 10:00")))
    story.told(at("03-20 10:00"), overdue(as_of=at("03-20 10:00"), due=date(2025, 11, 1))).until(at("03-25 09:00"))
    assert (story.case.number, story.case.collector) == (2, "P2")
    assert "same_collector" in {reason.code for reason in story.of(CaseAssigned)[-1].reasons}


def test_a_case_that_found_nobody_says_so_once_and_waits() -> None:
    story = by_phone("M4", colleague("P1", active=False))
    assert story.case.collector is None
    assert story.kinds.count("case_unassigned") == 1
    turn = story.turn(at("02-27 10:00"))
    assert assign(turn, roster(colleague("P1")))
    assert turn.case().collector == "P1"


def test_loads_grow_within_one_transaction() -> None:
    people = roster(colleague("P1"), colleague("P2"))
    taken = []
    for _ in range(4):
        turn = by_phone("M4", colleague("P9", active=False)).turn(at("02-27 10:00"))
        assign(turn, people)
        taken.append(turn.case().collector)
    assert taken == ["P1", "P2", "P1", "P2"]


def test_a_supervisor_gives_a_case_to_whom_can_take_it() -> None:
    turn = by_phone().turn(at("02-27 10:00"))
    reassign(turn, colleague("P7", team="south"), by="S1", words="语言需要")
    assert (turn.case().collector, turn.case().team) == ("P7", "south")
    with pytest.raises(Problem) as caught:
        reassign(turn, colleague("P7", leave=(AWAY,)), by="S1", words="x")
    assert caught.value.code == "phone_agent_unfit"
    with pytest.raises(Problem) as caught:
        reassign(Story().told(WEDNESDAY, overdue()).turn(WEDNESDAY), colleague("P7"), by="S1", words="x")
    assert caught.value.code == "not_workable"
