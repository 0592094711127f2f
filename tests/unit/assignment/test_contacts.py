"""Calls: asked before, logged after, and what follows."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec import structs

from services.assignment.domain.contacts import Contact, PromiseTold, log, put_aside, waive
from services.assignment.domain.permits import NO_PHONE, may_call, usable_phones
from shared.errors import Problem
from shared.events.cases import CaseHandedOver, CaseRecalled, ContactLogged, PromiseMade
from shared.rules.contact import Allowed, NotBefore, Refused
from shared.rules.stops import active
from tests.unit.assignment.given import (
    DUE,
    POLICY,
    WEDNESDAY,
    Story,
    at,
    by_phone,
    erased,
    graded,
    lift,
    overdue,
    reachable,
    stop,
)
from tests.unit.assignment.test_handover import handed_over

FRIDAY = at("02-27 10:00")


# No zone to the west of it has such an instant.
LONG_AGO = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
TOLD = PromiseTold("CNY", 10_000, date(2026, 2, 28))


def contact(line: str = "CONN", party: str = "SELF", outcome: str = "INFO", **changes: Any) -> Contact:
    values: dict[str, Any] = {
        "contact_id": "K1",
        "staff_id": "P1",
        "channel": "CALL",
        "line": line,
        "party": party,
        "outcome": outcome,
        "contacted_at": FRIDAY,
        **changes,
    }
    return Contact(**values)


def logged(story: Story, *contacts: Contact, now: datetime | None = None) -> Story:
    for each in contacts:
        turn = story.turn(now or each.contacted_at)
        log(turn, each)
        story.keep(turn)
    return story


def refused(story: Story, each: Contact, now: datetime | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        logged(story, each, now=now)
    return caught.value


def test_a_contact_is_told_in_four_fields_and_without_the_note() -> None:
    story = logged(by_phone(), contact(has_note=True))
    (fact,) = story.of(ContactLogged)
    assert (fact.channel, fact.line, fact.party, fact.outcome) == ("CALL", "CONN", "SELF", "INFO")
    assert "note" not in structs.asdict(fact)


def test_a_conversation_with_the_customer_renews_the_step() -> None:
    story = logged(by_phone("M2"), contact())
    assert story.case.step is not None
    assert story.case.step.set_date == date(2026, 3, 2)
    assert story.case.heard_at == FRIDAY


@pytest.mark.parametrize(("line", "party", "outcome"), [("NOAS", "UNK", "NONE"), ("CONN", "REL", "RELAY")])
def test_who_did_not_answer_has_not_renewed_the_step(line: str, party: str, outcome: str) -> None:
    story = by_phone()
    before = story.case.step
    logged(story, contact(line, party, outcome))
    assert story.case.step == before
    assert story.case.tries == 1


@pytest.mark.parametrize(
    ("each", "field"),
    [
        (contact(party="UNREL", outcome="PTP"), "outcome"),
        (contact("NOAS", "SELF", "NONE"), "party"),
        (contact(channel="VISIT"), "channel"),
        (contact(channel="SMS"), "channel"),
        (contact("NOAS", "UNK", "NONE", channel="INBOUND"), "line"),
        (contact(outcome="PTP"), "promise"),
        (contact(promise=PromiseTold("CNY", 100, date(2026, 2, 28))), "promise"),
        (contact(outcome="COMP"), "note"),
        (contact(phone_id="strange"), "phone_id"),
        (contact(contacted_at=at("02-24 10:00")), "contacted_at"),
        (contact(outcome="PTP", promise=TOLD, contacted_at=LONG_AGO), "contacted_at"),
        (contact(outcome="PTP", promise=PromiseTold("USD", 100, date(2026, 2, 28))), "promise.currency"),
        (contact(outcome="PTP", promise=PromiseTold("CNY", 100_001, date(2026, 2, 28))), "promise.amount"),
        (contact(outcome="PTP", promise=PromiseTold("CNY", 0, date(2026, 2, 28))), "promise.amount"),
        (contact(outcome="PTP", promise=PromiseTold("CNY", 100, date(2026, 2, 26))), "promise.pay_by"),
        (contact(outcome="PTP", promise=PromiseTold("CNY", 100, date(2026, 3, 14))), "promise.pay_by"),
    ],
)
def test_what_cannot_have_been_so_is_refused_and_the_field_is_named(each: Contact, field: str) -> None:
    problem = refused(by_phone(), each, FRIDAY)
    assert problem.code == "invalid_fields"
    assert field in {error.field for error in problem.errors}
    assert all(error.remedy_zh and error.remedy_en for error in problem.errors)


def test_the_future_cannot_be_logged() -> None:
    problem = refused(by_phone(), contact(), at("02-27 09:59"))
    assert [error.field for error in problem.errors] == ["contacted_at"]


def test_a_call_in_the_night_is_not_allowed_before_the_morning() -> None:
    story = by_phone()
    decision = may_call(story.customer, POLICY, at("02-27 22:00"))
    assert isinstance(decision, NotBefore)
    assert (decision.until, decision.because.rule_id) == (at("02-28 08:00"), "cn-card.night")


def test_the_night_is_the_customer_s_own() -> None:
    """09:30 in Shanghai is 01:30 in London."""
    story = by_phone().told(FRIDAY, reachable(FRIDAY, time_zone="Europe/London"))
    assert isinstance(may_call(story.customer, POLICY, at("02-27 10:30")), NotBefore)


def test_consent_lifts_the_night() -> None:
    story = by_phone().told(FRIDAY, reachable(FRIDAY, night_contact_consent=True))
    assert isinstance(may_call(story.customer, POLICY, at("02-27 22:30")), Allowed)


def test_a_call_that_a_must_rule_forbade_is_refused_with_rule_and_source() -> None:
    problem = refused(by_phone(), contact(contacted_at=at("02-27 23:00")), at("02-28 09:00"))
    assert problem.code == "refused_by_rule"
    assert problem.extra["rule"] == "cn-card.night"
    assert problem.extra["source"]
    assert problem.extra["not_before"] == "2026-02-28T00:00:00+00:00"


def test_a_fourth_conversation_of_a_day_is_refused() -> None:
    story = by_phone()
    for minute in (0, 10, 20):
        logged(story, contact(contacted_at=FRIDAY + timedelta(minutes=minute)))
    problem = refused(story, contact(contacted_at=FRIDAY + timedelta(minutes=30)))
    assert problem.extra["rule"] == "cn-online.effective_calls"


def test_a_seventh_try_at_one_number_needs_a_supervisor_s_waiver() -> None:
    story = by_phone()
    tries = [contact("NOAS", "UNK", "NONE", contacted_at=FRIDAY + timedelta(minutes=minute)) for minute in range(7)]
    logged(story, *tries[:6])
    problem = refused(story, tries[6])
    assert (problem.extra["rule"], problem.extra["strength"]) == ("cn-card.dial_attempts", "should")
    turn = story.turn(tries[6].contacted_at)
    waive(turn, "S1", "客户约定今日再次致电")
    story.keep(turn)
    logged(story, tries[6])
    assert story.case.tries == 7


def test_a_waiver_holds_for_its_day_alone_and_lifts_no_must_rule() -> None:
    story = by_phone()
    turn = story.turn(FRIDAY)
    waive(turn, "S1", "理由")
    story.keep(turn)
    assert isinstance(may_call(story.customer, POLICY, at("02-27 22:30")), NotBefore)
    tries = [contact("NOAS", "UNK", "NONE", contacted_at=at("02-28 10:00") + timedelta(minutes=m)) for m in range(6)]
    logged(story, *tries)
    assert isinstance(may_call(story.customer, POLICY, at("02-28 11:00")), NotBefore)


def test_another_number_is_counted_on_its_own() -> None:
    story = by_phone()
    logged(story, *(contact("NOAS", "UNK", "NONE", contacted_at=FRIDAY + timedelta(minutes=m)) for m in range(6)))
    other = usable_phones(story.customer)[1].phone_id
    now = FRIDAY + timedelta(minutes=10)
    assert isinstance(may_call(story.customer, POLICY, now), NotBefore)
    assert isinstance(may_call(story.customer, POLICY, now, phone_id=other), Allowed)


def test_a_dead_number_is_not_offered_again() -> None:
    story = by_phone()
    first, second = usable_phones(story.customer)
    logged(story, contact("VOID", "UNK", "NONE"))
    assert usable_phones(story.customer) == (second,)
    assert first.phone_id in story.customer.dead_phones


def test_a_refused_medium_is_not_used() -> None:
    story = by_phone().told(FRIDAY, reachable(FRIDAY, refused_channels=("call",)))
    decision = may_call(story.customer, POLICY, FRIDAY)
    assert isinstance(decision, Refused)
    assert decision.because.rule_id == "house.refused_medium"


@pytest.mark.parametrize(
    ("outcome", "kind"), [("DISP", "dispute"), ("COMP", "complaint"), ("HARD", "hardship"), ("PROT", "cease_contact")]
)
def test_four_outcomes_have_the_same_effect_as_the_stop_fact(outcome: str, kind: str) -> None:
    story = logged(by_phone(), contact(outcome=outcome, has_note=True))
    assert active(story.customer.stops) == {kind}
    assert isinstance(may_call(story.customer, POLICY, FRIDAY + timedelta(hours=1)), Refused)


def test_a_stop_of_the_desk_is_lifted_by_the_fact_of_its_kind_alone() -> None:
    story = logged(by_phone(), contact(outcome="DISP"))
    story.told(at("02-28 09:00"), lift("complaint", at("02-28 09:00")))
    assert story.customer.stopped
    story.told(at("02-28 10:00"), lift("dispute", at("02-28 10:00")))
    assert not story.customer.stopped


def test_under_a_dispute_a_call_presses_not_but_may_serve() -> None:
    story = by_phone().told(FRIDAY, stop("dispute", FRIDAY))
    assert isinstance(may_call(story.customer, POLICY, FRIDAY), Refused)
    assert isinstance(may_call(story.customer, POLICY, FRIDAY, purpose="service"), Allowed)


def test_who_calls_in_is_heard_even_at_night_and_under_a_stop() -> None:
    story = by_phone().told(FRIDAY, stop("cease_contact", FRIDAY))
    logged(story, contact(channel="INBOUND", contacted_at=at("02-27 23:30")))
    assert len(story.of(ContactLogged)) == 1


def test_a_case_that_still_gathers_can_be_called_in_about() -> None:
    story = Story().told(WEDNESDAY, reachable(), overdue(due=DUE["M1"]), graded("A"))
    logged(story, contact(channel="INBOUND", outcome="HARD", contacted_at=at("02-25 09:05")))
    story.until(at("02-25 12:00"))
    assert story.case.step is None


def test_a_case_in_the_field_is_not_called_but_heard() -> None:
    story = handed_over()
    assert refused(story, contact(), FRIDAY).code == "with_field"
    logged(story, contact("CONN", "REL", "RELAY", channel="INBOUND"))
    assert story.case.hand_over is not None


@pytest.mark.parametrize(
    "told",
    [contact(channel="INBOUND"), contact(party="GUAR", channel="INBOUND", outcome="PTP", promise=TOLD)],
    ids=["talk", "promise"],
)
def test_nobody_is_on_the_way_to_a_customer_who_has_called_in(told: Contact) -> None:
    story = logged(handed_over(), told)
    assert story.case.hand_over is None
    assert [fact.reason.code for fact in story.of(CaseRecalled)] == ["customer_called"]
    assert story.case.offer_from is not None


def test_a_case_that_is_only_reminded_is_not_called_but_heard() -> None:
    story = Story().told(WEDNESDAY, reachable(), overdue(due=DUE["M1"]), graded("A")).until(at("02-25 09:15"))
    assert refused(story, contact(contacted_at=at("02-26 10:00"))).code == "reminders_first"
    logged(story, contact(channel="INBOUND", contacted_at=at("02-26 10:00")))
    assert "step_renewed" in story.kinds


def test_a_dispute_told_on_the_phone_recalls_the_case_from_the_field() -> None:
    story = logged(handed_over(), contact(channel="INBOUND", outcome="DISP"))
    assert story.case.hand_over is None
    assert [fact.reason.code for fact in story.of(CaseRecalled)] == ["stop_dispute"]


def test_one_promise_at_a_time() -> None:
    told = PromiseTold("CNY", 10_000, date(2026, 2, 28))
    story = logged(by_phone(), contact(outcome="PTP", promise=told))
    later = contact(outcome="PTP", promise=told, contacted_at=FRIDAY + timedelta(minutes=5))
    assert refused(story, later).code == "promise_open"
    assert len(story.of(PromiseMade)) == 1
    assert story.case.tries == 1


def test_after_an_empty_try_the_case_is_offered_again_in_two_hours_after_a_talk_next_morning() -> None:
    assert logged(by_phone(), contact("NOAS", "UNK", "NONE")).case.offer_from == at("02-27 12:00")
    assert logged(by_phone(), contact()).case.offer_from == at("02-28 09:00")


def test_a_case_put_aside_is_offered_again_later() -> None:
    story = by_phone()
    turn = story.turn(FRIDAY)
    put_aside(turn)
    story.keep(turn)
    assert story.case.offer_from == at("02-27 12:00")


def test_a_closed_case_cannot_be_logged() -> None:
    story = by_phone().told(FRIDAY, overdue(amount=0, as_of=FRIDAY))
    assert refused(story, contact(), FRIDAY).code == "case_closed"


def test_a_call_that_was_over_when_a_stop_came_is_kept_and_one_after_it_is_refused() -> None:
    story = by_phone().told(FRIDAY, stop("dispute", FRIDAY))
    now = FRIDAY + timedelta(minutes=10)
    logged(story, contact(contacted_at=FRIDAY - timedelta(minutes=5)), now=now)
    assert len(story.of(ContactLogged)) == 1
    assert refused(story, contact(contacted_at=FRIDAY + timedelta(minutes=1)), now=now).code == "refused_by_rule"


def test_a_promise_from_a_call_before_the_hand_over_recalls_the_visit() -> None:
    story = handed_over()
    since = story.of(CaseHandedOver)[0].handed_over_at
    told = contact(outcome="PTP", promise=TOLD, contacted_at=since - timedelta(minutes=30))
    logged(story, told, now=since)
    assert story.case.hand_over is None
    assert [fact.reason.code for fact in story.of(CaseRecalled)] == ["promise_made"]


def test_an_erasure_forgets_on_which_number_was_called_and_forgives_no_call() -> None:
    """Seen to fail with the attempts left as they were: their method is made of the customer and the number."""
    story = logged(by_phone().told(FRIDAY, reachable()), contact("NOAS", "UNK", "NONE"))
    assert {attempt.method for attempt in story.customer.calls.attempts}.isdisjoint({NO_PHONE})
    story.told(FRIDAY, erased(FRIDAY))
    assert [attempt.method for attempt in story.customer.calls.attempts] == [NO_PHONE]
