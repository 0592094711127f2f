"""How good points are: order (AUC, KS), and whether the probabilities that they stand for are met."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from services.scoring.training.binning import Count, total
from services.scoring.training.logistic import fit

Held = Mapping[int, Count]
"""Accounts by their points, scored by a card that had not seen them."""

_TENTHS = 10
_DRAWS = 400
_SEED = 20261124


class Tenth(Struct, frozen=True):
    """About a tenth of the accounts, by rising points: the points they span, how many, expected and observed rate."""

    first: int
    last: int
    count: Count
    expected: float


class Noise(Struct, frozen=True):
    """The calibration error that a perfect model of the same size shows: its mean, and its 95th percentile."""

    mean: float
    high: float


def auc(held: Held) -> float:
    """Return the chance that of a defaulting and another account, the defaulting one has more points (ties half)."""
    found, passed = 0.0, 0
    for points in sorted(held):
        count = held[points]
        others = count.accounts - count.defaults
        found += count.defaults * (passed + others / 2)
        passed += others
    whole = total(held.values())
    return found / (passed * whole.defaults)


def ks(held: Held) -> float:
    """Return the largest distance between the shares of both kinds at or below any number of points."""
    whole = total(held.values())
    sums = accumulate((held[points] for points in sorted(held)), lambda left, right: left + right)
    others = whole.accounts - whole.defaults
    distances: Iterator[float] = (abs((s.accounts - s.defaults) / others - s.defaults / whole.defaults) for s in sums)
    return max(distances)


def calibrate(held: Held) -> tuple[float, float]:
    """Return intercept and slope of the log-odds on the points (Platt)."""
    intercept, slope = fit({(points / 100,): count for points, count in sorted(held.items())}, penalty=0.0)
    return intercept, slope / 100


def tenths(held: Held, probability: Callable[[int], float]) -> tuple[Tenth, ...]:
    """Cut the accounts into tenths; equal points stay together."""
    whole, passed = total(held.values()).accounts, 0
    found: list[Tenth] = []
    group: list[int] = []
    for points in sorted(held):
        group.append(points)
        passed += held[points].accounts
        if passed * _TENTHS >= whole * (len(found) + 1):
            found.append(_tenth(held, group, probability))
            group = []
    return tuple(found)


def _tenth(held: Held, group: Sequence[int], probability: Callable[[int], float]) -> Tenth:
    count = total(held[points] for points in group)
    expected = sum(probability(points) * held[points].accounts for points in group) / count.accounts
    return Tenth(group[0], group[-1], count, expected)


def calibration_error(held: Held, probability: Callable[[int], float]) -> float:
    """Return the mean distance between expected and observed rate of the tenths, weighted by accounts."""
    parts = tenths(held, probability)
    whole = total(part.count for part in parts).accounts
    return sum(abs(part.expected - part.count.rate) * part.count.accounts for part in parts) / whole


def perfect(held: Held, probability: Callable[[int], float]) -> Noise:
    """Return what `calibration_error` is by chance when every probability is exactly right.

    Defaults are drawn anew many times from the very probabilities; the draws are seeded, so they are always the same.
    """
    draw = random.Random(_SEED).random  # noqa: S311 - a simulation that must be the same every time
    parts = tenths(held, probability)
    spans = [
        [(probability(points), held[points].accounts) for points in sorted(held) if part.first <= points <= part.last]
        for part in parts
    ]
    whole = total(part.count for part in parts).accounts
    errors = []
    for _ in range(_DRAWS):
        error = 0.0
        for part, span in zip(parts, spans, strict=True):
            drawn = sum(draw() < chance for chance, accounts in span for _ in range(accounts))
            error += abs(part.expected * part.count.accounts - drawn)
        errors.append(error / whole)
    errors.sort()
    return Noise(sum(errors) / _DRAWS, errors[_DRAWS * 95 // 100])
