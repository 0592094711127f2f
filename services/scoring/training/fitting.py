"""From counts to points: bins from each characteristic's counts, weights from the counts of their patterns."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from services.scoring.training.binning import Count, evidence_of, merge, total
from services.scoring.training.logistic import fit
from services.scoring.training.plan import Plan

UNKNOWN = -1
_LEAST_WEIGHT = 0.05

Values = Sequence[int | None]
Pattern = tuple[int, ...]


class Marginal(Struct, frozen=True):
    """A characteristic alone: the counts of its fine bins, and of the accounts whose value is unknown."""

    bins: tuple[Count, ...]
    unknown: Count


class Bins(Struct, frozen=True):
    """A characteristic's merged bins: the first value of all but the lowest, what each holds, and its evidence."""

    name: str
    lows: tuple[int, ...]
    counts: tuple[Count, ...]
    evidence: tuple[float, ...]

    def place(self, value: int | None) -> int:
        """Return the place of the value's bin, or `UNKNOWN`."""
        return UNKNOWN if value is None else bisect_right(self.lows, value)


class Scale(Struct, frozen=True):
    """A fitted characteristic: its bins, its weight in the regression, and the points of each bin."""

    bins: Bins
    weight: float
    points: tuple[int, ...]

    def of(self, place: int) -> int:
        """Return the points at the place; what is unknown gives none."""
        return 0 if place == UNKNOWN else self.points[place]


def marginals_of(plan: Plan, rows: Sequence[tuple[Values, bool]]) -> dict[str, Marginal]:
    """Count the rows by each characteristic's fine bins."""
    found = {}
    for column, (name, candidate) in enumerate(plan.characteristics.items()):
        counts = [[0, 0] for _ in range(len(candidate.cuts) + 2)]  # the last one: unknown
        for values, defaulted in rows:
            value = values[column]
            count = counts[UNKNOWN if value is None else bisect_right(candidate.cuts, value)]
            count[0] += 1
            count[1] += defaulted
        found[name] = Marginal(tuple(Count(*count) for count in counts[:-1]), Count(*counts[-1]))
    return found


def bins_of(plan: Plan, marginals: Mapping[str, Marginal]) -> tuple[Bins, ...]:
    """Merge every characteristic's fine bins; those that end as one bin say nothing and are left out."""
    found = []
    for name, marginal in marginals.items():
        candidate = plan.characteristics[name]
        whole = total(marginal.bins)
        smallest = (whole + marginal.unknown).accounts * plan.smallest_bin_percent / 100
        begins, counts = merge(marginal.bins, candidate.monotone, smallest)
        if len(counts) > 1:
            lows = tuple(candidate.cuts[begin - 1] for begin in begins[1:])
            found.append(Bins(name, lows, counts, tuple(evidence_of(count, whole) for count in counts)))
    return tuple(found)


def patterns_of(plan: Plan, bins: Sequence[Bins], rows: Sequence[tuple[Values, bool]]) -> dict[Pattern, Count]:
    """Count the rows by the places of their values, in the order of the patterns."""
    columns = {name: column for column, name in enumerate(plan.characteristics)}
    counts: dict[Pattern, list[int]] = {}
    for values, defaulted in rows:
        count = counts.setdefault(tuple(each.place(values[columns[each.name]]) for each in bins), [0, 0])
        count[0] += 1
        count[1] += defaulted
    return {pattern: Count(*counts[pattern]) for pattern in sorted(counts)}


def fit_points(plan: Plan, bins: Sequence[Bins], patterns: Mapping[Pattern, Count]) -> tuple[Scale, ...]:
    """Fit a weight to each characteristic and turn weight times evidence into points.

    What gets next to no weight, or a weight against its own evidence, is left out and the rest fitted again: so the
    points of every characteristic go the way that its bins do.
    """
    used = list(range(len(bins)))
    while True:
        weights = fit(_inputs(bins, used, patterns))[1:]
        least = min(range(len(weights)), key=weights.__getitem__)
        if weights[least] >= _LEAST_WEIGHT:
            break
        del used[least]
    scale = plan.points_to_double_odds / math.log(2)
    return tuple(
        Scale(bins[at], weight, tuple(round(scale * weight * evidence) for evidence in bins[at].evidence))
        for at, weight in zip(used, weights, strict=True)
    )


def _inputs(
    bins: Sequence[Bins], used: Sequence[int], patterns: Mapping[Pattern, Count]
) -> dict[tuple[float, ...], Count]:
    found: dict[tuple[float, ...], Count] = {}
    for pattern, count in patterns.items():
        inputs = tuple(0.0 if pattern[at] == UNKNOWN else bins[at].evidence[pattern[at]] for at in used)
        found[inputs] = found.get(inputs, Count()) + count
    return found


def scorer(plan: Plan, scales: Sequence[Scale]) -> Callable[[Values], int]:
    """Return the function that adds up an account's points."""
    columns = {name: column for column, name in enumerate(plan.characteristics)}
    steps = [(columns[scale.bins.name], scale) for scale in scales]

    def score(values: Values) -> int:
        return sum(scale.of(scale.bins.place(values[column])) for column, scale in steps)

    return score
