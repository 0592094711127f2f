"""A promise is judged by posted payments alone, in the issuer's days."""

from __future__ import annotations

from datetime import date

from services.assignment.domain.contacts import PromiseTold
from shared.events.cases import PromiseBroken, PromiseKept
from tests.unit.assignment.given import Story, at, by_phone, overdue, paid, reversed_
from tests.unit.assignment.test_contacts import contact, logged


def promised(pay_by: date = date(2026, 2, 28), amount: int = 30_000, bucket: str = "M4") -> Story:
    return logged(by_phone(bucket), contact(outcome="PTP", promise=PromiseTold("CNY", amount, pay_by)))


def outcomes(story: Story) -> list[str]:
    return [type(fact).__name__ for fact in story.facts if isinstance(fact, PromiseKept | PromiseBroken)]


def test_kept_as_soon_as_the_payments_reach_it() -> None:
    story = promised().told(at("02-27 15:00"), paid(29_999, "P1", valued=at("02-27 14:00")))
    assert outcomes(story) == []
    story.told(at("02-27 16:00"), paid(1, "P2", valued=at("02-27 15:30")))
    assert outcomes(story) == ["PromiseKept"]


def test_the_whole_last_day_counts() -> None:
    story = promised().told(at("03-01 02:00"), paid(30_000, valued=at("02-28 23:59")))
    assert outcomes(story) == ["PromiseKept"]


def test_a_payment_valued_after_the_day_does_not_count() -> None:
    story = promised().told(at("03-01 02:00"), paid(30_000, valued=at("03-01 00:00"))).until(at("03-01 09:00"))
    assert outcomes(story) == ["PromiseBroken"]


def test_a_payment_from_before_the_promise_does_not_count() -> None:
    story = promised().told(at("02-27 15:00"), paid(30_000, valued=at("02-27 09:30"))).until(at("03-01 09:00"))
    assert outcomes(story) == ["PromiseBroken"]


def test_what_was_reversed_does_not_count() -> None:
    story = promised()
    story.told(at("02-27 15:00"), paid(20_000, "P1", valued=at("02-27 14:00")))
    story.told(at("02-27 15:30"), reversed_(20_000, "P1", when=at("02-27 15:20")))
    story.told(at("02-27 16:00"), paid(10_000, "P2", valued=at("02-27 15:30"))).until(at("03-01 09:00"))
    assert outcomes(story) == ["PromiseBroken"]
    assert story.of(PromiseBroken)[0].paid == 10_000


def test_a_reversal_that_comes_before_its_payment_counts_too() -> None:
    story = promised()
    story.told(at("02-27 15:00"), reversed_(30_000, "P1", when=at("02-27 14:30")))
    story.told(at("02-27 16:00"), paid(30_000, "P1", valued=at("02-27 14:00")))
    assert outcomes(story) == []


def test_a_payment_inside_a_newer_snapshot_still_counts_towards_the_promise() -> None:
    story = promised()
    story.told(at("02-27 15:00"), overdue(amount=70_000, as_of=at("02-27 15:00"), due=date(2025, 11, 10)))
    story.told(at("02-27 16:00"), paid(30_000, valued=at("02-27 14:00")))
    assert outcomes(story) == ["PromiseKept"]


def test_broken_the_morning_after_and_not_before() -> None:
    story = promised().until(at("03-01 08:59"))
    assert outcomes(story) == []
    story.until(at("03-01 09:00"))
    assert outcomes(story) == ["PromiseBroken"]
    assert story.case.broken_promises == 1


def test_an_open_promise_holds_the_next_step_and_its_breaking_lets_it_come() -> None:
    """The step was renewed by the talk on Friday until Saturday; the promise holds it until Monday."""
    story = promised(date(2026, 3, 1)).until(at("03-02 08:59"))
    assert story.step == "call"
    story.until(at("03-02 09:00"))
    assert story.step == "visit"


def test_a_kept_promise_gives_the_step_its_whole_time_again() -> None:
    story = promised(date(2026, 3, 1)).told(at("03-01 15:00"), paid(30_000, valued=at("03-01 14:00")))
    assert story.case.step is not None
    assert (story.step, story.case.step.lapses_at) == ("call", at("03-03 09:00"))


def test_a_promise_that_the_end_of_the_case_made_needless_is_neither_kept_nor_broken() -> None:
    story = promised(amount=100_000).told(at("02-27 15:00"), overdue(amount=0, as_of=at("02-27 15:00")))
    assert outcomes(story) == []
    assert "promise_ended" in story.kinds
    story.until(at("03-05 09:00"))
    assert outcomes(story) == []


def test_paying_everything_keeps_the_promise_and_closes_the_case() -> None:
    story = promised(amount=100_000).told(at("02-27 15:00"), paid(100_000, valued=at("02-27 14:00")))
    assert outcomes(story) == ["PromiseKept"]
    assert not story.case.open
