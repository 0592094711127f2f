"""The SMS gateway against a real SMPP server: what is accepted, refused, lost, and what never leaves late."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from deploy.local.ready import HOST
from deploy.local.smsc import Centre, ShortMessage
from services.notify.channels import pace
from services.notify.channels.failing_over import FailOver
from services.notify.channels.sms import SmsGateway
from services.notify.channels.sms_parts import SmsMode
from services.notify.domain.delivery import Accepted, AnswerLost, Message, NotNow, RefusedForGood
from tests.contract.notify.waiting import until

LONG = "【示例银行】" + "截至二月二十五日您的信用卡有款项已过到期还款日，请于三月四日前还款。" * 6 + "😀"
ENGLISH = "[Example Bank] " + "Please pay by 4 March 2026. " * 8 + "€"


@dataclass
class Running:
    """An SMS centre that can be stopped and started on its port."""

    centre: Centre
    port: int = 0
    server: asyncio.Server | None = None
    messages: list[ShortMessage] = field(default_factory=list)
    connections: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections.add(writer)
            await self.centre.serve(reader, writer)

        self.server = await asyncio.start_server(serve, HOST, self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        for writer in self.connections:
            writer.close()
        self.connections.clear()
        await self.server.wait_closed()


@asynccontextmanager
async def a_centre() -> AsyncIterator[Running]:
    messages: list[ShortMessage] = []
    running = Running(Centre("arrears", "secret", messages.append), messages=messages)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def centre() -> AsyncIterator[Running]:
    async with a_centre() as running:
        yield running


@asynccontextmanager
async def bound(
    running: Running,
    *,
    mode: SmsMode = "udh",
    password: str = "secret",
    name: str = "first",
    rate: float = 500.0,
) -> AsyncIterator[SmsGateway]:
    gateway = SmsGateway(
        host=HOST,
        port=running.port,
        system_id="arrears",
        password=password,
        source="1069000000",
        mode=mode,
        name=name,
        rate=rate,
        answer_seconds=0.5,
    )
    await gateway.start()
    try:
        if password == "secret":
            await until(lambda: gateway.connected)
        yield gateway
    finally:
        await gateway.stop()


def sms(text: str, number: str = "+8613800138000", notice_id: str = "n-1") -> Message:
    return Message(notice_id=notice_id, channel="sms", address=number, text=text)


async def test_a_short_chinese_message_is_accepted_whole_under_the_centres_reference(centre: Running) -> None:
    async with bound(centre) as gateway:
        answer = await gateway.hand_over(sms("【示例银行】请于3月4日前还款。"), None)
    (message,) = centre.messages
    assert (message.to, message.sender, message.text) == (
        "8613800138000",
        "1069000000",
        "【示例银行】请于3月4日前还款。",
    )
    assert answer == Accepted(",".join(message.message_ids), "first", message.message_ids)


@pytest.mark.parametrize("mode", ["udh", "payload"])
@pytest.mark.parametrize("text", [LONG, ENGLISH])
async def test_a_long_message_arrives_as_it_was_written(centre: Running, mode: SmsMode, text: str) -> None:
    async with bound(centre, mode=mode) as gateway:
        answer = await gateway.hand_over(sms(text), None)
    (message,) = centre.messages
    assert message.text == text
    assert isinstance(answer, Accepted)
    assert answer.reference.split(",") == list(message.message_ids)


async def test_many_messages_at_once_all_arrive_once(centre: Running) -> None:
    texts = [f"【示例银行】第{number}条，" + "请还款。" * 30 for number in range(40)]
    async with bound(centre) as gateway:
        answers = await asyncio.gather(*(gateway.hand_over(sms(text), None) for text in texts))
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert sorted(message.text for message in centre.messages) == sorted(texts)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (11, RefusedForGood("smpp_11")),
        (20, NotNow("smpp_20")),
        (88, NotNow("smpp_88")),
        (8, NotNow("smpp_8")),
    ],
)
async def test_a_refusal_is_for_good_unless_the_centre_is_only_busy_or_at_fault(
    centre: Running, status: int, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "STAND_STILL_SECONDS", 0.01)
    centre.centre.conduct.reject["8613800138000"] = status
    async with bound(centre) as gateway:
        assert await gateway.hand_over(sms("请还款"), None) == answer
        assert await gateway.hand_over(sms("请还款", "+8613900139000"), None) != answer
    assert [message.to for message in centre.messages] == ["8613900139000"]


async def test_without_an_answer_a_message_may_have_left(centre: Running) -> None:
    centre.centre.conduct.silent.add("8613800138000")
    async with bound(centre) as gateway:
        assert await gateway.hand_over(sms("请还款"), None) == AnswerLost("no_answer")
        assert isinstance(await gateway.hand_over(sms("请还款", "+8613900139000"), None), Accepted)
    assert len(centre.messages) == 2


async def test_a_connection_cut_before_the_answer_leaves_it_open_and_the_gateway_binds_anew(centre: Running) -> None:
    centre.centre.conduct.cut.add("8613800138000")
    async with bound(centre) as gateway:
        assert isinstance(await gateway.hand_over(sms("请还款"), None), AnswerLost)
        await until(lambda: gateway.connected)
        assert isinstance(await gateway.hand_over(sms("请还款", "+8613900139000"), None), Accepted)
    assert [message.to for message in centre.messages] == ["8613800138000", "8613900139000"]


async def test_while_the_centre_is_away_nothing_is_kept_back_to_leave_later(centre: Running) -> None:
    async with bound(centre) as gateway:
        await centre.stop()
        await until(lambda: not gateway.connected)
        assert await gateway.hand_over(sms("请还款"), None) == NotNow("not_connected")
        await centre.start()
        await until(lambda: gateway.connected)
        assert isinstance(await gateway.hand_over(sms("现在"), None), Accepted)
    assert [message.text for message in centre.messages] == ["现在"]


async def test_after_the_deadline_nothing_begins_to_leave(centre: Running) -> None:
    async with bound(centre) as gateway:
        assert await gateway.hand_over(sms("请还款"), time.monotonic()) == NotNow("too_late")
    assert centre.messages == []


async def test_a_wrong_password_is_tried_again_and_stopping_is_bounded(centre: Running) -> None:
    async with bound(centre, password="wrong") as gateway:
        assert await gateway.hand_over(sms("请还款"), None) == NotNow("not_connected")
    assert centre.messages == []


def said(gateway: SmsGateway) -> list[tuple[str, str]]:
    """Which parts the receipts in the gateway's box are of, and how these ended."""
    return [(each.receipt.message_id, each.receipt.word) for each in gateway.receipts.waiting]


async def test_each_parts_receipt_is_confirmed_when_it_is_stored_and_till_then_delivered_again(
    centre: Running,
) -> None:
    """Seen to fail with receipts that are confirmed as they come."""
    centre.centre.conduct.receipts["8613800138000"] = "DELIVRD,UNDELIV"
    async with bound(centre) as gateway:
        await gateway.hand_over(sms(LONG), None)
        (message,) = centre.messages
        ids = message.message_ids
        expected = list(zip(ids, ["DELIVRD", *["UNDELIV"] * (len(ids) - 1)], strict=True))
        await until(lambda: len(said(gateway)) == len(ids))
        assert said(gateway) == expected
        gateway.receipts.stored(gateway.receipts.waiting[:1])
        assert isinstance(await gateway.hand_over(sms("请还款", "+8613900139000"), None), Accepted)
    async with bound(centre) as another:
        await until(lambda: len(said(another)) == len(ids))
        assert set(expected[1:]) < set(said(another))
        another.receipts.stored(list(another.receipts.waiting))
        assert isinstance(await another.hand_over(sms("请还款", "+8613700137000"), None), Accepted)
    async with bound(centre) as third:
        assert isinstance(await third.hand_over(sms("请还款", "+8613600136000"), None), Accepted)
        assert ids[1] not in dict(said(third))


async def test_what_a_centre_delivers_that_is_no_receipt_ends_no_session(centre: Running) -> None:
    async with bound(centre) as gateway:
        assert centre.centre.send("8613800138000", "1069000000", "退订")
        assert isinstance(await gateway.hand_over(sms("请还款"), None), Accepted)
        await until(lambda: len(said(gateway)) == 1)


async def test_a_part_that_is_refused_for_now_follows_when_others_have_left(
    centre: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with a message given up as partly accepted."""
    monkeypatch.setattr(pace, "STAND_STILL_SECONDS", 0.01)
    centre.centre.conduct.throttled["8613800138000"] = 1
    async with bound(centre) as gateway:
        answer = await gateway.hand_over(sms(LONG), time.monotonic() + 10)
        assert gateway.pace.rate < gateway.pace.stated
    (message,) = centre.messages
    assert message.text == LONG
    assert isinstance(answer, Accepted)
    assert answer.parts == message.message_ids


async def test_what_cannot_leave_whole_at_the_stated_rate_before_its_deadline_does_not_begin_to(
    centre: Running,
) -> None:
    """Seen to fail with a gateway that does not ask its pace: the long message arrived."""
    async with bound(centre, rate=0.5) as gateway:
        assert await gateway.hand_over(sms(LONG), time.monotonic() + 2) == NotNow("rate_reached")
        assert isinstance(await gateway.hand_over(sms("请还款"), time.monotonic() + 2), Accepted)
        assert await gateway.hand_over(sms("请还款"), time.monotonic() + 1) == NotNow("rate_reached")
    assert [message.text for message in centre.messages] == ["请还款"]


async def test_the_second_centre_takes_what_the_first_does_not_and_never_what_it_may_have_taken(
    centre: Running,
) -> None:
    """Seen to fail with a lost answer taken for "not now": the second centre had the message as well."""
    centre.centre.conduct.silent.add("8613800138000")
    async with a_centre() as other, bound(centre) as first, bound(other, name="second") as second:
        both = FailOver((first, second))
        assert await both.hand_over(sms("请还款"), None) == AnswerLost("no_answer")
        await centre.stop()
        await until(lambda: not first.connected)
        answer = await both.hand_over(sms("请还款", "+8613900139000"), None)
    assert isinstance(answer, Accepted)
    assert answer.gateway == "second"
    assert [message.to for message in centre.messages] == ["8613800138000"]
    assert [message.to for message in other.messages] == ["8613900139000"]
    await centre.start()


async def test_number_and_text_appear_in_no_log(centre: Running, caplog: pytest.LogCaptureFixture) -> None:
    centre.centre.conduct.cut.add("8613800138000")
    with caplog.at_level(logging.DEBUG):
        async with bound(centre) as gateway:
            await gateway.hand_over(sms("极为私密"), None)
    assert "13800138000" not in caplog.text
    assert "极为私密" not in caplog.text
