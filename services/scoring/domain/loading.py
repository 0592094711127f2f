"""Reads points cards from YAML and refuses whatever could grade an account wrongly: which row, what, what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct, field

from services.scoring.domain.card import Bin, Bins, Card, Characteristic, Probability, Provenance
from services.scoring.domain.characteristics import CHARACTERISTICS, MONEY
from services.scoring.domain.panel import Panel
from shared.events.kinds import Bucket, Code, Grade
from shared.events.risk import Treatment
from shared.money import is_currency
from shared.rules.aging import BUCKETS
from shared.rules.loading import DataFileError, read_mapping

_GRADES: tuple[Grade, ...] = get_args(Grade)
_Points = Annotated[int, Meta(ge=-1000, le=1000)]
_Words = Annotated[str, Meta(max_length=200)]


class _BinRow(Struct, frozen=True, forbid_unknown_fields=True):
    points: _Points
    low: int | None = field(name="from", default=None)
    high: int | None = field(name="to", default=None)
    zh: _Words = ""
    en: _Words = ""


class _CharacteristicRow(Struct, frozen=True, forbid_unknown_fields=True):
    monotone: Literal["increasing", "decreasing", "free"]
    bins: tuple[_BinRow, ...] = ()
    bins_by_currency: dict[str, tuple[_BinRow, ...]] = {}


class _GradeRow(Struct, frozen=True, forbid_unknown_fields=True):
    grade: Grade
    below: int | None = None


class _CardFile(Struct, frozen=True, forbid_unknown_fields=True):
    card: Code
    version: Code
    valid_from: date
    source: Annotated[str, Meta(min_length=1)]
    characteristics: dict[str, _CharacteristicRow]
    grades: tuple[_GradeRow, ...]
    treatments: dict[Bucket, dict[Grade, Treatment]]
    probability: Probability | None = None
    provenance: Provenance | None = None


def load_cards(folder: Path) -> tuple[Card, ...]:
    """Return every card in `folder`. Raises `DataFileError`."""
    cards = tuple(load_card(path) for path in sorted(folder.glob("*.yaml")))
    if not cards:
        raise DataFileError(folder.name, "", "holds no points card", "put a card (*.yaml) there")
    days = [(card.name, card.valid_from) for card in cards]
    if len(set(days)) < len(days):
        raise DataFileError(
            folder.name, "valid_from", "two cards of one name begin on one day", "give each its own first day"
        )
    versions = [(card.name, card.version) for card in cards]
    if len(set(versions)) < len(versions):
        raise DataFileError(
            folder.name, "version", "two cards of one name have one version", "give each its own version"
        )
    return cards


def load_panel(folder: Path, champion: str, challenger: str = "") -> Panel:
    """Return the cards in `folder` that these names call; an empty `challenger` means none. Raises `DataFileError`."""
    cards = load_cards(folder)
    if champion == challenger:
        raise DataFileError(
            folder.name,
            "",
            f"{champion} cannot challenge itself",
            "set ARREARS_CHALLENGER_CARD to another card, or empty",
        )
    decides = _named(folder, cards, champion, "ARREARS_CHAMPION_CARD")
    return Panel(decides, _named(folder, cards, challenger, "ARREARS_CHALLENGER_CARD") if challenger else ())


def _named(folder: Path, cards: Sequence[Card], name: str, setting: str) -> tuple[Card, ...]:
    found = tuple(card for card in cards if card.name == name)
    if not found:
        known = ", ".join(sorted({card.name for card in cards}))
        raise DataFileError(folder.name, "", f"holds no card called {name!r}", f"set {setting} to one of {known}")
    return found


def load_card(path: Path) -> Card:
    """Return the card in `path`, checked. Raises `DataFileError`."""
    try:
        rows = msgspec.convert(read_mapping(path), _CardFile)
    except msgspec.ValidationError as error:
        fault, _, where = str(error).partition(" - at `$.")
        raise DataFileError(path.name, where.rstrip("`"), fault, "write it as the shipped card does") from error
    if rows.probability and not all(map(math.isfinite, (rows.probability.intercept, rows.probability.slope))):
        raise DataFileError(path.name, "probability", "is not a number", "fit the card again")
    return Card(
        name=rows.card,
        version=rows.version,
        valid_from=rows.valid_from,
        characteristics=tuple(_characteristic(path.name, *item) for item in rows.characteristics.items()),
        grades=_grades(path.name, rows.grades),
        treatments=_treatments(path.name, rows.treatments),
        source=rows.source,
        probability=rows.probability,
        provenance=rows.provenance,
    )


def _characteristic(file: str, name: str, row: _CharacteristicRow) -> Characteristic:
    if name not in CHARACTERISTICS:
        known = ", ".join(CHARACTERISTICS)
        raise DataFileError(file, f"characteristics.{name}", "is no characteristic", f"use one of {known}")
    if name in MONEY and (row.bins or not row.bins_by_currency):
        raise DataFileError(
            file, f"characteristics.{name}", "is an amount without currency", "give bins_by_currency instead of bins"
        )
    if name not in MONEY and (row.bins_by_currency or not row.bins):
        raise DataFileError(file, f"characteristics.{name}", "has no bins of its own", "give bins")
    for currency in row.bins_by_currency:
        if not is_currency(currency):
            where = f"characteristics.{name}.bins_by_currency.{currency}"
            raise DataFileError(file, where, "is not an ISO 4217 currency", "use for example CNY")
    return Characteristic(
        name=name,
        bins=_bins(file, f"characteristics.{name}.bins", row.bins, row.monotone) if row.bins else None,
        by_currency={
            currency: _bins(file, f"characteristics.{name}.bins_by_currency.{currency}", bins, row.monotone)
            for currency, bins in row.bins_by_currency.items()
        },
    )


def _bins(file: str, where: str, rows: Sequence[_BinRow], monotone: str) -> Bins:
    if not rows or rows[0].low is not None or rows[-1].high is not None:
        raise DataFileError(
            file, where, "does not cover every value", "leave `from` out of the first bin and `to` out of the last one"
        )
    for place, (lower, upper) in enumerate(pairwise(rows), start=1):
        _check_neighbours(file, f"{where}[{place}]", lower, upper, monotone)
    for place, row in enumerate(rows):
        if row.points > 0 and not (row.zh and row.en):
            raise DataFileError(
                file, f"{where}[{place}]", "gives points without a reason in words", "write zh and en for this bin"
            )
    lows = [row.low for row in rows[1:] if row.low is not None]
    return Bins(tuple(Bin(row.low, row.points, row.zh, row.en) for row in rows), tuple(lows))


def _check_neighbours(file: str, where: str, lower: _BinRow, upper: _BinRow, monotone: str) -> None:
    if lower.high is None or upper.low is None or (lower.low is not None and lower.low > lower.high):
        raise DataFileError(file, where, "the bins around it are not bounded in order", "write `from` and `to`, rising")
    if upper.low <= lower.high:
        raise DataFileError(file, where, "overlaps the bin before it", f"let it begin at {lower.high + 1}")
    if upper.low > lower.high + 1:
        raise DataFileError(file, where, "leaves a hole after the bin before it", f"let it begin at {lower.high + 1}")
    falls = upper.points < lower.points
    rises = upper.points > lower.points
    if (monotone == "increasing" and falls) or (monotone == "decreasing" and rises):
        raise DataFileError(
            file, where, f"breaks the declared order of points ({monotone})", "correct the points or the declaration"
        )


def _grades(file: str, rows: Sequence[_GradeRow]) -> tuple[tuple[Grade, int | None], ...]:
    if tuple(row.grade for row in rows) != _GRADES:
        raise DataFileError(file, "grades", "are not A to E in order", "list A, B, C, D and E once each, best first")
    bounds = [row.below for row in rows[:-1]]
    rising = all(low is not None and high is not None and low < high for low, high in pairwise(bounds))
    if not rising or rows[-1].below is not None:
        raise DataFileError(file, "grades", "have bounds that do not rise", "let `below` rise, and leave E without one")
    return tuple((row.grade, row.below) for row in rows)


def _treatments(file: str, rows: dict[Bucket, dict[Grade, Treatment]]) -> dict[tuple[Bucket, Grade], Treatment]:
    for bucket in BUCKETS:
        for grade in _GRADES:
            if grade not in rows.get(bucket, {}):
                raise DataFileError(
                    file, f"treatments.{bucket}.{grade}", "is missing", "name a treatment for every bucket and grade"
                )
    return {(bucket, grade): rows[bucket][grade] for bucket in BUCKETS for grade in _GRADES}
