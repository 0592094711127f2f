from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.loading import cells
from services.ingest.loading.cells import CellError
from services.ingest.loading.rows import Cell

SHANGHAI = ZoneInfo("Asia/Shanghai")
CELL = datetime(2026, 2, 25, 8)  # noqa: DTZ001 - the cells of office programs have no zone


@given(st.integers(-(10**14), 10**14), st.sampled_from([0, 2, 3]))
def test_an_amount_as_text_is_exact_to_the_minor_unit(minor: int, digits: int) -> None:
    written = f"{Decimal(minor).scaleb(-digits):,f}"
    assert cells.amount(written, digits) == minor


@given(st.integers(-(10**9), 10**9))
def test_an_amount_in_a_number_cell_is_what_the_office_program_shows(minor: int) -> None:
    assert cells.amount(minor / 100, 2) == minor


@pytest.mark.parametrize("wrong", ["", "abc", "1.005", "NaN", "Infinity", "1e-3", True, "￥5"])
def test_what_is_no_amount_is_refused(wrong: Cell) -> None:
    with pytest.raises(CellError):
        cells.amount(wrong, 2)


@pytest.mark.parametrize("wrong", [6222020200001234567.0, 12, True, date(2026, 2, 25)])
def test_a_number_cell_is_no_text_since_long_numbers_are_spoilt_in_it(wrong: Cell) -> None:
    with pytest.raises(CellError, match="format it as text"):
        cells.text(wrong)


@pytest.mark.parametrize(
    "written", ["2026-02-05", "2026/2/5", "20260205", "2026.2.5", date(2026, 2, 5), CELL.replace(day=5)]
)
def test_a_date_is_read_however_an_office_writes_it(written: Cell) -> None:
    assert cells.day(written) == "2026-02-05"


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-02-25T08:00:00Z", "2026-02-25T08:00:00+00:00"),
        ("2026-02-25 08:00", "2026-02-25T08:00:00+08:00"),
        (CELL, "2026-02-25T08:00:00+08:00"),
        ("2026/2/25", "2026-02-25T00:00:00+08:00"),
        (date(2026, 2, 25), "2026-02-25T00:00:00+08:00"),
    ],
)
def test_an_instant_without_offset_is_the_zones(written: Cell, instant: str) -> None:
    assert cells.instant(written, SHANGHAI) == instant


@pytest.mark.parametrize("wrong", ["", "soon", "2026-02-30", 45678.0])
def test_what_is_no_date_is_refused(wrong: Cell) -> None:
    with pytest.raises(CellError):
        cells.day(wrong)
    with pytest.raises(CellError):
        cells.instant(wrong, SHANGHAI)


@pytest.mark.parametrize("written", ["3", 3, 3.0])
def test_a_whole_number_is_read_from_text_and_number(written: Cell) -> None:
    assert cells.whole(written) == 3


@pytest.mark.parametrize("wrong", ["3.5", 3.5, "", "three", False])
def test_what_is_no_whole_number_is_refused(wrong: Cell) -> None:
    with pytest.raises(CellError):
        cells.whole(wrong)
