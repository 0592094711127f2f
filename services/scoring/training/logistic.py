"""Logistic regression on counted patterns, by Newton's method in plain Python: small, and the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from services.scoring.training.binning import Count

_ROUNDS = 30
_CLOSE = 1e-9
_PENALTY = 1.0  # a slight pull towards nought, so that two characteristics that say the same share their weight

Vector = Sequence[float]


def probability(log_odds: float) -> float:
    """Return the probability with these log-odds."""
    return 1 / (1 + math.exp(-log_odds))


def fit(patterns: Mapping[tuple[float, ...], Count], penalty: float = _PENALTY) -> list[float]:
    """Return intercept and weights for the patterns of inputs; the intercept is not pulled."""
    size = len(next(iter(patterns))) + 1
    weights = [0.0] * size
    for _ in range(_ROUNDS):
        step = solve(*_newton(patterns, weights, penalty))
        weights = [weight + change for weight, change in zip(weights, step, strict=True)]
        if max(abs(change) for change in step) < _CLOSE:
            break
    return weights


def _newton(
    patterns: Mapping[tuple[float, ...], Count], weights: Vector, penalty: float
) -> tuple[list[list[float]], list[float]]:
    """Return curvature and slope of the penalised likelihood at `weights`."""
    size = len(weights)
    slope = [0.0, *(-penalty * weight for weight in weights[1:])]
    curvature = [[penalty if row == column and row else 0.0 for column in range(size)] for row in range(size)]
    for values, count in patterns.items():
        inputs = (1.0, *values)
        expected = probability(sum(w * x for w, x in zip(weights, inputs, strict=True)))
        missing = count.defaults - count.accounts * expected
        weight = count.accounts * expected * (1 - expected)
        for row, x in enumerate(inputs):
            slope[row] += missing * x
            line, pull = curvature[row], weight * x
            for column in range(row + 1):
                line[column] += pull * inputs[column]
    for row in range(size):
        for column in range(row):
            curvature[column][row] = curvature[row][column]
    return curvature, slope


def solve(matrix: Sequence[Vector], right: Vector) -> list[float]:
    """Return x with matrix · x = right, by elimination with the largest pivot."""
    size = len(right)
    rows = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    for at in range(size):
        pivot = max(range(at, size), key=lambda row: abs(rows[row][at]))
        rows[at], rows[pivot] = rows[pivot], rows[at]
        for below in range(at + 1, size):
            factor = rows[below][at] / rows[at][at]
            rows[below] = [mine - factor * above for mine, above in zip(rows[below], rows[at], strict=True)]
    found = [0.0] * size
    for at in reversed(range(size)):
        known = sum(rows[at][column] * found[column] for column in range(at + 1, size))
        found[at] = (rows[at][size] - known) / rows[at][at]
    return found
