"""Monotone bins: neighbours that break the order, or cannot be told apart, or are too small, become one bin."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct

from services.scoring.training.plan import Direction

_TELLING_APART = 1.0  # standard errors between the default rates of two neighbours


class Count(Struct, frozen=True, array_like=True):
    """Accounts, and how many of them defaulted."""

    accounts: int = 0
    defaults: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.accounts + other.accounts, self.defaults + other.defaults)

    @property
    def rate(self) -> float:
        """Return the share that defaulted, 0 of none."""
        return self.defaults / self.accounts if self.accounts else 0.0


def total(counts: Iterable[Count]) -> Count:
    """Return the sum."""
    return sum(counts, start=Count())


def merge(fine: Sequence[Count], direction: Direction, smallest: float) -> tuple[tuple[int, ...], tuple[Count, ...]]:
    """Merge fine bins until their default rates go one way, each by a margin, and each holds `smallest` accounts.

    Returns the place in `fine` at which each merged bin begins, and what it holds. One bin alone says nothing.
    """
    begins, counts = list(range(len(fine))), list(fine)
    while len(counts) > 1:
        margins = [_margin(lower, upper, direction) for lower, upper in pairwise(counts)]
        place = min(range(len(margins)), key=margins.__getitem__)
        if margins[place] >= _TELLING_APART:
            small = [at for at, count in enumerate(counts) if count.accounts < smallest]
            if not small:
                break
            beside = [at for at in (small[0] - 1, small[0]) if 0 <= at < len(margins)]
            place = min(beside, key=margins.__getitem__)
        counts[place : place + 2] = [counts[place] + counts[place + 1]]
        del begins[place + 1]
    return tuple(begins), tuple(counts)


def _margin(lower: Count, upper: Count, direction: Direction) -> float:
    """Return by how many standard errors the rate moves in the wanted direction; lowest where one bin is empty."""
    both = lower + upper
    if not lower.accounts or not upper.accounts:
        return -math.inf
    variance = both.rate * (1 - both.rate) * (1 / lower.accounts + 1 / upper.accounts)
    if variance == 0:
        return -math.inf
    step = upper.rate - lower.rate if direction == "increasing" else lower.rate - upper.rate
    return step / math.sqrt(variance)


def evidence_of(count: Count, whole: Count) -> float:
    """Return the weight of evidence: how far the bin's log-odds lie above those of the whole."""
    return _log_odds(count) - _log_odds(whole)


def _log_odds(count: Count) -> float:
    half = 0.5  # so that a bin without a default, or without anything else, has odds too
    return math.log((count.defaults + half) / (count.accounts - count.defaults + half))
