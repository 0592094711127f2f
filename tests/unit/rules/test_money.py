from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import (
    CURRENCIES,
    CurrencyMismatch,
    CurrencyUnknown,
    Language,
    Money,
    format_money,
    is_currency,
    minor_digits,
    totals,
)

MINOR = st.integers(-(10**15), 10**15)
MONEY = st.builds(Money, MINOR, st.sampled_from(sorted(CURRENCIES)))


@pytest.mark.parametrize(
    ("code", "digits"),
    [("CNY", 2), ("TWD", 2), ("HKD", 2), ("USD", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("CLF", 4)],
)
def test_a_currency_has_the_minor_unit_of_iso_4217(code: str, digits: int) -> None:
    assert is_currency(code)
    assert minor_digits(code) == digits


@pytest.mark.parametrize("code", ["", "cny", "RMB", "XXX", "XAU", "BTC", "CNY ", "BGN"])
def test_intake_refuses_what_is_not_a_current_currency(code: str) -> None:
    assert not is_currency(code)


def test_a_fact_in_a_withdrawn_currency_stays_readable() -> None:
    assert format_money(Money(195583, "BGN"), "en") == "BGN 1,955.83"


def test_every_code_is_three_capital_letters_and_stands_once() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert len(CURRENCIES) == 165


def test_money_of_an_unknown_currency_cannot_be_made() -> None:
    with pytest.raises(CurrencyUnknown, match="'RMB'"):
        Money(1, "RMB")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"minor":1,"currency":"RMB"}', type=Money)


def test_two_currencies_are_never_added_or_compared() -> None:
    yuan, dollars = Money(100, "CNY"), Money(100, "USD")
    for meet in (
        lambda: yuan + dollars,
        lambda: yuan - dollars,
        lambda: yuan < dollars,
        lambda: yuan <= dollars,
        lambda: yuan > dollars,
        lambda: yuan >= dollars,
    ):
        with pytest.raises(CurrencyMismatch, match="CNY and USD"):
            meet()
    assert yuan != dollars


@given(left=MINOR, right=MINOR)
def test_sums_and_order_are_those_of_whole_numbers(left: int, right: int) -> None:
    a, b = Money(left, "CNY"), Money(right, "CNY")
    assert (a + b).minor == left + right
    assert a - b == a + -b
    assert (a < b, a <= b, a > b, a >= b) == (left < right, left <= right, left > right, left >= right)


@given(st.lists(MONEY, max_size=12))
def test_totals_hold_one_sum_a_currency(amounts: list[Money]) -> None:
    sums = totals(amounts)
    assert list(sums) == sorted({each.currency for each in amounts})
    for code, total in sums.items():
        assert total == Money(sum(each.minor for each in amounts if each.currency == code), code)


@pytest.mark.parametrize(
    ("minor", "code", "language", "text"),
    [
        (123456, "CNY", "zh", "¥1,234.56"),
        (123456, "CNY", "en", "CNY 1,234.56"),
        (5, "CNY", "zh", "¥0.05"),
        (0, "CNY", "en", "CNY 0.00"),
        (-123456, "CNY", "zh", "-¥1,234.56"),
        (-5, "USD", "en", "-USD 0.05"),
        (1235, "JPY", "en", "JPY 1,235"),
        (1235, "JPY", "zh", "JP¥1,235"),
        (1234567, "KWD", "zh", "KWD 1,234.567"),
        (100000, "TWD", "zh", "NT$1,000.00"),
        (100000, "HKD", "zh", "HK$1,000.00"),
    ],
)
def test_money_reads_as_people_write_it(minor: int, code: str, language: Language, text: str) -> None:
    assert format_money(Money(minor, code), language) == text


@given(MONEY)
def test_the_written_number_is_the_exact_amount(amount: Money) -> None:
    sign, _, number = format_money(amount, "en").rpartition(f"{amount.currency} ")
    written = Decimal(sign + number.replace(",", ""))
    assert written == Decimal(amount.minor).scaleb(-minor_digits(amount.currency))


@given(MONEY)
def test_money_survives_storage(amount: Money) -> None:
    assert msgspec.json.decode(msgspec.json.encode(amount), type=Money) == amount
