from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deploy.portfolio.files import people, read
from shared.rules.loading import DataFileError
from tests.unit.portfolio.parts import source
from tests.unit.portfolio.test_figures import ROWS, file_of

DAY = date(2026, 2, 25)
ZONE = ZoneInfo("Asia/Shanghai")
TEMPLATE = """客户编号,账户编号,卡号末四位,产品,数据时间,账单日,最早未还到期日,\
最低还款额,逾期金额,逾期本金,欠款余额,信用额度,逾期期数
c-1,a-1,0001,gold,2026-03-04,2026-03-01,2026-01-20,100,800.50,700,900,5000,2
c-1,a-2,0002,gold,2026-03-03,2026-03-01,2026-03-10,100,0,0,900,5000,0
c-2,a-3,0003,gold,2026-03-03,2026-03-01,2026-01-10,100,ten,700,900,5000,2
"""


def template(folder: Path) -> Path:
    path = folder / "portfolio.csv"
    path.write_text(TEMPLATE, encoding="gb18030")
    return path


def test_a_file_is_known_by_its_columns_and_its_people_are_made_up(tmp_path: Path) -> None:
    found = read(file_of(tmp_path, ROWS), None, DAY)
    assert (found.mapping, found.rows, len(found.events), found.faulty) == ("uci", 3, 2, 0)
    first, second = people(source(), found.events, ZONE)
    assert (first.customer_id, second.customer_id) == ("uci-00001", "uci-00003")
    assert first.accounts[0].past_due == 100_000
    assert first.accounts[0].days_past_due == 60, "two months by the card system's count"
    assert first.manner is not None
    assert first.phone != second.phone


def test_the_people_of_a_file_are_the_same_in_whatever_order_its_rows_come(tmp_path: Path) -> None:
    """Seen to fail when people are numbered in the order of the rows."""
    there = people(source(), read(file_of(tmp_path, ROWS), None, DAY).events, ZONE)
    back = people(source(), read(file_of(tmp_path, ROWS[::-1]), None, DAY).events, ZONE)
    assert there == back


def test_a_banks_own_file_is_read_by_the_template_and_cards_of_one_customer_are_one_persons(tmp_path: Path) -> None:
    found = read(template(tmp_path), None, DAY)
    assert (found.mapping, found.rows, len(found.events), found.faulty) == ("template", 3, 2, 1)
    assert found.newest.astimezone(ZONE).date() == date(2026, 3, 4)
    (only,) = people(source(), found.events, ZONE)
    assert [(account.past_due, account.days_past_due) for account in only.accounts] == [(80_050, 43), (0, 0)]


@pytest.mark.parametrize(
    ("rows", "mapping", "fault"),
    [
        ([], None, "has no overdue account"),
        ([ROWS[1]], "uci", "has no overdue account"),
        (ROWS, "nowhere.yaml", "cannot be read"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_starts(
    tmp_path: Path, rows: list[list[int]], mapping: str | None, fault: str
) -> None:
    with pytest.raises(DataFileError, match=fault):
        read(file_of(tmp_path, rows), mapping, DAY)
