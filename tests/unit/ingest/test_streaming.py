"""A stream of events: each line answered by a line, nothing held but what is stated, one fault never another's.

The transaction is a list that remembers: what one does is in the integration tests. Not covered: what a real server
does with a connection that is given up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from services.ingest import answers, streaming
from services.ingest.answers import MAX_EVENTS, PROBLEM_TYPES
from services.ingest.commands import Taken, Verdicts
from services.ingest.domain.intake import Rejected, Sound, judge
from services.ingest.domain.lines import LONGEST_LINE
from services.ingest.domain.outcomes import Outcome
from services.ingest.domain.rules import Present
from services.ingest.reading import judge_line
from services.ingest.streaming import Streamed
from shared.errors import Retriable
from shared.web.catalogue import catalogue
from tests.unit.ingest.events import NOW, PRESENT, event

TYPES = catalogue(PROBLEM_TYPES)


class Client:
    """Sends `parts` of a body and reads the answer; with `reads` unset it never does."""

    def __init__(self, parts: Iterable[bytes], *, ends: bool = True) -> None:
        self._parts = iter(parts)
        self._ends = ends
        self.received = 0
        self.reads = asyncio.Event()
        self.reads.set()
        self.status = 0
        self.answer = b""

    async def receive(self) -> Message:
        part = next(self._parts, None)
        if part is not None:
            self.received += len(part)
            return {"type": "http.request", "body": part, "more_body": True}
        if self._ends:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.status = message.get("status", self.status)
        self.answer += message.get("body", b"")

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.answer.splitlines()]


class Intake:
    """Takes what is sound; `fails` decides what it cannot take."""

    def __init__(self, fails: dict[str, Exception] | None = None) -> None:
        self.groups: list[int] = []
        self._fails = fails or {}

    async def take(self, verdicts: Verdicts) -> Taken:
        self.groups.append(len(verdicts))
        for verdict in verdicts:
            if isinstance(verdict, Sound) and verdict.id in self._fails:
                raise self._fails[verdict.id]
        outcomes: list[Outcome] = ["rejected" if isinstance(each, Rejected) else "accepted" for each in verdicts]
        return Taken(verdicts, outcomes, None)


def line(number: int) -> bytes:
    return json.dumps(event("payment.reversed", id=f"e-{number}")).encode() + b"\n"


async def streamed(client: Client, intake: Intake | None = None) -> Client:
    response = Streamed((intake or Intake()).take, lambda: PRESENT, TYPES)
    async with asyncio.timeout(20):
        await response({"type": "http"}, client.receive, client.send)
    return client


async def test_each_event_has_its_line_and_a_wrong_one_fails_no_other() -> None:
    """Seen to fail with a line that is no JSON raised."""
    body = [
        line(1), b"{\n", b"\r\n", b'{"id":"1","id":"2"}\n', b"x" * (LONGEST_LINE + 1) + b"\n", b"\xff\n", line(7)[:-1],
    ]  # fmt: skip
    client = await streamed(Client(body))
    assert client.status == 200
    assert [(each["line"], each["outcome"]) for each in client.lines] == [
        (1, "accepted"), (2, "rejected"), (4, "rejected"), (5, "rejected"), (6, "rejected"), (7, "accepted"),
    ]  # fmt: skip
    assert [each["problem"]["errors"][0]["field"] for each in client.lines[1:5]] == ["body", "id", "line", "body"]


async def test_what_has_come_is_taken_together_and_in_order() -> None:
    intake = Intake()
    client = await streamed(Client([b"".join(map(line, range(1, 1201)))]), intake)
    assert [each["id"] for each in client.lines] == [f"e-{number}" for number in range(1, 1201)]
    assert sum(intake.groups) == 1200
    assert max(intake.groups) <= MAX_EVENTS


async def test_nobody_who_does_not_read_makes_us_hold_more_than_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail with the room for answers unlimited: all of the body was read."""
    monkeypatch.setattr(streaming, "_ANSWERS_HELD", 50_000)
    monkeypatch.setattr(streaming, "_READ_AHEAD", 50_000)
    parts = [line(number) for number in range(1, 5001)]
    client = Client(parts)
    client.reads.clear()
    running = asyncio.create_task(streamed(client))
    stood = -1
    while stood != client.received:
        stood = client.received
        for _ in range(200):
            await asyncio.sleep(0)
    assert client.received < sum(map(len, parts)) / 2
    client.reads.set()
    await running
    assert len(client.lines) == 5000


async def test_who_never_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "IDLE_SECONDS", 0.05)
    client = Client([line(1)])
    client.reads.clear()
    with pytest.raises(ClientDisconnect):
        await streamed(client)


async def test_who_is_still_sending_is_not_given_up_for_not_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """He sends for longer than an answer may wait otherwise. Seen to fail with sending not looked at."""
    monkeypatch.setattr(streaming, "IDLE_SECONDS", 0.5)
    client = Client(line(number) for number in range(1, 9))
    client.reads.clear()

    async def receive() -> Message:
        await asyncio.sleep(0.1)
        message = await client.receive()
        if not message["more_body"]:
            client.reads.set()
        return message

    await Streamed(Intake().take, lambda: PRESENT, TYPES)({"type": "http"}, receive, client.send)
    assert [each["line"] for each in client.lines] == list(range(1, 9))


async def test_more_lines_than_are_allowed_are_not_taken_and_the_last_answer_says_from_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen to fail with the limit left out."""
    monkeypatch.setattr(answers, "MAX_LINES", 3)
    client = await streamed(Client([line(number) for number in range(1, 6)]))
    *taken, last = client.lines
    assert [each["line"] for each in taken] == [1, 2, 3]
    assert (last["line"], last["problem"]["code"], last["problem"]["limit_items"]) == (4, "batch_too_large", 3)
    assert "outcome" not in last


async def test_more_bytes_than_are_allowed_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail with the limit left out."""
    monkeypatch.setattr(answers, "MAX_LINES_BYTES", 2 * len(line(1)))
    client = Client([line(number) for number in range(1, 9)])
    await streamed(client)
    assert client.received == 3 * len(line(1))
    assert [(each["line"], each.get("outcome")) for each in client.lines] == [
        (1, "accepted"),
        (2, "accepted"),
        (3, None),
    ]
    assert client.lines[-1]["problem"]["code"] == "body_too_large"


async def test_who_stops_sending_is_told_what_was_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "IDLE_SECONDS", 0.05)
    client = Client([line(1)])

    async def receive() -> Message:
        if not client.received:
            return await client.receive()
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")

    await Streamed(Intake().take, lambda: PRESENT, TYPES)({"type": "http"}, receive, client.send)
    assert [(each["line"], each.get("outcome")) for each in client.lines] == [(1, "accepted"), (2, None)]
    assert client.lines[-1]["problem"]["code"] == "too_slow"


async def test_what_a_sender_who_went_away_had_sent_in_part_is_not_taken() -> None:
    """A line without its end may be half an event. Seen to fail with his going taken for the end."""
    intake = Intake()
    await streamed(Client([line(1)[:-1]], ends=False), intake)
    assert intake.groups == []


async def test_where_the_database_is_away_the_last_line_says_from_where_to_send_again() -> None:
    """Seen to fail with the failure raised: the answer broke off without a word."""
    intake = Intake({"e-600": Retriable("away")})
    client = await streamed(Client([line(number) for number in range(1, 1201)]), intake)
    assert sum("outcome" not in each for each in client.lines) == 1
    *taken, last = client.lines
    assert {each["outcome"] for each in taken} <= {"accepted"}
    assert last["problem"]["code"] == "unavailable"
    assert last["line"] == len(taken) + 1 <= 600


async def test_an_event_on_which_we_fail_fails_alone(expected_errors: Callable[[str], None]) -> None:
    """Seen to fail with the whole group failed."""
    expected_errors("arrears.web: a line failed")
    intake = Intake({"e-3": RuntimeError("a defect of ours")})
    client = await streamed(Client([b"".join(map(line, range(1, 6)))]), intake)
    assert [each.get("outcome") for each in client.lines] == ["accepted", "accepted", None, "accepted", "accepted"]
    assert client.lines[2]["problem"]["code"] == "internal"


async def test_a_line_on_which_judging_fails_fails_alone(
    expected_errors: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with judging outside the try: the answer broke off."""
    expected_errors("arrears.web: a line failed")

    def judged(content: bytes | None, present: Present) -> Sound | Rejected:
        if content == line(2)[:-1]:
            raise OverflowError("a defect of ours")
        return judge_line(content, present)

    monkeypatch.setattr(streaming, "judge_line", judged)
    client = await streamed(Client([b"".join(map(line, range(1, 4)))]))
    assert [each.get("outcome") for each in client.lines] == ["accepted", None, "accepted"]


async def test_the_first_line_that_says_from_where_on_nothing_was_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is away and the limit is reached in one group. Seen to fail with both told."""
    monkeypatch.setattr(answers, "MAX_LINES", 3)
    client = await streamed(Client([b"".join(map(line, range(1, 6)))]), Intake({"e-2": Retriable("away")}))
    assert [(each["line"], each["problem"]["code"]) for each in client.lines] == [(1, "unavailable")]


async def test_of_a_group_taken_one_by_one_the_first_line_without_an_answer_is_named(
    expected_errors: Callable[[str], None],
) -> None:
    """Seen to fail with the first line of the group named, which was answered."""
    expected_errors("arrears.web: a line failed")
    intake = Intake({"e-2": RuntimeError("a defect of ours"), "e-4": Retriable("away")})
    client = await streamed(Client([b"".join(map(line, range(1, 7)))]), intake)
    assert [(each["line"], each.get("outcome")) for each in client.lines] == [
        (1, "accepted"), (2, None), (3, "accepted"), (4, None),
    ]  # fmt: skip
    assert [each["problem"]["code"] for each in client.lines[1::2]] == ["internal", "unavailable"]


@pytest.mark.parametrize("behind", [b"\n", b"\r\n\n  \n"])
async def test_empty_lines_behind_the_last_one_allowed_are_none_too_many(
    behind: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with them counted."""
    monkeypatch.setattr(answers, "MAX_LINES", 2)
    client = await streamed(Client([line(1), line(2), behind]))
    assert [each.get("outcome") for each in client.lines] == ["accepted", "accepted"]


async def test_no_more_is_handed_to_the_server_at_once_than_is_stated() -> None:
    """What the server holds for a connection that is given up. Seen to fail with answers counted and not weighed."""
    sent: list[int] = []
    client = Client([b"".join(b'{"%s":1,"id":"%d"}\n' % (b"x" * 900, number) for number in range(400))])

    async def send(message: Message) -> None:
        sent.append(len(message.get("body", b"")))
        await client.send(message)

    await Streamed(Intake().take, lambda: PRESENT, TYPES)({"type": "http"}, client.receive, send)
    assert len(client.lines) == 400
    assert sum(sent) > 4 * max(sent)
    assert max(sent) <= streaming._SENT_AT_ONCE


def test_who_reads_only_when_all_is_sent_gets_every_answer_of_the_longest_stream() -> None:
    """By the answers' own bytes, at ids of a hundred characters. Seen to fail with 4 MiB held."""
    verdict = judge(event("payment.posted", id="x" * 100), PRESENT)
    said = answers.members(verdict, "accepted", Taken([verdict], ["accepted"], NOW), TYPES)
    answer = msgspec.json.encode({"line": answers.MAX_LINES, **said})
    assert len(answer) * answers.MAX_LINES <= streaming._ANSWERS_HELD
