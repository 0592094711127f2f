"""The SMPP 3.4 side of the SMS centre: sessions, submitted messages, receipts. The codec is smpp34's, the session ours.

(smpp34's own Server checks no password, and can neither cut a connection nor stay silent.)
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Literal

import smpp34

_HEADER = struct.Struct("!IIII")
_RESPONSE = 0x8000_0000
_UDHI, _RECEIPT = 0x40, 0x04
_CONCATENATED_8, _CONCATENATED_16 = 0x00, 0x08
_LARGEST = 65_536 + 1_024
_RECEIPTED_MESSAGE_ID, _MESSAGE_PAYLOAD, _MESSAGE_STATE = 0x001E, 0x0424, 0x0427
"""Tags of optional parameters (SMPP 3.4, 5.3.2)."""
_DELIVERED = 2
_STATES = {"DELIVRD": _DELIVERED, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "REJECTD": 8}
"""message_state values of SMPP 3.4, table 5-6, by the word that a receipt carries."""


class Command(IntEnum):
    """Requests that the centre knows (SMPP 3.4, 5.1.2.1)."""

    BIND_RECEIVER = 0x1
    BIND_TRANSMITTER = 0x2
    SUBMIT_SM = 0x4
    DELIVER_SM = 0x5
    UNBIND = 0x6
    BIND_TRANSCEIVER = 0x9
    ENQUIRE_LINK = 0x15


_GENERIC_NACK = 0x8000_0000
_OK, _INVALID_COMMAND, _INVALID_BIND_STATE, _BIND_FAILED, _THROTTLED = 0x0, 0x3, 0x4, 0xD, 0x58
_BINDS = {Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER}


@dataclass(frozen=True)
class Part:
    """One submit_sm: the whole of a short message, or one of its parts."""

    number: str
    sender: str
    message_id: str
    reference: int
    """Common to the parts of one message; 0 for a whole one."""
    total: int
    index: int
    """From 1."""
    body: bytes
    coding: int
    wants_receipt: bool


@dataclass(frozen=True)
class ShortMessage:
    """A complete short message, its parts put together."""

    to: str
    sender: str
    text: str
    at: datetime
    message_ids: tuple[str, ...]


ReceiptWay = Literal["before", "twice", "elsewhere"]
"""Before the answer to the submit_sm; twice; in another session, if another one is bound."""


@dataclass
class Conduct:
    """What the centre does to some numbers; a number that is not named is served as usual."""

    reject: dict[str, int] = field(default_factory=dict)
    """Number to the command_status that answers it."""
    silent: set[str] = field(default_factory=set)
    """Accepted, never answered."""
    cut: set[str] = field(default_factory=set)
    """Accepted, and then the connection is cut instead of an answer."""
    receipts: dict[str, str] = field(default_factory=dict)
    """Number to the word of its receipts instead of DELIVRD; "NONE": no receipt comes.

    Words with commas between are for one part each, in the order of the parts; the last is for all that follow. The
    number "*" stands for all that are not named.
    """
    receipt_ways: dict[str, ReceiptWay] = field(default_factory=dict)
    """Number to how its receipts come, instead of once, directly after the answer, in the session that submitted."""
    throttled: dict[str, int] = field(default_factory=dict)
    """Number to how many of its next parts are answered "throttled"; counted down."""

    def word(self, part: Part) -> str:
        """The word of the receipt for a part."""
        words = self.receipts.get(part.number, self.receipts.get("*", "DELIVRD")).split(",")
        return words[min(part.index, len(words)) - 1]

    def throttles(self, number: str) -> bool:
        """Whether the next part to a number is answered "throttled"."""
        left = self.throttled.get(number, 0)
        if left > 0:
            self.throttled[number] = left - 1
        return left > 0


class Centre:
    """All sessions of one SMS centre.

    Args:
        system_id: whom it lets in.
        password: with this.
        keep: called with each complete message before it is answered.
    """

    def __init__(self, system_id: str, password: str, keep: Callable[[ShortMessage], None]) -> None:
        self._credentials = (system_id, password)
        self._keep = keep
        self._sessions: set[Session] = set()
        self._parts: dict[tuple[str, str, int, int], dict[int, Part]] = {}
        self._unsettled: list[smpp34.DeliverSm] = []
        self.conduct = Conduct()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it ends. What it was delivered and did not answer goes to another one, or waits."""
        session = Session(self, reader, writer)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
            for message in session.unanswered():
                self.deliver(message)

    def deliver(self, message: smpp34.DeliverSm, past: Session | None = None) -> None:
        """Send a deliver_sm in a session that receives, if possible not `past`; until there is one, it waits."""
        receivers = [session for session in self._sessions if session.receives]
        receivers.sort(key=lambda session: session is past)
        if receivers:
            receivers[0].deliver(message)
        else:
            self._unsettled.append(message)

    def bound(self, session: Session) -> None:
        """A session has been bound: it is sent what waits."""
        if session.receives:
            waiting, self._unsettled = self._unsettled, []
            for message in waiting:
                session.deliver(message)

    def admits(self, system_id: str, password: str) -> bool:
        """Whether these are the credentials."""
        return (system_id, password) == self._credentials

    def take(self, part: Part) -> None:
        """Accept one part; with the last of a message, keep the message."""
        key = (part.sender, part.number, part.reference, part.total)
        parts = self._parts.setdefault(key, {})
        parts[part.index] = part
        if len(parts) == part.total:
            del self._parts[key]
            self._keep(_assemble([parts[index] for index in sorted(parts)]))

    def send(self, number: str, to: str, text: str) -> bool:
        """A short message from a handset to whoever is bound to receive; False when nobody is."""
        receivers = [session for session in self._sessions if session.receives]
        for session in receivers[:1]:
            session.deliver(smpp34.DeliverSm(number, to, text.encode("utf-16-be"), data_coding=8))
        return bool(receivers)


class Session:
    """One bound (or not yet bound) client."""

    def __init__(self, centre: Centre, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._centre = centre
        self._reader = reader
        self._writer = writer
        self._bound: int | None = None
        self._sequence = 0
        self._delivered: dict[int, smpp34.DeliverSm] = {}

    def unanswered(self) -> list[smpp34.DeliverSm]:
        """What it was delivered and has not confirmed."""
        return list(self._delivered.values())

    @property
    def receives(self) -> bool:
        """Whether deliver_sm may be sent to it."""
        return self._bound in {Command.BIND_RECEIVER, Command.BIND_TRANSCEIVER}

    async def run(self) -> None:
        """Answer requests until the connection ends."""
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while not self._writer.is_closing():
                    head = await self._reader.readexactly(_HEADER.size)
                    length, command, _, sequence = _HEADER.unpack(head)
                    if not _HEADER.size <= length <= _LARGEST:
                        return
                    pdu = head + await self._reader.readexactly(length - _HEADER.size)
                    self._handle(command, sequence, pdu)
                    await self._writer.drain()
        finally:
            self._writer.close()

    def deliver(self, message: smpp34.DeliverSm) -> None:
        """Send a deliver_sm under this session's next sequence number."""
        self._sequence += 1
        self._delivered[self._sequence] = message
        pdu = bytearray(message.encode())
        struct.pack_into("!I", pdu, 12, self._sequence)
        self._writer.write(bytes(pdu))

    def _handle(self, command: int, sequence: int, pdu: bytes) -> None:
        if command & _RESPONSE:
            self._confirmed(sequence, _HEADER.unpack_from(pdu)[2])
        elif command in _BINDS:
            self._bind(command, sequence, pdu[_HEADER.size :])
        elif command == Command.ENQUIRE_LINK:
            self._answer(command, sequence)
        elif command == Command.UNBIND:
            self._answer(command, sequence)
            self._writer.close()
        elif command == Command.SUBMIT_SM and self._bound not in {None, Command.BIND_RECEIVER}:
            self._submit(sequence, pdu)
        elif command == Command.SUBMIT_SM:
            self._answer(command, sequence, _INVALID_BIND_STATE)
        else:
            self._write(_GENERIC_NACK, _INVALID_COMMAND, sequence, b"")

    def _confirmed(self, sequence: int, status: int) -> None:
        """A deliver_sm was answered; one that was refused is kept for the next session."""
        if status == _OK:
            self._delivered.pop(sequence, None)

    def _bind(self, command: int, sequence: int, body: bytes) -> None:
        system_id, password = (word.decode("latin-1") for word in (*body.split(b"\0"), b"", b"")[:2])
        admitted = self._centre.admits(system_id, password)
        self._bound = command if admitted else None
        self._answer(command, sequence, _OK if admitted else _BIND_FAILED, b"arrears-smsc\0")
        self._centre.bound(self)

    def _submit(self, sequence: int, pdu: bytes) -> None:
        submit = smpp34.decode(pdu)
        if not isinstance(submit, smpp34.SubmitSm):
            raise TypeError("a submit_sm decodes to one")
        part, conduct = _part(submit), self._centre.conduct
        if part.number in conduct.reject:
            self._answer(Command.SUBMIT_SM, sequence, conduct.reject[part.number], b"\0")
            return
        if conduct.throttles(part.number):
            self._answer(Command.SUBMIT_SM, sequence, _THROTTLED, b"\0")
            return
        self._centre.take(part)
        if part.number in conduct.cut:
            if self._writer.transport is not None:
                self._writer.transport.abort()
        elif part.number not in conduct.silent:
            way = conduct.receipt_ways.get(part.number)
            if way == "before":
                self._receipt(part)
            self._answer(Command.SUBMIT_SM, sequence, _OK, part.message_id.encode() + b"\0")
            if way != "before":
                self._receipt(part)
            if way == "twice":
                self._receipt(part)

    def _receipt(self, part: Part) -> None:
        conduct = self._centre.conduct
        word = conduct.word(part)
        if part.wants_receipt and word != "NONE":
            elsewhere = conduct.receipt_ways.get(part.number) == "elsewhere" or not self.receives
            if elsewhere:
                self._centre.deliver(_receipt(part, word), past=self)
            else:
                self.deliver(_receipt(part, word))

    def _answer(self, command: int, sequence: int, status: int = _OK, body: bytes = b"") -> None:
        self._write(command | _RESPONSE, status, sequence, body)

    def _write(self, command: int, status: int, sequence: int, body: bytes) -> None:
        self._writer.write(_HEADER.pack(_HEADER.size + len(body), command, status, sequence) + body)


def _part(submit: smpp34.SubmitSm) -> Part:
    payload = [tlv.value for tlv in submit.tlvs if tlv.tag == _MESSAGE_PAYLOAD]
    body = payload[0] if payload else submit.short_message
    reference, total, index = 0, 1, 1
    if submit.esm_class & _UDHI:
        header, body = body[1 : 1 + body[0]], body[1 + body[0] :]
        reference, total, index = _concatenation(header)
    return Part(
        number=submit.destination_addr,
        sender=submit.source_addr,
        message_id=secrets.token_hex(6),
        reference=reference,
        total=total,
        index=index,
        body=body,
        coding=submit.data_coding,
        wants_receipt=bool(submit.registered_delivery & 1),
    )


def _concatenation(header: bytes) -> tuple[int, int, int]:
    """Reference, number of parts and place of a user data header (3GPP TS 23.040, 9.2.3.24.1 and .8)."""
    while len(header) >= 2:
        kind, length = header[0], header[1]
        value, header = header[2 : 2 + length], header[2 + length :]
        if kind == _CONCATENATED_8 and length == 3:
            return value[0], value[1], value[2]
        if kind == _CONCATENATED_16 and length == 4:
            return int.from_bytes(value[:2], "big"), value[2], value[3]
    return 0, 1, 1


def _assemble(parts: list[Part]) -> ShortMessage:
    body = b"".join(part.body for part in parts)
    return ShortMessage(
        to=parts[0].number,
        sender=parts[0].sender,
        text=decode_text(body, parts[0].coding),
        at=datetime.now(UTC),
        message_ids=tuple(part.message_id for part in parts),
    )


def decode_text(body: bytes, coding: int) -> str:
    """The text of a body by its data_coding (SMPP 3.4, 5.2.19); 0 is read as the centre's default, GSM 7-bit."""
    if coding == 8:
        return body.decode("utf-16-be")
    if coding in {1, 3}:
        return body.decode("latin-1")
    return _from_gsm(body)


_GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_ESCAPED = {0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€"}


def _from_gsm(body: bytes) -> str:
    """Text of the GSM default alphabet (3GPP TS 23.038, 6.2.1), one character a byte."""
    text, escaped = "", False
    for byte in body:
        if byte == 0x1B:
            escaped = True
            continue
        text += _GSM_ESCAPED.get(byte, " ") if escaped else _GSM[byte & 0x7F]
        escaped = False
    return text


def _receipt(part: Part, word: str) -> smpp34.DeliverSm:
    """A delivery receipt in the usual text form (SMPP 3.4, appendix B), and the two optional fields that repeat it."""
    now = f"{datetime.now(UTC):%y%m%d%H%M}"
    delivered = int(word == "DELIVRD")
    text = (
        f"id:{part.message_id} sub:001 dlvrd:00{delivered} submit date:{now} done date:{now} "
        f"stat:{word} err:{0 if delivered else 1:03} text:"
    )
    state = smpp34.Tlv(_MESSAGE_STATE, bytes([_STATES.get(word, _DELIVERED)]))
    receipted = smpp34.Tlv(_RECEIPTED_MESSAGE_ID, part.message_id.encode() + b"\0")
    return smpp34.DeliverSm(part.number, part.sender, text.encode("ascii"), esm_class=_RECEIPT, tlvs=[receipted, state])
