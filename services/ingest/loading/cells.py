"""From a cell to a value of an event, exactly, or to what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from services.ingest.loading.rows import Cell

Kind = Literal["text", "whole", "amount", "date", "instant"]
"""What a cell holds: text; a whole number; an amount in the currency's main unit; a date; an instant."""


class CellError(Exception):
    """The cell cannot be read as what its column holds; the value itself is never repeated."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} {en}")
        self.zh = zh
        self.en = en


_NOT_TEXT = CellError(
    "为数字单元格，长号码会失真；请把该列设为文本。", "is a number cell, which spoils long numbers; format it as text."
)
_NOT_WHOLE = CellError("不是整数。", "is not a whole number.")
_NOT_AN_AMOUNT = CellError("不是金额；请写成 1234.56。", "is not an amount; write 1234.56.")
_TOO_FINE = CellError("小数位数超过该币种。", "has more decimals than its currency.")
_NOT_A_DATE = CellError("不是日期；请写成 2026-02-25。", "is not a date; write 2026-02-25.")
_NOT_AN_INSTANT = CellError(
    "不是时间；请写成 2026-02-25T08:00:00+08:00 或日期。",
    "is not an instant; write 2026-02-25T08:00:00+08:00 or a date.",
)


def text(cell: Cell) -> str:
    """Return a text cell's text. A number cell is refused: 6222020200001234567 has become 6.222020200001235e+18."""
    if not isinstance(cell, str):
        raise _NOT_TEXT
    return cell.strip()


def whole(cell: Cell) -> int:
    """Return a whole number."""
    number = _number(cell, _NOT_WHOLE)
    if number != number.to_integral_value():
        raise _NOT_WHOLE
    return int(number)


def amount(cell: Cell, digits: int) -> int:
    """Return an amount in minor units, exactly; thousands may be set apart by commas."""
    minor = _number(cell, _NOT_AN_AMOUNT).scaleb(digits)
    if minor != minor.to_integral_value():
        raise _TOO_FINE
    return int(minor)


def day(cell: Cell) -> str:
    """Return a date as 2026-02-25; 2026/2/25 and 20260225 are read as well."""
    if isinstance(cell, date):  # an instant is one too
        return f"{cell:%Y-%m-%d}"
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d"):
        try:
            return f"{datetime.strptime(text(cell), form):%Y-%m-%d}"  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    raise _NOT_A_DATE


def instant(cell: Cell, zone: ZoneInfo) -> str:
    """Return an instant with offset; without one it is the zone's, and a mere date is its midnight there."""
    try:
        said = cell if isinstance(cell, datetime) else datetime.fromisoformat(text(cell))
    except (ValueError, CellError):
        try:
            said = datetime.fromisoformat(day(cell))
        except CellError:
            raise _NOT_AN_INSTANT from None
    return (said if said.tzinfo else said.replace(tzinfo=zone)).isoformat()


def _number(cell: Cell, wrong: CellError) -> Decimal:
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        raise wrong
    try:
        number = Decimal(repr(cell) if isinstance(cell, float) else str(cell).strip().replace(",", ""))
    except InvalidOperation:
        raise wrong from None
    if not number.is_finite():
        raise wrong
    return number


PLAIN: Mapping[Kind, Callable[[Cell], str | int]] = MappingProxyType({"text": text, "whole": whole, "date": day})
"""The kinds that need nothing but the cell."""
