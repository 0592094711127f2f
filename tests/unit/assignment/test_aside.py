"""The queues beside the plan: hardship is talked about, a lost customer is looked for; both end by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.assignment.domain.contacts import Contact, log, why_not_call
from services.assignment.domain.plan import back_to_phone
from services.assignment.domain.worklist import workable
from shared.events.cases import CaseAssigned, CaseRouted, LineCode
from shared.events.contacts import Phone
from shared.events.kinds import Reason, StopKind
from tests.unit.assignment.given import (
    DUE,
    POLICY,
    WEDNESDAY,
    Story,
    at,
    by_phone,
    colleague,
    cured,
    graded,
    lift,
    overdue,
    reachable,
    roster,
    stop,
)

TEN = at("02-27 10:00")


def test_hardship_puts_a_case_aside_and_its_end_puts_it_back() -> None:
    story = by_phone().told(TEN, stop("hardship", TEN))
    assert (story.case.queue, story.step, workable(story.customer)) == ("hardship", "call", False)
    story.until(at("03-20 09:00"))
    assert story.case.queue == "hardship"
    story.told(at("03-20 10:00"), lift("hardship", at("03-20 10:00")))
    assert (story.case.queue, story.step, workable(story.customer)) == ("phone", "call", True)
    routed = [(fact.queue, fact.reasons[0].code) for fact in story.of(CaseRouted)][-2:]
    assert routed == [("hardship", "stop_hardship"), ("phone", "hardship_over")]


@pytest.mark.parametrize("harder", ["complaint", "deceased", "cease_contact"])
def test_a_stop_that_forbids_more_than_pressure_leaves_nobody_to_talk_of_hardship(harder: StopKind) -> None:
    story = by_phone().told(TEN, stop("hardship", TEN), stop(harder, TEN))
    queues = [story.case.queue]
    queues.append(story.told(TEN, lift(harder, TEN + timedelta(minutes=1))).case.queue)
    assert queues == ["phone", "hardship"]


def test_hardship_before_the_first_call_gets_a_collector_who_may_call_to_help() -> None:
    story = Story(colleague("P1"), colleague("P2", skills=("hardship",)))
    story.told(WEDNESDAY, reachable(), overdue(due=DUE["M4"]), graded("D")).timer(at("02-25 09:15"))
    assert (story.step, story.case.collector) == ("remind-1", None)
    story.told(at("02-25 10:00"), stop("hardship", at("02-25 10:00")))
    assert (story.case.queue, story.case.collector) == ("hardship", "P2")
    assert why_not_call(story.case, at("02-25 11:00")) is None
    helped = Contact("T1", "P2", "CALL", "CONN", "SELF", "INFO", at("02-25 11:00"), purpose="hardship")
    log(story.turn(at("02-25 11:00")), helped)


def test_a_case_goes_to_a_specialist_with_room_and_stays_there_afterwards() -> None:
    story = by_phone()
    story.roster = roster(colleague("P1"), colleague("P2", skills=("hardship",)))
    story.told(TEN, stop("hardship", TEN)).told(TEN, lift("hardship", TEN + timedelta(minutes=1)))
    assert (story.case.queue, story.case.collector) == ("phone", "P2")
    assert [fact.reasons[0].code for fact in story.of(CaseAssigned)][1:] == ["specialist"]


def test_a_full_specialist_who_fits_still_better_does_not_take_what_another_has_room_for() -> None:
    """Seen to fail: with every seat to choose from P2, who is full, takes the case from P1."""
    story = by_phone()
    segment = replace(POLICY.strategy.segment("M4", "D"), skills=("late", "law"))
    segments = tuple(segment if each.name == segment.name else each for each in POLICY.strategy.segments)
    story.policy = replace(POLICY, strategy=replace(POLICY.strategy, segments=segments))
    full = colleague("P2", skills=("hardship", "late", "law"), capacity=1)
    story.roster = roster(colleague("P1"), full, colleague("P3", skills=("hardship",)), P2=1)
    assert story.told(TEN, stop("hardship", TEN)).case.collector == "P3"
    codes = [reason.code for reason in story.of(CaseAssigned)[-1].reasons]
    assert codes == ["specialist", "language", "skill_missing", "earlier_unfit", "load"]


def test_without_a_specialist_with_room_the_collector_stays() -> None:
    for other in (colleague("P2"), colleague("P2", skills=("hardship",), capacity=0)):
        story = by_phone()
        story.roster = roster(colleague("P1"), other)
        assert story.told(TEN, stop("hardship", TEN)).case.collector == "P1"
    story = by_phone()
    story.roster = roster(colleague("P1"), colleague("P2", skills=("hardship",), capacity=1), P2=1)
    assert story.told(TEN, stop("hardship", TEN)).case.collector == "P1"


@pytest.mark.parametrize("line", ["VOID", "STOP", "WRONG"])
def test_whose_last_number_is_of_no_use_is_looked_for(line: LineCode) -> None:
    story = by_phone()
    story.told(story.now, reachable(story.now, phones=(Phone(number="+8613800138000", kind="mobile"),)))
    turn = story.turn(TEN)
    log(turn, Contact("T1", "P1", "CALL", line, "UNK", "NONE", TEN))
    story.keep(turn)
    assert (story.case.queue, story.step, workable(story.customer)) == ("skip", "call", True)
    assert story.of(CaseRouted)[-1].reasons[0].code == "no_number"


def test_a_new_number_ends_the_search_and_so_does_the_plan_s_visit() -> None:
    lost = by_phone().told(TEN, reachable(TEN, phones=()))
    assert lost.case.queue == "skip"
    lost.until(at("03-02 09:00"))
    assert (lost.case.queue, lost.of(CaseRouted)[-1].reasons[0].code) == ("field", "moved_on")
    found = by_phone().told(TEN, reachable(TEN, phones=()))
    found.told(at("02-27 11:00"), reachable(at("02-27 11:00")))
    assert (found.case.queue, found.of(CaseRouted)[-1].reasons[0].code) == ("phone", "number_known")


def test_a_step_taken_while_the_customer_is_looked_for_is_told_with_the_queue_that_counts() -> None:
    """It stays with its collector, as it was not brought there by this step.

    Seen to fail: with the step's own queue in `enter` the last fact says phone, where nobody works the case; with
    every fact of that queue in `went_aside` P2 takes it.
    """
    story = by_phone().told(TEN, reachable(TEN, phones=()))
    staffing = replace(POLICY.strategy.staffing, specialists={"skip": "skip-tracing"})
    story.policy = replace(POLICY, strategy=replace(POLICY.strategy, staffing=staffing))
    story.roster = roster(colleague("P1"), colleague("P2", skills=("skip-tracing",)))
    turn = story.turn(at("02-27 11:00"))
    back_to_phone(turn, Reason("x", "测试", "A test"))
    story.keep(turn)
    assert (story.case.queue, story.of(CaseRouted)[-1].queue) == ("skip", "skip")
    assert story.case.collector == "P1"


def test_who_is_only_reminded_is_not_looked_for() -> None:
    story = Story().told(WEDNESDAY, reachable(phones=()), overdue(due=DUE["M4"]), graded("D"))
    assert story.timer(at("02-25 09:15")).case.queue == "reminder"


def test_the_close_ends_every_queue() -> None:
    story = by_phone().told(TEN, stop("hardship", TEN)).told(TEN, cured(TEN))
    assert (story.case.open, story.case.queue) == (False, None)
