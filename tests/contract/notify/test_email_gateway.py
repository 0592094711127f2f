"""The email gateway against a real SMTP server: what is accepted, refused, lost, and what a mail looks like."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.ready import HOST
from services.notify.channels import pace
from services.notify.channels.email import EmailGateway, mime
from services.notify.domain.delivery import Accepted, AnswerLost, Message, NotNow, RefusedForGood
from tests.contract.notify.waiting import until


class Server:
    """A mail server that does what each address says: `550@…` is refused at RCPT, `data451@…` at DATA, and so on."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("refused@"):
            return "550 refused"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        local = address.partition("@")[0]
        if local.isdigit():
            return f"{local} refused"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        local = envelope.rcpt_tos[0].partition("@")[0]
        if local.startswith("data"):
            return f"{local.removeprefix('data')} refused"
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        if local == "cut":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        if local in {"cut", "silent"}:
            await asyncio.Event().wait()
        return "250 queued as q-7"

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def connection() -> SMTP:
            self.connections += 1
            return SMTP(self, hostname="mail.test", loop=loop)

        self._server = await loop.create_server(connection, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    running = Server()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def gateway(server: Server) -> AsyncIterator[EmailGateway]:
    made = EmailGateway(
        host=HOST, port=server.port, sender="notice@bank.example", sender_name="示例银行", answer_seconds=0.5
    )
    await made.start()
    yield made
    await made.stop()


def mail(to: str = "zhang@example.com", **changed: str) -> Message:
    words = {"subject": "示例银行：信用卡账户提示", "text": "尊敬的张三：\n请于2026年3月4日前还款。\n.\n", **changed}
    return Message(notice_id="n-1", channel="email", address=to, **words)


def read(content: bytes) -> EmailMessage:
    return message_from_bytes(content, EmailMessage, policy=policy.default)


async def test_a_chinese_mail_is_accepted_and_arrives_as_it_was_written(server: Server, gateway: EmailGateway) -> None:
    answer = await gateway.hand_over(mail(), None)
    received = read(server.mails[0])
    assert answer == Accepted("queued as q-7")
    assert received["Subject"] == "示例银行：信用卡账户提示"
    assert received["From"].addresses[0].display_name == "示例银行"
    assert received["To"] == "zhang@example.com"
    assert received["Message-ID"] == "<n-1@bank.example>"
    assert received["Auto-Submitted"] == "auto-generated"
    assert received.get_content() == "尊敬的张三：\r\n请于2026年3月4日前还款。\r\n.\r\n"


async def test_one_connection_carries_all_mails(server: Server, gateway: EmailGateway) -> None:
    for number in range(5):
        assert isinstance(await gateway.hand_over(mail(f"c{number}@example.com"), None), Accepted)
    assert server.connections == 1


async def test_mails_at_once_do_not_mix(server: Server, gateway: EmailGateway) -> None:
    messages = [mail(f"c{number}@example.com", text=f"第{number}封\r\n") for number in range(20)]
    answers = await asyncio.gather(*(gateway.hand_over(message, None) for message in messages))
    assert all(isinstance(answer, Accepted) for answer in answers)
    assert [(read(each)["To"], read(each).get_content()) for each in server.mails] == [
        (message.address, message.text) for message in messages
    ]


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("451@example.com", NotNow("smtp_451")),
        ("550@example.com", RefusedForGood("smtp_550", "550@example.com")),
        ("data452@example.com", NotNow("smtp_452")),
        ("data554@example.com", RefusedForGood("smtp_554")),
    ],
)
async def test_4xx_is_for_now_and_5xx_for_good_wherever_it_comes(
    server: Server, gateway: EmailGateway, address: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "STAND_STILL_SECONDS", 0.01)
    assert await gateway.hand_over(mail(address), None) == answer
    assert isinstance(await gateway.hand_over(mail(), None), Accepted)
    assert len(server.mails) == 1


async def test_faster_than_the_stated_rate_no_mail_leaves(server: Server) -> None:
    slow = EmailGateway(host=HOST, port=server.port, sender="notice@bank.example", sender_name="示例银行", rate=0.1)
    try:
        assert isinstance(await slow.hand_over(mail(), time.monotonic() + 2), Accepted)
        assert await slow.hand_over(mail(), time.monotonic() + 2) == NotNow("rate_reached")
    finally:
        await slow.stop()
    assert len(server.mails) == 1


async def test_a_mail_waits_for_others_up_to_its_deadline_and_no_longer(server: Server) -> None:
    """Seen to fail with a wait for the one before however long it waits for the rate."""
    slow = EmailGateway(host=HOST, port=server.port, sender="notice@bank.example", sender_name="示例银行", rate=0.1)
    assert isinstance(await slow.hand_over(mail(), None), Accepted)
    report = asyncio.create_task(slow.hand_over(mail(), None))
    await asyncio.sleep(0)
    try:
        assert await slow.hand_over(mail(), time.monotonic() + 0.1) == NotNow("too_late")
        assert not report.done()
    finally:
        report.cancel()
        await asyncio.gather(report, return_exceptions=True)
        await slow.stop()
    assert len(server.mails) == 1


async def test_a_sender_that_is_refused_says_nothing_of_the_address(server: Server) -> None:
    refused = EmailGateway(
        host=HOST, port=server.port, sender="refused@bank.example", sender_name="示例银行", answer_seconds=0.5
    )
    try:
        assert await refused.hand_over(mail(), None) == RefusedForGood("smtp_550")
    finally:
        await refused.stop()


@pytest.mark.parametrize("address", ["cut@example.com", "silent@example.com"])
async def test_a_lost_answer_to_the_content_leaves_it_open(server: Server, gateway: EmailGateway, address: str) -> None:
    assert await gateway.hand_over(mail(address), None) == AnswerLost("no_answer")
    assert isinstance(await gateway.hand_over(mail(), None), Accepted)
    assert len(server.mails) == 2


async def test_a_server_that_is_away_is_for_now(server: Server, gateway: EmailGateway) -> None:
    await server.stop()
    assert await gateway.hand_over(mail(), None) == NotNow("not_connected")
    await server.start()
    assert isinstance(await gateway.hand_over(mail(), None), Accepted)


async def test_after_the_deadline_nothing_begins_to_leave(server: Server, gateway: EmailGateway) -> None:
    assert await gateway.hand_over(mail(), time.monotonic()) == NotNow("too_late")
    assert server.mails == []
    assert isinstance(await gateway.hand_over(mail(), None), Accepted)


async def test_a_mail_given_up_in_the_middle_does_not_spoil_the_next(server: Server, gateway: EmailGateway) -> None:
    sending = asyncio.create_task(gateway.hand_over(mail("silent@example.com"), None))
    await until(lambda: len(server.mails) == 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert isinstance(await gateway.hand_over(mail(), None), Accepted)


INJECTIONS = ["a@example.com\r\nBcc: all@example.com", "a@example.com\nX: y", "a b@example.com", "张@example.com"]


@pytest.mark.parametrize("address", INJECTIONS)
async def test_an_address_that_would_smuggle_in_a_header_is_refused(
    server: Server, gateway: EmailGateway, address: str
) -> None:
    assert await gateway.hand_over(mail(address), None) == RefusedForGood("unfit_for_mail")
    assert server.mails == []


@pytest.mark.parametrize("subject", ["提示\r\nBcc: all@example.com", "提示\nX: y", "提示\rX: y"])
def test_a_subject_with_a_line_break_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match=r"linefeed|newline|carriage"):
        mime(mail(subject=subject), Address("示例银行", addr_spec="notice@bank.example"), "-")
