"""The plan of a fitted card: what it may look at, where its bins may be cut, and all that is not fitted."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from services.scoring.domain.characteristics import CHARACTERISTICS
from services.scoring.training.uci import NOT_IN_THE_FILE
from shared.events.kinds import Bucket, Code, Grade
from shared.events.risk import Treatment
from shared.rules.loading import DataFileError, read_mapping

PLAN = Path(__file__).parent / "uci-scorecard.yaml"

Direction = Literal["increasing", "decreasing"]


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """A bin's words, with {low} and {high} for its first and last value."""

    zh: Annotated[str, Meta(min_length=1)]
    en: Annotated[str, Meta(min_length=1)]


class Candidate(Struct, frozen=True, forbid_unknown_fields=True):
    """A characteristic that the card may use: its risk rises or falls, and never both."""

    monotone: Direction
    cuts: Annotated[tuple[int, ...], Meta(min_length=1)]
    most: Words
    one: Words
    between: Words
    least: Words
    none: Words | None = None


class GradeBound(Struct, frozen=True, forbid_unknown_fields=True):
    """The probability below which a grade holds; the last has none."""

    grade: Grade
    below: float | None = None


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """A plan; `points_to_double_odds`: so many points more are twice the odds of `event`.

    `least_auc`: a card whose held-out area under the curve is less is not written.
    """

    card: Code
    version: Code
    valid_from: date
    source: str
    data: str
    licence: str
    event: str
    points_to_double_odds: Annotated[int, Meta(ge=1, le=200)]
    smallest_bin_percent: Annotated[int, Meta(ge=1, le=50)]
    least_auc: float
    characteristics: dict[str, Candidate]
    grades: tuple[GradeBound, ...]
    treatments: dict[Bucket, dict[Grade, Treatment]]


def load_plan(path: Path = PLAN) -> Plan:
    """Return the plan in `path`; the card that comes of it is checked again when it is loaded.

    Raises:
        DataFileError: it cannot be used.
    """
    try:
        plan = msgspec.convert(read_mapping(path), Plan)
    except msgspec.ValidationError as error:
        raise DataFileError(path.name, "", str(error), "write it as the shipped plan does") from error
    for name, candidate in plan.characteristics.items():
        if name not in CHARACTERISTICS:
            raise DataFileError(path.name, name, "is no characteristic", f"use one of {', '.join(CHARACTERISTICS)}")
        if name in NOT_IN_THE_FILE:
            raise DataFileError(path.name, name, "is not in the file", "leave it to the expert card")
        if any(later <= earlier for earlier, later in pairwise(candidate.cuts)):
            raise DataFileError(path.name, f"{name}.cuts", "do not rise", "list the cuts in rising order")
    return plan
