"""Receipts as they come from the wire: every centre's form is read, and nothing that is delivered ends the session."""

from __future__ import annotations

import struct
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.channels.receiving import MOST_WAITING, Delivered, ReceiptBox, Unreadable, receipt_of
from services.notify.domain.receipts import Receipt

TEXT = b"id:%s sub:001 dlvrd:001 submit date:2602250900 done date:2602250901 stat:%s err:000 text:"


def optional(tag: int, value: bytes) -> bytes:
    return struct.pack("!HH", tag, len(value)) + value


def deliver_sm(text: bytes, fields: bytes = b"", *, esm_class: int = 4) -> bytes:
    body = b"\0" + b"\1\1" + b"8613800138000\0" + b"\0\0" + b"1069000000\0" + bytes([esm_class, 0, 0])
    body += b"\0\0" + bytes([0, 0, 0, 0, len(text)]) + text + fields
    return struct.pack("!IIII", 16 + len(body), 5, 0, 7) + body


ID, STATE, PAYLOAD = 0x001E, 0x0427, 0x0424


@pytest.mark.parametrize(
    ("pdu", "receipt"),
    [
        (deliver_sm(TEXT % (b"8f3a01", b"DELIVRD")), Receipt("first", "8f3a01", "DELIVRD")),
        (deliver_sm(TEXT % (b"8f3a01", b"UNDELIV")), Receipt("first", "8f3a01", "UNDELIV")),
        (deliver_sm(b"id:1 stat:REJECTD err:ABC Text:stat:DELIVRD"), Receipt("first", "1", "REJECTD")),
        (deliver_sm(b"", optional(ID, b"9\0") + optional(STATE, b"\x03")), Receipt("first", "9", "EXPIRED")),
        (deliver_sm(TEXT % (b"other", b"DELIVRD"), optional(ID, b"9")), Receipt("first", "9", "DELIVRD")),
        (deliver_sm(b"", optional(PAYLOAD, TEXT % (b"1", b"DELETED"))), Receipt("first", "1", "DELETED")),
        (deliver_sm(b"", optional(ID, b"9\0x\0") + optional(STATE, b"\x02")), Receipt("first", "9", "DELIVRD")),
        (deliver_sm(TEXT % (b"8f3a\0\0", b"DELIVRD")), Receipt("first", "8f3a", "DELIVRD")),
        (deliver_sm(TEXT % (b"1", b"ENROUTE")), None),
        (deliver_sm(TEXT % (b"1", b"ACCEPTD"), optional(STATE, b"\x06")), None),
        (deliver_sm(TEXT % (b"1", b"UNKNOWN")), None),
        (deliver_sm("退订".encode("utf-16-be"), esm_class=0), None),
        (deliver_sm(b"\x05\x00\x03\x01\x02\x01" + b"TD", esm_class=0x40), None),
    ],
)
def test_a_receipt_says_which_part_ended_how_and_what_ends_nothing_says_nothing(
    pdu: bytes, receipt: Receipt | None
) -> None:
    assert receipt_of(pdu, "first") == receipt


@pytest.mark.parametrize("pdu", [deliver_sm(b"stat:DELIVRD"), deliver_sm(b"-" * 200)[:-100], b"\0" * 16, b""])
def test_what_names_no_message_or_is_cut_off_is_unreadable(pdu: bytes) -> None:
    with pytest.raises(Unreadable):
        receipt_of(pdu, "first")


@pytest.mark.parametrize("message_id", [b"\0x", b"m\xe9", b"a\x07b", b"x" * 65])
def test_an_id_that_no_message_can_have_is_unreadable(message_id: bytes) -> None:
    """Seen to fail with ids as they come: one with a NUL, which the database refuses, kept all others waiting."""
    for pdu in (deliver_sm(TEXT % (message_id, b"DELIVRD")), deliver_sm(b"stat:DELIVRD", optional(ID, message_id))):
        with pytest.raises(Unreadable):
            receipt_of(pdu, "first")


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_whatever_is_delivered_is_read_or_said_to_be_unreadable(text: bytes, fields: bytes) -> None:
    """A fault of another kind would end the session, and the centre would deliver the same again for ever."""
    for pdu in (deliver_sm(text, fields), text):
        try:
            receipt = receipt_of(pdu, "first")
        except Unreadable:
            continue
        assert receipt is None or receipt.message_id.isprintable()


def test_a_receipt_is_confirmed_when_it_is_stored_and_not_before() -> None:
    confirmed: list[int] = []
    box = ReceiptBox()
    for number in range(3):
        receipt = Receipt("first", str(number), "DELIVRD")
        box.waiting.append(Delivered(receipt, partial(confirmed.append, number)))
    taken = box.waiting[:2]
    assert confirmed == []
    box.stored(taken)
    assert confirmed == [0, 1]
    assert [each.receipt.message_id for each in box.waiting] == ["2"]


def test_a_box_has_a_bound() -> None:
    box = ReceiptBox([Delivered(Receipt("first", "1", "DELIVRD"), lambda: None)] * MOST_WAITING)
    assert box.is_full
