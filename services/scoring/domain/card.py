"""A points card: bins of characteristics give points, points give a grade, grade and bucket a treatment.

Whether the points are a collections desk's judgement or fitted to data, the card says itself. More points are riskier.
Every point can be explained, and a grade never labels a person.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import chain
from typing import Annotated

from msgspec import Meta, Struct

from services.scoring.domain.characteristics import CHARACTERISTICS, Standing
from shared.events.kinds import Bucket, Grade, Reason
from shared.events.risk import Treatment
from shared.rules.aging import bucket as bucket_of

MAX_REASONS = 4

_LARGEST = 700.0  # beyond this the exponential overflows; the probability is 0 or 1 long before
_LAST_BUCKET = 366  # every bucket has begun within a year


@dataclass(frozen=True, slots=True)
class Bin:
    """From `low` (none: from the lowest) up to the next bin: `points`, and the reason in words where they weigh."""

    low: int | None
    points: int
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins without hole or overlap, lowest first; `lows` are those of all but the first, which has none."""

    rows: Sequence[Bin]
    lows: Sequence[int]

    def place(self, value: int) -> int:
        """Return the place of the bin that `value` falls into."""
        return bisect_right(self.lows, value)


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One characteristic's bins, or an amount's bins for each currency."""

    name: str
    bins: Bins | None
    by_currency: Mapping[str, Bins]

    def line(self, standing: Standing) -> Line:
        """Return what it gives for an account: no points where the value is unknown or the currency has no bins."""
        value = CHARACTERISTICS[self.name](standing)
        bins = self.bins or self.by_currency.get(standing.currency)
        if value is None or bins is None:
            return Line(self.name, value, 0, None)
        place = bins.place(value)
        found = bins.rows[place]
        return Line(self.name, value, place, found, found.points)

    def points(self, standing: Standing) -> int:
        """Return the points of `line` alone."""
        value = CHARACTERISTICS[self.name](standing)
        bins = self.bins or self.by_currency.get(standing.currency)
        return 0 if value is None or bins is None else bins.rows[bins.place(value)].points


class Verdict(Struct, frozen=True, gc=False):
    """What a card comes to, without the way to it: what is kept of a challenger."""

    score: int
    grade: Grade
    treatment: Treatment


class Line(Struct, frozen=True, gc=False):
    """What one characteristic gave: its value (none: unknown), and the bin at `place` (none: nothing to go by)."""

    name: str
    value: int | None
    place: int
    bin: Bin | None
    points: int = 0


class Result(Struct, frozen=True, gc=False):
    """A graded account: the lines of its points, and what they come to. `marks` = (characteristic, bin's place)."""

    score: int
    grade: Grade
    bucket: Bucket
    treatment: Treatment
    reasons: tuple[Reason, ...]
    marks: tuple[tuple[str, int], ...]
    lines: tuple[Line, ...]


class Probability(Struct, frozen=True, forbid_unknown_fields=True):
    """What a fitted card's points mean: log-odds of `event` = intercept + slope * points."""

    event: Annotated[str, Meta(min_length=1)]
    intercept: float
    slope: Annotated[float, Meta(gt=0)]

    def at(self, score: int) -> float:
        """Return the probability at `score` points, between 0 and 1."""
        return 1 / (1 + math.exp(-max(-_LARGEST, min(_LARGEST, self.intercept + self.slope * score))))


class Provenance(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a fitted card comes from: what to fetch, fit again and compare. `rows` of the file were fitted on."""

    data: Annotated[str, Meta(min_length=1)]
    licence: Annotated[str, Meta(min_length=1)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    rows_of_file: Annotated[int, Meta(ge=1)]
    rows: Annotated[int, Meta(ge=1)]
    fitted_on: date
    command: Annotated[str, Meta(min_length=1)]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Card:
    """A card, valid from a day on until the day of a newer one.

    `grades` = (grade, the points below which it holds), best first, the last without a bound. `source` says on what its
    points rest; `probability` and `provenance` are a fitted card's.
    """

    name: str
    version: str
    valid_from: date
    characteristics: tuple[Characteristic, ...]
    grades: tuple[tuple[Grade, int | None], ...]
    treatments: Mapping[tuple[Bucket, Grade], Treatment]
    source: str
    probability: Probability | None = None
    provenance: Provenance | None = None

    def grade(self, standing: Standing) -> Result:
        """Return the grade of an account as it stands, with the weightiest reasons first."""
        lines = tuple([each.line(standing) for each in self.characteristics])
        score = sum([line.points for line in lines])
        grade = self._grade_at(score)
        bucket = bucket_of(standing.days)
        weighty = sorted([line for line in lines if line.points > 0], key=_lightness)[:MAX_REASONS]
        return Result(
            score=score,
            grade=grade,
            bucket=bucket,
            treatment=self.treatments[bucket, grade],
            reasons=tuple([Reason(line.name, line.bin.zh, line.bin.en) for line in weighty if line.bin]),
            marks=tuple([(line.name, line.place) for line in weighty]),
            lines=lines,
        )

    def verdict(self, standing: Standing) -> Verdict:
        """Return score, grade and treatment as `grade` gives them, at less than half its cost."""
        score = sum([each.points(standing) for each in self.characteristics])
        grade = self._grade_at(score)
        return Verdict(score, grade, self.treatments[bucket_of(standing.days), grade])

    def _grade_at(self, score: int) -> Grade:
        return next(grade for grade, below in self.grades if below is None or score < below)

    @cached_property
    def ages(self) -> tuple[int, ...]:
        """The days past due at which an account moves into another bin or bucket by itself, rising."""
        bins = (each.bins.lows for each in self.characteristics if each.name == "days_past_due" and each.bins)
        buckets = (days for days in range(1, _LAST_BUCKET) if bucket_of(days) != bucket_of(days - 1))
        return tuple(sorted({low for low in (*chain.from_iterable(bins), *buckets) if low > 0}))


def _lightness(line: Line) -> int:
    return -line.points


def card_on(cards: Sequence[Card], day: date) -> Card:
    """Return the card that holds on `day`: the newest of those that are valid by then.

    Raises:
        LookupError: none is.
    """
    valid = [card for card in cards if card.valid_from <= day]
    if not valid:
        raise LookupError(f"no points card is valid on {day}")
    return max(valid, key=lambda card: card.valid_from)
