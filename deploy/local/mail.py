"""The mail catcher: takes every mail over SMTP, keeps it, and shows it over HTTP. It can be told to misbehave.

GET /messages[?to=ADDRESS]   the mails, oldest first
PUT /behaviour               {"refuse": {ADDRESS: 550}, "drop_answer": [ADDRESS]}; what is not named is taken as usual
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from deploy.local.catcher import serve
from deploy.local.process import Process
from deploy.local.ready import HOST, http

# What the envelope said; a mail's own headers need not agree with it.
_TO, _FROM, _AT = "X-Envelope-To", "X-Envelope-From", "X-Received-At"


class Mail(BaseModel):
    """One mail as received."""

    to: list[str]
    """The envelope's recipients."""
    sender: str
    subject: str
    text: str
    """The text/plain body."""
    headers: dict[str, str]
    received_at: datetime


class MailBehaviour(BaseModel):
    """What the catcher does to some addresses."""

    model_config = ConfigDict(extra="forbid")

    refuse: dict[str, int] = {}
    """Address to the SMTP code that answers RCPT: 4xx for now, 5xx for good."""
    drop_answer: list[str] = []
    """A mail to such an address is taken and kept, but the connection is cut instead of the final answer."""


class Mailbox:
    """The mails in memory and, one .eml file each, in a folder: a restart finds them again."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.mails = [_mail(file.read_bytes()) for file in sorted(folder.glob("*.eml"))]

    def keep(self, recipients: Sequence[str], sender: str, content: bytes) -> None:
        """Store one mail, on disk first."""
        envelope = f"{_TO}: {', '.join(recipients)}\r\n{_FROM}: {sender}\r\n{_AT}: {datetime.now(UTC).isoformat()}\r\n"
        whole = envelope.encode() + content
        (self._folder / f"{len(self.mails) + 1:06}.eml").write_bytes(whole)
        self.mails.append(_mail(whole))


class Catcher:
    """The SMTP side, in the form that aiosmtpd calls."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.behaviour = MailBehaviour()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept or refuse one recipient."""
        code = self.behaviour.refuse.get(address)
        if code is not None:
            return f"{code} told to refuse {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the mail; then answer, or cut the connection."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        self.mailbox.keep(envelope.rcpt_tos, envelope.mail_from or "", content)
        if isinstance(server.transport, asyncio.Transport) and set(envelope.rcpt_tos) & set(self.behaviour.drop_answer):
            server.transport.abort()
            await asyncio.Event().wait()  # the lost connection cancels this conversation before it can answer
        return "250 kept"


def create_app(catcher: Catcher) -> FastAPI:
    """The HTTP side."""
    app = FastAPI(title="Mail catcher")

    @app.get("/messages")
    def messages(to: str | None = None) -> list[Mail]:
        return [mail for mail in catcher.mailbox.mails if to is None or to in mail.to]

    @app.get("/behaviour")
    def behaviour() -> MailBehaviour:
        return catcher.behaviour

    @app.put("/behaviour")
    def behave(wanted: MailBehaviour) -> MailBehaviour:
        catcher.behaviour = wanted
        return wanted

    return app


def process(smtp_port: int, http_port: int, folder: Path, root: Path, env: dict[str, str]) -> Process:
    """The catcher as a supervised process."""
    return Process(
        name="mail",
        argv=(sys.executable, "-m", "deploy.local.mail", str(smtp_port), str(http_port), str(folder)),
        env=env,
        cwd=root,
        ready=http(http_port, "/behaviour"),
    )


async def run(smtp_port: int, http_port: int, folder: Path) -> None:
    """Serve both sides until stopped."""
    catcher = Catcher(Mailbox(folder))
    loop = asyncio.get_running_loop()
    async with await loop.create_server(
        lambda: SMTP(catcher, enable_SMTPUTF8=True, hostname="mail.local", loop=loop), HOST, smtp_port
    ):
        await serve(create_app(catcher), http_port)


def _mail(content: bytes) -> Mail:
    message = message_from_bytes(content, EmailMessage, policy=policy.default)
    body = message.get_body(("plain",))
    own = {name: str(value) for name, value in message.items() if name not in {_TO, _FROM, _AT}}
    return Mail(
        to=str(message[_TO]).split(", "),
        sender=str(message[_FROM]),
        subject=str(message.get("Subject", "")),
        text="" if body is None else str(body.get_content()).replace("\r\n", "\n"),
        headers=own,
        received_at=datetime.fromisoformat(str(message[_AT])),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("smtp_port", type=int)
    parser.add_argument("http_port", type=int)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.smtp_port, arguments.http_port, arguments.folder))
