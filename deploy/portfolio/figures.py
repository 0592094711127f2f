"""What the public UCI file says of its overdue accounts, as counts: `uci.yaml` holds them, the file itself is not here.

`python -m deploy.portfolio.figures FILE` counts the file anew and says whether `uci.yaml` agrees with it.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

PACKAGED: Final = Path(__file__).with_name("uci.yaml")

Status = int
"""A month's status: -2 no use, -1 paid in full, 0 revolving, n = n months overdue."""
Counts = dict[int, Annotated[int, Field(ge=0)]]
"""How many accounts have a value, or lie in a band that is named after its upper end (included)."""
Month = Literal["unused", "in_full", "revolving", "overdue"]

LIMITS: Final = (50_000, 100_000, 150_000, 200_000, 300_000, 400_000, 800_000)
"""Bands of the credit limit, New Taiwan dollars."""
SHARES: Final = (0, 10, 25, 50, 75, 90, 100, 120)
"""Bands of the newest positive statement as percent of the limit; 0: no statement was positive, 120: and above."""
PAID: Final = (0, 10, 99, 100)
"""Bands of a month's payment as percent of the statement before; 100: all of it, and more."""
LONG: Final = 3
"""What is counted by months overdue is counted together from so many on: there are few of each."""

_STATUS: Final = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")  # the file has no PAY_1
_DEFAULTED: Final = "default_payment_next_month"


class Figures(BaseModel):
    """The counts. Each mapping that is keyed by a status says what was counted among the accounts with that status.

    `months_overdue`: the newest status. `before`: the status one month earlier, by the newest. `earlier`: the same for
    all older pairs of months together. `statement`: by months overdue. `paid`: by what the month was. `defaulted`: how
    many went into default the month after, by months overdue.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    months_overdue: Counts
    limit: Counts
    before: dict[Status, Counts]
    earlier: dict[Status, Counts]
    statement: dict[Status, Counts]
    paid: dict[Month, Counts]
    defaulted: Counts


class Published(BaseModel):
    """The figures with where they come from. `rows`, `overdue`: of the file; `sha256`: of its bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    source: str
    licence: str
    sha256: str
    rows: int
    overdue: int
    figures: Figures


def load(path: Path = PACKAGED) -> Published:
    """Read the figures that are shipped."""
    return Published.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def kind_of(status: Status) -> Month:
    """Return what a month of this status was."""
    return "overdue" if status > 0 else ("unused", "in_full", "revolving")[status + 2]


def band(value: float, ends: Sequence[int]) -> int:
    """Return the upper end of the band that the value lies in; what lies above the last one is in the last."""
    return ends[min(bisect_left(ends, value), len(ends) - 1)]


def count(rows: Iterable[Mapping[str, int]]) -> Figures:
    """Count the overdue ones among the file's rows."""
    found: dict[str, Any] = {name: Counter() for name in ("months_overdue", "limit", "defaulted")}
    nested: dict[str, dict[Any, Counter[int]]] = {name: {} for name in ("before", "earlier", "statement", "paid")}
    for row in rows:
        months = [row[name] for name in _STATUS]
        if months[0] < 1:
            continue
        known = min(months[0], LONG)
        found["months_overdue"][months[0]] += 1
        found["limit"][band(row["LIMIT_BAL"], LIMITS)] += 1
        found["defaulted"][known] += row[_DEFAULTED]
        nested["before"].setdefault(months[0], Counter())[months[1]] += 1
        for later, older in pairwise(months[1:]):
            nested["earlier"].setdefault(later, Counter())[older] += 1
        nested["statement"].setdefault(known, Counter())[band(_share(row), SHARES)] += 1
        for number, status in enumerate(months[:-1], 1):
            owed = row[f"BILL_AMT{number + 1}"]
            if owed > 0:
                percent = 100 * row[f"PAY_AMT{number}"] / owed
                nested["paid"].setdefault(kind_of(status), Counter())[band(percent, PAID)] += 1
    return Figures.model_validate(
        {name: _sorted(counts) for name, counts in found.items()}
        | {name: {key: _sorted(counts[key]) for key in sorted(counts)} for name, counts in nested.items()}
    )


def read(path: Path) -> list[dict[str, int]]:
    """Read the public file's rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{name: int(float(cell)) for name, cell in row.items()} for row in csv.DictReader(file)]


def _share(row: Mapping[str, int]) -> float:
    newest = next((row[f"BILL_AMT{n}"] for n in range(1, 7) if row[f"BILL_AMT{n}"] > 0), 0)
    return 100 * newest / row["LIMIT_BAL"]


def _sorted(counts: Mapping[int, int]) -> dict[int, int]:
    return {value: counts[value] for value in sorted(counts)}


def main(arguments: Sequence[str]) -> int:
    """Count a file; its exit code: 0 when the shipped figures agree with it."""
    path = Path(arguments[0])
    shipped, rows = load(), read(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    found = count(rows)
    agrees = (found, digest, len(rows)) == (shipped.figures, shipped.sha256, shipped.rows)
    print(yaml.safe_dump({"sha256": digest, "rows": len(rows), "figures": found.model_dump()}, sort_keys=False))
    print("agrees with uci.yaml" if agrees else "uci.yaml says otherwise", file=sys.stderr)
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
