"""Short messages over SMPP 3.4: one session with the bank's SMS centre, kept up by itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Final

from aiosmpplib import NPI, TON, PhoneNumber, SubmitSm

from services.notify.channels.gateway import too_late
from services.notify.channels.pace import Pace
from services.notify.channels.receiving import ReceiptBox
from services.notify.channels.smpp import NOT_NOW, TOO_FAST, Session, Submission, Submissions
from services.notify.channels.sms_parts import SmsMode, SmsPart, TextTooLong, parts_of
from services.notify.domain.delivery import Accepted, Answer, AnswerLost, Message, NotNow, RefusedForGood

_log = logging.getLogger("arrears.notify.sms")

ANSWER_SECONDS: Final = 10.0
"""How long the centre may take to answer a submit_sm; then the message may have left."""

RATE: Final = 500.0
"""Parts a second, unless a setting says otherwise."""

_WINDOW = 10
_MARGIN = 0.2
"""Seconds before the deadline up to which the last part is planned; what comes later would be left out."""
_RESTART_SECONDS = 1.0
_STOP_SECONDS = 3.0
_UDHI = 0x40
_FINAL_RECEIPT = 1
"""registered_delivery: a receipt when the part has arrived, or will not (SMPP 3.4, 5.2.17)."""


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
        name: str = "first",
        rate: float = RATE,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`source`: the sender's number or name as the centre knows it. `password`: at most 8 characters (SMPP).

        `name`: of this gateway among all; the ids that it gives to messages are unique under it. `rate`: how many parts
        a second this session may submit, as agreed with the centre's owner.
        """
        self.pace = Pace(rate)
        self.name = name
        self.receipts = ReceiptBox()
        self._submissions = Submissions()
        self._new_session = partial(
            Session,
            self._submissions,
            self.receipts,
            gateway=name,
            host=host,
            port=port,
            system_id=system_id,
            password=password,
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
            until = deadline if deadline is not None else time.monotonic() + self._answer_seconds
            return joined(await self._deliver(message, parts, until), self.name)

    async def _deliver(self, message: Message, parts: Sequence[SmsPart], until: float) -> list[Answer]:
        """Submit all parts; what was refused for now of a message that has left in part follows, while there is time.

        Such a part has surely not left, so it is not repeated: it is late. After a fault of the centre none follows.
        """
        answers: dict[int, Answer] = {}
        left = list(range(len(parts)))
        while left:
            instants = self.pace.reserve(len(left), time.monotonic(), until - _MARGIN)
            if instants is None:
                break
            submitted = await self._submit(message, [parts[place] for place in left], instants, until)
            answers |= dict(zip(left, submitted, strict=True))
            left = [place for place in left if isinstance(answers[place], NotNow)]
            if len(left) == len(parts) or not self.connected or any(map(_is_fault, answers.values())):
                break
        waiting = NotNow("too_late" if too_late(until) else "rate_reached")
        return [answers.get(place, waiting) for place in range(len(parts))]

    async def _submit(
        self, message: Message, parts: Sequence[SmsPart], instants: Sequence[float], until: float
    ) -> list[Answer]:
        """Submit parts, each not before its instant, and wait for the answers."""
        loop = asyncio.get_running_loop()
        submissions = [Submission(self._submit_sm(message, part), until, loop.create_future()) for part in parts]
        try:
            for submission, instant in zip(submissions, instants, strict=True):
                await asyncio.sleep(max(instant - time.monotonic(), 0.0))
                self._submissions.add(submission)
            await asyncio.wait([each.answer for each in submissions], timeout=self._answer_seconds)
            for each in submissions:
                each.resolve(AnswerLost("no_answer") if each.written else NotNow("not_submitted"))
            answers = [each.answer.result() for each in submissions]
            self._learn(answers)
            return answers
        finally:
            for each in submissions:
                each.answer.cancel()
                self._submissions.drop(each)

    def _learn(self, answers: Sequence[Answer]) -> None:
        """Let answers set the pace."""
        for answer in answers:
            if isinstance(answer, Accepted):
                self.pace.taken()
            elif isinstance(answer, NotNow) and answer.code in TOO_FAST:
                self.pace.too_fast(time.monotonic())

    def _submit_sm(self, message: Message, part: SmsPart) -> SubmitSm:
        # The library wants a text even where the bytes are given: "-" is a placeholder that is never encoded.
        submit = SubmitSm(
            source=self._source,
            destination=PhoneNumber(message.address.removeprefix("+"), TON.INTERNATIONAL, NPI.ISDN),
            short_message="" if part.payload else "-",
            message_payload=message.text if part.payload else "",
            encoding="ucs2" if part.ucs2 else "gsm0338",
            esm_class=_UDHI if part.headed else 0,
            registered_delivery=_FINAL_RECEIPT,
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


def _is_fault(answer: Answer) -> bool:
    """Tell whether handing the part over again at once is in vain."""
    return isinstance(answer, RefusedForGood) or (isinstance(answer, NotNow) and answer.code in NOT_NOW)


def joined(answers: Sequence[Answer], gateway: str = "") -> Answer:
    """Return what became of a message from what became of its parts at `gateway`.

    All accepted: accepted. None may have left: refused, for good if one part was. Anything between has left in part
    and is nobody's to repeat.
    """
    if all(isinstance(answer, Accepted) for answer in answers):
        parts = tuple(answer.reference for answer in answers if isinstance(answer, Accepted))
        return Accepted(",".join(parts), gateway, parts)
    if any(isinstance(answer, Accepted | AnswerLost) for answer in answers):
        lost = next((answer for answer in answers if isinstance(answer, AnswerLost)), None)
        return lost or AnswerLost("partly_accepted")
    refused = next((answer for answer in answers if isinstance(answer, RefusedForGood)), None)
    return refused or answers[0]
