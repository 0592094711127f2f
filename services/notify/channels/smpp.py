"""aiosmpplib's seams, filled so that nothing leaves late and nobody has to guess what became of a message.

What the library does by itself and why each part is replaced:
- its queue keeps messages through a reconnect and would send them long after they were decided: ours drops them;
- its correlator scans all messages of three days at each send, with numbers and texts in memory: ours keeps nothing;
- its throttling sleeps between decision and send: a refusal goes back to the caller instead;
- its log prints whole messages, with number and text: it is switched off, and what matters is logged here;
- its session forgets the old socket when it connects anew: ours closes it;
- it falls over receipts that are not to its taste, and confirms the others before anybody could store them: ours reads
  them by itself and confirms what is stored (`channels.receiving`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from dataclasses import dataclass, field
from functools import partial

from aiosmpplib import (
    ESME,
    AbstractBroker,
    AbstractCorrelator,
    AbstractHook,
    AbstractRetryTimer,
    AbstractThrottleHandler,
    BindMode,
    DeliverSm,
    PduHeader,
    SmppCommand,
    SmppMessage,
    SmppSessionState,
    SubmitSm,
)

from services.notify.channels.gateway import too_late
from services.notify.channels.receiving import Delivered, ReceiptBox, Unreadable, receipt_of
from services.notify.domain.delivery import Accepted, Answer, AnswerLost, NotNow, RefusedForGood

_log = logging.getLogger("arrears.notify.sms")

_HEADER = struct.Struct("!IIII")
_SUBMIT_SM_RESP, _GENERIC_NACK = 0x8000_0004, 0x8000_0000
_DELIVER_SM_RESP = 0x8000_0005
_THROTTLED, _QUEUE_FULL = 0x58, 0x14
TOO_FAST = frozenset({f"smpp_{_THROTTLED}", f"smpp_{_QUEUE_FULL}"})
"""The codes by which a centre says that it is handed too much."""
NOT_NOW = frozenset({"smpp_4", "smpp_8", "smpp_69", "smpp_100"})
"""The centre could not take it, through no fault of the message: not bound, system error, submission failed, temporary
error (SMPP 3.4, 5.1.3). A response that bears a fault gives the message no id (4.4.2): nothing was accepted."""
_LONGEST_PAUSE = 10.0


class Vetoed(ValueError):
    """The message may not leave any more. A ValueError: after any other error the library would reconnect."""


@dataclass(eq=False)
class Submission:
    """One submit_sm on its way: what it is, until when it may leave, and what became of it."""

    message: SubmitSm
    deadline: float | None
    answer: asyncio.Future[Answer]
    written: bool = False

    def resolve(self, answer: Answer) -> None:
        """Say what became of it; the first word counts."""
        if not self.answer.done():
            self.answer.set_result(answer)


@dataclass(eq=False)
class Submissions:
    """Every submission that has no answer yet: queued, or written under a sequence number."""

    queued: asyncio.Queue[Submission] = field(default_factory=asyncio.Queue)
    by_message: dict[int, Submission] = field(default_factory=dict)
    by_sequence: dict[int, Submission] = field(default_factory=dict)

    def add(self, submission: Submission) -> None:
        """Queue a submission for the session's sender."""
        self.by_message[id(submission.message)] = submission
        self.queued.put_nowait(submission)

    def drop(self, submission: Submission) -> None:
        """Forget a submission that is settled; if it was not written yet, it never will be."""
        self.by_message.pop(id(submission.message), None)
        if submission.written:
            self.by_sequence.pop(submission.message.sequence_num, None)

    def about_to_write(self, message: SubmitSm, *, bound: bool) -> None:
        """Mark a submission as leaving; raises `Vetoed` when it may not leave any more."""
        submission = self.by_message.get(id(message))
        if submission is None or submission.answer.done():
            raise Vetoed
        if not bound or too_late(submission.deadline):
            submission.resolve(NotNow("too_late" if bound else "not_connected"))
            raise Vetoed
        submission.written = True
        self.by_sequence[message.sequence_num] = submission

    def failed(self, message: SubmitSm) -> None:
        """The library could not send it: not encodable if it was not written yet, else nobody knows."""
        submission = self.by_message.get(id(message))
        if submission is not None:
            submission.resolve(AnswerLost("connection_lost") if submission.written else RefusedForGood("unencodable"))

    def answered(self, pdu: bytes) -> None:
        """Read a response as it came from the wire, whether or not the library could make sense of it."""
        _, command, status, sequence = _HEADER.unpack_from(pdu)
        if command not in {_SUBMIT_SM_RESP, _GENERIC_NACK}:
            return
        submission = self.by_sequence.pop(sequence, None)
        if submission is not None:
            submission.resolve(answer_of(status, pdu[_HEADER.size :]))

    def connection_lost(self) -> None:
        """What was written may have arrived; what was not has surely not."""
        for submission in self.by_message.values():
            submission.resolve(AnswerLost("connection_lost") if submission.written else NotNow("not_connected"))
        self.by_sequence.clear()


def answer_of(status: int, body: bytes) -> Answer:
    """Return what a response's command_status (SMPP 3.4, 5.1.3) and body say of a message."""
    if status == 0:
        return Accepted(body.partition(b"\0")[0].decode("ascii", "replace"))
    code = f"smpp_{status}"
    return NotNow(code) if code in TOO_FAST | NOT_NOW else RefusedForGood(code)


class Session(ESME):  # type: ignore[misc]  # untyped library
    """One session with an SMS centre, on our seams."""

    def __init__(
        self,
        submissions: Submissions,
        box: ReceiptBox,
        *,
        gateway: str,
        host: str,
        port: int,
        system_id: str,
        password: str,
    ) -> None:
        """`gateway`: the name under which receipts go into `box`."""
        self._box = box
        self._gateway = gateway
        super().__init__(
            smsc_host=host,
            smsc_port=port,
            system_id=system_id,
            password=password,
            bind_mode=BindMode.TRANSCEIVER,
            enquire_link_interval=30.0,
            socket_timeout=10.0,
            log_level=logging.CRITICAL,
            log_handler=logging.NullHandler(),
            hook=_Hook(submissions, self),
            broker=_Queue(submissions),
            correlator=_NothingKept(),
            throttle_handler=_NeverSleeps(),
            retry_timer=_Reconnect(submissions),
        )

    @property
    def bound(self) -> bool:
        """Whether messages can be submitted now."""
        state: SmppSessionState = self.session_state
        return bool(state == self.bind_mode.session_state)

    async def connect(self) -> None:
        """Connect anew, without leaving the old socket behind."""
        self.close()
        await super().connect()
        _log.info("bound to the SMS centre")

    def close(self) -> None:
        """Close the socket, if there is one; what is buffered is still written."""
        if self._writer is not None:
            self._writer.close()

    async def _handle_request(self, pdu: bytes, header: PduHeader) -> SmppMessage | None:
        """Take a deliver_sm, without the library's confirmation; leave any other request to the library."""
        if header.smpp_command == SmppCommand.DELIVER_SM:
            self._take(pdu, header.sequence_num)
            return None
        return await super()._handle_request(pdu, header)

    def _take(self, pdu: bytes, sequence: int) -> None:
        """Put a receipt into the box, to be confirmed when it is stored; confirm at once what nobody waits for."""
        confirm = partial(self._confirm, self._writer, sequence)
        if self._box.is_full:
            confirm(_QUEUE_FULL)
            return
        try:
            receipt = receipt_of(pdu, self._gateway)
        except Unreadable as error:
            _log.warning("a delivery that cannot be read was confirmed and dropped", extra={"fault": str(error)})
            receipt = None
        if receipt is None:
            confirm()
        else:
            self._box.waiting.append(Delivered(receipt, confirm))

    @staticmethod
    def _confirm(writer: asyncio.StreamWriter | None, sequence: int, status: int = 0) -> None:
        """Answer a deliver_sm on the connection that brought it; on another one its number means something else."""
        if writer is not None and not writer.is_closing():
            writer.write(_HEADER.pack(_HEADER.size + 1, _DELIVER_SM_RESP, status, sequence) + b"\0")

    async def _disconnect(self) -> None:
        writer = self._writer
        await super()._disconnect()
        if writer is not None:
            writer.close()


class _Hook(AbstractHook):  # type: ignore[misc]  # untyped library
    """Sees each message last before it is written, and each response first."""

    def __init__(self, submissions: Submissions, session: Session) -> None:
        self._submissions = submissions
        self._session = session

    async def sending(self, smpp_message: SmppMessage, pdu: bytes, client_id: str) -> None:
        if isinstance(smpp_message, SubmitSm):
            self._submissions.about_to_write(smpp_message, bound=self._session.bound)

    async def received(self, smpp_message: SmppMessage, pdu: bytes, client_id: str) -> None:
        self._submissions.answered(pdu)

    async def send_error(self, smpp_message: SmppMessage, error: Exception, client_id: str) -> None:
        if isinstance(smpp_message, SubmitSm):
            self._submissions.failed(smpp_message)


class _Queue(AbstractBroker):  # type: ignore[misc]  # untyped library
    """Gives out only what is still wanted."""

    def __init__(self, submissions: Submissions) -> None:
        self._submissions = submissions

    async def enqueue(self, message: SmppMessage) -> None:
        raise NotImplementedError("messages are queued through Submissions.add")

    async def dequeue(self) -> SmppMessage:
        while True:
            submission = await self._submissions.queued.get()
            if not submission.answer.done():
                return submission.message


class _NothingKept(AbstractCorrelator):  # type: ignore[misc]  # untyped library
    """Responses are matched by `Submissions.answered`, receipts by the ids of parts in the database."""

    def get_cumulated_status(self, ref_num: int) -> int:
        return 0

    async def expired(self, smpp_message: SmppMessage) -> None:
        pass

    async def put(self, smpp_message: SmppMessage) -> None:
        pass

    async def put_delivery(self, smsc_message_id: str, submit_sm: SubmitSm) -> None:
        pass

    async def put_delivery_segmented(self, deliver_sm: DeliverSm) -> DeliverSm:
        return deliver_sm

    async def get(self, response: SmppMessage) -> None:
        return None

    async def get_segmented(self, smpp_seq_num: int, remove: bool = False) -> tuple[None, int]:
        return None, 0

    async def get_delivery(self, receipt: DeliverSm) -> None:
        return None


class _NeverSleeps(AbstractThrottleHandler):  # type: ignore[misc]  # untyped library
    """The caller decides when to try again, behind a new read barrier."""

    async def throttled(self) -> None:
        pass

    async def not_throttled(self) -> None:
        pass

    async def allow_request(self) -> bool:
        return True

    async def throttle_delay(self) -> float:
        return 0.0


class _Reconnect(AbstractRetryTimer):  # type: ignore[misc]  # untyped library
    """Is asked after each loss of the connection, which is how we learn of one; pauses grow to 10 s, with jitter."""

    def __init__(self, submissions: Submissions) -> None:
        self._submissions = submissions
        self._failures = 0

    async def wait(self) -> None:
        self._submissions.connection_lost()
        self._failures += 1
        _log.warning("no connection to the SMS centre; connecting again", extra={"attempt": self._failures})
        await asyncio.sleep(self.next_delay() * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    def reset(self) -> None:
        self._failures = 0

    def next_delay(self) -> float:
        pause: float = min(_LONGEST_PAUSE, 0.1 * 2.0 ** min(self._failures, 10))
        return pause
