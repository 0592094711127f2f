"""A full card number is found however it is written, and what only looks like one is let through.

Numbers are made up from the schemes' public test ranges. Not covered: digits spelt in words, or parted by letters or by
other signs than those that docs/guarantees.md names.
"""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.domain import words
from services.ingest.domain.card_number import holds_full_card_number
from services.ingest.domain.intake import Rejected, Sound, judge
from tests.unit.ingest.events import PRESENT, event, with_data

FULL_WIDTH = {ord(str(digit)): 0xFF10 + digit for digit in range(10)}
ARABIC = {ord(str(digit)): 0x0660 + digit for digit in range(10)}
CONTACTS_CHANGED = "customer.contacts_changed"


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111\t1111\n1111 1111",
        "4111\u20111111\u00a01111\u30001111",
        "4111111111111111".translate(FULL_WIDTH),
        "4111111111111111".translate(ARABIC),
        "4111\u200b1111\u200b1111\u200b1111",
        "卡号4111111111111111。",
        "PAN4111111111111111x",
        "12 4111 1111 1111 1111 2026",
        "6200000000000000000",
        "378282246310005",
        "4222222222222",
        "4111.1111.1111.1111",
        "4111 - 1111 - 1111 - 1111",
        "1 " * 600,
        "4111\u22121111\u22121111\u22121111",
        "4111\u00b71111\u20221111\u30fb1111",
        "4111\uff651111\uff0e1111\uff0f1111",
        "4111\u20441111\u22151111\uff3f1111",
    ],
)
def test_a_card_number_is_found(text: str) -> None:
    assert holds_full_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4111111111111112",
        "411111111111",
        "1234",
        "110105199003070068",
        "身份证 110105 19400101 000X，汉族",
        "20260225093000129",
        "0190d8a2-1234-7123-8123-123456789010",
        "123456781234712381231234567890ab",
        "+8613800138000",
        "2026-02-25T09:30:00.123456+08:00",
        "021-6329 0000",
        "一二三四五六七八九十",
        "人民路 1 号 200001",
        "41111111111111111111",
        "1771982400006",
    ],
)
def test_what_only_looks_like_one_is_let_through(text: str) -> None:
    assert not holds_full_card_number(text)


def test_of_thirteen_digits_only_those_that_begin_with_4_may_be_a_card_number() -> None:
    """Seen to fail with the check digit alone asked: one in ten identifiers made of milliseconds was refused."""
    assert not any(holds_full_card_number(str(number)) for number in range(1_771_982_400_000, 1_771_982_400_100))
    assert sum(holds_full_card_number(str(number)) for number in range(4_771_982_400_000, 4_771_982_400_100)) == 10


def test_an_identity_number_counts_only_with_its_own_check_digit_and_birth_date() -> None:
    """Both are 18 digits that pass Luhn; only the first is an identity number (ISO 7064)."""
    assert not holds_full_card_number("110105199003070068")
    assert holds_full_card_number("110105199013070496")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (event(id="4111111111111111"), "id"),
        (event(subject="4111 1111 1111 1111"), "subject"),
        (with_data("account.cured", "account_id", "4111111111111111"), "data.account_id"),
        (with_data(CONTACTS_CHANGED, "name", "王芳 4111111111111111"), "data.name"),
        (with_data(CONTACTS_CHANGED, "addresses[0].lines[0]", "4111111111111111"), "data.addresses[0].lines[0]"),
    ],
)  # fmt: skip
def test_a_full_card_number_is_refused_in_every_text(wrong: dict[str, Any], field: str) -> None:
    verdict = judge(wrong, PRESENT)
    assert isinstance(verdict, Rejected)
    assert words.FULL_CARD_NUMBER.at(field) in verdict.errors
    assert verdict.id != "4111111111111111"


def test_a_telephone_number_that_passes_the_same_check_is_taken_where_one_belongs() -> None:
    number = "+49151138001387"
    assert holds_full_card_number(number)
    assert isinstance(judge(with_data(CONTACTS_CHANGED, "phones[0].number", number), PRESENT), Sound)
