"""How the rows of a bank's file are told as events: a YAML file that the bank can edit, checked when it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from services.ingest.domain.envelope import ACCEPTED
from services.ingest.loading import cells
from services.ingest.loading.cells import CellError, Kind
from services.ingest.loading.rows import Row
from shared.money import is_currency, minor_digits
from shared.rules.loading import DataFileError, read_mapping
from shared.rules.zones import is_zone

PACKAGED: Final = Path(__file__).with_name("mappings")


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a field of the event comes from: a `column` of this `kind`, or the same `value` for every row.

    `optional`: an empty cell leaves the field out.
    """

    column: str | None = None
    kind: Kind = "text"
    value: Any = None
    optional: bool = False


class Mapping(Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping. `source`: the events' CloudEvents source. `type`: of every event. `time`: the field that is its time.

    `id`: the fields that say which row it is; the same row loaded again is the same event. `zone`: of instants without
    an offset. `fields`: what the event's data are made of.
    """

    source: Annotated[str, Meta(min_length=1, max_length=200)]
    type: str
    id: Annotated[tuple[str, ...], Meta(min_length=1)]
    time: str
    zone: str
    fields: dict[str, Source]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a row; `column` is empty where the whole row is meant."""

    column: str
    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.column}: {self.zh} {self.en}" if self.column else f"{self.zh} {self.en}"


@dataclass(frozen=True, slots=True)
class Told:
    """What a row tells: an event, or its faults; neither, when there is nothing to tell of it."""

    row: Row
    event: dict[str, Any] | None = None
    faults: tuple[Fault, ...] = ()


def load(path: Path) -> Mapping:
    """Read a mapping.

    Raises:
        DataFileError: which line is wrong, and what to do.
    """
    content = read_mapping(path)
    try:
        found = msgspec.convert(content, Mapping)
    except msgspec.ValidationError as error:
        raise DataFileError(path.name, "", str(error), "compare it with the packaged template.yaml") from error
    for row, fault, remedy in _holes(found):
        raise DataFileError(path.name, row, fault, remedy)
    return found


def _holes(mapping: Mapping) -> Iterator[tuple[str, str, str]]:
    kind = ACCEPTED.get(mapping.type)
    if kind is None:
        yield "type", "is not an event that intake takes", f"write one of {', '.join(sorted(ACCEPTED))}"
        return
    if not is_zone(mapping.zone):
        yield "zone", "is not an IANA time zone", "write for example Asia/Shanghai"
    known = {field.encode_name for field in msgspec.structs.fields(kind.model)}
    required = {field.encode_name for field in msgspec.structs.fields(kind.model) if field.required}
    for name in mapping.fields.keys() - known:
        yield f"fields.{name}", "is not a field of this event", f"write one of {', '.join(sorted(known))}"
    for name in sorted(required - mapping.fields.keys()):
        yield f"fields.{name}", "is missing", "say from which column it comes, or its value"
    for name in (*mapping.id, mapping.time):
        if name not in mapping.fields:
            yield name, "is not among the fields", "name a field that stands under `fields`"
    for name, source in mapping.fields.items():
        if (source.column is None) == (source.value is None):
            yield f"fields.{name}", "has both a column and a value, or neither", "give one of them"
        if source.kind == "amount" and "currency" not in mapping.fields:
            yield f"fields.{name}", "is an amount without a currency", "add the field currency"


def tell(mapping: Mapping, row: Row) -> Told:
    """Return the event that a row tells, or every fault of its cells."""
    data: dict[str, Any] = {}
    faults: list[Fault] = []
    currency = _currency(mapping, row)
    for name, source in mapping.fields.items():
        try:
            value = source.value if source.column is None else _value(source, row, mapping.zone, currency)
        except CellError as error:
            faults.append(Fault(source.column or name, error.zh, error.en))
            continue
        if value is not None:
            data[name] = value
    if faults:
        return Told(row, faults=tuple(faults))
    return Told(row, event_of(mapping.source, mapping.type, data, mapping.id, mapping.time))


def event_of(source: str, kind: str, data: dict[str, Any], identity: tuple[str, ...], time: str) -> dict[str, Any]:
    """Return the event, named after the fields that say which row it is."""
    said = "\x00".join(str(data[name]) for name in identity)
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(said.encode()).hexdigest()[:32],
        "source": source,
        "type": kind,
        "time": data[time],
        "data": data,
    }


def _currency(mapping: Mapping, row: Row) -> str:
    source = mapping.fields.get("currency")
    if source is None:
        return ""
    return str(source.value if source.column is None else row.cells.get(source.column, "")).strip()


def _value(source: Source, row: Row, zone: str, currency: str) -> str | int | None:
    cell = row.cells.get(str(source.column), "")
    if cell == "":
        if source.optional:
            return None
        raise CellError("缺少内容。", "is empty.")
    if source.kind == "amount":
        if not is_currency(currency):
            raise CellError("币种未知，无法读金额。", "cannot be read without a known currency.")
        return cells.amount(cell, minor_digits(currency))
    if source.kind == "instant":
        return cells.instant(cell, ZoneInfo(zone))
    return cells.PLAIN[source.kind](cell)
