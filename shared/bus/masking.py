"""What an operator sees of a dead letter: its structure and its fault, and nobody's data.

A value is shown only where the fact's own model says that an identifier, a code, an amount, an instant or one of a few
fixed words stands there, and only when it has that form. Everything else is replaced by its kind and length: also what
a stranger, or a fault, has put where it does not belong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from shared.bus.headers import Headers
from shared.events.kinds import Code, Currency, Key, Month
from shared.events.registry import FACT_TYPES

MOST_ITEMS = 50
"""Items of an array, or fields of an object, that are shown; how many more there are is said."""

MOST_LEVELS = 12

_PERSONAL = re.compile(r"(?<!\d)(?:1[3-9]\d{9}|\d{13,19}|\d{17}[Xx])(?!\d)", re.ASCII)
"""A mobile number, a card number, a citizen's number: never shown, whatever field it stands in."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

_SHOWN_PATTERNS = {
    inspect.type_info(kind).pattern  # type: ignore[attr-defined]  # each of these is a text with a pattern
    for kind in (Code, Currency, Key, Month)
}
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?", re.ASCII
)
_KEY = re.compile(r"[A-Za-z0-9._:/-]{1,80}", re.ASCII)
_HEADERS = {
    "ce_specversion": re.compile(r"[0-9.]{1,8}", re.ASCII),
    "ce_id": _KEY,
    "ce_source": re.compile(r"/arrears/[a-z]{1,20}", re.ASCII),
    "ce_type": re.compile(r"arrears\.[a-z_]{1,20}\.[a-z_]{1,30}\.v[0-9]{1,3}", re.ASCII),
    "ce_time": _INSTANT,
    "ce_partitionkey": _KEY,
    "content-type": re.compile(r"application/[a-z+]{1,20}", re.ASCII),
    "traceparent": re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII),
    "ce_epoch": re.compile(r"[0-9]{1,19}", re.ASCII),
    "ce_sequence": re.compile(r"[0-9]{1,19}", re.ASCII),
    "ce_epochbase": re.compile(r"[0-9]{1,19}:[0-9]{1,19}", re.ASCII),
    "ce_causeid": _KEY,
}
_UNSCREENED = frozenset({"ce_epoch", "ce_sequence", "ce_epochbase", "traceparent"})
"""Numbers and hexadecimal digits of the bus's own, as long as a card's."""

OUR_HEADERS = tuple(_HEADERS)
"""The headers that the bus itself writes."""

_SENTENCES = {
    "unknown_type": "its type is not a fact that this version knows",
    "wrong_topic": "its type does not travel on this topic",
    "wrong_key": "its header and its body name different customers or colleagues",
}
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)
_ERROR_KIND = re.compile(r"[A-Za-z_]\w{0,80}", re.ASCII)
_ADDRESS = re.compile(r"\S*@\S*|[^\x20-\x7e]+|\d{7,}", re.ASCII)


def masked_body(body: bytes, fact_type: str | None) -> Any:  # noqa: ANN401 - whatever JSON the body holds
    """Return the JSON in `body` without anybody's data; None when no JSON can be read.

    `fact_type` (a CloudEvents type) says what is expected where; of an unknown type only the structure is shown.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return _masked(value, _MODELS.get(fact_type or ""), 0)


def masked_headers(headers: Headers) -> list[tuple[str, str | None]]:
    """Return a record's headers: the bus's own where they have their form, of the others only that they are there."""
    return [_masked_header(name, value) for name, value in headers]


def masked_key(key: str | None) -> str | None:
    """Return a record's key as it is when it looks like an identifier."""
    if key is None:
        return None
    return key if _KEY.fullmatch(key) and not _is_personal(key) else _text(key)


def masked_cause(code: str, detail: str) -> str:
    """Return why a fact died, without what the error quotes of it."""
    if code in _SENTENCES:
        return _SENTENCES[code]
    if code == "handler_failed":
        kind = detail.partition(":")[0]
        return kind if _ERROR_KIND.fullmatch(kind) else ""
    return _ADDRESS.sub("…", _QUOTED.sub("'…'", detail))


def _masked_header(name: str, value: bytes | None) -> tuple[str, str | None]:
    form = _HEADERS.get(name)
    if value is None:
        return (name if form else f"<header of {len(name)}>", None)
    text = value.decode("latin-1")
    if form is None:
        return f"<header of {len(name)}>", f"<{len(value)} bytes>"
    sound = form.fullmatch(text) and (name in _UNSCREENED or not _is_personal(text))
    return name, text if sound else f"<{len(value)} bytes>"


def _masked(value: object, expected: inspect.Type | None, level: int) -> object:
    if level > MOST_LEVELS:
        return "<nested deeper>"
    if isinstance(value, dict):
        return _masked_object(value, expected, level)
    if isinstance(value, list):
        items = [_masked(item, _item_of(expected), level + 1) for item in value[:MOST_ITEMS]]
        return [*items, f"<{len(value) - MOST_ITEMS} more>"] if len(value) > MOST_ITEMS else items
    if value is None or any(_may_be_shown(value, kind) for kind in _choices(expected)):
        return value
    return _kind_of(value)


def _masked_object(value: dict[str, object], expected: inspect.Type | None, level: int) -> dict[str, object]:
    fields = {name: kind for struct in _choices(expected, inspect.StructType) for name, kind in _fields(struct)}
    shown: dict[str, object] = {}
    for number, (name, item) in enumerate(value.items(), start=1):
        if number > MOST_ITEMS:
            shown["<more>"] = len(value) - MOST_ITEMS
            break
        known = name in fields or name in _NAMES
        shown[name if known else f"<field {number}, of {len(name)}>"] = _masked(item, fields.get(name), level + 1)
    return shown


def _may_be_shown(value: object, expected: inspect.Type) -> bool:
    if isinstance(expected, inspect.BoolType):
        return isinstance(value, bool)
    if isinstance(expected, inspect.IntType):
        return type(value) is int and not _is_personal(str(value)) and abs(value) <= 10**15
    if isinstance(expected, inspect.LiteralType):
        return isinstance(value, str) and value in expected.values
    if not isinstance(value, str) or _is_personal(value):
        return False
    if isinstance(expected, inspect.DateTimeType | inspect.DateType):
        return bool(_INSTANT.fullmatch(value))
    return (
        isinstance(expected, inspect.StrType)
        and expected.pattern in _SHOWN_PATTERNS
        and len(value) <= (expected.max_length or len(value))
        and bool(re.search(expected.pattern or "", value, re.ASCII))
    )


def _is_personal(text: str) -> bool:
    """Tell whether a value looks like a person's number; an identifier made here may hold such digits by chance."""
    return _UUID.fullmatch(text) is None and _PERSONAL.search(text) is not None


def _choices(expected: inspect.Type | None, *kinds: type[inspect.Type]) -> Iterator[Any]:
    """The types that a value may be of."""
    for each in expected.types if isinstance(expected, inspect.UnionType) else (expected,):
        if each is not None and (not kinds or isinstance(each, kinds)):
            yield each


def _item_of(expected: inspect.Type | None) -> inspect.Type | None:
    return next((each.item_type for each in _choices(expected, inspect.VarTupleType)), None)


def _fields(struct: inspect.StructType) -> Iterator[tuple[str, inspect.Type]]:
    for field in struct.fields:
        yield field.encode_name, field.type


def _names(expected: inspect.Type) -> Iterator[str]:
    for each in _choices(expected):
        if isinstance(each, inspect.VarTupleType):
            yield from _names(each.item_type)
        if isinstance(each, inspect.StructType):
            for name, kind in _fields(each):
                yield name
                yield from _names(kind)


def _kind_of(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    return "<true or false>" if isinstance(value, bool) else "<number>"


def _text(value: str) -> str:
    return f"<text of {len(value)}>"


_MODELS: dict[str, inspect.Type] = {
    kind.name: info
    for kind, info in zip(FACT_TYPES, inspect.multi_type_info([kind.model for kind in FACT_TYPES]), strict=True)
}
_NAMES = frozenset(name for model in _MODELS.values() for name in _names(model))
