"""The plan: reminders first, each step its set time, then the next."""

from __future__ import annotations

from datetime import date

from services.assignment.domain.lifecycle import next_due
from shared.events.cases import CaseAssigned, CaseRouted, ReminderDue
from tests.unit.assignment.given import (
    DUE,
    POLICY,
    WEDNESDAY,
    Story,
    at,
    graded,
    lift,
    overdue,
    paid,
    stop,
)


def opened(bucket: str, grade: str = "B") -> Story:
    return Story().told(WEDNESDAY, overdue(due=DUE[bucket]), graded(grade))  # type: ignore[arg-type]  # a grade's letter


def test_the_first_touch_is_a_reminder_for_every_bucket_and_never_a_call() -> None:
    for bucket in DUE:
        story = opened(bucket).until(at("02-25 09:15"))
        assert story.case.step is not None
        assert story.case.step.queue == "reminder"
        assert story.of(CaseAssigned) == []


def test_what_is_reported_together_is_gathered_into_one_reminder() -> None:
    story = opened("M1").told(at("02-25 09:10"), overdue("A2"), graded("C", account_id="A2"))
    assert story.of(ReminderDue) == []
    story.until(at("02-25 09:15"))
    reminders = story.of(ReminderDue)
    assert [(each.channel, each.template) for each in reminders] == [
        ("sms", "reminder_first"),
        ("email", "reminder_first"),
    ]
    assert all([account.account_id for account in each.accounts] == ["A1", "A2"] for each in reminders)
    assert {each.pay_by for each in reminders} == {date(2026, 2, 28)}


def test_a_case_without_a_grade_begins_with_its_bucket_s_default() -> None:
    story = Story().told(WEDNESDAY, overdue()).until(at("02-25 09:15"))
    assert story.case.step is not None
    assert story.case.step.segment == "m1-good"


def test_each_step_says_why_in_words() -> None:
    story = opened("M1").until(at("02-25 09:15"))
    (routed,) = story.of(CaseRouted)
    assert [reason.code for reason in routed.reasons] == ["first_step", "segment"]
    assert routed.strategy_version == "2026-02"


def test_the_set_time_lapses_the_morning_after_its_last_day() -> None:
    story = opened("M4").until(at("02-25 09:15"))
    assert story.case.step is not None
    assert story.case.step.set_date == date(2026, 2, 26)
    assert story.case.step.lapses_at == at("02-27 09:00")
    story.until(at("02-27 08:59"))
    assert story.step == "remind-1"
    story.until(at("02-27 09:00"))
    assert story.step == "call"


def test_m1_of_a_good_grade_is_reminded_twice_then_called() -> None:
    story = opened("M1").until(at("03-10 09:00"))
    assert [fact.step for fact in story.of(CaseRouted)] == [
        "remind-1",
        "remind-2",
        "call",
    ]
    assert len(story.of(ReminderDue)) == 4


def test_m1_of_a_weak_grade_is_called_sooner_and_then_needs_a_visit() -> None:
    story = opened("M1", "E").until(at("03-10 09:00"))
    assert [fact.queue for fact in story.of(CaseRouted)] == [
        "reminder",
        "phone",
        "field",
    ]


def test_the_worst_is_by_phone_the_next_morning_and_in_the_field_queue_on_saturday() -> None:
    story = opened("M6").until(at("02-26 09:00"))
    assert story.step == "call"
    story.until(at("02-28 09:00"))
    assert story.step == "visit"


def test_the_last_step_stays() -> None:
    story = opened("M4").until(at("03-20 09:00"))
    assert story.case.step is not None
    assert (story.step, story.case.step.lapses_at) == ("visit", None)


def test_a_reminder_s_id_is_the_same_whenever_it_is_decided_again() -> None:
    once, again = opened("M1").until(at("02-25 09:15")), opened("M1").until(at("02-25 09:15"))
    assert once.of(ReminderDue) == again.of(ReminderDue)


def test_part_of_the_debt_paid_gives_the_step_its_whole_time_again() -> None:
    story = opened("M4").until(at("02-25 09:15"))
    story.told(at("02-26 15:00"), paid(10_000, valued=at("02-26 14:00")))
    assert story.case.step is not None
    assert story.case.step.lapses_at == at("02-28 09:00")
    assert "step_renewed" in story.kinds


def test_a_payment_told_twice_renews_once() -> None:
    story = opened("M4").until(at("02-25 09:15"))
    story.told(at("02-25 15:00"), paid(10_000, valued=at("02-25 14:00")))
    story.told(at("02-26 15:00"), paid(10_000, valued=at("02-25 14:00")))
    assert story.case.step is not None
    assert story.case.step.lapses_at == at("02-27 09:00")


def test_a_stop_holds_the_plan_and_its_lifting_gives_the_set_time_again() -> None:
    story = opened("M4").until(at("02-25 09:15"))
    story.told(at("02-26 10:00"), stop("dispute", at("02-26 10:00")))
    story.until(at("03-10 10:00"))
    assert story.step == "remind-1"
    story.told(at("03-10 10:00"), lift("dispute", at("03-10 10:00")))
    assert story.case.step is not None
    assert story.case.step.lapses_at == at("03-12 09:00")


def test_a_case_opened_under_a_stop_is_not_reminded_before_the_stop_is_lifted() -> None:
    story = Story().told(WEDNESDAY, stop("hardship", WEDNESDAY), overdue(), graded("A"))
    story.until(at("02-27 12:00"))
    assert story.case.open
    assert story.of(ReminderDue) == []
    story.told(at("02-27 12:00"), lift("hardship", at("02-27 12:00"))).until(at("02-27 12:00"))
    assert len(story.of(ReminderDue)) == 2


def test_a_changed_grade_changes_what_comes_next_and_not_the_running_set_time() -> None:
    story = opened("M1", "B").until(at("02-25 09:15"))
    before = story.case.step
    story.told(at("02-26 10:00"), graded("E", version=2))
    assert story.case.step == before
    story.until(at("03-01 09:00"))
    assert story.step == "call"


def test_the_plan_never_steps_back_from_phone_to_reminders() -> None:
    story = opened("M1", "E").until(at("02-27 09:00"))
    assert story.step == "call"
    story.told(at("02-27 10:00"), graded("A", version=2)).until(at("03-20 09:00"))
    assert story.case.bucket == "M2"
    assert [fact.queue for fact in story.of(CaseRouted)] == ["reminder", "phone", "field"]


def test_a_case_that_rests_by_phone_gets_the_set_time_of_the_bucket_it_grows_into_and_then_needs_a_visit() -> None:
    story = opened("M1", "B").until(at("03-12 12:00"))
    assert (story.step, story.case.step and story.case.step.lapses_at) == ("call", None)
    story.until(at("03-13 00:00"))
    assert story.case.step is not None
    assert (story.case.bucket, story.case.step.segment) == ("M2", "m2-m3")
    assert (story.step, story.case.step.lapses_at) == ("call", at("03-17 09:00"))
    assert story.until(at("03-17 09:00")).step == "visit"


def test_a_grade_that_worsens_ends_a_rest_as_well() -> None:
    story = opened("M1", "B").until(at("03-06 09:00"))
    assert story.step == "call"
    story.told(at("03-06 10:00"), graded("E", version=2)).until(at("03-10 09:00"))
    assert story.step == "visit"


def test_a_rest_is_not_ended_under_a_stop_but_when_it_is_lifted() -> None:
    story = opened("M1", "B").until(at("03-06 09:00")).told(at("03-06 10:00"), stop("dispute", at("03-06 10:00")))
    story.told(at("03-06 11:00"), graded("E", version=2)).until(at("03-20 09:00"))
    assert story.case.step is not None
    assert story.case.step.lapses_at is None
    story.told(at("03-20 10:00"), lift("dispute", at("03-20 10:00"))).until(at("03-20 10:00"))
    assert story.case.step.lapses_at == at("03-24 09:00")


def test_a_reminder_that_night_holds_back_gives_the_set_time_from_the_morning() -> None:
    """Else its date would have passed before it leaves, and the first touch would be a call."""
    story = Story().told(at("02-25 22:30"), overdue(due=DUE["M6"], as_of=at("02-25 22:00")), graded("D"))
    story.until(at("02-26 09:00"))
    assert {fact.pay_by for fact in story.of(ReminderDue)} == {date(2026, 2, 26)}
    assert story.step == "remind-1"
    assert story.until(at("02-27 09:00")).step == "call"


def test_a_service_that_was_away_takes_one_step_and_gives_its_whole_set_time() -> None:
    story = opened("M4").until(at("02-25 09:15"))
    story.timer(at("03-05 12:00"))
    assert story.step == "call"
    assert story.case.step is not None
    assert story.case.step.lapses_at == at("03-07 09:00")


def test_after_the_timer_has_acted_nothing_more_is_due_now() -> None:
    story = opened("M4")
    for moment in ("02-25 09:15", "02-27 09:00", "03-01 09:00", "03-20 00:00"):
        story.timer(at(moment))
        due = next_due(story.customer, POLICY, at(moment))
        assert due is None or due > at(moment)
