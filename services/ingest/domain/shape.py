"""Whether an event's data fits its fact, field by field: every fault of it at once, not only the first.

msgspec judges each field by the very types of the fact, so this module and the decoder cannot disagree; what is here
is the walk, the names of unknown fields, and the words.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from services.ingest.domain import words
from services.ingest.domain.words import Wrong
from shared.errors import FieldError

# What each pattern of `shared.events.kinds` asks for, by an example that fits it.
FORMS: tuple[tuple[str, str, str], ...] = (
    ("CNY", "三个大写字母", "three capital letters"),
    ("1234", "四位数字", "four digits"),
    ("2026-02", "YYYY-MM", "YYYY-MM"),
    ("09:30", "HH:MM，24 小时制", "HH:MM, 24 hours"),
    ("+8613800138000", "E.164 电话号码，例如 +8613800138000", "E.164 telephone number, for example +8613800138000"),
    ("name@example.com", "电子邮件地址", "an email address"),
    (
        "c-1",
        "字母、数字及中间的 . _ : -，至多 64 个字符",
        "letters, digits and . _ : - between them, at most 64 characters",
    ),
    ("_", "字母、数字及 . _ -，至多 64 个字符", "letters, digits and . _ -, at most 64 characters"),
)

_PLAIN_KINDS: dict[type[inspect.Type], Wrong] = {
    inspect.BoolType: words.NOT_TRUE_OR_FALSE,
    inspect.DateType: words.NOT_A_DATE,
}

_DIGIT, _NUMBER, _LONG_NUMBER = re.compile(r"\d"), re.compile(r"\d+"), re.compile(r"\d{6,}")
_DIGITS_OF_A_CARD = 13


def fits(data: object, model: type[msgspec.Struct]) -> msgspec.Struct | None:
    """Return the fact that `data` is, or None when a field is wrong or unknown (the quick way for sound events)."""
    try:
        fact = msgspec.convert(data, model)
    except msgspec.ValidationError:
        return None
    return None if any(unknown_fields(data, model, "")) else fact


def unknown_fields(value: object, model: type[msgspec.Struct], path: str) -> Iterator[FieldError]:
    """Yield each field of `value` that the fact does not have, by its path."""
    if not isinstance(value, dict):
        return
    known, nested = _names_of(model)
    for name in value.keys() - known:
        yield words.UNKNOWN.at(f"{path}.{shown(name)}")
    for name, below in nested.items():
        item = value.get(name)
        if isinstance(item, list):
            for index, one in enumerate(item):
                yield from unknown_fields(one, below, f"{path}.{name}[{index}]")


@cache
def _names_of(model: type[msgspec.Struct]) -> tuple[frozenset[str], Mapping[str, type[msgspec.Struct]]]:
    """Return the names of a struct's fields, and the structs of those that are lists of structs."""
    fields = msgspec.structs.fields(model)
    items = {field.encode_name: _struct(_item_of(_plain(field.type))) for field in fields}
    return frozenset(items), {name: item for name, item in items.items() if item is not None}


def _item_of(plain: object) -> object:
    return _plain(get_args(plain)[0]) if get_origin(plain) is tuple else None


def shape_faults(value: object, annotation: object, path: str) -> Iterator[FieldError]:
    """Yield every fault of `value`, missing fields included; unknown fields are `unknown_fields`' part."""
    plain = _plain(annotation)
    if model := _struct(plain):
        yield from _struct_faults(value, model, path)
    elif get_origin(plain) is tuple:
        yield from _list_faults(value, annotation, get_args(plain)[0], path)
    else:
        wrong = _leaf_fault(value, annotation)
        if wrong is not None:
            yield wrong.at(path)


def sound_fields(data: dict[str, Any], model: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the decoded values of those fields of `data` that are sound, defaults included."""
    sound: dict[str, Any] = {}
    for field in msgspec.structs.fields(model):
        if field.encode_name not in data:
            if not field.required:
                sound[field.name] = field.default
            continue
        try:
            sound[field.name] = msgspec.convert(data[field.encode_name], field.type)
        except msgspec.ValidationError:
            continue
    return sound


def shown(name: str) -> str:
    """Return a field's name or path as it may be repeated to its sender: short, printable, without long numbers.

    One with as many digits as a card number loses them all, since it may have parted them.
    """
    digits = _NUMBER if len(_DIGIT.findall(name)) >= _DIGITS_OF_A_CARD else _LONG_NUMBER
    safe = digits.sub("#", name[:200])
    return safe if safe.isprintable() else "?"


def _struct_faults(value: object, model: type[msgspec.Struct], path: str) -> Iterator[FieldError]:
    if not isinstance(value, dict):
        yield words.NOT_AN_OBJECT.at(path)
        return
    for field in msgspec.structs.fields(model):
        if field.encode_name in value:
            yield from shape_faults(value[field.encode_name], field.type, f"{path}.{field.encode_name}")
        elif field.required:
            yield words.MISSING.at(f"{path}.{field.encode_name}")


def _list_faults(value: object, annotation: object, item: object, path: str) -> Iterator[FieldError]:
    if not isinstance(value, list):
        yield words.NOT_A_LIST.at(path)
        return
    kind = inspect.type_info(annotation)
    if isinstance(kind, inspect.VarTupleType) and not (kind.min_length or 0) <= len(value) <= (
        kind.max_length or 10**9
    ):
        yield words.wrong_length(kind.min_length, kind.max_length, "项", "items").at(path)
        return
    for index, one in enumerate(value):
        yield from shape_faults(one, item, f"{path}[{index}]")


def _leaf_fault(value: object, annotation: object) -> Wrong | None:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return _wrong(value, inspect.type_info(_without_none(annotation)))
    return None


def _wrong(value: object, kind: inspect.Type) -> Wrong:
    match kind:
        case inspect.IntType():
            whole = isinstance(value, int) and not isinstance(value, bool)
            return words.out_of_range(kind.ge, kind.le) if whole else words.NOT_A_WHOLE_NUMBER
        case inspect.LiteralType():
            return words.one_of(kind.values)
        case inspect.StrType():
            return _wrong_text(value, kind)
        case inspect.DateTimeType():
            return words.NAIVE_INSTANT if _is_naive(value) else words.NOT_AN_INSTANT
        case _:
            return _PLAIN_KINDS.get(type(kind), words.NOT_SOUND)


def _wrong_text(value: object, kind: inspect.StrType) -> Wrong:
    if not isinstance(value, str):
        return words.NOT_TEXT
    if kind.pattern is None:
        return words.wrong_length(kind.min_length, kind.max_length, "个字符", "characters")
    for example, form_zh, form_en in FORMS:
        if _fits_pattern(example, kind.pattern):
            return words.wrong_form(form_zh, form_en)
    return words.NOT_SOUND


def _fits_pattern(example: str, pattern: str) -> bool:
    try:
        msgspec.convert(example, Annotated[str, msgspec.Meta(pattern=pattern)])
    except msgspec.ValidationError:
        return False
    return True


def _is_naive(value: object) -> bool:
    try:
        return isinstance(value, str) and msgspec.convert(value, datetime).tzinfo is None
    except msgspec.ValidationError:
        return False


def _plain(annotation: object) -> object:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _without_none(annotation: object) -> object:
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (part for part in get_args(annotation) if part is not type(None))
    return annotation


def _struct(plain: object) -> type[msgspec.Struct] | None:
    return plain if isinstance(plain, type) and issubclass(plain, msgspec.Struct) else None
