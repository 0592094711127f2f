"""The second gateway is asked only for what has surely not left through the first."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from services.notify.channels.failing_over import DOUBT_SECONDS, FailOver
from services.notify.domain.delivery import Accepted, Answer, AnswerLost, Message, NotNow, RefusedForGood

MESSAGE = Message(notice_id="n-1", channel="sms", address="+8613800138000", text="请还款")
SECOND = Accepted("2", "second", ("2",))


@dataclass
class Says:
    """A gateway that gives one answer to everything."""

    answer: Answer
    handed: list[Message] = field(default_factory=list)

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        self.handed.append(message)
        return self.answer


@pytest.mark.parametrize("code", ["not_connected", "smpp_88", "smpp_20", "smpp_8", "rate_reached", "not_submitted"])
async def test_what_the_first_does_not_take_for_now_goes_through_the_second(code: str) -> None:
    second = Says(SECOND)
    assert await FailOver([Says(NotNow(code)), second]).hand_over(MESSAGE, None) == SECOND
    assert second.handed == [MESSAGE]


@pytest.mark.parametrize(
    "answer",
    [Accepted("1"), RefusedForGood("smpp_11"), AnswerLost("no_answer"), AnswerLost("partly_accepted")],
)
async def test_what_was_taken_refused_for_good_or_may_have_left_is_never_tried_again(answer: Answer) -> None:
    """Seen to fail with a lost answer taken for "not now"."""
    second = Says(SECOND)
    assert await FailOver([Says(answer), second]).hand_over(MESSAGE, None) == answer
    assert second.handed == []


async def test_after_the_deadline_no_second_gateway_is_asked() -> None:
    second = Says(SECOND)
    assert await FailOver([Says(NotNow("smpp_88")), second]).hand_over(MESSAGE, time.monotonic()) == NotNow("smpp_88")
    assert second.handed == []


async def test_when_both_refuse_for_now_the_message_waits() -> None:
    assert await FailOver([Says(NotNow("not_connected")), Says(NotNow("smpp_88"))]).hand_over(MESSAGE, None) == NotNow(
        "smpp_88"
    )


async def test_a_gateway_that_did_not_answer_comes_last_for_a_while() -> None:
    present = 100.0
    first, second = Says(AnswerLost("no_answer")), Says(SECOND)
    both = FailOver([first, second], now=lambda: present)
    await both.hand_over(MESSAGE, None)
    assert await both.hand_over(MESSAGE, None) == SECOND
    assert len(first.handed) == 1
    present += DOUBT_SECONDS
    await both.hand_over(MESSAGE, None)
    assert len(first.handed) == 2


async def test_a_gateway_that_answered_and_took_a_part_alone_stays_the_first() -> None:
    first, second = Says(AnswerLost("partly_accepted")), Says(SECOND)
    both = FailOver([first, second])
    for _ in range(2):
        await both.hand_over(MESSAGE, None)
    assert (len(first.handed), len(second.handed)) == (2, 0)
