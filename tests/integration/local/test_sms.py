import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiosmpplib import ESME, PhoneNumber, SmppCommandStatus, SubmitSm
from aiosmpplib.hook import AbstractHook
from aiosmpplib.protocol import DeliverSm, SmppMessage, SubmitSmResp
from aiosmpplib.retrytimer import SimpleExponentialBackoff

from deploy.local.sms import SYSTEM_ID
from tests.integration.local.conftest import SMPP_PASSWORD, Catchers

_LONG = "【信用卡中心】尊敬的张女士：您的账户已逾期，请于二〇二六年三月二日前归还最低还款额。如已还款请忽略本短信。" * 4
_LIMIT = 5


class _Esme(ESME):  # type: ignore[misc]  # the library is published without types
    """The library's client; it drops its connections, this closes them, however often it binds in vain."""

    async def connect(self) -> None:
        self.close()
        await super().connect()

    async def _disconnect(self) -> None:
        writer = self._writer
        await super()._disconnect()
        if writer is not None:
            writer.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Inbox(AbstractHook):  # type: ignore[misc]  # the library is published without types
    def __init__(self) -> None:
        self.answers: asyncio.Queue[SubmitSmResp] = asyncio.Queue()
        self.delivered: asyncio.Queue[DeliverSm] = asyncio.Queue()

    async def sending(self, smpp_message: SmppMessage, pdu: bytes, client_id: str) -> None:
        """Nothing to do."""

    async def received(self, smpp_message: SmppMessage | None, pdu: bytes, client_id: str) -> None:
        if isinstance(smpp_message, SubmitSmResp):
            self.answers.put_nowait(smpp_message)
        if isinstance(smpp_message, DeliverSm):
            self.delivered.put_nowait(smpp_message)

    async def send_error(self, smpp_message: SmppMessage, error: Exception, client_id: str) -> None:
        """The tests look at what arrives."""


class _Client:
    def __init__(self, esme: ESME, inbox: _Inbox) -> None:
        self.esme, self.inbox = esme, inbox

    async def send(self, number: str, text: str, **options: Any) -> None:
        message = SubmitSm(
            short_message=text, source=PhoneNumber("10690000"), destination=PhoneNumber(number), **options
        )
        await self.esme.broker.enqueue(message)

    async def answer(self) -> SubmitSmResp:
        return await asyncio.wait_for(self.inbox.answers.get(), _LIMIT)

    async def delivered(self) -> DeliverSm:
        return await asyncio.wait_for(self.inbox.delivered.get(), _LIMIT)


@contextlib.asynccontextmanager
async def _bound(catchers: Catchers, password: str = SMPP_PASSWORD) -> AsyncIterator[_Client]:
    inbox = _Inbox()
    esme = _Esme(
        "127.0.0.1",
        catchers.smpp,
        SYSTEM_ID,
        password,
        hook=inbox,
        retry_timer=SimpleExponentialBackoff(50, 0),
        log_level="CRITICAL",
    )
    task = asyncio.create_task(esme.start())
    try:
        yield _Client(esme, inbox)
    finally:
        await asyncio.wait_for(esme.stop(), _LIMIT)
        task.cancel()
        await asyncio.wait({task})
        esme.close()


@pytest.fixture
async def client(catchers: Catchers) -> AsyncIterator[_Client]:
    async with _bound(catchers) as client:
        yield client


async def _received(catchers: Catchers, to: str, count: int = 1) -> list[dict[str, Any]]:
    async with httpx.AsyncClient() as http, asyncio.timeout(_LIMIT):
        while True:
            answer = await http.get(f"{catchers.sms}/messages", params={"to": to})
            messages: list[dict[str, Any]] = answer.raise_for_status().json()
            if len(messages) >= count:
                return messages
            await asyncio.sleep(0.02)


async def _behave(catchers: Catchers, **behaviour: object) -> int:
    async with httpx.AsyncClient() as http:
        return (await http.put(f"{catchers.sms}/behaviour", json=behaviour)).status_code


async def test_long_chinese_text_in_parts_is_put_together(catchers: Catchers, client: _Client) -> None:
    await client.send("13800000001", _LONG, auto_message_payload=False, esm_class=0x40)
    (message,) = await _received(catchers, "13800000001")
    assert message["text"] == _LONG
    assert message["from"] == "10690000"
    assert len(message["message_ids"]) > 1
    assert message["message_id"] == message["message_ids"][0] == (await client.answer()).message_id


async def test_long_chinese_text_as_one_payload_arrives_whole(catchers: Catchers, client: _Client) -> None:
    await client.send("13800000002", _LONG, encoding="ucs2", auto_message_payload=True)
    (message,) = await _received(catchers, "13800000002")
    assert message["text"] == _LONG
    assert len(message["message_ids"]) == 1


@pytest.mark.parametrize("text", ["Pay by 2 March: {€5} @ [branch]", "请还款。"])
async def test_short_text_arrives_whatever_its_alphabet(catchers: Catchers, client: _Client, text: str) -> None:
    number = f"1380001{len(text):04}"
    await client.send(number, text, auto_message_payload=False, esm_class=0x40)
    assert [message["text"] for message in await _received(catchers, number)] == [text]


async def test_long_english_text_in_parts_is_put_together(catchers: Catchers, client: _Client) -> None:
    text = "Your card is past due. Please pay the minimum by 2 March 2026, or call us. " * 4
    await client.send("13800000003", text, auto_message_payload=False, esm_class=0x40)
    assert [message["text"] for message in await _received(catchers, "13800000003")] == [text]


async def test_receipt_names_the_message_that_was_answered(catchers: Catchers, client: _Client) -> None:
    await client.send("13800000004", "请还款。")
    answer = await client.answer()
    receipt = await client.delivered()
    assert receipt.is_receipt()
    assert receipt.parse_receipt()["id"] == answer.message_id
    assert receipt.parse_receipt()["stat"] == "DELIVRD"


async def test_receipt_says_what_it_was_told_to_say(catchers: Catchers, client: _Client) -> None:
    await _behave(catchers, receipts={"13800000005": "UNDELIV"})
    await client.send("13800000005", "请还款。")
    assert (await client.delivered()).parse_receipt()["stat"] == "UNDELIV"


async def test_rejected_number_gets_the_status_and_no_message(catchers: Catchers, client: _Client) -> None:
    await _behave(catchers, reject={"13800000006": 11})
    await client.send("13800000006", "请还款。")
    assert (await client.answer()).command_status is SmppCommandStatus.ESME_RINVDSTADR
    assert await _received(catchers, "13800000006", count=0) == []


async def test_silent_number_is_delivered_and_never_answered(catchers: Catchers, client: _Client) -> None:
    """The next message's answer is the first to come: nothing is waited for."""
    await _behave(catchers, drop_answer={"13800000007": "silent"})
    await client.send("13800000007", "请还款。")
    assert len(await _received(catchers, "13800000007")) == 1
    await client.send("13800000008", "请还款。")
    answered = (await client.answer()).message_id
    assert [message["message_id"] for message in await _received(catchers, "13800000008")] == [answered]


async def test_cut_number_is_delivered_and_the_connection_lost(catchers: Catchers, client: _Client) -> None:
    """That the client connects again and goes on shows that nothing but the connection was lost."""
    await _behave(catchers, drop_answer={"13800000009": "cut"})
    connection = client.esme._writer
    await client.send("13800000009", "请还款。")
    assert len(await _received(catchers, "13800000009")) == 1
    while client.esme._writer is connection or not client.esme._bound.is_set():  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0.02)
    await client.send("13800000010", "请还款。")
    answered = (await client.answer()).message_id
    assert [message["message_id"] for message in await _received(catchers, "13800000010")] == [answered]


async def test_wrong_password_is_not_let_in(catchers: Catchers) -> None:
    async with _bound(catchers, password="wrong") as client:
        await client.send("13800000011", "请还款。")
        async with _bound(catchers) as good:
            await good.send("13800000012", "请还款。")
            await _received(catchers, "13800000012")
    assert await _received(catchers, "13800000011", count=0) == []


async def test_customer_can_write(catchers: Catchers, client: _Client) -> None:
    await client.send("13800000013", "退订回 TD")
    await client.answer()
    async with httpx.AsyncClient() as http:
        body = {"from": "13800000013", "to": "10690000", "text": "TD 退订"}
        assert (await http.post(f"{catchers.sms}/incoming", json=body)).status_code == 202
    texts = [(await client.delivered()).short_message for _ in range(2)]  # the receipt, then the customer
    assert texts[1] == "TD 退订"


async def test_killed_centre_still_has_its_messages(catchers: Catchers) -> None:
    async with _bound(catchers) as client:
        await client.send("13800000014", "请还款。")
        await _received(catchers, "13800000014")
    await catchers.supervisor.kill("sms")
    await catchers.supervisor.wait_ready("sms")
    assert [message["text"] for message in await _received(catchers, "13800000014")] == ["请还款。"]
