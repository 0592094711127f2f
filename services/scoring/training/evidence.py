"""The evidence: the file in counts, small enough to be shipped, and all that card and report are made from.

It holds no account: only how many accounts fell into bins, patterns of bins and points, and how many defaulted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from services.scoring.training.binning import Count
from services.scoring.training.fitting import (
    Marginal,
    Pattern,
    bins_of,
    fit_points,
    marginals_of,
    patterns_of,
    scorer,
)
from services.scoring.training.plan import Plan
from services.scoring.training.uci import Portfolio, Row

EVIDENCE = Path(__file__).parent / "uci-evidence.json"

FOLDS = 5
REPEATS = 5


class Points(Struct, frozen=True, array_like=True):
    """Accounts that a card which had not seen them gave so many points."""

    points: int
    accounts: int
    defaults: int


class Cell(Struct, frozen=True, array_like=True):
    """Accounts whose values fell into these bins."""

    places: tuple[int, ...]
    accounts: int
    defaults: int


class Evidence(Struct, frozen=True):
    """`held_out`: one list for each repeat of the cross-validation. `groups`: all repeats together, so that every
    account counts `REPEATS` times.
    """

    sha256: str
    rows_of_file: int
    rows: int
    fitted_on: date
    marginals: dict[str, Marginal]
    patterns: tuple[Cell, ...]
    held_out: tuple[tuple[Points, ...], ...]
    groups: dict[str, dict[str, tuple[Points, ...]]]

    def held(self, repeat: int) -> dict[int, Count]:
        """Return the held-out points of one repeat."""
        return counts_of(self.held_out[repeat])

    @property
    def pooled(self) -> dict[int, Count]:
        """Return the held-out points of all repeats together."""
        return counts_of(points for repeat in self.held_out for points in repeat)


def counts_of(points: Iterable[Points]) -> dict[int, Count]:
    """Return the counts by points."""
    found: dict[int, Count] = {}
    for each in points:
        found[each.points] = found.get(each.points, Count()) + Count(each.accounts, each.defaults)
    return found


def gather(plan: Plan, portfolio: Portfolio, fitted_on: date) -> Evidence:
    """Count the portfolio, and score each account by cards that have not seen it."""
    pairs = _pairs(portfolio.rows)
    marginals = marginals_of(plan, pairs)
    patterns = patterns_of(plan, bins_of(plan, marginals), pairs)
    repeats = [hold_out(plan, portfolio.rows, repeat) for repeat in range(REPEATS)]
    return Evidence(
        sha256=portfolio.sha256,
        rows_of_file=portfolio.rows_of_file,
        rows=len(portfolio.rows),
        fitted_on=fitted_on,
        marginals=marginals,
        patterns=tuple(Cell(pattern, *_both(count)) for pattern, count in patterns.items()),
        held_out=tuple(_points(zip(scores, portfolio.rows, strict=True)) for scores in repeats),
        groups=_by_group(portfolio.rows, repeats),
    )


def hold_out(plan: Plan, rows: Sequence[Row], repeat: int) -> list[int]:
    """Return every row's points by a card whose bins, weights and points were fitted without the row's fold."""
    order = sorted(range(len(rows)), key=lambda at: _shuffled(repeat, rows[at].identity))
    fold_of = {at: place % FOLDS for place, at in enumerate(order)}
    scores = [0] * len(rows)
    for fold in range(FOLDS):
        seen = _pairs([row for at, row in enumerate(rows) if fold_of[at] != fold])
        bins = bins_of(plan, marginals_of(plan, seen))
        score = scorer(plan, fit_points(plan, bins, patterns_of(plan, bins, seen)))
        for at in order[fold::FOLDS]:
            scores[at] = score(rows[at].values)
    return scores


def _shuffled(repeat: int, identity: str) -> bytes:
    """Return a place in an order that is as good as random and the same on every machine."""
    return hashlib.sha256(f"{repeat}:{identity}".encode()).digest()


def _by_group(rows: Sequence[Row], repeats: Sequence[Sequence[int]]) -> dict[str, dict[str, tuple[Points, ...]]]:
    found: dict[str, dict[str, list[tuple[int, Row]]]] = {}
    for scores in repeats:
        for score, row in zip(scores, rows, strict=True):
            for kind, group in row.groups.items():
                found.setdefault(kind, {}).setdefault(group, []).append((score, row))
    return {
        kind: {group: _points(members) for group, members in sorted(groups.items())}
        for kind, groups in sorted(found.items())
    }


def _points(scored: Iterable[tuple[int, Row]]) -> tuple[Points, ...]:
    counts: dict[int, list[int]] = {}
    for score, row in scored:
        count = counts.setdefault(score, [0, 0])
        count[0] += 1
        count[1] += row.defaulted
    return tuple(Points(score, *counts[score]) for score in sorted(counts))


def _pairs(rows: Sequence[Row]) -> list[tuple[tuple[int | None, ...], bool]]:
    return [(row.values, row.defaulted) for row in rows]


def _both(count: Count) -> tuple[int, int]:
    return count.accounts, count.defaults


def patterns(evidence: Evidence) -> Mapping[Pattern, Count]:
    """Return the counts by pattern of bins."""
    return {cell.places: Count(cell.accounts, cell.defaults) for cell in evidence.patterns}


def dumped(evidence: Evidence) -> str:
    """Return the evidence as it is shipped: JSON, a line for each member."""
    members = {name: msgspec.json.encode(value).decode() for name, value in structs.asdict(evidence).items()}
    return "{\n" + ",\n".join(f'"{name}": {value}' for name, value in members.items()) + "\n}\n"


def load_evidence(path: Path = EVIDENCE) -> Evidence:
    """Return the evidence in `path`. Raises `OSError`, `msgspec.ValidationError`."""
    return msgspec.json.decode(path.read_bytes(), type=Evidence)
