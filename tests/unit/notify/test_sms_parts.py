"""Short messages as bytes: alphabets, lengths, headers; nothing torn apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.smsc import decode_text
from services.notify.channels.sms_parts import SmsPart, TextTooLong, parts_of


def read(part: SmsPart) -> str:
    return decode_text(part.body[6:] if part.headed else part.body, 8 if part.ucs2 else 0)


def test_seventy_chinese_characters_are_one_part_and_seventy_one_are_two() -> None:
    assert parts_of("款" * 70, "udh", 7) == [SmsPart("款".encode("utf-16-be") * 70, ucs2=True)]
    first, second = parts_of("款" * 71, "udh", 7)
    assert first.body == bytes.fromhex("050003070201") + "款".encode("utf-16-be") * 67
    assert second.body == bytes.fromhex("050003070202") + "款".encode("utf-16-be") * 4


def test_a_hundred_and_sixty_letters_are_one_part_and_an_escaped_one_counts_twice() -> None:
    assert [len(part.body) for part in parts_of("a" * 160, "udh", 0)] == [160]
    assert [len(part.body) for part in parts_of("a" * 159 + "€", "udh", 0)] == [6 + 153, 6 + 8]


def test_one_character_outside_the_gsm_alphabet_makes_the_whole_text_ucs2() -> None:
    (part,) = parts_of("Dear 张三", "udh", 0)
    assert part.ucs2
    assert not parts_of("[Example Bank] Dear Li Lei", "udh", 0)[0].ucs2


def test_a_long_text_as_payload_is_one_part() -> None:
    assert parts_of("款" * 200, "payload", 0) == [SmsPart("款".encode("utf-16-be") * 200, ucs2=True, payload=True)]
    assert not parts_of("款", "payload", 0)[0].payload


def test_what_needs_more_than_255_parts_is_refused() -> None:
    with pytest.raises(TextTooLong):
        parts_of("款" * (67 * 255 + 1), "udh", 0)


CHINESE = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=400)
LATIN = st.text("abc [€]{^}~ÄñΔ\n", min_size=1, max_size=500)


@given(st.one_of(CHINESE, LATIN), st.integers(0, 255))
def test_parts_put_together_give_the_text_and_each_fits_into_140_octets(text: str, reference: int) -> None:
    parts = parts_of(text, "udh", reference)
    assert "".join(read(part) for part in parts) == text
    assert all(len(part.body) <= (140 if part.ucs2 else 160) for part in parts)
    assert {part.headed for part in parts} == {len(parts) > 1}
    assert [part.body[:6] for part in parts if part.headed] == [
        bytes([5, 0, 3, reference, len(parts), number]) for number in range(1, len(parts) + 1) if len(parts) > 1
    ]
