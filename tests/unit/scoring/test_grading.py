"""A snapshot, a payment, a reversal, a cure and time change the grade when they should, and only news is told."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.domain.account import Account, Customer
from services.scoring.domain.card import card_on
from services.scoring.domain.grading import Grading, basis_of, fact_of, next_due, regrade
from shared.events.kinds import Bucket, Fact, Grade
from shared.money import CurrencyMismatch
from shared.rules.paid import AccountLedger
from tests.unit.scoring.facts import CARD, DAY, account, at, cure, folded, months, payment, reversal, snapshot

SHANGHAI = "Asia/Shanghai"


def graded(held: Account, day: date = DAY) -> Grading:
    found = regrade(held, CARD, day)
    assert found is not None
    return found


def test_an_account_is_graded_once_a_snapshot_of_it_has_come() -> None:
    assert regrade(account(payment(100)), CARD, DAY) is None
    assert regrade(account(cure()), CARD, DAY) is None
    assert graded(account(payment(100), snapshot())).last.version == 1


def test_a_good_payer_some_days_late_is_grade_a_and_reminded() -> None:
    last = graded(account(snapshot(days=5, past_due=80_000, history=months(0, 0, 0, 0, paid=90_000)))).last
    assert (last.grade, last.bucket, last.treatment) == ("A", "M1", "remind")


def test_a_long_and_growing_debt_with_nothing_paid_is_grade_e_and_at_most_reviewed_for_law() -> None:
    held = account(snapshot(days=140, past_due=6_000_000, limit=6_000_000, periods=5, history=months(5, 4, 3, 2, 1, 0)))
    last = graded(held).last
    assert (last.grade, last.bucket, last.treatment) == ("E", "M5", "legal_review")


def test_who_falls_far_behind_with_a_good_grade_is_heard_about_hardship_first() -> None:
    for bucket in ("M4", "M5", "M6", "M7+"):
        assert {CARD.treatments[bucket, "A"], CARD.treatments[bucket, "B"]} == {"hardship_talk"}


def test_reasons_are_at_most_four_words_the_weightiest_first() -> None:
    result = graded(account(snapshot(days=75, past_due=6_000_000, periods=3, history=months(3, 2, 1, 0)))).result
    points = [line.points for line in result.lines]
    weights = [line.points for reason in result.reasons for line in result.lines if line.name == reason.code]
    assert weights == sorted(points, reverse=True)[:4]
    assert result.reasons[0].code == "days_past_due"
    assert result.reasons[0].zh == "逾期 61 至 90 天"
    assert all(reason.zh and reason.en for reason in result.reasons)
    assert result.score == sum(points)


def test_payment_in_full_ends_in_bucket_m0_with_nothing_suggested() -> None:
    held = graded(account(snapshot(days=40, periods=2))).account
    last = graded(folded(held, [payment(120_000)])).last
    assert (last.version, last.bucket, last.treatment) == (2, "M0", "none")


def test_a_reversal_brings_the_debt_and_its_age_back() -> None:
    held = account(snapshot(days=40, periods=2), payment(120_000), reversal(120_000))
    last = graded(held).last
    assert (last.bucket, dict(last.reasons)["reversed_payments"]) == ("M2", 1)


def test_a_payment_taken_back_after_a_cure_makes_its_due_date_unpaid_again() -> None:
    held = account(
        snapshot(days=40, as_of=at(20)),
        payment(120_000, valued_at=at(21)),
        cure(at(22)),
        reversal(120_000, reversed_at=at(23)),
    )
    assert graded(held).last.bucket == "M2"


def test_a_cure_ends_in_bucket_m0_and_a_later_snapshot_begins_anew() -> None:
    held = graded(account(snapshot(days=40), cure())).account
    assert held.last is not None
    assert held.last.bucket == "M0"
    again = folded(held, [snapshot(days=2, as_of=at(26))])
    assert graded(again).last.bucket == "M1"


def test_an_older_snapshot_changes_nothing() -> None:
    held = account(snapshot(days=40))
    assert folded(held, [snapshot(days=80, as_of=at(23))]) is held


def test_points_that_change_nothing_a_person_would_do_are_no_news() -> None:
    held = graded(account(snapshot(past_due=120_000))).account
    smaller = folded(held, [payment(1_000)])
    assert smaller is not held
    assert regrade(smaller, CARD, DAY) is None


def test_another_reason_is_news_even_when_the_grade_stays() -> None:
    held = graded(account(snapshot(past_due=90_000))).account
    more = folded(held, [snapshot(past_due=150_000, as_of=at(25))])
    news = graded(more)
    assert held.last is not None
    assert news.last.grade == held.last.grade
    assert {reason.code for reason in news.result.reasons} >= {"amount_past_due"}


def test_an_amount_in_a_currency_without_thresholds_gives_no_points() -> None:
    lines = graded(account(snapshot(currency="JPY", past_due=90_000_000))).result.lines
    assert {line.name: line.points for line in lines}["amount_past_due"] == 0


def test_two_currencies_of_one_account_are_never_added() -> None:
    with pytest.raises(CurrencyMismatch):
        account(snapshot(currency="USD"), payment(100))


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, "2026-02-25T16:00:00+00:00"),
        (5, "2026-02-27T16:00:00+00:00"),
        (30, "2026-02-25T16:00:00+00:00"),
        (31, "2026-03-26T16:00:00+00:00"),
        (181, None),
    ],
)
def test_an_account_is_graded_anew_at_the_midnight_at_which_it_ages(days: int, expected: str | None) -> None:
    due = next_due(Customer().with_account(account(snapshot(days=days))), [CARD], DAY, SHANGHAI)
    assert due == (datetime.fromisoformat(expected) if expected else None)


def test_the_first_account_to_age_is_the_customers_next_due() -> None:
    both = Customer().with_account(account(snapshot(days=181))).with_account(account(snapshot(days=30)))
    other = Account(AccountLedger("a-2"))
    assert next_due(both.with_account(other), [CARD], DAY, SHANGHAI) == datetime.fromisoformat("2026-02-25T16:00:00Z")


def test_a_paid_account_does_not_age() -> None:
    assert next_due(Customer().with_account(account(snapshot(), payment(120_000))), [CARD], DAY, SHANGHAI) is None


def test_time_alone_moves_an_account_into_the_next_bucket() -> None:
    held = graded(account(snapshot(days=30))).account
    assert regrade(held, CARD, DAY) is None
    assert graded(held, DAY + timedelta(days=1)).last.bucket == "M2"


def test_a_grading_tells_what_it_was_graded_on() -> None:
    grading = graded(account(snapshot(days=40, history=months(1, 0))))
    basis = basis_of(grading)
    assert basis["past_due"] == 120_000
    assert basis["due_date"] == DAY - timedelta(days=40)
    assert sum(line["points"] for line in basis["points"]) == grading.result.score
    fact = fact_of(grading, CARD, "c-1", at(25))
    assert (fact.card, fact.card_version, fact.version) == ("expert-points", "2026-01", 1)


def test_the_newest_card_that_is_valid_on_the_day_is_taken() -> None:
    assert card_on([CARD], DAY) is CARD
    with pytest.raises(LookupError):
        card_on([CARD], date(2025, 12, 31))


@pytest.mark.parametrize("grade", get_args(Grade))
@pytest.mark.parametrize("bucket", get_args(Bucket))
def test_law_is_suggested_only_as_a_review_and_never_early(bucket: Bucket, grade: Grade) -> None:
    if CARD.treatments[bucket, grade] == "legal_review":
        assert bucket in {"M5", "M6", "M7+"}
        assert grade in {"D", "E"}


INSTANTS = st.builds(at, st.integers(20, 26), st.integers(0, 3))
AMOUNTS = st.sampled_from([1_000, 60_000, 120_000])
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(
        snapshot,
        past_due=AMOUNTS,
        days=st.sampled_from([3, 31, 70]),
        as_of=INSTANTS,
        limit=st.sampled_from([0, 500_000]),
        periods=st.integers(0, 3),
        history=st.sampled_from([(), months(1, 0), tuple(reversed(months(1, 0))), months(2, 1, 0)]),
    ),
    st.builds(payment, AMOUNTS, number=st.integers(1, 2), valued_at=INSTANTS),
    st.builds(reversal, AMOUNTS, number=st.integers(1, 2), reversed_at=INSTANTS),
    st.builds(cure, INSTANTS),
)


@given(facts=st.lists(FACTS, max_size=7), data=st.data())
def test_any_order_and_any_repetition_of_the_facts_give_one_state_and_one_grade(
    facts: list[Fact], data: st.DataObject
) -> None:
    """The count of gradings on the way may differ: it says how often there was news."""
    shuffled = data.draw(
        st.permutations([*facts, *data.draw(st.lists(st.sampled_from(facts)) if facts else st.just([]))])
    )
    one, other = account(*facts), account(*shuffled)
    assert one == other
    first, second = regrade(one, CARD, DAY), regrade(other, CARD, DAY)
    assert (first and first.result) == (second and second.result)


@given(facts=st.lists(FACTS, max_size=6))
def test_a_fact_that_is_known_changes_nothing(facts: list[Fact]) -> None:
    held = account(*facts)
    assert all(folded(held, [fact]) is held for fact in facts)
