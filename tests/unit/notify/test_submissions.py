"""What becomes of a short message between our queue and the centre's answer; nothing leaves that is not wanted."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence

import pytest
from aiosmpplib import PhoneNumber, SubmitSm

from services.notify.channels.smpp import Submission, Submissions, Vetoed, answer_of
from services.notify.channels.sms import SmsGateway, joined
from services.notify.channels.sms_parts import SmsPart
from services.notify.domain.delivery import Accepted, Answer, AnswerLost, Message, NotNow, RefusedForGood


def submission(deadline: float | None = None, sequence: int = 7) -> Submission:
    message = SubmitSm(short_message="-", destination=PhoneNumber("8613800138000"), sequence_num=sequence)
    return Submission(message, deadline, asyncio.get_running_loop().create_future())


def response(status: int, sequence: int, body: bytes, command: int = 0x8000_0004) -> bytes:
    return struct.pack("!IIII", 16 + len(body), command, status, sequence) + body


async def test_an_answer_finds_its_message_by_sequence_number() -> None:
    held, first, second = Submissions(), submission(sequence=1), submission(sequence=2)
    for each in (first, second):
        held.add(each)
        held.about_to_write(each.message, bound=True)
    held.answered(response(0, 2, b"m-2\0"))
    held.answered(response(11, 1, b""))
    assert (first.answer.result(), second.answer.result()) == (RefusedForGood("smpp_11"), Accepted("m-2"))


async def test_a_generic_nack_is_a_refusal() -> None:
    held, one = Submissions(), submission()
    held.add(one)
    held.about_to_write(one.message, bound=True)
    held.answered(response(3, 7, b"", command=0x8000_0000))
    assert one.answer.result() == RefusedForGood("smpp_3")


async def test_after_its_deadline_a_message_is_not_written() -> None:
    held, late = Submissions(), submission(deadline=time.monotonic())
    held.add(late)
    with pytest.raises(Vetoed):
        held.about_to_write(late.message, bound=True)
    assert (late.answer.result(), late.written) == (NotNow("too_late"), False)


async def test_a_message_that_its_sender_gave_up_is_not_written() -> None:
    held, given_up = Submissions(), submission()
    held.add(given_up)
    given_up.answer.cancel()
    with pytest.raises(Vetoed):
        held.about_to_write(given_up.message, bound=True)
    held.drop(given_up)
    with pytest.raises(Vetoed):
        held.about_to_write(given_up.message, bound=True)
    assert not given_up.written


async def test_on_a_session_that_is_no_longer_bound_nothing_is_written() -> None:
    held, one = Submissions(), submission()
    held.add(one)
    with pytest.raises(Vetoed):
        held.about_to_write(one.message, bound=False)
    assert one.answer.result() == NotNow("not_connected")


async def test_when_the_connection_is_lost_only_what_was_written_may_have_left() -> None:
    held, written, queued = Submissions(), submission(sequence=1), submission(sequence=2)
    held.add(written)
    held.add(queued)
    held.about_to_write(written.message, bound=True)
    held.connection_lost()
    assert written.answer.result() == AnswerLost("connection_lost")
    assert queued.answer.result() == NotNow("not_connected")
    held.answered(response(0, 1, b"late\0"))
    assert written.answer.result() == AnswerLost("connection_lost")


async def test_what_the_library_could_not_encode_has_not_left() -> None:
    held, written, never = Submissions(), submission(sequence=1), submission(sequence=2)
    held.add(written)
    held.add(never)
    held.about_to_write(written.message, bound=True)
    held.failed(written.message)
    held.failed(never.message)
    assert (written.answer.result(), never.answer.result()) == (
        AnswerLost("connection_lost"),
        RefusedForGood("unencodable"),
    )


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (0, Accepted("ref")),
        (0x58, NotNow("smpp_88")),
        (0x14, NotNow("smpp_20")),
        (0x04, NotNow("smpp_4")),
        (0x08, NotNow("smpp_8")),
        (0x45, NotNow("smpp_69")),
        (0x64, NotNow("smpp_100")),
        (0x65, RefusedForGood("smpp_101")),
        (0xFF, RefusedForGood("smpp_255")),
        (0x0B, RefusedForGood("smpp_11")),
    ],
)
def test_a_status_says_what_became_of_a_message(status: int, answer: Answer) -> None:
    """Seen to fail with a centre's own faults taken for refusals: they ended reminders that a second one would take."""
    assert answer_of(status, b"ref\0") == answer


YES, BUSY, NO, LOST = Accepted("a"), NotNow("smpp_88"), RefusedForGood("smpp_11"), AnswerLost("no_answer")


@pytest.mark.parametrize(
    ("answers", "whole"),
    [
        ([YES, YES], Accepted("a,a", "first", ("a", "a"))),
        ([BUSY, BUSY], BUSY),
        ([BUSY, NO], NO),
        ([YES, BUSY], AnswerLost("partly_accepted")),
        ([YES, NO], AnswerLost("partly_accepted")),
        ([BUSY, LOST], LOST),
        ([YES, LOST], LOST),
    ],
)
def test_a_message_that_left_in_part_is_nobodys_to_repeat(answers: list[Answer], whole: Answer) -> None:
    assert joined(answers, "first") == whole


class AtFault(SmsGateway):
    """A gateway whose centre takes the first part of every message and fails at all others."""

    submitted = 0

    @property
    def connected(self) -> bool:
        return True

    async def _submit(
        self, message: Message, parts: Sequence[SmsPart], instants: Sequence[float], until: float
    ) -> list[Answer]:
        self.submitted += 1
        return [YES if part is parts[0] and self.submitted == 1 else NotNow("smpp_8") for part in parts]


async def test_after_a_fault_of_the_centre_no_part_is_handed_over_again() -> None:
    """It would be until the deadline, as fast as it is answered. Seen to fail with only refusals for good as an end."""
    gateway = AtFault(host="127.0.0.1", port=1, system_id="x", password="x", source="1")
    message = Message(notice_id="n", channel="sms", address="+8613800138000", text="请还款" * 60)
    answer = await gateway.hand_over(message, time.monotonic() + 0.5)
    assert (answer, gateway.submitted) == (AnswerLost("partly_accepted"), 1)
