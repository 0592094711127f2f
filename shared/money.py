"""Money: a whole number of minor units and an ISO 4217 code. Two currencies are never added or compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from msgspec import Struct

from shared.errors import Permanent

# ISO 4217 list one as amended to 2026-01-01 (SIX, maintenance agency): code by number of decimal digits of the minor
# unit. Codes without a minor unit (metals, SDR, test codes) are left out: nobody owes them on a card.
_BY_DIGITS: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
          CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
          IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK
          MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP
          SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG
          YER ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
# Facts are replayed for more than a year, so a code that was good when a fact was written stays readable for ever.
_WITHDRAWN_BY_DIGITS: Final = {2: "ANG BGN CUC HRK SLL ZWL"}


def _digits(table: Mapping[int, str]) -> Mapping[str, int]:
    return MappingProxyType({code: digits for digits, codes in table.items() for code in codes.split()})


CURRENCIES: Final = _digits(_BY_DIGITS)
"""Every current ISO 4217 code that has a minor unit, and the number of its decimal digits."""

_READABLE: Final = MappingProxyType({**_digits(_WITHDRAWN_BY_DIGITS), **CURRENCIES})

# Chinese readers know these at sight; a bare ¥ is the yuan, so the yen says which yen it is.
_SYMBOLS_ZH: Final = MappingProxyType(
    {"CNY": "¥", "JPY": "JP¥", "TWD": "NT$", "HKD": "HK$", "USD": "US$", "EUR": "€", "GBP": "£"}
)

Language = Literal["zh", "en"]


class CurrencyUnknown(Permanent, ValueError):
    """The code is not one of ISO 4217 that has a minor unit."""


class CurrencyMismatch(Permanent, ValueError):
    """Amounts of two currencies met in one sum or comparison."""

    def __init__(self, left: str, right: str) -> None:
        """Keep both codes: `left` is the amount held, `right` the one that came."""
        super().__init__(f"{left} and {right} are never added or compared")
        self.left = left
        self.right = right


def is_currency(code: str) -> bool:
    """Tell whether `code` is a current ISO 4217 code with a minor unit (what intake accepts)."""
    return code in CURRENCIES


def minor_digits(code: str) -> int:
    """Return how many decimal digits the minor unit of `code` stands for: 2 for CNY, 0 for JPY, 3 for KWD.

    Raises `CurrencyUnknown`.
    """
    try:
        return _READABLE[code]
    except KeyError:
        raise CurrencyUnknown(f"{code!r} is not an ISO 4217 currency code with a minor unit") from None


class Money(Struct, frozen=True):
    """An amount: `minor` whole minor units (fen, cents; negative: in the customer's favour) of `currency`.

    Raises `CurrencyUnknown` when made of an unknown code. Equality compares both fields; order and sums of two
    currencies raise `CurrencyMismatch`.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        """Refuse a currency that does not exist."""
        if self.currency not in _READABLE:
            minor_digits(self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(self.currency, other.currency)
        return other.minor

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.minor >= self._same(other)


def totals(amounts: Iterable[Money]) -> dict[str, Money]:
    """Return one sum a currency, by code in alphabetical order."""
    sums: dict[str, int] = {}
    for amount in amounts:
        sums[amount.currency] = sums.get(amount.currency, 0) + amount.minor
    return {code: Money(sums[code], code) for code in sorted(sums)}


def format_money(amount: Money, language: Language) -> str:
    """Return the amount as a person reads it: `¥1,234.56` in Chinese, `CNY 1,234.56` in English.

    The digits after the point are the currency's own (none for JPY, three for KWD); a negative amount leads with `-`.
    """
    digits = minor_digits(amount.currency)
    whole, part = divmod(abs(amount.minor), 10**digits)
    number = f"{whole:,}.{part:0{digits}d}" if digits else f"{whole:,}"
    mark = f"{amount.currency} "
    if language == "zh":
        mark = _SYMBOLS_ZH.get(amount.currency, mark)
    return f"{'-' if amount.minor < 0 else ''}{mark}{number}"
