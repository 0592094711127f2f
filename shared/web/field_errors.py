"""What pydantic and msgspec say about a field, turned into field, fault and remedy in Chinese and English.

Only the *kind* of fault and the limits of our own schema are used. The library's message is never passed on where
it could quote the sender's value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from pydantic_core import PydanticCustomError

from shared.errors import FieldError


class Words(NamedTuple):
    """A fault and its remedy, each in Chinese and English."""

    fault_zh: str
    fault_en: str
    remedy_zh: str
    remedy_en: str

    def at(self, field: str) -> FieldError:
        """Return these words about a field."""
        return FieldError(field, *self)


MISSING = Words("缺少此字段", "is missing", "请补上此字段", "add this field")
UNKNOWN = Words("不认识此字段", "is not a known field", "请删除此字段或检查拼写", "remove it or check its spelling")
NOT_ALLOWED = Words(
    "取值不允许", "holds what is not allowed", "请使用接口文档列出的取值", "use a value that the documentation lists"
)
WRONG_TYPE = Words(
    "类型不符", "has the wrong type", "请使用接口文档规定的类型", "use the type that the documentation gives"
)
NAIVE = Words(
    "时间缺少时区", "is a time without its offset", "请写明时区，例如 2026-02-25T09:00:00+08:00",
    "give the offset, for example 2026-02-25T09:00:00+08:00",
)  # fmt: skip
BAD_INSTANT = Words(
    "时间格式有误", "is not an instant", "请使用 RFC 3339，例如 2026-02-25T09:00:00+08:00",
    "use RFC 3339, for example 2026-02-25T09:00:00+08:00",
)  # fmt: skip
BAD_DATE = Words(
    "日期格式有误", "is not a date", "请使用 YYYY-MM-DD，例如 2026-02-25", "use YYYY-MM-DD, for example 2026-02-25"
)
BAD_UUID = Words(
    "编号格式有误", "is not a UUID", "请使用带连字符的 36 位编号", "use the 36-character form with hyphens"
)
BAD_FORM = Words(
    "格式不符", "does not have the right form", "请对照接口文档的格式", "compare it with the form in the documentation"
)
MALFORMED = Words("JSON 语法有误", "is not valid JSON", "请检查逗号、引号与括号", "check commas, quotes and brackets")


def custom_fault(fault_zh: str, fault_en: str, remedy_zh: str, remedy_en: str) -> PydanticCustomError:
    """Return the error that a pydantic validator raises to say its own words about its field.

    The words must not quote the value.
    """
    words = {"fault_zh": fault_zh, "fault_en": fault_en, "remedy_zh": remedy_zh, "remedy_en": remedy_en}
    return PydanticCustomError("arrears_fault", "refused", words)


def field_path(parts: Sequence[str | int]) -> str:
    """Return `data.items[3].amount` for ("data", "items", 3, "amount")."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def from_pydantic(errors: Sequence[Any]) -> tuple[FieldError, ...]:
    """Return the field errors of a pydantic or FastAPI validation error.

    A field of the body is named by its path alone, others with where they stand: `query.limit`, `path.case_id`.
    """
    return tuple(_pydantic_words(error).at(_pydantic_field(error["loc"])) for error in errors)


def from_msgspec(error: msgspec.ValidationError, prefix: str = "") -> tuple[FieldError, ...]:
    """Return the field error of a msgspec validation error; `prefix` is put before its path."""
    message, _, where = str(error).partition(" - at `")
    path = where.rstrip("`").removeprefix("key in ").removeprefix("$").lstrip(".").replace("[...]", "[]")
    for pattern, words in _MSGSPEC:
        if found := pattern.match(message):
            names = found.groupdict()
            path = ".".join(part for part in (path, names.pop("name", "")) if part)
            return (_fill(words, names).at(_join(prefix, path)),)
    return (NOT_ALLOWED.at(_join(prefix, path)),)


def _join(prefix: str, path: str) -> str:
    if not path or path.startswith("["):
        return f"{prefix}{path}" or "body"
    return f"{prefix}.{path}" if prefix else path


def _fill(words: Words, names: Mapping[str, Any]) -> Words:
    return Words(*(text.format_map(names) for text in words)) if names else words


def _pydantic_field(location: Sequence[str | int]) -> str:
    where, *parts = location
    if where == "body":
        return field_path(parts) or "body"
    return field_path([where, *parts]) if isinstance(where, str) else field_path(location)


def _pydantic_words(error: Mapping[str, Any]) -> Words:
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind == "arrears_fault":
        return Words(*(str(context[name]) for name in Words._fields))
    if kind == "json_invalid":
        return MALFORMED
    if kind in _PYDANTIC:
        return _fill(_PYDANTIC[kind], context)
    for end, words in (("_type", WRONG_TYPE), ("_parsing", WRONG_TYPE), ("_from_decimal", WRONG_TYPE)):
        if kind.endswith(end):
            return words
    return NOT_ALLOWED


_LOW = Words("数值过小", "is too small", "请使用不小于 {ge} 的数", "use at least {ge}")
_HIGH = Words("数值过大", "is too large", "请使用不大于 {le} 的数", "use at most {le}")
_ABOVE = Words("数值过小", "is too small", "请使用大于 {gt} 的数", "use more than {gt}")
_BELOW = Words("数值过大", "is too large", "请使用小于 {lt} 的数", "use less than {lt}")
_SHORT = Words("过短", "is too short", "至少 {min_length} 个字符", "use at least {min_length} characters")
_LONG = Words("过长", "is too long", "至多 {max_length} 个字符", "use at most {max_length} characters")
_FEW = Words("条目过少", "has too few items", "至少 {min_length} 条", "give at least {min_length}")
_MANY = Words("条目过多", "has too many items", "至多 {max_length} 条", "give at most {max_length}")

_PYDANTIC: dict[str, Words] = {
    "missing": MISSING,
    "extra_forbidden": UNKNOWN,
    "greater_than_equal": _LOW,
    "less_than_equal": _HIGH,
    "greater_than": _ABOVE,
    "less_than": _BELOW,
    "string_too_short": _SHORT,
    "string_too_long": _LONG,
    "too_short": _FEW,
    "too_long": _MANY,
    "string_pattern_mismatch": BAD_FORM,
    "timezone_aware": NAIVE,
    "uuid_parsing": BAD_UUID,
    "uuid_type": BAD_UUID,
    "datetime_parsing": BAD_INSTANT,
    "datetime_from_date_parsing": BAD_INSTANT,
    "datetime_type": BAD_INSTANT,
    "datetime_object_invalid": BAD_INSTANT,
    "date_parsing": BAD_DATE,
    "date_type": BAD_DATE,
    "date_from_datetime_parsing": BAD_DATE,
    "date_from_datetime_inexact": BAD_DATE,
}

_MSGSPEC: tuple[tuple[re.Pattern[str], Words], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Object missing required field `(?P<name>[^`]*)`", MISSING),
        (r"Object contains unknown field `(?P<name>[^`]*)`", UNKNOWN),
        (r"Expected `datetime` with a timezone", NAIVE),
        (r"Invalid RFC3339|Expected `datetime`", BAD_INSTANT),
        (r"Invalid (?:ISO8601 )?date|Expected `date`", BAD_DATE),
        (r"Invalid UUID|Expected `uuid`", BAD_UUID),
        (r"Expected `str` matching regex", BAD_FORM),
        (r"Expected `(?:int|float|decimal)` >= (?P<ge>[-\d.e+]+)", _LOW),
        (r"Expected `(?:int|float|decimal)` <= (?P<le>[-\d.e+]+)", _HIGH),
        (r"Expected `(?:int|float|decimal)` > (?P<gt>[-\d.e+]+)", _ABOVE),
        (r"Expected `(?:int|float|decimal)` < (?P<lt>[-\d.e+]+)", _BELOW),
        (r"Expected `str` of length >= (?P<min_length>\d+)", _SHORT),
        (r"Expected `str` of length <= (?P<max_length>\d+)", _LONG),
        (r"Expected `(?:array|object)` of (?:at least )?length >= (?P<min_length>\d+)", _FEW),
        (r"Expected `(?:array|object)` of (?:at most )?length <= (?P<max_length>\d+)", _MANY),
        (r"Expected `[^`]*`, got `", WRONG_TYPE),
    )
)
