"""The steps of a visit, each decided again when it is taken."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.fieldvisit.domain.model import Customer
from services.fieldvisit.domain.visiting import (
    Report,
    breach,
    complete,
    fail,
    next_due,
    start,
    why_not_complete,
    why_not_fail,
    why_not_start,
)
from services.fieldvisit.domain.withdrawing import settle
from shared.errors import Problem
from tests.unit.fieldvisit.build import (
    DUE,
    HOUR,
    NOW,
    POLICY,
    ROSTER,
    colleague,
    handed_over,
    in_the_field,
    known,
    only_visit,
    payment,
    planned,
    started,
    stop,
)

SPOKE = Report(party="SELF", outcome="PTP", recorder_id="R1")
DISPUTED = Report(party="SELF", outcome="DISP", recorder_id="R1")


def start_code(customer: Customer, at: Any = NOW + 2 * HOUR, roster: Any = ROSTER) -> str | None:
    refusal = why_not_start(customer, only_visit(customer), roster, at, POLICY)
    return None if refusal is None else refusal.code


def test_a_planned_visit_is_started() -> None:
    before = planned()
    assert start_code(before) is None
    after, fact = start(before, only_visit(before), NOW + 2 * HOUR)
    assert only_visit(after).state == "started"
    assert fact.started_at == NOW + 2 * HOUR


def test_a_visit_without_a_plan_is_not_started() -> None:
    assert start_code(in_the_field()) == "wrong_step"


def test_a_started_visit_is_not_started_again() -> None:
    assert start_code(started()) == "wrong_step"


def test_nobody_starts_at_night_even_by_plan() -> None:
    assert start_code(planned(), at=NOW + 12 * HOUR) == "refused_by_rule"
    assert start_code(planned(), at=NOW + 11 * HOUR) is None


def test_the_team_is_fit_on_the_day_it_starts() -> None:
    lapsed = {**ROSTER, "field-2": colleague("field-2", insured_until=date(2026, 2, 25))}
    assert start_code(planned(), roster=lapsed) is None
    assert start_code(planned(), at=NOW + 24 * HOUR, roster=lapsed) == "team_unfit"


@pytest.mark.parametrize(("fact", "reason"), [(payment(), "paid"), (stop(), "stopped")])
def test_whoever_has_paid_or_is_stopped_is_not_visited(fact: Any, reason: str) -> None:
    before, _ = settle(known(fact, customer=planned()), NOW)
    refusal = why_not_start(before, only_visit(before), ROSTER, NOW + 2 * HOUR, POLICY)
    assert refusal is not None
    assert (refusal.code, refusal.extra["reason"]) == ("visit_withdrawn", reason)


def test_a_started_visit_overtaken_by_a_payment_cannot_be_completed() -> None:
    before, told = settle(known(payment(), customer=started()), NOW)
    refusal = why_not_complete(only_visit(before), SPOKE)
    assert len(told) == 1
    assert isinstance(refusal, Problem)
    assert refusal.code == "visit_withdrawn"


def test_a_visit_is_completed_once_and_after_it_was_started() -> None:
    before = started()
    after, fact = complete(before, only_visit(before), SPOKE, NOW + 3 * HOUR)
    assert (fact.on_time, fact.outcome, only_visit(after).state) == (True, "PTP", "completed")
    for customer in (after, planned(), in_the_field()):
        refusal = why_not_complete(only_visit(customer), SPOKE)
        assert refusal is not None
        assert refusal.code == "wrong_step"


@pytest.mark.parametrize(("at", "on_time"), [(DUE, True), (DUE + HOUR, False)])
def test_on_time_is_by_the_deadline_itself(at: Any, on_time: bool) -> None:
    before = started()
    _, fact = complete(before, only_visit(before), SPOKE, at)
    assert fact.on_time is on_time


def test_a_breached_visit_is_never_on_time_and_its_late_completion_is_reported() -> None:
    before, _ = breach(started(), DUE)
    assert why_not_complete(only_visit(before), SPOKE) is None
    _, fact = complete(before, only_visit(before), SPOKE, DUE)
    assert fact.on_time is False


def test_what_was_heard_at_the_door_ends_the_customers_other_visits() -> None:
    before = known(handed_over("H2"), customer=started())
    after, _ = complete(before, before.visits["H1"], DISPUTED, NOW + 3 * HOUR)
    settled, told = settle(after, NOW + 3 * HOUR)
    assert {key: visit.state for key, visit in settled.visits.items()} == {"H1": "completed", "H2": "withdrawn"}
    assert [fact.reason for fact in told] == ["stopped"]


@pytest.mark.parametrize(
    ("party", "outcome", "allowed"),
    [
        ("SELF", "PTP", True),
        ("GUAR", "PAID", True),
        ("REL", "RELAY", True),
        ("REL", "PTP", False),
        ("UNREL", "PTP", False),
        ("UNREL", "COMP", True),
        ("UNK", "DISP", False),
        ("SELF", "RELAY", False),
    ],
)
def test_only_who_owes_answers_for_the_debt(party: Any, outcome: Any, allowed: bool) -> None:
    refusal = why_not_complete(only_visit(started()), Report(party=party, outcome=outcome, recorder_id="R1"))
    assert (refusal is None) is allowed


@pytest.mark.parametrize("make", [in_the_field, planned, started])
def test_a_visit_that_is_not_done_is_reported_and_leaves_its_plan(make: Any) -> None:
    before = make()
    after, fact = fail(before, only_visit(before), "unsafe", "dog", NOW)
    visit = only_visit(after)
    assert (visit.state, visit.slot, fact.reason) == ("missed", None, "unsafe")
    assert visit.people == ("field-1",)
    refusal = why_not_fail(visit)
    assert refusal is not None
    assert refusal.code == "wrong_step"


@pytest.mark.parametrize("make", [in_the_field, planned, started])
def test_what_is_not_done_at_its_deadline_is_breached_once_and_stays_to_be_done(make: Any) -> None:
    before = make()
    assert next_due(before) == DUE
    assert breach(before, DUE - HOUR) == (before, [])
    after, (fact,) = breach(before, DUE)
    visit = only_visit(after)
    assert (fact.due_at, visit.is_open, visit.state) == (DUE, True, only_visit(before).state)
    assert next_due(after) is None
    assert breach(after, DUE + HOUR) == (after, [])


def test_a_missed_visit_is_breached_too() -> None:
    before = planned()
    missed, _ = fail(before, only_visit(before), "nobody_home", None, NOW)
    assert len(breach(missed, DUE)[1]) == 1


def test_what_ended_in_time_is_not_breached() -> None:
    before = started()
    done, _ = complete(before, only_visit(before), SPOKE, NOW + 3 * HOUR)
    withdrawn, _ = settle(in_the_field(payment()), NOW)
    for customer in (done, withdrawn):
        assert next_due(customer) is None
        assert breach(customer, DUE + HOUR)[1] == []


def test_each_step_counts_as_a_revision() -> None:
    steps = [in_the_field(), planned(), started()]
    assert [only_visit(customer).revision for customer in steps] == [1, 2, 3]
