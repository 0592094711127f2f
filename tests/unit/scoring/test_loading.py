"""A points card that could grade an account wrongly is refused, with the row, the fault and the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.scoring.domain.loading import load_card, load_cards
from services.scoring.settings import SHIPPED_CARDS
from shared.rules.loading import DataFileError

SHIPPED = (SHIPPED_CARDS / "expert-points-2026-01.yaml").read_text(encoding="utf-8")


def test_one_shipped_card_is_the_experts_and_one_is_fitted_and_their_names_say_so() -> None:
    assert {(card.name, card.version) for card in load_cards(SHIPPED_CARDS)} == {
        ("expert-points", "2026-01"),
        ("uci-scorecard", "2026-11"),
    }


def test_every_currency_of_the_shipped_card_has_rising_thresholds() -> None:
    card = load_card(SHIPPED_CARDS / "expert-points-2026-01.yaml")
    (amounts,) = (each for each in card.characteristics if each.name == "amount_past_due")
    assert set(amounts.by_currency) == {"CNY", "TWD", "USD"}


@pytest.mark.parametrize(
    ("old", "new", "row", "fault"),
    [
        ("  trend: #", "  mood: #", "characteristics.mood", "is no characteristic"),
        ("{from: 8, to: 30,", "{from: 7, to: 30,", "characteristics.days_past_due.bins[2]", "overlaps"),
        ("{from: 8, to: 30,", "{from: 9, to: 30,", "characteristics.days_past_due.bins[2]", "leaves a hole"),
        ("{to: 0, points: 0}", "{from: 0, to: 0, points: 0}", "characteristics.days_past_due.bins", "does not cover"),
        ("to: 7, points: 10", "to: 7, points: 90", "characteristics.days_past_due.bins[2]", "breaks the declared"),
        (", zh: 逾期 1 至 7 天", "", "characteristics.days_past_due.bins[1]", "without a reason in words"),
        ("      TWD:", "      XXX:", "characteristics.amount_past_due.bins_by_currency.XXX", "not an ISO 4217"),
        ("grade: B, below: 120", "grade: B, below: 20", "grades", "bounds that do not rise"),
        ("  - {grade: C, below: 200}\n", "", "grades", "not A to E"),
        ("  M3: {A: call, ", "  M3: {", "treatments.M3.A", "is missing"),
        ("E: legal_review}\n  M6", "E: prison}\n  M6", "treatments", "Invalid enum value"),
        ("valid_from: 2026-01-01", "valid_from: soon", "valid_from", "Invalid"),
        ("card: expert-points\n", "", "", "missing required field"),
        ("source:", "colour: red\nsource:", "", "unknown field"),
        ("    monotone: increasing\n", "    monotone: upward\n", "characteristics", "Invalid enum value"),
        ("card: expert-points", "card: expert-points\ncard: other", "", "stands twice"),
    ],
)  # fmt: skip
def test_a_wrong_card_is_refused_by_row_fault_and_remedy(
    tmp_path: Path, old: str, new: str, row: str, fault: str
) -> None:
    assert old in SHIPPED
    path = tmp_path / "card.yaml"
    path.write_text(SHIPPED.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataFileError, match=re.escape(fault)) as refused:
        load_card(path)
    assert refused.value.row.startswith(row)
    assert refused.value.remedy


def test_an_amount_needs_bins_of_its_currencies_and_nothing_else_has_them(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    one_bin = "\n    bins: [{points: 0}]\n"
    text = re.sub(r"\n    bins_by_currency:\n(?:      .*\n)+", one_bin, SHIPPED)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataFileError, match="amount without currency"):
        load_card(path)
    path.write_text(
        SHIPPED.replace("  trend: #", "  trend:\n    bins_by_currency: {CNY: [{points: 0}]}\n    #", 1), "utf-8"
    )
    with pytest.raises(DataFileError, match="bins of its own"):
        load_card(path)


def test_two_cards_never_begin_on_one_day_and_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="holds no points card"):
        load_cards(tmp_path)
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(SHIPPED, encoding="utf-8")
    with pytest.raises(DataFileError, match="one name begin on one day"):
        load_cards(tmp_path)


FITTED = (SHIPPED_CARDS / "uci-scorecard-2026-11.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "row", "fault"),
    [
        ("slope: 0.0", "slope: -0.0", "probability.slope", "> 0"),
        ("intercept: 0.", "intercept: .nan # 0.", "probability", "is not a number"),
        ("sha256: ", "sha256: g", "provenance.sha256", "matching regex"),
        ("  licence: CC BY 4.0\n", "", "provenance", "missing required field"),
        ("{to: 1, points: -26", "{to: 1, points: 90", "periods_past_due.bins[1]", "breaks the declared"),
    ],
)
def test_a_fitted_card_without_sound_provenance_or_order_is_refused(
    tmp_path: Path, old: str, new: str, row: str, fault: str
) -> None:
    assert old in FITTED
    path = tmp_path / "card.yaml"
    path.write_text(FITTED.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataFileError, match=re.escape(fault)) as refused:
        load_card(path)
    assert row in refused.value.row
