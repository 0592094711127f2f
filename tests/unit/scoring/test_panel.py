"""Which card decides, which one is heard, and how far the two agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from services.scoring.domain.account import Customer
from services.scoring.domain.card import Card, Verdict
from services.scoring.domain.characteristics import standing_of
from services.scoring.domain.comparing import Agreement, Crossing, agreement, comparison_of
from services.scoring.domain.grading import judge, next_due, regrade
from services.scoring.domain.loading import load_card, load_panel
from services.scoring.domain.panel import Pair, Panel
from services.scoring.settings import SHIPPED_CARDS
from shared.rules.loading import DataFileError
from tests.unit.scoring.facts import CARD, DAY, account, months, snapshot

FITTED = load_card(SHIPPED_CARDS / "uci-scorecard-2026-11.yaml")
HELD = account(snapshot(days=40, periods=2, history=months(2, 1, 0, 0)))


def test_the_shipped_expert_card_decides_and_the_fitted_one_is_heard() -> None:
    pair = load_panel(SHIPPED_CARDS, "expert-points", "uci-scorecard").on(DAY)
    assert [card.name for card in pair.cards] == ["expert-points", "uci-scorecard"]


def test_without_a_challenger_nobody_is_heard() -> None:
    assert load_panel(SHIPPED_CARDS, "expert-points").on(DAY).challenger is None


def test_of_each_name_the_newest_card_that_is_valid_holds() -> None:
    later = replace(FITTED, version="next", valid_from=DAY)
    panel = Panel([CARD], [FITTED, later])
    assert panel.on(DAY).challenger is later
    assert panel.on(DAY - timedelta(days=1)).challenger is FITTED


def test_a_challenger_before_its_first_day_says_nothing_and_a_champion_before_its_is_a_fault() -> None:
    panel = Panel([CARD], [replace(FITTED, valid_from=DAY + timedelta(days=1))])
    assert panel.on(DAY).challenger is None
    with pytest.raises(LookupError):
        panel.on(date(2025, 12, 31))


@pytest.mark.parametrize(
    ("champion", "challenger", "remedy"),
    [
        ("expert-points", "expert-points", "cannot challenge itself"),
        ("nobody", "", "ARREARS_CHAMPION_CARD"),
        ("expert-points", "nobody", "ARREARS_CHALLENGER_CARD"),
    ],
)
def test_a_card_that_is_not_there_stops_the_start_and_names_the_setting(
    champion: str, challenger: str, remedy: str
) -> None:
    with pytest.raises(DataFileError, match=remedy):
        load_panel(SHIPPED_CARDS, champion, challenger)


def test_two_cards_of_one_name_never_have_one_version(tmp_path: Path) -> None:
    text = (SHIPPED_CARDS / "expert-points-2026-01.yaml").read_text(encoding="utf-8")
    (tmp_path / "one.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "two.yaml").write_text(text.replace("valid_from: 2026-01-01", "valid_from: 2026-02-01"), "utf-8")
    with pytest.raises(DataFileError, match="one name have one version"):
        load_panel(tmp_path, "expert-points")


def test_the_challenger_changes_nothing_of_what_the_champion_says() -> None:
    alone, beside = judge(HELD, Pair(CARD), DAY), judge(HELD, Pair(CARD, FITTED), DAY)
    assert alone is not None
    assert beside is not None
    assert (alone.result, alone.news) == (beside.result, beside.news)
    assert alone.challenger is None
    assert beside.challenger is not None


def test_a_comparison_holds_what_both_cards_say() -> None:
    judged, alone = judge(HELD, Pair(CARD, FITTED), DAY), judge(HELD, Pair(CARD), DAY)
    assert judged is not None
    assert judged.challenger is not None
    assert alone is not None
    comparison = comparison_of("c-1", "a-1", judged)
    assert comparison is not None
    assert (comparison.champion_score, comparison.challenger_score) == (judged.result.score, judged.challenger.score)
    assert comparison_of("c-1", "a-1", alone) is None


@pytest.mark.parametrize("card", [CARD, FITTED], ids=lambda card: card.name)
@given(
    days=st.integers(0, 400),
    periods=st.integers(0, 9),
    past_due=st.integers(0, 10**7),
    limit=st.sampled_from([0, 500_000, 5_000_000]),
    statuses=st.lists(st.integers(-2, 8), max_size=6),
    currency=st.sampled_from(["CNY", "JPY"]),
)
def test_a_verdict_is_what_the_whole_grading_comes_to(
    card: Card, days: int, periods: int, past_due: int, limit: int, statuses: list[int], currency: str
) -> None:
    """Seen to fail with the bins of currencies left out."""
    held = account(
        snapshot(
            days=days, periods=periods, past_due=past_due, limit=limit, history=months(*statuses), currency=currency
        )
    )
    standing = standing_of(held, DAY)
    assert standing is not None
    whole = card.grade(standing)
    assert card.verdict(standing) == Verdict(whole.score, whole.grade, whole.treatment)


def test_agreement_counts_accounts_of_one_grade_neighbouring_grades_and_one_treatment() -> None:
    rows = [Crossing("A", "A", 5, 5), Crossing("B", "C", 3, 2), Crossing("A", "E", 2, 0)]
    assert agreement(rows) == Agreement(accounts=10, same_grade=5, within_one_grade=8, same_treatment=7)
    assert agreement([]) == Agreement()


def test_another_card_is_news_even_when_it_says_the_same() -> None:
    """Seen to fail with only the version compared."""
    held = regrade(HELD, CARD, DAY)
    assert held is not None
    assert regrade(held.account, CARD, DAY) is None
    told = regrade(held.account, replace(CARD, version="2026-02"), DAY)
    assert told is not None
    assert (told.before, told.last.grade) == (held.last.grade, held.last.grade)
    assert regrade(held.account, replace(CARD, name="other"), DAY) is not None


def test_a_grading_from_before_the_cards_name_was_kept_is_not_told_again() -> None:
    held = regrade(HELD, CARD, DAY)
    assert held is not None
    older = structs.replace(held.account, last=structs.replace(held.last, card=""))
    assert regrade(older, CARD, DAY) is None


def test_an_account_is_graded_anew_when_it_ages_for_either_card() -> None:
    """Seen to fail with the champion's ages alone."""
    (ages,) = (each for each in CARD.characteristics if each.name == "days_past_due")
    assert ages.bins is not None
    shifted = replace(ages, bins=replace(ages.bins, lows=[7, *ages.bins.lows[1:]]))
    other = replace(CARD, name="other", characteristics=(shifted,))
    customer = Customer().with_account(account(snapshot(days=5)))
    alone, both = (next_due(customer, cards, DAY, "Asia/Shanghai") for cards in ([CARD], [CARD, other]))
    assert alone is not None
    assert both is not None
    assert both < alone
