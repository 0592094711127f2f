"""A CloudEvent whose attributes travel in headers, over HTTP or in a Kafka record: gathered into the one JSON form.

Intake judges that form alone, so the same event means the same however it came. What the form cannot say, a header
twice or text that no attribute may hold, is said here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from services.ingest.domain import words
from services.ingest.domain.shape import shown
from shared.errors import FieldError

HTTP_PREFIX = b"ce-"
KAFKA_PREFIX = "ce_"

# CloudEvents 1.0, section 3.2: no control characters; half a surrogate pair is no UTF-8 to begin with.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_QUOTED = re.compile(rb'"(.*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
# Of these one is the content type's header and the others are the body; as attributes they would stand in for them.
_NOT_BY_HEADER = frozenset({"data", "datacontenttype"})


@dataclass(frozen=True, slots=True)
class Gathered:
    """An event in its JSON form, and what is wrong with the headers it came in."""

    event: dict[str, Any]
    faults: tuple[FieldError, ...]


def from_http(headers: Iterable[tuple[bytes, bytes]], content_type: str, data: object) -> Gathered:
    """Return the event of a request in binary mode. `data`: its decoded body."""
    named = [(name.lower(), value) for name, value in headers]
    given = [
        (name[len(HTTP_PREFIX) :].decode("latin-1"), _unescaped(value))
        for name, value in named
        if name.startswith(HTTP_PREFIX)
    ]
    return _gathered(given, {"datacontenttype": content_type, "data": data})


def from_kafka(headers: Iterable[tuple[str, bytes | None]], data: object) -> Gathered:
    """Return the event of a record in binary mode. `data`: its decoded value."""
    pairs = [(name, value) for name, value in headers if value is not None]
    given = [(name[len(KAFKA_PREFIX) :], value) for name, value in pairs if name.startswith(KAFKA_PREFIX)]
    plain = {name.lower(): value.decode("utf-8", "replace") for name, value in reversed(pairs)}
    rest = {"datacontenttype": plain["content-type"]} if "content-type" in plain else {}
    found = _gathered(given, {**rest, "data": data})
    if "traceparent" in plain:
        found.event.setdefault("traceparent", plain["traceparent"])
    return found


def _gathered(given: list[tuple[str, bytes]], rest: Mapping[str, Any]) -> Gathered:
    event: dict[str, Any] = {}
    faults: list[FieldError] = []
    counts = Counter(name for name, _ in given)
    for name, value in given:
        text = _text(value)
        if name in _NOT_BY_HEADER:
            faults.append(words.NOT_BY_HEADER.at(name))
        elif counts[name] > 1 and name not in event:
            faults.append(words.HEADER_TWICE.at(shown(name)))
        elif text is None:
            faults.append(words.ATTRIBUTE_TEXT.at(shown(name)))
        event[name] = text or ""
    return Gathered({**event, **rest}, tuple(faults))


def _unescaped(value: bytes) -> bytes:
    """Undo quotes, then percent-encoding once (CloudEvents HTTP binding, 3.1.3.2)."""
    quoted = _QUOTED.fullmatch(value)
    return unquote_to_bytes(_ESCAPED.sub(rb"\1", quoted[1]) if quoted else value)


def _text(value: bytes) -> str | None:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if CONTROL_CHARACTERS.search(text) else text
