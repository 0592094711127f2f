"""The SMS centre: takes short messages over SMPP, keeps them, and shows them over HTTP. It can be told to misbehave.

GET  /messages[?to=NUMBER]   the complete messages, oldest first
PUT  /behaviour              {"reject": {NUMBER: 11}, "drop_answer": {NUMBER: "silent" | "cut"},
                              "receipts": {NUMBER: "UNDELIV"}, "receipt_ways": {NUMBER: "twice"},
                              "throttled": {NUMBER: 1}}; what is not named is served as usual
POST /incoming               {"from": NUMBER, "to": SHORT CODE, "text": TEXT}: a customer writes
"""

import argparse
import asyncio
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from deploy.local.catcher import serve
from deploy.local.process import Process
from deploy.local.ready import HOST, http
from deploy.local.smsc import Centre, Conduct, ReceiptWay, ShortMessage

SYSTEM_ID = "arrears"
_WORD = "(DELIVRD|EXPIRED|DELETED|UNDELIV|REJECTD|NONE)"
_WORDS = f"^{_WORD}(,{_WORD})*$"
_PASSWORD_SETTING = "ARREARS_SMPP_PASSWORD"  # noqa: S105 - the name of a setting, not a password


class Sms(BaseModel):
    """One short message as received."""

    model_config = ConfigDict(populate_by_name=True)

    to: str
    sender: str = Field(alias="from")
    text: str
    at: datetime
    message_id: str
    """Of the first part: the one that SMPP clients report."""
    message_ids: list[str]
    """Of every part."""


class SmsBehaviour(BaseModel):
    """What the centre does to some numbers."""

    model_config = ConfigDict(extra="forbid")

    reject: dict[str, int] = {}
    """Number to an SMPP command_status: 11 invalid destination, 20 queue full, 88 throttled."""
    drop_answer: dict[str, Literal["silent", "cut"]] = {}
    """Such a message is taken and kept; then no answer comes, or the connection is cut."""
    receipts: dict[str, Annotated[str, Field(pattern=_WORDS)]] = {}
    """What the delivery receipt says, or those of the parts, with commas between; NONE: there is none. "*": of all."""
    receipt_ways: dict[str, ReceiptWay] = {}
    """How receipts come: before the answer, twice, or in another session than the message."""
    throttled: dict[str, int] = {}
    """Number to how many of its next parts are refused as too many at once (88); the following are taken."""


class Incoming(BaseModel):
    """A short message that a customer writes."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(alias="from")
    to: str
    text: str


class Inbox:
    """The messages in memory and, one JSON line each, in a file: a restart finds them again."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        self._file = file
        self.messages = [Sms.model_validate_json(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def keep(self, message: ShortMessage) -> None:
        """Store one message, on disk first."""
        kept = Sms(
            to=message.to,
            sender=message.sender,
            text=message.text,
            at=message.at,
            message_id=message.message_ids[0],
            message_ids=list(message.message_ids),
        )
        with self._file.open("a", encoding="utf-8") as file:
            file.write(kept.model_dump_json(by_alias=True) + "\n")
        self.messages.append(kept)


def create_app(centre: Centre, inbox: Inbox) -> FastAPI:
    """The HTTP side."""
    app = FastAPI(title="SMS centre")
    current = SmsBehaviour()

    @app.get("/messages")
    async def messages(to: str | None = None) -> list[Sms]:
        return [message for message in inbox.messages if to is None or message.to == to]

    @app.get("/behaviour")
    async def behaviour() -> SmsBehaviour:
        return current

    @app.put("/behaviour")
    async def behave(wanted: SmsBehaviour) -> SmsBehaviour:
        nonlocal current
        current = wanted
        centre.conduct = _conduct(wanted)
        return wanted

    @app.post("/incoming", status_code=202)
    async def incoming(message: Incoming) -> None:
        if not centre.send(message.sender, message.to, message.text):
            raise HTTPException(409, "nobody is bound to receive")

    return app


def process(smpp_port: int, http_port: int, file: Path, root: Path, env: dict[str, str], password: str) -> Process:
    """The centre as a supervised process."""
    return Process(
        name="sms",
        argv=(sys.executable, "-m", "deploy.local.sms", str(smpp_port), str(http_port), str(file)),
        env=env | {_PASSWORD_SETTING: password},
        cwd=root,
        ready=http(http_port, "/behaviour"),
    )


async def run(smpp_port: int, http_port: int, file: Path, password: str, host: str = HOST) -> None:
    """Serve both sides on `host` until stopped."""
    inbox = Inbox(file)
    centre = Centre(SYSTEM_ID, password, inbox.keep)
    async with await asyncio.start_server(centre.serve, host, smpp_port):
        await serve(create_app(centre, inbox), http_port, host)


def _conduct(wanted: SmsBehaviour) -> Conduct:
    return Conduct(
        reject=dict(wanted.reject),
        silent={number for number, how in wanted.drop_answer.items() if how == "silent"},
        cut={number for number, how in wanted.drop_answer.items() if how == "cut"},
        receipts=dict(wanted.receipts),
        receipt_ways=dict(wanted.receipt_ways),
        throttled=dict(wanted.throttled),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("smpp_port", type=int)
    parser.add_argument("http_port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--host", default=HOST, help="where to listen: this machine alone, or 0.0.0.0 in a container")
    arguments = parser.parse_args()
    password = os.environ[_PASSWORD_SETTING]
    asyncio.run(run(arguments.smpp_port, arguments.http_port, arguments.file, password, arguments.host))
