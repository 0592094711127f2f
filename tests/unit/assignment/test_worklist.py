"""What comes first at the desk, and why."""

from __future__ import annotations

from datetime import date

from services.assignment.domain.contacts import PromiseTold
from services.assignment.domain.worklist import place_of, reasons, workable
from shared.events.kinds import Grade
from tests.unit.assignment.given import DUE, WEDNESDAY, Story, at, by_phone, graded, overdue, reachable, stop
from tests.unit.assignment.test_contacts import FRIDAY, contact, logged
from tests.unit.assignment.test_handover import handed_over


def by_grade(grade: Grade) -> Story:
    return Story().told(WEDNESDAY, reachable(), overdue(due=DUE["M4"]), graded(grade)).until(at("02-27 09:00"))


def broken() -> Story:
    story = logged(by_phone("M1"), contact(outcome="PTP", promise=PromiseTold("CNY", 100, date(2026, 2, 27))))
    return story.until(at("02-28 09:00"))


def test_a_broken_promise_comes_before_everything() -> None:
    assert place_of(broken().customer).rank > place_of(by_grade("E").customer).rank


def test_a_broken_promise_that_was_spoken_about_is_like_any_other() -> None:
    story = logged(broken(), contact(contacted_at=at("02-28 10:00")))
    assert place_of(story.customer).rank < 100
    assert "promise_broken" not in {reason.code for reason in reasons(story.customer)}


def test_a_try_that_reached_nobody_does_not_make_a_broken_promise_spoken_about() -> None:
    story = logged(broken(), contact("NOAS", "UNK", "NONE", contacted_at=at("02-28 10:00")))
    assert "promise_broken" in {reason.code for reason in reasons(story.customer)}


def test_who_was_never_contacted_comes_before_a_worse_grade() -> None:
    spoken = logged(by_grade("E"), contact())
    assert place_of(by_grade("A").customer).rank > place_of(spoken.customer).rank


def test_then_the_grade_then_the_bucket() -> None:
    ranks = [place_of(by_grade(grade).customer).rank for grade in ("A", "B", "C", "D", "E")]
    assert ranks == sorted(ranks)
    assert place_of(by_phone("M4").customer).rank > place_of(by_phone("M2").customer).rank


def test_amounts_are_compared_in_the_currency_of_the_longest_overdue_account() -> None:
    story = Story().told(
        WEDNESDAY, overdue("A1", amount=500), overdue("A2", amount=900, currency="USD", due=DUE["M4"]), overdue("A3")
    )
    place = place_of(story.customer)
    assert (place.currency, place.owed) == ("USD", 900)


def test_the_reasons_are_in_words_of_both_languages() -> None:
    found = reasons(by_phone().customer)
    assert [reason.code for reason in found] == ["never_contacted", "grade", "bucket", "amount"]
    assert (found[3].zh, found[3].en) == ("欠款 ¥1,000.00", "Owes CNY 1,000.00")


def test_what_nobody_may_or_need_work_is_on_no_worklist() -> None:
    assert workable(by_phone().customer)
    assert not workable(by_phone().told(FRIDAY, stop("dispute", FRIDAY)).customer)
    assert not workable(handed_over().customer)
    assert not workable(Story().told(WEDNESDAY, overdue()).until(at("02-25 09:15")).customer)
    assert not workable(by_phone().told(FRIDAY, overdue(amount=0, as_of=FRIDAY)).customer)
