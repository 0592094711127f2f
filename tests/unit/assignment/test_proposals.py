"""Law and an agency are only ever proposed; a person confirms or declines, and good faith comes before either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from services.assignment.domain import handover, law, proposals
from services.assignment.domain.contacts import Contact, PromiseTold, log, why_not_call
from services.assignment.domain.handover import Filing
from services.assignment.domain.policy import Turn
from services.assignment.domain.staff import needs_collector
from services.assignment.domain.strategy import RANK, parse
from shared.errors import Problem
from shared.events.cases import CaseRouted, OutcomeCode, ProposalEnded, ProposalMade, ProposedQueue, ReminderDue
from shared.events.visits import VisitCompleted
from tests.unit.assignment.given import (
    DUE,
    WEDNESDAY,
    Story,
    at,
    cured,
    graded,
    law_document,
    lift,
    overdue,
    paid,
    reachable,
    stop,
    with_law,
)

MONDAY = at("03-02 09:00")
"""The step `visit` begins here; its set time has lapsed on Thursday 5 at 09:00."""

THURSDAY = at("03-05 09:00")


def silent() -> Story:
    """A case of M4 that stands at its visit, and whose customer has neither paid nor answered."""
    story = Story()
    story.policy = with_law()
    story.told(WEDNESDAY, reachable(), overdue(due=DUE["M4"]), graded("D")).until(MONDAY)
    assert story.step == "visit"
    return story


def proposed() -> Story:
    story = silent().until(THURSDAY)
    assert story.case.proposal is not None
    return story


def decided(story: Story, decide: Callable[[Turn], None], now: str = "03-05 10:00") -> Story:
    turn = story.turn(at(now))
    decide(turn)
    story.keep(turn)
    return story


def confirmed(story: Story) -> Story:
    assert story.case.proposal is not None
    proposal_id = story.case.proposal.proposal_id
    return decided(story, lambda turn: law.confirm(turn, proposal_id, "S1", "材料齐全"))


def visited(story: Story, now: datetime) -> Story:
    """Hand the case over and let the visit find nobody who answers."""
    turn = story.turn(now)
    handover.hand_over(turn, Filing("L1", "P1", "north"), "H1", "F1")
    handover.accepted(turn, "H1", "V1")
    story.keep(turn)
    fact = VisitCompleted(
        visit_id="V1",
        case_id=story.case.case_id,
        customer_id="C1",
        field_agent_id="F1",
        team="north",
        party="UNK",
        outcome="NONE",
        completed_at=now,
        due_at=now,
        on_time=True,
    )
    story.told(now, fact)
    assert story.step == "call"
    return story


def declined(story: Story, now: str = "03-05 10:00") -> Story:
    assert story.case.proposal is not None
    proposal_id = story.case.proposal.proposal_id
    return decided(story, lambda turn: proposals.decline(turn, proposal_id, "S1", "先联系单位"), now)


def test_the_plan_proposes_law_and_nothing_comes_of_it_by_itself() -> None:
    """Seen to fail: where `_take` enters every step, the case is at law without anybody's word."""
    story = proposed().until(at("06-30 09:00"))
    (made,) = story.of(ProposalMade)
    assert (made.queue, made.proposed_by, made.strategy_version) == ("legal", None, "2026-02")
    assert [reason.code for reason in made.reasons] == ["set_time_lapsed", "segment"]
    assert (story.case.queue, story.step, story.of(ProposalEnded)) == ("field", "visit", [])
    assert needs_collector(story.case)


def test_the_packaged_plan_proposes_law_for_the_oldest_silent_debts_after_ten_days_at_the_visit() -> None:
    story = Story().told(WEDNESDAY, reachable(), overdue(due=DUE["M6"]), graded("D")).until(at("03-11 08:59"))
    assert (story.step, story.of(ProposalMade)) == ("visit", [])
    story.until(at("06-30 09:00"))
    assert [made.queue for made in story.of(ProposalMade)] == ["legal"]


def test_a_confirmed_case_leaves_the_collectors_queues_with_the_supervisor_s_name() -> None:
    story = confirmed(proposed())
    (ended,) = story.of(ProposalEnded)
    assert (ended.outcome, ended.decided_by) == ("confirmed", "S1")
    assert story.of(CaseRouted)[-1].queue == story.case.queue == "legal"
    assert not needs_collector(story.case)
    assert story.until(at("06-30 09:00")).case.queue == "legal"
    assert [entry.data.get("words") for entry in story.entries if entry.kind == "proposal_confirmed"] == ["材料齐全"]


def test_a_declined_step_is_not_proposed_again_and_the_plan_goes_on_to_the_next() -> None:
    """Not after another visit either, when the steps from the phone on are open again.

    Seen to fail: with what was declined among `touched`, which `back_to_phone` clears.
    """
    story = declined(proposed()).until(at("03-06 09:00"))
    assert [made.queue for made in story.of(ProposalMade)] == ["legal", "agency"]
    declined(story, "03-06 10:00").until(at("03-09 09:00"))
    assert len(story.of(ProposalMade)) == 2
    assert story.case.queue == "field"
    visited(story, at("03-09 10:00")).until(at("04-05 09:00"))
    assert (story.step, len(story.of(ProposalMade))) == ("visit", 2)


@pytest.mark.parametrize("answer", ["paid", "spoken"])
def test_who_pays_something_or_answers_is_not_proposed_for_law_by_the_plan(answer: str) -> None:
    """The agency, which presses no harder than we do, may still be proposed.

    Seen to fail: without `silent` in `next_step`, law is proposed for who paid a tenth, and withdrawn, without end.
    """
    story = silent()
    if answer == "paid":
        story.told(at("03-03 10:00"), paid(10_000, valued=at("03-03 10:00")))
    else:
        decided(story, lambda turn: log(turn, call("INFO", turn)), "03-03 10:00")
    story.until(at("03-20 09:00"))
    assert [made.queue for made in story.of(ProposalMade)] == ["agency"]


@pytest.mark.parametrize("answer", ["paid", "spoken", "stopped"])
def test_good_faith_and_a_stop_withdraw_what_the_plan_proposed(answer: str) -> None:
    story = proposed()
    if answer == "paid":
        story.told(at("03-05 10:00"), paid(10_000, valued=at("03-05 10:00")))
    elif answer == "spoken":
        decided(story, lambda turn: log(turn, call("INFO", turn)))
    else:
        story.told(at("03-05 10:00"), stop("dispute", at("03-05 10:00")))
    assert [(each.outcome, each.decided_by) for each in story.of(ProposalEnded)] == [("withdrawn", None)]


def test_after_a_stop_is_lifted_the_plan_proposes_again() -> None:
    story = proposed().told(at("03-05 10:00"), stop("dispute", at("03-05 10:00")))
    story.told(at("03-09 10:00"), lift("dispute", at("03-09 10:00"))).until(at("03-20 09:00"))
    assert [made.queue for made in story.of(ProposalMade)] == ["legal", "legal"]


def test_a_payment_in_full_ends_proposal_and_law_at_once() -> None:
    for story in (proposed(), confirmed(proposed())):
        story.told(at("03-06 10:00"), cured(at("03-06 10:00")))
        assert (story.case.open, story.case.queue, story.case.proposal) == (False, None, None)
        assert [each.outcome for each in story.of(ProposalEnded)][-1] in {"withdrawn", "confirmed"}


def test_a_collector_proposes_with_a_reason_and_another_person_decides() -> None:
    story = decided(silent(), lambda turn: proposals.by_person(turn, "agency", "P1", "人在外地"), "03-03 10:00")
    assert story.case.proposal is not None
    proposal_id = story.case.proposal.proposal_id
    refusals: dict[str, Callable[[Turn], object]] = {
        "own_proposal": lambda turn: law.confirm(turn, proposal_id, "P1", "x"),
        "proposal_open": lambda turn: proposals.by_person(turn, "legal", "P1", "x"),
        "proposal_over": lambda turn: proposals.decline(turn, "another", "S1", "x"),
    }
    for code, act in refusals.items():
        with pytest.raises(Problem) as caught:
            act(story.turn(at("03-03 11:00")))
        assert caught.value.code == code
    assert confirmed(story).case.queue == "agency"
    assert story.until(at("06-30 09:00")).case.queue == "agency"


def test_nothing_is_proposed_while_the_case_is_only_reminded_or_stopped() -> None:
    reminded = Story().told(WEDNESDAY, overdue(due=DUE["M4"])).timer(at("02-25 09:15"))
    stopped = silent().told(at("03-03 09:00"), stop("complaint", at("03-03 09:00")))
    for story in (Story().told(WEDNESDAY, overdue()), reminded, stopped):
        with pytest.raises(Problem) as caught:
            proposals.by_person(story.turn(at("03-03 10:00")), "legal", "P1", "x")
        assert caught.value.code == "not_workable"


def test_a_promise_or_a_visit_that_runs_keeps_a_case_from_law() -> None:
    story = decided(silent(), lambda turn: proposals.by_person(turn, "legal", "P1", "x"), "03-03 10:00")
    promised = call("PTP", story.turn(at("03-03 10:30")), PromiseTold("CNY", 1_000, at("03-10 00:00").date()))
    decided(story, lambda turn: log(turn, promised), "03-03 11:00")
    assert story.case.proposal is not None, "a collector's own proposal is not withdrawn by an answer"
    with pytest.raises(Problem) as caught:
        confirmed(story)
    assert caught.value.code == "promise_open"


def test_a_case_at_law_is_neither_called_nor_handed_over_until_it_is_taken_back() -> None:
    story = confirmed(proposed())
    refusal = why_not_call(story.case, at("03-05 11:00"))
    assert refusal is not None
    assert refusal.code == "with_others"
    refusal = handover.refusal(story.turn(at("03-05 11:00")), "P1", None)
    assert refusal is not None
    assert refusal.code == "with_others"
    decided(story, lambda turn: handover.recall_by_supervisor(turn, "S1", "客户愿意协商"), "03-06 10:00")
    assert (story.case.queue, story.step, needs_collector(story.case)) == ("phone", "call", True)


@pytest.mark.parametrize("queue", ["legal", "agency"])
def test_hardship_brings_a_case_back_from_law_to_be_helped_and_only_a_new_proposal_leads_there_again(
    queue: ProposedQueue,
) -> None:
    """Seen to fail: without `come_back` in `conclude` every call is refused, and the case is at law again by itself."""
    story = decided(silent(), lambda turn: proposals.by_person(turn, queue, "P1", "x"), "03-03 10:00")
    noon, later = at("03-06 12:00"), at("03-09 10:00")
    confirmed(story).told(noon, stop("hardship", noon))
    assert (story.case.queue, story.step, story.of(CaseRouted)[-1].queue) == ("hardship", "call", "hardship")
    assert why_not_call(story.case, at("03-06 13:00")) is None
    story.told(later, lift("hardship", later))
    assert (story.case.queue, story.of(CaseRouted)[-1].queue) == ("phone", "phone")
    story.until(at("06-30 09:00"))
    assert RANK[story.case.queue or "legal"] < RANK["legal"]
    assert story.case.proposal is not None


def test_where_the_plan_has_no_call_hardship_is_worked_without_a_step_and_the_plan_begins_anew_after_it() -> None:
    """Nothing is entered, and nobody reminded, while the stop holds."""
    document = law_document()
    steps = next(each for each in document["segments"] if each["name"] == "m4-m5")["steps"]
    del steps[1]
    story, noon, later = confirmed(proposed()), at("03-06 12:00"), at("03-09 10:00")
    story.policy = replace(story.policy, strategy=parse(document))
    reminded = len(story.of(ReminderDue))
    story.told(noon, stop("hardship", noon)).until(at("03-08 09:00"))
    assert (story.case.queue, story.step, len(story.of(ReminderDue))) == ("hardship", None, reminded)
    story.told(later, lift("hardship", later)).until(later)
    assert (story.case.queue, story.step) == ("reminder", "remind-1")


def call(outcome: OutcomeCode, turn: Turn, promise: PromiseTold | None = None) -> Contact:
    return Contact("T1", "P1", "CALL", "CONN", "SELF", outcome, turn.now, promise=promise)
