"""Which lines of a plan are refused, and with what remedy."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.fieldvisit.domain.planning import Engagement, address_of, plan, planned_line, why_not_plan
from services.fieldvisit.domain.visiting import breach, fail
from services.fieldvisit.domain.withdrawing import settle
from shared.events.contacts import Address
from shared.events.staff import Leave
from tests.unit.fieldvisit.build import (
    DUE,
    EVENINGS,
    HOUR,
    NOW,
    ROSTER,
    colleague,
    contacts,
    handed_over,
    hazardous,
    in_the_field,
    known,
    only_visit,
    overdue,
    payment,
    planned,
    proposal,
    started,
)


def code(customer: Any = None, **changed: Any) -> str | None:
    refusal = why_not_plan(proposal(customer or in_the_field(), **changed))
    return None if refusal is None else refusal.code


def test_a_sound_line_is_planned() -> None:
    assert code() is None
    after, fact = plan(proposal(in_the_field()), "plan-1")
    visit = only_visit(after)
    assert (visit.state, visit.people) == ("planned", ("field-1", "field-2"))
    assert visit.slot is not None
    assert visit.slot.address_id == "home"
    assert planned_line(fact, visit.due_at).due_at == DUE


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        ("start_in_past", {"starts_at": NOW}),
        ("hours_invalid", {"starts_at": NOW + timedelta(days=15), "ends_at": NOW + timedelta(days=15, hours=1)}),
        ("hours_invalid", {"ends_at": NOW + 2 * HOUR}),
        ("hours_invalid", {"ends_at": NOW + HOUR}),
        ("hours_invalid", {"ends_at": NOW + 15 * HOUR}),
        ("beyond_due", {"starts_at": DUE - HOUR + timedelta(hours=11), "ends_at": DUE + 12 * HOUR}),
        ("address_unknown", {"address_id": "moon"}),
        ("team_unfit", {"members": ("field-2", "field-3")}),
        ("team_unfit", {"members": ("field-1", "field-2", "field-2")}),
        ("team_unfit", {"members": ("field-1", "nobody")}),
        ("refused_by_rule", {"members": ("field-1",)}),
        ("refused_by_rule", {"members": ("field-1", "field-1")}),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused(expected: str, changed: dict[str, Any]) -> None:
    assert code(**changed) == expected


@pytest.mark.parametrize(
    "unfit",
    [
        {"active": False},
        {"role": "phone_agent"},
        {"leave": (Leave(first_day=date(2026, 2, 24), last_day=date(2026, 2, 25)),)},
        {"insured_until": None},
        {"insured_until": date(2026, 2, 24)},
    ],
)
def test_a_member_is_active_not_on_leave_and_insured_on_that_day(unfit: dict[str, Any]) -> None:
    assert code(roster={**ROSTER, "field-2": colleague("field-2", **unfit)}) == "team_unfit"


def test_leave_that_is_over_and_insurance_that_ends_that_day_do_not_hinder() -> None:
    rested = Leave(first_day=date(2026, 2, 20), last_day=date(2026, 2, 24))
    fit = colleague("field-2", leave=(rested,), insured_until=date(2026, 2, 25))
    assert code(roster={**ROSTER, "field-2": fit}) is None


def at(hour: int, minute: int = 0) -> datetime:
    """An instant of Thursday 26 by Shanghai's clock."""
    return datetime(2026, 2, 25, 16, tzinfo=UTC) + timedelta(hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (at(7, 59), at(9), "refused_by_rule"),
        (at(8), at(9), None),
        (at(21), at(22), None),
        (at(21), at(22, 1), "refused_by_rule"),
        (at(21), at(32), "refused_by_rule"),
    ],
)
def test_a_visit_lies_between_eight_and_twenty_two_by_the_customers_clock(
    begin: datetime, end: datetime, expected: str | None
) -> None:
    assert code(starts_at=begin, ends_at=end) == expected


def test_night_is_the_customers_night_and_consent_lifts_it() -> None:
    in_urumqi = in_the_field(contacts(as_of=NOW, time_zone="Asia/Urumqi"))
    assert code(in_urumqi, starts_at=at(9), ends_at=at(11)) == "refused_by_rule"
    consenting = in_the_field(contacts(as_of=NOW, night_contact_consent=True))
    assert code(consenting, starts_at=at(6), ends_at=at(7)) is None


def test_refused_by_rule_names_the_rule_and_when_it_may_be() -> None:
    refusal = why_not_plan(proposal(in_the_field(), starts_at=at(7), ends_at=at(8)))
    assert refusal is not None
    assert (refusal.extra["rule"], refusal.extra["not_before"]) == ("cn-card.night", at(8).isoformat())


def test_a_customer_who_refused_visits_is_not_visited() -> None:
    assert code(in_the_field(contacts(as_of=NOW, refused_channels=("visit",)))) == "refused_by_rule"


def test_nobody_is_sent_where_no_address_is_known() -> None:
    assert code(known(overdue(), handed_over())) == "address_unknown"


def test_a_known_hazard_is_acknowledged() -> None:
    dog = known(overdue(), hazardous(), handed_over())
    assert code(dog) == "hazard_not_acknowledged"
    assert code(dog, hazard_acknowledged=True) is None


def test_the_at_home_window_is_honoured_or_the_line_says_why_not() -> None:
    evenings = in_the_field(contacts(as_of=NOW, at_home=EVENINGS))
    assert code(evenings) == "outside_at_home"
    assert code(evenings, outside_window_reason="  ") == "outside_at_home"
    assert code(evenings, outside_window_reason="物业约定上午") is None
    assert code(evenings, starts_at=at(18), ends_at=at(19)) is None
    assert code(evenings, starts_at=at(21), ends_at=at(22)) == "outside_at_home"


def test_nobody_is_in_two_places_at_once() -> None:
    elsewhere = Engagement("V9", ("field-3", "field-2"), NOW + 2 * HOUR, NOW + 3 * HOUR)
    assert code(engagements=[elsewhere]) == "overlap"
    assert code(engagements=[elsewhere], starts_at=NOW + 3 * HOUR, ends_at=NOW + 4 * HOUR) is None
    assert code(engagements=[Engagement("V9", ("field-3", "field-4"), NOW + 2 * HOUR, NOW + 3 * HOUR)]) is None


def test_a_planned_visit_is_planned_anew_until_it_is_started() -> None:
    before = planned()
    own = Engagement(only_visit(before).visit_id, ("field-1", "field-2"), NOW + 2 * HOUR, NOW + 3 * HOUR)
    assert code(before, engagements=[own]) is None
    assert code(started()) == "wrong_step"


def test_a_missed_visit_is_planned_again() -> None:
    before = planned()
    missed, _ = fail(before, only_visit(before), "nobody_home", None, NOW)
    assert code(missed) is None


def test_a_withdrawn_visit_is_refused_with_its_reason() -> None:
    paid, _ = settle(in_the_field(payment()), NOW)
    refusal = why_not_plan(proposal(paid))
    assert refusal is not None
    assert (refusal.code, refusal.extra["reason"]) == ("visit_withdrawn", "paid")


def test_a_late_visit_stays_to_be_done_and_may_be_planned_late() -> None:
    late, _ = breach(in_the_field(), DUE)
    monday = datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert code(late, now=DUE + HOUR, starts_at=monday, ends_at=monday + HOUR) is None


def test_a_visit_goes_home_unless_another_address_is_named() -> None:
    work = Address(address_id="work", kind="work", lines=("人民路 2 号",), district="黄浦区", city="上海")
    home = Address(address_id="home", kind="home", lines=("世纪大道 1 号",), district="浦东新区", city="上海")
    customer = in_the_field(contacts(as_of=NOW, addresses=(work, home)))
    assert address_of(customer, None) == home
    assert address_of(customer, "work") == work
    assert address_of(customer, "moon") is None
    assert address_of(in_the_field(contacts(as_of=NOW, addresses=(work,))), None) == work


def test_every_refusal_says_what_to_do_in_chinese_and_english() -> None:
    for changed in ({"starts_at": NOW}, {"ends_at": NOW}, {"address_id": "moon"}, {"members": ("field-2",)}):
        refusal = why_not_plan(proposal(in_the_field(), **changed))
        assert refusal is not None
        for error in refusal.errors:
            assert error.fault_zh
            assert error.fault_en
            assert error.remedy_zh
            assert error.remedy_en
