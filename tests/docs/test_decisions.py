"""Decision records keep their form: short, four parts, one line to quote, listed in their index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

_FOLDER = ROOT / "docs" / "decisions"
RECORDS = sorted(_FOLDER.glob("[0-9]*.md"))
_PARTS = ["Context", "Decision", "Consequences", "Alternatives"]


def _parts(record: Path) -> dict[str, str]:
    _, *parts = re.split(r"^## ", record.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {title: text.strip() for title, text in (part.split("\n", 1) for part in parts)}


def _quotable(record: Path) -> str:
    found = re.match(r"\*\*(.+?)\*\*\n", _parts(record)["Decision"])
    return found.group(1) if found else ""


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_has_the_four_parts_in_their_order(record: Path) -> None:
    assert list(_parts(record)) == _PARTS


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_gives_its_context_in_three_sentences(record: Path) -> None:
    assert len(re.findall(r"\.(?:\s|$)", _parts(record)["Context"])) == 3


def test_the_index_lists_every_record_with_the_line_that_people_quote() -> None:
    index = (_FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d{4})\]\((.+?)\) \| (.+?) \|$", index, flags=re.MULTILINE)
    assert rows == [(record.name[:4], record.name, _quotable(record)) for record in RECORDS]


def test_records_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))
