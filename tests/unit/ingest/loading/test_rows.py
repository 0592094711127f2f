from __future__ import annotations

from pathlib import Path

import pytest

from services.ingest.loading.rows import FAULTS, read_rows
from shared.rules.loading import DataFileError
from tests.unit.ingest.loading.files import csv_file, xlsx_file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_file_is_read_in_the_encodings_of_chinese_offices(tmp_path: Path, encoding: str) -> None:
    path = csv_file(tmp_path, [["姓名", "编号"], ["王芳，女", "007"], ["", ""], ["𠮷田", "1"]], encoding)
    rows = list(read_rows(path))
    assert [(row.number, dict(row.cells)) for row in rows] == [
        (2, {"姓名": "王芳，女", "编号": "007"}),
        (4, {"姓名": "𠮷田", "编号": "1"}),
    ]


def test_a_workbook_keeps_texts_as_texts_and_numbers_as_numbers(tmp_path: Path) -> None:
    path = xlsx_file(tmp_path, [["编号", "金额"], ["0071", 12.5]])
    assert [dict(row.cells) for row in read_rows(path)] == [{"编号": "0071", "金额": 12.5}]


def test_what_was_written_to_a_refused_row_is_passed_over(tmp_path: Path) -> None:
    path = csv_file(tmp_path, [[FAULTS, "a"], ["产品: 缺少内容。 is empty.", "1"], ["only a fault", ""]])
    assert [dict(row.cells) for row in read_rows(path)] == [{"a": "1"}]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([["a", "a"], ["1", "2"]], "names a column twice"),
        ([["", ""], ["1", "2"]], "has no header"),
        ([["a"], ["1", "2"]], "row 2"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused_as_a_whole(
    tmp_path: Path, rows: list[list[str]], fault: str
) -> None:
    with pytest.raises(DataFileError, match=fault):
        list(read_rows(csv_file(tmp_path, rows)))


def test_what_is_no_workbook_or_not_there_is_said_so(tmp_path: Path) -> None:
    false = tmp_path / "false.xlsx"
    false.write_bytes(b"PK no")
    with pytest.raises(DataFileError, match="is not an XLSX workbook"):
        list(read_rows(false))
    with pytest.raises(DataFileError, match="cannot be read"):
        list(read_rows(tmp_path / "absent.csv"))
