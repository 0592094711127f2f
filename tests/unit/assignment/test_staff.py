"""Who gets a case."""

from __future__ import annotations

from datetime import date

import pytest

from services.assignment.domain.staff import Roster, assign, back_at_work, reassign
from shared.errors import Problem
from shared.events.cases import CaseAssigned
from tests.unit.assignment.given import WEDNESDAY, Story, at, by_phone, colleague, leave, overdue

DAY = date(2026, 2, 27)
AWAY = leave(date(2026, 2, 26), date(2026, 2, 27))


def test_the_least_loaded_takes_it_and_ties_go_by_id() -> None:
    agents = [colleague("P3"), colleague("P1"), colleague("P2")]
    assert chosen(Roster.of(agents, {"P1": 5, "P2": 2, "P3": 2})) == "P2"


def test_who_is_inactive_away_or_no_phone_collector_takes_nothing() -> None:
    agents = [
        colleague("P1", active=False),
        colleague("P2", leave=(AWAY,)),
        colleague("P3", "field_agent"),
        colleague("P4"),
    ]
    assert chosen(Roster.of(agents, {"P4": 99})) == "P4"
    assert chosen(Roster.of(agents[:3], {})) is None


def test_who_had_the_customer_before_takes_it_again() -> None:
    roster = Roster.of([colleague("P1"), colleague("P2")], {"P2": 99})
    assert chosen(roster, earlier="P2") == "P2"
    assert chosen(roster, earlier="P9") == "P1"


def test_a_case_keeps_its_collector_through_a_leave_but_not_through_leaving() -> None:
    story = by_phone("M4", colleague("P1"))
    away = Roster.of([colleague("P1", leave=(AWAY,)), colleague("P2")], {})
    gone = Roster.of([colleague("P1", active=False), colleague("P2")], {})
    for roster, expected in ((away, "P1"), (gone, "P2")):
        turn = story.turn(at("02-27 10:00"))
        assign(turn, roster)
        assert turn.case().collector == expected


def test_one_collector_a_customer_from_phone_to_field() -> None:
    story = by_phone().until(at("03-02 09:00"))
    assert story.step == "visit"
    assert [fact.queue for fact in story.of(CaseAssigned)] == ["phone"]


def test_the_next_episode_goes_to_the_same_collector() -> None:
    story = by_phone("M4", colleague("P2"))
    story.roster = Roster.of([colleague("P1"), colleague("P2")], {"P2": 99})
    story.told(at("02-27 10:00"), overdue(amount=0, as_of=at("02-27 10:00")))
    story.told(at("03-20 10:00"), overdue(as_of=at("03-20 10:00"), due=date(2025, 11, 1))).until(at("03-25 09:00"))
    assert (story.case.number, story.case.collector) == (2, "P2")


def test_a_case_that_found_nobody_says_so_once_and_waits() -> None:
    story = by_phone("M4", colleague("P1", active=False))
    assert story.case.collector is None
    assert story.kinds.count("case_unassigned") == 1
    story.roster = Roster.of([colleague("P1")], {})
    turn = story.turn(at("02-27 10:00"))
    assert assign(turn, story.roster)
    assert turn.case().collector == "P1"


def test_loads_grow_within_one_transaction() -> None:
    roster = Roster.of([colleague("P1"), colleague("P2")], {})
    taken = []
    for _ in range(4):
        story = by_phone("M4", colleague("P9", active=False))
        turn = story.turn(at("02-27 10:00"))
        assign(turn, roster)
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


def test_back_at_work_on_the_first_day_without_leave() -> None:
    chained = colleague("P1", leave=(AWAY, leave(date(2026, 2, 28), date(2026, 2, 28))))
    assert back_at_work(chained, DAY) == date(2026, 3, 1)
    assert back_at_work(colleague("P1"), DAY) == DAY
    assert back_at_work(colleague("P1", leave=(leave(date(2026, 2, 1), date.max),)), DAY) is None


def chosen(roster: Roster, earlier: str | None = None) -> str | None:
    found = roster.choose(DAY, earlier=earlier)
    return found.staff_id if found else None
