"""A fitted card with all that is said of it, made from the evidence alone: the same evidence, the same card."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from services.scoring.training import judging
from services.scoring.training.binning import Count, total
from services.scoring.training.evidence import Evidence, counts_of, patterns
from services.scoring.training.fitting import Scale, bins_of, fit_points
from services.scoring.training.judging import Noise, Tenth
from services.scoring.training.logistic import probability
from services.scoring.training.plan import Plan

COMMAND = "python -m services.scoring.training fit FILE"
CHECK = "python -m services.scoring.training check"

INTERCEPT_DIGITS, SLOPE_DIGITS = 4, 6


@dataclass(frozen=True)
class GradeShare:
    """What one grade holds: its share of the accounts, its expected and its observed default rate."""

    grade: str
    share: float
    expected: float
    observed: float


@dataclass(frozen=True)
class Audited:
    """How a group that the card never sees fares: `gap` = observed less expected rate, in standard errors `deviation`.

    `worst` is the share of the group in grades D and E.
    """

    kind: str
    group: str
    accounts: int
    expected: float
    observed: float
    deviation: float
    auc: float
    worst: float


@dataclass(frozen=True)
class Fitted:
    """The card that the evidence gives under the plan."""

    plan: Plan
    evidence: Evidence

    @cached_property
    def scales(self) -> tuple[Scale, ...]:
        """The characteristics that the card uses."""
        return fit_points(self.plan, bins_of(self.plan, self.evidence.marginals), patterns(self.evidence))

    @cached_property
    def line(self) -> tuple[float, float]:
        """Intercept and slope of the log-odds of default on the points, from held-out points (Platt)."""
        intercept, slope = judging.calibrate(self.evidence.pooled)
        return round(intercept, INTERCEPT_DIGITS), round(slope, SLOPE_DIGITS)

    @property
    def probability(self) -> Callable[[int], float]:
        """The probability of default at so many points."""
        intercept, slope = self.line
        return lambda points: probability(intercept + slope * points)

    @cached_property
    def bounds(self) -> tuple[tuple[str, int | None], ...]:
        """Each grade with the points below which it holds: the first whole points at its probability."""
        intercept, slope = self.line
        return tuple(
            (row.grade, None if row.below is None else math.ceil((_log_odds(row.below) - intercept) / slope))
            for row in self.plan.grades
        )

    def grade(self, points: int) -> str:
        """Return the grade of so many points."""
        return next(grade for grade, below in self.bounds if below is None or points < below)

    @cached_property
    def aucs(self) -> tuple[float, ...]:
        """The area under the curve in each repeat, held out."""
        return tuple(judging.auc(self.evidence.held(repeat)) for repeat in self._repeats)

    @property
    def auc_of_one(self) -> tuple[str, float]:
        """The characteristic that orders best alone, by its fine bins, and its area under the curve."""
        alone = {name: self._alone(name) for name in self.plan.characteristics}
        best = max(alone, key=alone.__getitem__)
        return best, alone[best]

    def _alone(self, name: str) -> float:
        """Unknown values are left out. What falls is read backwards."""
        sign = 1 if self.plan.characteristics[name].monotone == "increasing" else -1
        return judging.auc({sign * at: count for at, count in enumerate(self.evidence.marginals[name].bins)})

    @cached_property
    def calibration_errors(self) -> tuple[float, ...]:
        """The calibration error in each repeat, held out."""
        held = (self.evidence.held(repeat) for repeat in self._repeats)
        return tuple(judging.calibration_error(each, self.probability) for each in held)

    @cached_property
    def noise(self) -> Noise:
        """The calibration error of a perfect model on as many accounts."""
        return judging.perfect(self.evidence.held(0), self.probability)

    @property
    def tenths(self) -> tuple[Tenth, ...]:
        """Expected and observed rates by tenths of all held-out points."""
        return judging.tenths(self.evidence.pooled, self.probability)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The numbers that the card carries with it."""
        ks = fmean(judging.ks(self.evidence.held(repeat)) for repeat in self._repeats)
        return {
            "auc": round(fmean(self.aucs), 4),
            "ks": round(ks, 4),
            "calibration_error": round(fmean(self.calibration_errors), 4),
            "calibration_error_of_a_perfect_model": round(self.noise.mean, 4),
            "calibration_error_of_a_perfect_model_95th_percentile": round(self.noise.high, 4),
        }

    @property
    def faults(self) -> tuple[str, ...]:
        """Why this card may not be used; none of a sound one."""
        metrics, found = self.metrics, []
        if metrics["auc"] < self.plan.least_auc:
            found.append(f"held-out AUC {metrics['auc']:.4f} is less than {self.plan.least_auc:.4f}")
        if metrics["calibration_error"] > round(self.noise.high, 4):
            found.append(
                f"calibration error {metrics['calibration_error']:.4f} is more than chance ({self.noise.high:.4f})"
            )
        if self.line[1] <= 0:
            found.append("more points are not riskier")
        return tuple(found)

    @property
    def grades(self) -> tuple[GradeShare, ...]:
        """What each grade holds, by held-out points."""
        held = self.evidence.pooled
        whole = total(held.values()).accounts
        return tuple(self._standing(grade, whole) for grade, _ in self.bounds)

    def _standing(self, grade: str, whole: int) -> GradeShare:
        held = {points: count for points, count in self.evidence.pooled.items() if self.grade(points) == grade}
        count = total(held.values())
        return GradeShare(grade, count.accounts / whole, self._expected(held), count.rate)

    @property
    def audit(self) -> Iterator[Audited]:
        """How each group fares."""
        for kind, groups in self.evidence.groups.items():
            for group, members in groups.items():
                held = counts_of(members)
                yield self._audited(kind, group, held)

    def _audited(self, kind: str, group: str, held: dict[int, Count]) -> Audited:
        count, expected = total(held.values()), self._expected(held)
        accounts = count.accounts // len(self.evidence.held_out)
        worst = total(each for points, each in held.items() if self.grade(points) in "DE")
        return Audited(
            kind=kind,
            group=group,
            accounts=accounts,
            expected=expected,
            observed=count.rate,
            deviation=(count.rate - expected) / math.sqrt(expected * (1 - expected) / accounts),
            auc=judging.auc(held),
            worst=worst.accounts / count.accounts,
        )

    def _expected(self, held: dict[int, Count]) -> float:
        accounts = total(held.values()).accounts
        return sum(self.probability(points) * count.accounts for points, count in held.items()) / max(accounts, 1)

    @property
    def _repeats(self) -> range:
        return range(len(self.evidence.held_out))


def _log_odds(chance: float) -> float:
    return math.log(chance / (1 - chance))
