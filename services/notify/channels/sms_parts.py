"""A short message as the parts that go over the air: alphabet, user data headers, lengths (3GPP TS 23.038, 23.040).

A text of the GSM alphabet takes one septet a character (two for the escaped ones): 160 in one part, 153 a part when
joined. Any other text, so every Chinese one, is UCS-2: 70 units in one part, 67 a part when joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

SmsMode = Literal["udh", "payload"]
"""How a long text travels: as joined parts with user data headers, or whole in `message_payload`."""

MOST_PARTS: Final = 255
_GSM_WHOLE, _GSM_JOINED = 160, 153
_UCS2_WHOLE, _UCS2_JOINED = 140, 134

_GSM_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE = 0x1B
_GSM_ESCAPED = {"^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65}
_GSM: Final = {
    **{char: bytes([code]) for code, char in enumerate(_GSM_ALPHABET) if code != _ESCAPE},
    **{char: bytes([_ESCAPE, code]) for char, code in _GSM_ESCAPED.items()},
}


@dataclass(frozen=True, slots=True)
class SmsPart:
    """One submit_sm: its bytes, whether they begin with a user data header, and whether they go as payload."""

    body: bytes
    ucs2: bool
    headed: bool = False
    payload: bool = False


class TextTooLong(ValueError):
    """The text needs more than 255 parts."""


def parts_of(text: str, mode: SmsMode, reference: int) -> list[SmsPart]:
    """Split `text` into the parts to submit, in order; `reference` (0 to 255) is common to joined parts.

    Raises:
        TextTooLong: it can't be sent as one message.
    """
    ucs2 = any(char not in _GSM for char in text)
    units = [char.encode("utf-16-be") if ucs2 else _GSM[char] for char in text]
    whole, joined = (_UCS2_WHOLE, _UCS2_JOINED) if ucs2 else (_GSM_WHOLE, _GSM_JOINED)
    body = b"".join(units)
    if len(body) <= whole:
        return [SmsPart(body, ucs2)]
    if mode == "payload":
        return [SmsPart(body, ucs2, payload=True)]
    bodies = _filled(units, joined)
    if len(bodies) > MOST_PARTS:
        raise TextTooLong(f"{len(bodies)} parts, at most {MOST_PARTS}")
    return [
        SmsPart(bytes([5, 0, 3, reference, len(bodies), number]) + part, ucs2, headed=True)
        for number, part in enumerate(bodies, 1)
    ]


def _filled(units: list[bytes], size: int) -> list[bytes]:
    """Fill parts of at most `size` bytes without tearing a character (surrogate pair, escaped pair) apart."""
    parts: list[list[bytes]] = [[]]
    room = size
    for unit in units:
        if len(unit) > room:
            parts.append([])
            room = size
        parts[-1].append(unit)
        room -= len(unit)
    return [bytes(chain.from_iterable(part)) for part in parts]
