"""The command on a file of a few hundred made-up accounts: what it reads, refuses and gives."""

from __future__ import annotations

import csv
import random
from datetime import date
from pathlib import Path

import pytest
from msgspec import structs

from services.scoring.domain.characteristics import standing_of as ours
from services.scoring.domain.loading import load_card
from services.scoring.settings import SHIPPED_CARDS
from services.scoring.training.__main__ import main
from services.scoring.training.evidence import gather, hold_out
from services.scoring.training.plan import PLAN as SHIPPED_PLAN
from services.scoring.training.plan import load_plan
from services.scoring.training.uci import Portfolio, read, standing_of
from shared.events.card import MonthlyStatus
from shared.rules.loading import DataFileError
from tests.unit.scoring.facts import account, snapshot

PLAN = load_plan()
NAMES = tuple(PLAN.characteristics)
CARD = load_card(SHIPPED_CARDS / "uci-scorecard-2026-11.yaml")
DAY = date(2026, 11, 24)
COLUMNS = (
    "ID", "LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE",
    "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6",
    *(f"BILL_AMT{number}" for number in range(1, 7)), *(f"PAY_AMT{number}" for number in range(1, 7)),
    "default_payment_next_month",
)  # fmt: skip


def record(number: int, draw: random.Random) -> dict[str, int]:
    """Return one made-up account; the more months overdue, the likelier it defaults."""
    statuses = [draw.choice([0, 1, 2, 3]), *(draw.choice([-2, -1, 0, 1, 2]) for _ in range(5))]
    chance = 0.15 + 0.2 * min(statuses[0], 3)
    values = (
        number, draw.choice([20_000, 100_000]), draw.choice([1, 2]), draw.choice([1, 2, 3, 5]), draw.choice([1, 2, 3]),
        draw.randrange(21, 70), *statuses, *(draw.randrange(0, 20_000) for _ in range(6)),
        *(draw.choice([0, 500, 5_000]) for _ in range(6)), int(draw.random() < chance),
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(7)
    path = tmp_path_factory.mktemp("uci") / "accounts.csv"
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        writer.writeheader()
        writer.writerows(record(number, draw) for number in range(1, 501))
    return path


def test_only_accounts_a_month_or_more_overdue_are_read(file: Path) -> None:
    portfolio = read(file, ("periods_past_due",))
    assert portfolio.rows_of_file == 500
    assert 300 < len(portfolio.rows) < 450
    assert all(row.values[0] is not None and row.values[0] >= 1 for row in portfolio.rows)


def test_an_account_of_the_file_stands_as_ours_do() -> None:
    row = record(1, random.Random(1)) | {"LIMIT_BAL": 20_000, "PAY_0": 2, "PAY_2": -1, "BILL_AMT1": 3_913}
    standing = standing_of(row)
    assert (standing.periods, standing.credit_limit, standing.currency) == (2, 2_000_000, "TWD")
    assert [month.status for month in standing.history[:2]] == [2, -1]
    assert standing.history[0].statement_balance == 391_300
    assert [month.month for month in standing.history] == sorted((m.month for m in standing.history), reverse=True)


def test_a_fact_gets_the_points_that_its_row_was_fitted_with() -> None:
    """What is learned and what is graded are one definition; seen to fail with the file's months taken oldest first."""
    draw = random.Random(3)
    for number in range(1, 200):
        row = record(number, draw) | {"PAY_0": draw.choice([1, 2, 3])}
        statuses = [row[name] for name in COLUMNS[6:12]]
        fact = snapshot(
            currency="TWD",
            limit=row["LIMIT_BAL"] * 100,
            periods=row["PAY_0"],
            history=[
                MonthlyStatus(
                    month=f"2026-{6 - back:02}",
                    status=status,
                    statement_balance=row[f"BILL_AMT{back + 1}"] * 100,
                    paid=row[f"PAY_AMT{back + 1}"] * 100,
                )
                for back, status in enumerate(statuses)
            ],
        )
        served = ours(account(fact), DAY)
        assert served is not None
        assert CARD.grade(served).score == CARD.grade(standing_of(row)).score


def test_the_order_of_the_rows_changes_nothing(file: Path) -> None:
    """Seen to fail with folds made by the row's place instead of its id."""
    portfolio = read(file, NAMES)
    turned = Portfolio(portfolio.sha256, portfolio.rows_of_file, tuple(reversed(portfolio.rows)))
    assert gather(PLAN, portfolio, DAY) == gather(PLAN, turned, DAY)


def test_a_row_is_never_scored_by_a_card_that_has_seen_it(file: Path) -> None:
    """Seen to fail with the fold's own rows left among those that the card is fitted to."""
    rows = read(file, NAMES).rows
    before = hold_out(PLAN, rows, 0)
    for at in (0, 1, 2):
        flipped = [*rows[:at], structs.replace(rows[at], defaulted=not rows[at].defaulted), *rows[at + 1 :]]
        after = hold_out(PLAN, flipped, 0)
        assert after[at] == before[at]
        assert after != before


def test_another_file_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataFileError, match="is not the UCI file"):
        read(other, NAMES)
    assert main(["fit", str(other)]) == 1
    assert main(["fit", str(tmp_path / "nothing.csv")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_file_without_an_overdue_account_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fine.csv"
    row = record(1, random.Random(1)) | {"PAY_0": 0}
    path.write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n", encoding="utf-8")
    with pytest.raises(DataFileError, match="no overdue account"):
        read(path, NAMES)


def test_a_check_of_another_file_says_which_shipped_files_differ(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(file)]) == 1
    assert "uci-evidence.json differs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("  periods_past_due:", "  mood:", "is no characteristic"),
        ("  periods_past_due:", "  days_past_due:", "is not in the file"),
        ("cuts: [2, 3, 4]", "cuts: [3, 2, 4]", "do not rise"),
        ("monotone: increasing", "monotone: free", "Invalid enum value"),
    ],
)
def test_a_plan_that_could_fit_nonsense_is_refused(tmp_path: Path, old: str, new: str, fault: str) -> None:
    shipped = SHIPPED_PLAN.read_text(encoding="utf-8")
    assert old in shipped
    path = tmp_path / "plan.yaml"
    path.write_text(shipped.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataFileError, match=fault):
        load_plan(path)
