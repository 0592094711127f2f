"""Email over SMTP: one connection to the bank's mail server, used again and again, one message at a time."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate
from typing import Final

import aiosmtplib

from services.notify.channels.gateway import too_late
from services.notify.channels.pace import Pace
from services.notify.domain.delivery import Accepted, Answer, AnswerLost, Message, NotNow, RefusedForGood

_log = logging.getLogger("arrears.notify.email")

ANSWER_SECONDS: Final = 10.0
"""How long the server may take to answer one command."""

RATE: Final = 200.0
"""Mails a second, unless a setting says otherwise."""

_MOST_REFERENCE = 200
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")
_OF_ADDRESS = re.compile(r"5\.1\.(1|2|3|6|10)|5\.2\.1")
"""Mailbox, domain or form of the recipient wrong, moved away, no mail taken (RFC 7505); the mailbox disabled."""
_OF_ADDRESS_BARE: Final = frozenset({550, 551, 553})
"""Of the recipient, without an enhanced code: not there, moved away, no such name (RFC 5321, 4.2.3)."""
_BUSY: Final = frozenset({421, 452})
"""The server closes, or has no room."""
_OF_SERVER = re.compile(r"4\.[3457]\.\d{1,3}")
"""System, network, protocol or policy: of whatever comes from here. 4.1.x and 4.2.x are of one recipient."""


class EmailGateway:
    """Hands messages to a mail server; which step failed decides whether a message may have left."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sender: str,
        sender_name: str,
        rate: float = RATE,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`sender`: the address that mails come from; its domain also ends the Message-ID. `rate`: mails a second."""
        self._pace = Pace(rate)
        self._sender = Address(display_name=sender_name, addr_spec=sender)
        self._client = aiosmtplib.SMTP(
            hostname=host, port=port, timeout=answer_seconds, local_hostname=self._sender.domain
        )
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Nothing to do: the first message connects."""

    async def stop(self) -> None:
        """Close the connection."""
        self._client.close()

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        """Send one mail (see `Gateway`). Only a lost answer to DATA leaves it open whether the mail left."""
        try:
            content = mime(message, self._sender, formatdate(usegmt=True)).as_bytes()
        except ValueError:
            return RefusedForGood("unfit_for_mail")
        if not await self._turn(deadline):
            return NotNow("too_late")
        try:
            present = time.monotonic()
            instants = self._pace.reserve(1, present, deadline)
            if instants is None:
                return NotNow("too_late" if too_late(deadline) else "rate_reached")
            await asyncio.sleep(max(instants[0] - present, 0.0))
            return self._learned(await self._converse(message.address, content, deadline))
        except asyncio.CancelledError:
            self._client.close()  # the dialogue broke off in the middle; the next message begins a new one
            raise
        finally:
            self._one_at_a_time.release()

    async def _turn(self, deadline: float | None) -> bool:
        """Wait until no other mail is under way, but not beyond the deadline: reports may wait long for the rate."""
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                return await self._one_at_a_time.acquire()
        except TimeoutError:
            return False

    def _learned(self, answer: Answer) -> Answer:
        """Let what was taken set the pace."""
        if isinstance(answer, Accepted):
            self._pace.taken()
        return answer

    async def _refused(self, error: aiosmtplib.SMTPResponseException, address: str, *, at_recipient: bool) -> Answer:
        """Let a refusal set the pace, and begin anew."""
        if too_fast(error.code, error.message):
            self._pace.too_fast(time.monotonic())
        await self._start_over()
        return refusal(error.code, error.message, address, at_recipient=at_recipient)

    async def _converse(self, address: str, content: bytes, deadline: float | None) -> Answer:
        refusal = await self._address(address)
        if refusal is not None:
            return refusal
        if too_late(deadline):
            await self._start_over()
            return NotNow("too_late")
        return await self._data(address, content)

    async def _address(self, address: str) -> Answer | None:
        """Name sender and recipient, on a fresh connection if the old one has gone; None when both were accepted."""
        for is_last in (False, True):
            named = ""
            try:
                if not self._client.is_connected:
                    await self._client.connect()
                await self._client.mail(self._sender.addr_spec)
                named = address
                await self._client.rcpt(address)
            except aiosmtplib.SMTPServerDisconnected:
                self._client.close()
                if is_last:
                    return NotNow("not_connected")
            except aiosmtplib.SMTPResponseException as error:
                return await self._refused(error, named, at_recipient=bool(named))
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                self._client.close()
                return NotNow("not_connected")
            else:
                return None
        raise AssertionError("unreachable")

    async def _start_over(self) -> None:
        """Forget sender and recipient and keep the connection; a server that will not have that loses it."""
        try:
            await self._client.rset()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            self._client.close()

    async def _data(self, address: str, content: bytes) -> Answer:
        try:
            response = await self._client.data(content)
        except aiosmtplib.SMTPDataError as error:
            return await self._refused(error, address, at_recipient=False)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            self._client.close()
            _log.warning("the mail server's answer was lost", extra={"error_type": type(error).__name__})
            return AnswerLost("no_answer")
        return Accepted(response.message[:_MOST_REFERENCE])


def mime(message: Message, sender: Address, date: str) -> EmailMessage:
    """Return the mail as it goes over the wire. The same notice has the same Message-ID, however often it is sent.

    `date`: the machine's present as RFC 5322 writes it; mail servers live by their own clocks.

    Raises:
        ValueError: an address or the subject can't stand in a header (line breaks, not ASCII); nothing is smuggled in.
    """
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = sender
    mail["To"] = Address(addr_spec=message.address)
    mail["Subject"] = message.subject
    mail["Date"] = date
    mail["Message-ID"] = f"<{message.notice_id}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Notice-Id"] = message.notice_id
    mail.set_content(message.text, charset="utf-8", cte="base64")
    if not message.address.isascii():
        raise ValueError("the address is not ASCII")
    return mail


def refusal(code: int, message: str, address: str, *, at_recipient: bool) -> Answer:
    """Read a reply that was not the one hoped for: 4xx for now, 5xx for good, anything else says nothing certain.

    5xx is said of the address when its enhanced code (RFC 3463) says so, or when there is none and a code that names a
    mailbox answers the recipient (`at_recipient`). A fault of the sender, of the server or of ours, a policy, a full
    mailbox or a text that displeases says nothing of the address.
    """
    if 400 <= code < 500:
        return NotNow(f"smtp_{code}")
    if code < 500:
        return AnswerLost(f"smtp_{code}")
    enhanced = _ENHANCED.match(message)
    of_address = (
        at_recipient and code in _OF_ADDRESS_BARE
        if enhanced is None
        else _OF_ADDRESS.fullmatch(enhanced[0]) is not None
    )
    return RefusedForGood(f"smtp_{code}", address if of_address else "")


def too_fast(code: int, message: str) -> bool:
    """Tell whether a reply says that the server is handed too much, and not that one recipient takes nothing now."""
    enhanced = _ENHANCED.match(message)
    return code in _BUSY and (enhanced is None or _OF_SERVER.fullmatch(enhanced[0]) is not None)
