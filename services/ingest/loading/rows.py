"""The rows of a file, whatever its form: CSV in UTF-8 or GB18030, or the first sheet of an XLSX workbook."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from python_calamine import CalamineError, CalamineWorkbook

from services.ingest.domain.card_number import holds_full_card_number
from shared.rules.loading import DataFileError

Cell = str | int | float | bool | date | datetime | time | timedelta
"""As the file has it; text from CSV always."""

FAULTS: Final = "错误 fault"
"""The column in which refused rows carry what is wrong with them; loaded again, it is passed over."""

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One row below the header: its number in the file (the header is 1) and its cells by column."""

    number: int
    cells: Mapping[str, Cell]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of the file; empty ones are passed over.

    Raises:
        DataFileError: it is neither CSV nor XLSX, or its header has a column twice or none at all.
    """
    found = _workbook(path) if path.suffix.lower() in {".xlsx", ".xlsm"} else _text(path)
    header = _header(path, next(found, []))
    for number, cells in enumerate(found, 2):
        if len(cells) > len(header) and any(cell != "" for cell in cells[len(header) :]):
            raise DataFileError(path.name, f"row {number}", "has more cells than the header", "mend the row or header")
        named = {name: cell for name, cell in zip(header, cells, strict=False) if name and name != FAULTS}
        if any(cell != "" for cell in named.values()):
            yield Row(number, named)


def count_rows(path: Path) -> int:
    """Return how many rows `read_rows` will yield; raises as it does, so a file that breaks off is known at once."""
    return sum(1 for _ in read_rows(path))


def _header(path: Path, cells: Sequence[Cell]) -> list[str]:
    names = [str(cell).strip() for cell in cells]
    given = [name for name in names if name]
    if not given:
        raise DataFileError(path.name, "row 1", "has no header", "name each column in the first row")
    if any(map(holds_full_card_number, given)):
        raise DataFileError(path.name, "row 1", "holds a full card number", "give the columns names, and remove it")
    if len(given) != len(set(given)):
        raise DataFileError(path.name, "row 1", "names a column twice", "give each column a name of its own")
    return names


def _text(path: Path) -> Iterator[list[Cell]]:
    """Yield the lines of a CSV file."""
    encoding = _encoding(path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            yield from csv.reader(file, strict=True)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataFileError(path.name, "", f"is not CSV ({error})", "save it as CSV in UTF-8 or GB18030") from error


def _encoding(path: Path) -> str:
    """Return UTF-8 if the whole file is that, else GB18030, which any Chinese office program writes."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "gb18030"
    except OSError as error:
        raise DataFileError(path.name, "", f"cannot be read ({error.strerror})", "give the path of a file") from error
    return "utf-8-sig"


def _workbook(path: Path) -> Iterator[list[Cell]]:
    try:
        with CalamineWorkbook.from_path(path) as book:
            yield from book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, OSError) as error:
        raise DataFileError(path.name, "", f"is not an XLSX workbook ({error})", "save it as XLSX or CSV") from error
