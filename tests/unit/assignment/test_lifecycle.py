"""A case opens when something is overdue, ages by itself, and closes when nothing is owed."""

from __future__ import annotations

from datetime import date

import pytest

from services.assignment.domain.model import amounts_owed
from shared.events.cases import CaseClosed, CaseOpened
from shared.events.kinds import Amount
from shared.money import CurrencyMismatch
from tests.unit.assignment.given import DUE, WEDNESDAY, Story, at, by_phone, cured, graded, overdue, paid, reversed_


def test_an_overdue_snapshot_opens_one_case() -> None:
    story = Story().told(WEDNESDAY, overdue())
    assert [type(fact) for fact in story.facts] == [CaseOpened]
    assert story.case.open
    assert story.case.bucket == "M1"


def test_all_overdue_accounts_of_a_customer_are_one_case() -> None:
    story = Story().told(WEDNESDAY, overdue("A1"), overdue("A2", due=DUE["M4"]), overdue("A3", currency="USD"))
    assert len(story.of(CaseOpened)) == 1
    assert story.case.account_ids == ("A1", "A2", "A3")
    assert story.case.bucket == "M4"


def test_amounts_are_kept_apart_by_currency() -> None:
    story = Story().told(WEDNESDAY, overdue("A1"), overdue("A2"), overdue("A3", currency="USD"))
    assert amounts_owed(story.customer) == (Amount("CNY", 200_000), Amount("USD", 100_000))


def test_a_snapshot_with_nothing_owed_opens_nothing() -> None:
    story = Story().told(WEDNESDAY, overdue(amount=0))
    assert story.customer.case is None
    assert story.facts == []


def test_a_debt_that_is_not_yet_overdue_opens_its_case_the_day_after_the_due_date() -> None:
    story = Story().told(WEDNESDAY, overdue(due=date(2026, 2, 26)))
    assert story.customer.case is None
    assert story.due == at("02-27 00:00")
    story.until(at("02-27 00:00"))
    assert story.case.opened_at == at("02-27 00:00")


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (paid(100_000, valued=at("02-25 10:00")), "paid"),
        (paid(150_000, valued=at("02-25 10:00")), "paid"),
        (cured(at("02-25 10:00")), "cured"),
        (overdue(amount=0, as_of=at("02-25 10:00")), "nothing_owed"),
    ],
)
def test_the_case_closes_when_nothing_is_owed_and_says_why(fact: object, reason: str) -> None:
    story = Story().told(WEDNESDAY, overdue(), graded("B")).until(at("02-25 09:15"))
    story.told(at("02-25 11:00"), fact)  # type: ignore[arg-type]  # one of the facts above
    (closed,) = story.of(CaseClosed)
    assert closed.reason == reason
    assert story.case.step is None
    assert story.due is None


def test_a_case_stays_open_while_one_account_owes() -> None:
    story = Story().told(WEDNESDAY, overdue("A1"), overdue("A2"))
    story.told(at("02-25 11:00"), paid(100_000, valued=at("02-25 10:00")))
    assert story.case.open


def test_a_later_snapshot_opens_a_new_episode() -> None:
    story = Story().told(WEDNESDAY, overdue())
    first = story.case.case_id
    story.told(at("02-25 11:00"), paid(100_000, valued=at("02-25 10:00")))
    story.told(at("03-20 11:00"), overdue(as_of=at("03-20 10:00"), due=date(2026, 3, 10)))
    assert story.case.open
    assert story.case.number == 2
    assert story.case.case_id != first


def test_who_collected_is_asked_first_again_though_an_episode_between_was_only_reminded() -> None:
    """Seen to fail: with the last episode's own collector alone, who had none."""
    story = by_phone()
    story.told(at("02-28 10:00"), cured(at("02-28 10:00")))
    for month in ("03", "04"):
        story.told(at(f"{month}-20 10:00"), overdue(as_of=at(f"{month}-20 10:00"), due=date(2026, int(month), 10)))
        assert (story.case.collector, story.case.earlier_collector) == (None, "P1")
        story.told(at(f"{month}-20 11:00"), cured(at(f"{month}-20 11:00")))
    assert story.case.number == 3


def test_an_older_snapshot_changes_nothing() -> None:
    story = Story().told(WEDNESDAY, overdue(amount=50_000))
    before = story.customer
    story.told(at("02-25 11:00"), overdue(amount=900_000, as_of=at("02-20 09:00")))
    assert story.customer == before


def test_a_reversal_after_the_close_opens_a_new_episode() -> None:
    story = Story().told(WEDNESDAY, overdue())
    story.told(at("02-25 11:00"), paid(100_000, valued=at("02-25 10:00")))
    story.told(at("02-26 11:00"), reversed_(100_000, when=at("02-26 10:00")))
    assert story.case.open
    assert story.case.number == 2


def test_a_payment_reversed_after_the_cure_is_owed_again_with_the_old_due_date() -> None:
    story = Story().told(WEDNESDAY, overdue(), paid(100_000, valued=at("02-25 10:00")))
    story.told(at("02-26 09:00"), cured(at("02-26 08:00")))
    story.told(at("02-27 11:00"), reversed_(100_000, when=at("02-27 10:00")))
    assert (story.case.open, story.case.number, story.case.bucket) == (True, 2, "M1")


def test_a_payment_that_came_before_its_debt_counts() -> None:
    story = Story().told(WEDNESDAY, paid(100_000, valued=at("02-25 09:30")), overdue())
    assert story.customer.case is None


def test_the_case_ages_by_itself_at_midnight() -> None:
    """Due 10 February: the 31st day past due is 13 March."""
    story = Story().told(WEDNESDAY, overdue(), graded("A"))
    story.until(at("03-12 23:59"))
    before = story.case.bucket
    story.until(at("03-13 00:00"))
    assert (before, story.case.bucket) == ("M1", "M2")


def test_the_worst_grade_is_the_case_s() -> None:
    story = Story().told(WEDNESDAY, overdue("A1"), overdue("A2"), graded("B"), graded("E", account_id="A2"))
    worst = story.case.grade
    story.told(at("02-25 11:00"), paid(100_000, valued=at("02-25 10:00"), account_id="A2"))
    assert (worst, story.case.grade) == ("E", "B")


def test_an_older_grading_changes_nothing() -> None:
    story = Story().told(WEDNESDAY, overdue(), graded("D", version=2), graded("A", version=1))
    assert story.case.grade == "D"


def test_a_payment_in_another_currency_than_the_account_s_is_refused() -> None:
    story = Story().told(WEDNESDAY, overdue(currency="USD"))
    with pytest.raises(CurrencyMismatch):
        story.told(at("02-25 11:00"), paid(100, valued=at("02-25 10:00")))


def test_an_account_of_which_no_due_date_is_known_keeps_no_case_open() -> None:
    """Only a cure of it has come, and a payment that was taken back since: a reminder could name nothing of it."""
    later = at("02-26 09:00")
    story = Story().told(WEDNESDAY, overdue("A1"), paid(500, "P2", valued=WEDNESDAY, account_id="A2"))
    story.told(later, cured(later, "A2"), reversed_(500, "P2", when=at("02-26 10:00"), account_id="A2"))
    story.told(at("02-26 11:00"), paid(100_000, valued=at("02-26 11:00")))
    assert story.case.close_reason == "paid"
    assert story.customer.owing() == ()
