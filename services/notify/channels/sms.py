"""Short messages over SMPP 3.4: one session with the bank's SMS centre, kept up by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Final

from aiosmpplib import NPI, TON, PhoneNumber, SubmitSm

from services.notify.channels.gateway import too_late
from services.notify.channels.smpp import Session, Submission, Submissions
from services.notify.channels.sms_parts import SmsMode, SmsPart, TextTooLong, parts_of
from services.notify.domain.delivery import Accepted, Answer, AnswerLost, Message, NotNow, RefusedForGood

_log = logging.getLogger("arrears.notify.sms")

ANSWER_SECONDS: Final = 10.0
"""How long the centre may take to answer a submit_sm; then the message may have left."""

_WINDOW = 10
_RESTART_SECONDS = 1.0
_STOP_SECONDS = 3.0
_UDHI = 0x40


class SmsGateway:
    """Hands short messages to an SMS centre. At most ten are under way at once; a refusal or a silence is an answer."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        system_id: str,
        password: str,
        source: str,
        mode: SmsMode = "udh",
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`source`: the sender's number or name as the centre knows it. `password`: at most 8 characters (SMPP)."""
        self._submissions = Submissions()
        self._new_session = partial(
            Session, self._submissions, host=host, port=port, system_id=system_id, password=password
        )
        self._source = PhoneNumber(source)
        self._mode: SmsMode = mode
        self._answer_seconds = answer_seconds
        self._references = cycle(range(256))
        self._window = asyncio.Semaphore(_WINDOW)
        self._session = self._new_session()
        self._running: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether messages can be submitted now."""
        return self._running is not None and self._session.bound

    async def start(self) -> None:
        """Begin to connect; a centre that is away is tried again and again."""
        self._running = asyncio.create_task(self._keep_running(), name="sms session")

    async def stop(self) -> None:
        """Unbind and disconnect, within a few seconds: the library's own stop may wait for ever."""
        running, self._running = self._running, None
        if running is None:
            return
        leaving = asyncio.create_task(self._session.stop())
        await asyncio.wait({leaving}, timeout=_STOP_SECONDS)
        for task in (leaving, running):
            task.cancel()
        await asyncio.wait({leaving, running}, timeout=_STOP_SECONDS)
        self._session.close()
        self._submissions.connection_lost()

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        """Submit the message, all its parts at once, and wait for the answers (see `Gateway`)."""
        try:
            parts = parts_of(message.text, self._mode, next(self._references))
        except TextTooLong:
            return RefusedForGood("text_too_long")
        async with self._window:
            if too_late(deadline):
                return NotNow("too_late")
            if not self.connected:
                return NotNow("not_connected")
            return joined(await self._submit(message, parts, deadline))

    async def _submit(self, message: Message, parts: Sequence[SmsPart], deadline: float | None) -> list[Answer]:
        loop = asyncio.get_running_loop()
        submissions = [Submission(self._submit_sm(message, part), deadline, loop.create_future()) for part in parts]
        for submission in submissions:
            self._submissions.add(submission)
        try:
            await asyncio.wait([each.answer for each in submissions], timeout=self._answer_seconds)
            for each in submissions:
                each.resolve(AnswerLost("no_answer") if each.written else NotNow("not_submitted"))
            return [each.answer.result() for each in submissions]
        finally:
            for each in submissions:
                each.answer.cancel()
                self._submissions.drop(each)

    def _submit_sm(self, message: Message, part: SmsPart) -> SubmitSm:
        # The library wants a text even where the bytes are given: "-" is a placeholder that is never encoded.
        submit = SubmitSm(
            source=self._source,
            destination=PhoneNumber(message.address.removeprefix("+"), TON.INTERNATIONAL, NPI.ISDN),
            short_message="" if part.payload else "-",
            message_payload=message.text if part.payload else "",
            encoding="ucs2" if part.ucs2 else "gsm0338",
            esm_class=_UDHI if part.headed else 0,
            registered_delivery=0,
        )
        if not part.payload:
            submit.set_encoded_message(part.body)
        return submit

    async def _keep_running(self) -> None:
        """Run one session after another: a fault of the library ends its session, not the channel."""
        while True:
            session = asyncio.create_task(self._session.start())
            try:
                await asyncio.wait({session})
            except asyncio.CancelledError:
                session.cancel()
                await asyncio.wait({session}, timeout=_STOP_SECONDS)
                raise
            self._session.close()
            if self._running is None:
                return
            self._report(session)
            self._submissions.connection_lost()
            await asyncio.sleep(_RESTART_SECONDS)
            self._session = self._new_session()

    @staticmethod
    def _report(session: asyncio.Task[None]) -> None:
        error = None if session.cancelled() else session.exception()
        name = "none" if error is None else type(error).__name__
        _log.warning("the SMS session ended; starting a new one", extra={"error_type": name})


def joined(answers: Sequence[Answer]) -> Answer:
    """Return what became of a message from what became of its parts.

    All accepted: accepted. None may have left: refused, for good if one part was. Anything between has left in part
    and is nobody's to repeat.
    """
    if all(isinstance(answer, Accepted) for answer in answers):
        return Accepted(",".join(answer.reference for answer in answers if isinstance(answer, Accepted)))
    if any(isinstance(answer, Accepted | AnswerLost) for answer in answers):
        lost = next((answer for answer in answers if isinstance(answer, AnswerLost)), None)
        return lost or AnswerLost("partly_accepted")
    refused = next((answer for answer in answers if isinstance(answer, RefusedForGood)), None)
    return refused or answers[0]
