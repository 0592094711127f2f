"""What the network's receipts say of a message: pure, whatever their order, however often they come.

A message travels in parts, and each part has receipts of its own. Receipts say what became of a message that has left;
they never make one be sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from shared.events.kinds import Reason

Word = Literal["DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "REJECTD"]
"""How a part ended (SMPP 3.4, table B-2). ENROUTE, ACCEPTD and UNKNOWN end nothing."""

Delivery = Literal["delivered", "undelivered"]

DELIVERED: Final[Word] = "DELIVRD"

_MEANINGS: Final[Mapping[Word, tuple[str, str]]] = {
    "EXPIRED": ("有效期内未能送达", "it could not be delivered in time"),
    "DELETED": ("已被运营商删除", "the network deleted it"),
    "UNDELIV": ("无法送达", "it cannot be delivered"),
    "REJECTD": ("被运营商拒绝", "the network rejected it"),
}


class Receipt(Struct, frozen=True):
    """How a part ended: the part that `gateway` took under `message_id`."""

    gateway: str
    message_id: str
    word: Word


class Part(Struct, frozen=True, kw_only=True):
    """One part of a message that has left. `number` counts from 1 to `total`; `word`: none so far."""

    number: int
    total: int
    message_id: str
    word: Word | None


def merged(receipts: Iterable[Receipt]) -> list[Receipt]:
    """Return one receipt a part: delivered, if any says so; else the first."""
    held: dict[tuple[str, str], Receipt] = {}
    for receipt in receipts:
        key = (receipt.gateway, receipt.message_id)
        if key not in held or receipt.word == DELIVERED:
            held[key] = receipt
    return [held[key] for key in sorted(held)]


def delivery_of(parts: Sequence[Part]) -> Delivery | None:
    """Return what the receipts of a message's parts say of the whole; none: not known yet.

    It is delivered when all its parts are, and undelivered as soon as one is not: then nobody can read the whole.
    """
    if any(part.word not in (None, DELIVERED) for part in parts):
        return "undelivered"
    delivered = {part.number for part in parts if part.word == DELIVERED}
    return "delivered" if parts and len(delivered) == parts[0].total else None


def undelivered_reason(parts: Sequence[Part]) -> Reason:
    """Return in words how the first part that did not arrive ended."""
    word = next(part.word for part in sorted(parts, key=_number) if part.word not in (None, DELIVERED))
    assert word is not None
    zh, en = _MEANINGS[word]
    return Reason(
        f"receipt_{word.lower()}", f"已发出，未送达：{zh}（{word}）。", f"It left and did not arrive: {en} ({word})."
    )


def _number(part: Part) -> int:
    return part.number
