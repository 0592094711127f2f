from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from deploy.portfolio import figures
from deploy.portfolio.figures import LIMITS, LONG, PAID, SHARES, band, count, kind_of, main, read

HEADER = [
    "ID", "LIMIT_BAL", "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6",
    *(f"BILL_AMT{n}" for n in range(1, 7)), *(f"PAY_AMT{n}" for n in range(1, 7)), "default_payment_next_month",
]  # fmt: skip
ROWS = [
    [1, 20_000, 2, 2, -1, -1, -2, -2, 3_913, 3_102, 689, 0, 0, 0, 0, 689, 0, 0, 0, 0, 1],
    [2, 120_000, -1, 2, 0, 0, 0, 2, 2_682, 1_725, 2_682, 3_272, 3_455, 3_261, 0, 1_000, 0, 0, 0, 0, 1],
    [3, 500_000, 4, 3, 2, 2, 0, 0, -50, 0, 600_000, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
]


def file_of(folder: Path, rows: list[list[int]]) -> Path:
    path = folder / "clients.csv"
    lines = [HEADER, *([str(cell) for cell in row] for row in rows)]
    path.write_text("\n".join(map(",".join, lines)), encoding="utf-8")
    return path


def test_the_overdue_are_counted_and_the_others_are_not(tmp_path: Path) -> None:
    found = count(read(file_of(tmp_path, ROWS)))
    assert found.months_overdue == {2: 1, 4: 1}
    assert found.limit == {50_000: 1, 800_000: 1}
    assert found.before == {2: {2: 1}, 4: {3: 1}}
    assert found.earlier == {-2: {-2: 1}, -1: {-2: 1, -1: 1}, 0: {0: 1}, 2: {-1: 1, 0: 1, 2: 1}, 3: {2: 1}}
    assert found.statement == {2: {25: 1}, LONG: {120: 1}}
    assert found.paid["overdue"] == {0: 4, 100: 1}
    assert found.defaulted == {2: 1, LONG: 0}


def test_the_shipped_figures_add_up() -> None:
    shipped = figures.load()
    found = shipped.figures
    assert sum(found.months_overdue.values()) == sum(found.limit.values()) == shipped.overdue == 6_818
    assert {status: sum(counts.values()) for status, counts in found.before.items()} == found.months_overdue
    assert sum(sum(counts.values()) for counts in found.earlier.values()) == 4 * shipped.overdue
    assert sum(sum(counts.values()) for counts in found.statement.values()) == shipped.overdue
    assert found.statement[1][0] == 605, "who owes nothing"
    assert set(found.limit) == set(LIMITS)
    assert all(set(counts) <= set(SHARES) for counts in found.statement.values())
    assert all(set(counts) == set(PAID) for counts in found.paid.values())


def test_another_file_is_seen_to_be_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file_of(tmp_path, ROWS))]) == 1
    assert "uci.yaml says otherwise" in capsys.readouterr().err


def test_a_figure_that_is_no_count_is_refused() -> None:
    shipped = figures.load().model_dump()
    shipped["figures"]["limit"][50_000] = -1
    with pytest.raises(ValidationError):
        figures.Published.model_validate(shipped)


@pytest.mark.parametrize(("value", "end"), [(0, 0), (0.1, 10), (10, 10), (10.1, 25), (100, 100), (500, 120)])
def test_a_band_holds_its_upper_end_and_the_last_is_open(value: float, end: int) -> None:
    assert band(value, SHARES) == end


def test_a_month_is_named_after_its_status() -> None:
    assert [kind_of(status) for status in (-2, -1, 0, 1, 8)] == ["unused", "in_full", "revolving", "overdue", "overdue"]
