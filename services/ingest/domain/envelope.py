"""The CloudEvents 1.0 envelope of an event from outside, in its JSON form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec

from services.ingest.domain import words
from services.ingest.domain.attributes import CONTROL_CHARACTERS
from services.ingest.domain.rules import Present, instant_fault
from services.ingest.domain.shape import shape_faults, shown
from services.ingest.domain.words import Wrong
from shared.errors import FieldError
from shared.events.kinds import Instant
from shared.events.registry import BY_NAME, CARD, CONTACTS, FactType

ACCEPTED: Mapping[str, FactType] = {name: kind for name, kind in BY_NAME.items() if kind.topic in (CARD, CONTACTS)}
"""Every type of event that is taken in."""

ERASURES = frozenset(name for name, kind in ACCEPTED.items() if kind.erases)
"""The types that an operator may send as well."""

# A (source, id) is one row of an index, so both are bounded; CloudEvents asks for 64 characters at least.
Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_OPTIONAL = frozenset({"subject", "dataschema"})
_KNOWN = frozenset({"specversion", "id", "source", "type", "time", "datacontenttype", "data"}) | _OPTIONAL
_NAME = re.compile(r"[a-z0-9]{1,20}")
_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json\s*(?:;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_PLAIN: Mapping[str, tuple[Callable[[object], bool], Wrong]] = {
    "specversion": (lambda value: value == "1.0", words.SPECVERSION),
    "type": (lambda value: isinstance(value, str) and value in ACCEPTED, words.NO_SUCH_TYPE),
    "datacontenttype": (lambda value: isinstance(value, str) and bool(_JSON.fullmatch(value)), words.NOT_JSON_DATA),
    "data": (lambda value: isinstance(value, dict), words.NOT_AN_OBJECT),
}


@dataclass(frozen=True, slots=True)
class Header:
    """Who sent which event when; `kind` says what its data must be."""

    source: str
    id: str
    kind: FactType
    time: datetime
    traceparent: str | None


def header_of(event: Mapping[str, Any]) -> Header:
    """Return the header of an event in which `header_faults` finds nothing wrong."""
    traceparent = event.get("traceparent")
    sampled = isinstance(traceparent, str) and _TRACEPARENT.fullmatch(traceparent)
    return Header(
        source=event["source"],
        id=event["id"],
        kind=ACCEPTED[event["type"]],
        time=msgspec.convert(event["time"], Instant),
        # A trace that cannot be read is begun anew (W3C Trace Context), never a reason to refuse.
        traceparent=traceparent if sampled else None,
    )


def header_faults(event: Mapping[str, Any], present: Present) -> Iterator[FieldError]:
    """Yield what is wrong with the attributes of `event`; `time` is required here, since facts carry it."""
    for name in ("specversion", "id", "source", "type", "time", "data"):
        if name not in event and not (name == "data" and "data_base64" in event):
            yield words.MISSING.at(name)
    for name, value in event.items():
        if name in _KNOWN:
            yield from _attribute_faults(name, value, present)
        else:
            yield from _extension_faults(name, value)


def _attribute_faults(name: str, value: object, present: Present) -> Iterator[FieldError]:
    if name in _PLAIN:
        is_right, wrong = _PLAIN[name]
        if not is_right(value):
            yield wrong.at(name)
    elif name == "time":
        yield from _time_faults(value, present)
    elif value is not None or name not in _OPTIONAL:
        yield from shape_faults(value, Attribute, name)
        yield from _text_faults(name, value)


def _time_faults(value: object, present: Present) -> Iterator[FieldError]:
    faults = tuple(shape_faults(value, Instant, "time"))
    yield from faults
    if not faults:
        fault = instant_fault(msgspec.convert(value, Instant), present)
        if fault is not None:
            yield fault.at("time")


def _extension_faults(name: str, value: object) -> Iterator[FieldError]:
    """An extension is no part of the fact; it must only be one (CloudEvents 1.0, section 3.1)."""
    if name == "data_base64":
        yield words.BINARY_DATA.at(name)
    elif not _NAME.fullmatch(name):
        yield words.ATTRIBUTE_NAME.at(shown(name))
    elif value is not None and not isinstance(value, str | int):
        yield words.ATTRIBUTE_VALUE.at(name)
    else:
        yield from _text_faults(name, value)


def _text_faults(name: str, value: object) -> Iterator[FieldError]:
    """What no header can say is no attribute either, so that an event is the same by every way."""
    if isinstance(value, str) and CONTROL_CHARACTERS.search(value):
        yield words.ATTRIBUTE_TEXT.at(name)
