"""What an SMS centre delivers to us: receipts, read from the wire and kept until they are stored.

A deliver_sm is confirmed only when its receipt is in the database, so a process that dies before loses none: the centre
delivers it again, to whoever is bound. The session goes on meanwhile: answers to messages never wait for the database.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

from services.notify.domain.receipts import Receipt, Word

MOST_WAITING: Final = 10_000
"""So many receipts wait to be stored; a centre that delivers more is asked to come again."""

_HEADER = 16
_DELIVERY_RECEIPT, _TYPE_BITS = 0x04, 0x3C
_RECEIPTED_MESSAGE_ID, _MESSAGE_STATE, _MESSAGE_PAYLOAD = 0x001E, 0x0427, 0x0424
_STATES: Final[dict[int, Word]] = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 8: "REJECTD"}
_MESSAGE_ID: Final = re.compile(r"[ -~]{1,64}")
"""What an id may be (SMPP 3.4, 5.2.23). The database takes no other characters for granted: it refuses a NUL."""

_WORDS: Final = {word: word for word in get_args(Word)}


class Unreadable(ValueError):
    """The bytes are no deliver_sm as SMPP 3.4 has it."""


def receipt_of(pdu: bytes, gateway: str) -> Receipt | None:
    """Read a deliver_sm; none: no receipt, or one that ends nothing.

    The optional fields count before the text, whose form every centre has its own of (SMPP 3.4, appendix B).

    Raises:
        Unreadable: it is cut off, or a receipt whose id could be no message's.
    """
    try:
        esm_class, body, fields = _content(pdu)
    except (IndexError, ValueError, struct.error) as error:
        raise Unreadable("not a deliver_sm") from error
    if esm_class & _TYPE_BITS != _DELIVERY_RECEIPT:
        return None
    text = _text_fields((body or fields.get(_MESSAGE_PAYLOAD, b"")).decode("ascii", "replace"))
    field_id = fields.get(_RECEIPTED_MESSAGE_ID, b"").decode("ascii", "replace").partition("\0")[0]
    message_id = field_id or text.get("id", "").partition("\0")[0]
    if _MESSAGE_ID.fullmatch(message_id) is None:
        raise Unreadable("a receipt without the id of a message")
    told = _STATES.get(fields[_MESSAGE_STATE][0]) if fields.get(_MESSAGE_STATE) else _WORDS.get(text.get("stat", ""))
    return None if told is None else Receipt(gateway, message_id, told)


def _content(pdu: bytes) -> tuple[int, bytes, dict[int, bytes]]:
    """Return esm_class, short_message and the optional fields of a deliver_sm (SMPP 3.4, 4.6.1)."""
    at = pdu.index(b"\0", _HEADER) + 1  # service_type
    for _ in ("source_addr", "destination_addr"):
        at = pdu.index(b"\0", at + 2) + 1  # behind type and plan
    esm_class = pdu[at]
    at += 3  # esm_class, protocol_id, priority_flag
    for _ in ("schedule_delivery_time", "validity_period"):
        at = pdu.index(b"\0", at) + 1
    length = pdu[at + 4]  # behind registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id
    at += 5
    if at + length > len(pdu):
        raise Unreadable("shorter than it says")
    return esm_class, pdu[at : at + length], _optional_fields(pdu[at + length :])


def _optional_fields(rest: bytes) -> dict[int, bytes]:
    fields = {}
    while rest:
        tag, length = struct.unpack_from("!HH", rest)
        fields[tag], rest = rest[4 : 4 + length], rest[4 + length :]
    return fields


def _text_fields(text: str) -> dict[str, str]:
    """Return the words of a receipt's text: `id:… sub:… submit date:… stat:… err:… text:…`; text, the last, aside."""
    found: dict[str, str] = {}
    for piece in text.partition(" text:")[0].split(" "):
        name, colon, value = piece.partition(":")
        if colon:
            found.setdefault(name.lower(), value)
    return found


@dataclass(frozen=True)
class Delivered:
    """A receipt that is not stored yet. `confirm` tells the centre that it is."""

    receipt: Receipt
    confirm: Callable[[], None]


@dataclass
class ReceiptBox:
    """The receipts that wait to be stored, oldest first."""

    waiting: list[Delivered] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is taken for now."""
        return len(self.waiting) >= MOST_WAITING

    def stored(self, delivered: Sequence[Delivered]) -> None:
        """Let go of the first ones, which are stored, and confirm them."""
        del self.waiting[: len(delivered)]
        for each in delivered:
            each.confirm()
