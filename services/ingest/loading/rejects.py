"""Refused rows, as the file had them, with what is wrong in a column of its own: to be mended and loaded again.

Only a full card number is not written again, in whatever column it stood.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from services.ingest.domain.card_number import holds_full_card_number
from services.ingest.loading.mapping import Fault
from services.ingest.loading.rows import FAULTS, Cell, Row

REMOVED: Final = "（完整卡号已去除 full card number removed）"
"""Stands where the cell held one."""


class Rejects:
    """The file of refused rows; it is made when the first one comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._file: IO[str] | None = None
        self._writer: csv.DictWriter[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def keep(self, row: Row, faults: Iterable[Fault]) -> None:
        """Write one row."""
        if self._writer is None:
            # The mark at the beginning lets office programs see that it is UTF-8.
            self._file = self.path.open("w", encoding="utf-8-sig", newline="")
            self._writer = csv.DictWriter(self._file, [FAULTS, *row.cells], restval="")
            self._writer.writeheader()
        self.count += 1
        self._writer.writerow({FAULTS: " / ".join(map(str, faults)), **{n: _plain(c) for n, c in row.cells.items()}})


def faults_of(item: Mapping[str, Any], columns: Mapping[str, str]) -> list[Fault]:
    """Return what intake finds wrong, each by the column that the field comes from (`columns`: field to column)."""
    problem = item["problem"]
    found = [
        Fault(
            columns.get(error["field"].removeprefix("data."), error["field"]),
            f"{error['fault']}{error['remedy']}",
            f"{error['fault_en']} {error['remedy_en']}",
        )
        for error in problem.get("errors", ())
    ]
    return found or [Fault("", problem["detail"], problem["detail_en"])]


def _plain(cell: Cell) -> str:
    plain = repr(cell) if isinstance(cell, float) else str(cell)
    return REMOVED if holds_full_card_number(plain) else plain
