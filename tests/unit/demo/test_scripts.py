"""The people's own rules: the clock, the agenda, the daily list, the visit plan, the kills."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deploy.demo.agenda import Agenda
from deploy.demo.clocking import Rest, at_rest, earliest_due, pause_after
from deploy.demo.killing import FIRST_BEAT, LAST_BEAT, Killer, moments
from deploy.demo.phone_desk import needs_a_visit, visited, why_a_visit
from deploy.demo.planning import LENGTH, fit, in_order
from deploy.demo.telling import is_news

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 2, 26, 18, tzinfo=ZONE)
DAYS = [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 2)]
SERVICES = ("ingest", "scoring", "assignment", "fieldvisit", "notify")


def rest(service: str, *, idle: bool = True, mark: int = 1, due: datetime | None = None) -> Rest:
    return Rest(service, idle, (), due, mark)


def test_rest_is_two_quiet_rounds_in_a_row_with_nothing_done_in_between() -> None:
    quiet = [rest("ingest"), rest("notify")]
    assert at_rest(quiet, quiet)
    assert not at_rest(None, quiet), "one round may have looked between two acts"
    assert not at_rest([rest("ingest"), rest("notify", mark=0)], quiet)
    assert not at_rest([rest("ingest", idle=False), rest("notify")], quiet)
    assert not at_rest(quiet, [rest("ingest"), rest("notify", idle=False)])


def test_whoever_waits_long_asks_less_often() -> None:
    assert pause_after(0) == pause_after(0.3) == 0.03
    assert pause_after(0.3) < pause_after(1) < pause_after(5) == pause_after(500) == 0.5


def test_the_next_instant_is_the_first_timer_of_any_service() -> None:
    later = NOW + timedelta(hours=1)
    assert earliest_due([rest("ingest"), rest("notify", due=later), rest("scoring", due=NOW)]) == NOW
    assert earliest_due([rest("ingest")]) is None


def test_acts_come_by_instant_and_then_by_name() -> None:
    async def nothing() -> list[str]:
        return []

    agenda = Agenda()
    for name, minutes in (("visit", 5), ("plans", 0), ("lists", 0), ("phones", 9)):
        agenda.add(NOW + timedelta(minutes=minutes), name, nothing)
    assert agenda.next_at() == NOW
    assert [act.name for act in agenda.take(NOW + timedelta(minutes=5))] == ["lists", "plans", "visit"]
    assert agenda.next_at() == NOW + timedelta(minutes=9)


def case(**changed: Any) -> dict[str, Any]:
    sound: dict[str, Any] = {
        "promise": None,
        "hand_over": None,
        "stops": [],
        "queue": "phone",
        "tries": 2,
        "heard_at": None,
        "broken_promises": 0,
    }
    return sound | changed


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ({}, True),
        ({"tries": 1}, False),
        ({"heard_at": "2026-02-26T01:30:00Z"}, False),
        ({"heard_at": "2026-02-26T01:30:00Z", "queue": "field"}, True),
        ({"heard_at": "2026-02-26T01:30:00Z", "broken_promises": 1}, True),
        ({"promise": {"amount": 1}}, False),
        ({"hand_over": {"visit_id": None}}, False),
        ({"stops": ["dispute"]}, False),
        ({"queue": None}, False),
    ],
)
def test_a_visit_is_asked_for_where_the_plan_says_so_or_the_telephone_leads_nowhere(
    changed: dict[str, Any], needed: bool
) -> None:
    assert needs_a_visit(case(**changed), visited=False) is needed


def test_who_was_visited_is_listed_again_only_when_the_plan_says_so() -> None:
    made = [{"kind": "visit", "data": {"state": "planned"}}, {"kind": "visit", "data": {"state": "completed"}}]
    assert visited(made)
    assert not visited(made[:1])
    assert not needs_a_visit(case(), visited=True)
    assert needs_a_visit(case(queue="field"), visited=True)


def test_the_reason_for_a_visit_says_what_led_to_it() -> None:
    assert "承诺未履行" in why_a_visit(case(broken_promises=1))
    assert "无人接听" in why_a_visit(case())
    assert "沟通无果" in why_a_visit(case(heard_at="2026-02-26T01:30:00Z"))


def visit(number: int, *windows: dict[str, Any]) -> dict[str, Any]:
    return {
        "visit_id": f"v{number}",
        "customer_id": f"C{number}",
        "due_at": "2026-02-28T16:00:00Z",
        "customer": {"at_home": list(windows)},
    }


EVENINGS = {"weekdays": [0, 1, 2, 3, 4], "since": "18:00", "until": "19:30"}


def test_no_two_visits_overlap_and_each_lies_within_the_hours_at_home() -> None:
    slots = fit([visit(1, EVENINGS), visit(2, EVENINGS), visit(3)], NOW, DAYS, [], ZONE)
    assert [f"{slot.starts_at:%d %H:%M}" for slot in slots] == ["27 18:00", "27 18:45", "27 10:30"]
    assert [slot.outside for slot in slots] == [None, None, None]
    assert all(slot.ends_at - slot.starts_at == LENGTH for slot in slots)


def test_where_the_evenings_are_full_the_plan_goes_outside_the_hours_and_says_why() -> None:
    slots = fit([visit(number, EVENINGS) for number in range(1, 6)], NOW, DAYS, [], ZONE)
    assert [slot.outside is None for slot in slots] == [True, True, True, True, False]


def test_of_one_deadline_the_nearest_to_the_one_before_comes_first_and_an_earlier_deadline_before_all() -> None:
    """Seen to fail when they go by their numbers."""
    places = {"C1": (31.20, 121.40), "C2": (31.29, 121.40), "C3": (31.21, 121.41), "C5": (31.28, 121.41)}
    urgent = visit(5) | {"due_at": "2026-02-27T16:00:00Z"}
    visits = [visit(4), visit(3), visit(2), visit(1), urgent]
    assert [each["customer_id"] for each in in_order(visits, places)] == ["C5", "C2", "C3", "C1", "C4"]
    assert [each["customer_id"] for each in in_order(visits, {})] == ["C5", "C1", "C2", "C3", "C4"]


def test_what_is_planned_already_is_left_in_peace() -> None:
    (first,) = fit([visit(1, EVENINGS)], NOW, DAYS, [], ZONE)
    (second,) = fit([visit(2, EVENINGS)], NOW, DAYS, [first], ZONE)
    assert second.starts_at == first.ends_at


def test_days_without_room_are_an_error_and_not_a_guess() -> None:
    with pytest.raises(ValueError, match="no room for visit v1"):
        fit([visit(1)], NOW, [], [], ZONE)


def test_each_service_dies_once_at_a_beat_of_its_own_the_same_for_the_same_seed() -> None:
    at = moments(SERVICES, 7)
    assert sorted(at.values()) == sorted(SERVICES)
    assert all(FIRST_BEAT <= beat < LAST_BEAT for beat in at)
    assert at == moments(SERVICES, 7) != moments(SERVICES, 8)


async def test_every_kill_happens_even_when_the_story_is_over_before_its_beat() -> None:
    gone: list[str] = []

    async def kill(name: str) -> None:
        gone.append(name)

    killer = Killer(kill, {2: "ingest", 9: "notify"}, 1)
    assert [killer.beat() for _ in range(3)] == [None, "ingest", None]
    await killer.finish()
    assert sorted(gone) == sorted(killer.killed) == ["ingest", "notify"]
    await killer.stop()


def test_only_what_nobody_of_the_script_has_said_is_told_of_a_timeline() -> None:
    at = datetime(2026, 2, 25, 0, 45, tzinfo=UTC).isoformat()
    later = datetime(2026, 2, 26, 0, 0, tzinfo=UTC).isoformat()
    due = {"kind": "reminder_due", "at": at, "data": {}}
    graded = {"kind": "case_graded", "at": at, "data": {}}
    assert not is_news({"kind": "notice", "at": at, "data": {"state": "sent"}}, [due])
    assert is_news({"kind": "notice", "at": later, "data": {"state": "sent"}}, [due]), "it waited for the morning"
    assert is_news({"kind": "notice", "at": at, "data": {"state": "suppressed"}}, [due])
    assert not is_news(graded, [])
    assert is_news(graded, [graded])
    assert is_news({"kind": "visit", "at": at, "data": {"state": "withdrawn"}}, [])
    assert not is_news({"kind": "visit", "at": at, "data": {"state": "planned"}}, [])
    assert is_news({"kind": "case_closed", "at": at, "data": {}}, [])
    assert not is_news({"kind": "contact", "at": at, "data": {}}, [])
