"""Events a line each (NDJSON): taken while more come, each answered by a line of its own, in their order.

Three tasks hand on through buffers of a stated size: one reads, one takes what has come in one transaction after the
other, one answers. So a stream of any length needs the memory of a large batch, and no line waits for one that comes
later. A line that cannot be taken is answered and fails nothing else. Where the stream as a whole cannot go on, its
last line says so, and from which line on nothing was answered; what was taken is not taken twice when it is sent again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.ingest import answers
from services.ingest.buffer import Buffer
from services.ingest.commands import Taken, Verdicts
from services.ingest.domain.lines import Lines
from services.ingest.domain.rules import Present
from services.ingest.reading import judge_line
from shared.db.faults import is_retriable
from shared.errors import Problem
from shared.web.catalogue import Catalogue
from shared.web.problems import document, internal_problem, request_id

IDLE_SECONDS: Final = 30.0
"""So long nothing may come, and so long an answer may wait to be read while nothing comes, until it is given up."""
LONGEST_SECONDS: Final = 900.0

_READ_AHEAD: Final = 1 << 20
_ANSWERS_HELD: Final = 16 << 20
"""Bytes of answers that wait to be read: those of all lines, unless ids are very long or many lines are refused."""
_LINE_WEIGHT: Final = 200
_ANSWERS_AT_ONCE: Final = 256
_SENT_AT_ONCE: Final = 64 << 10
"""Bytes handed to the server together. It holds as much again, also for a connection that was given up, until the
other side reads or ends."""

_log = logging.getLogger("arrears.web")

Take = Callable[[Verdicts], Awaitable[Taken]]


@dataclass(frozen=True, slots=True)
class Line:
    """A line by its number, from 1; without `content` it was too long. With a `stop` it is none: there it ends."""

    number: int
    content: bytes | None = None
    stop: Problem | None = None


class _Unknown(Exception):
    """Of the line of this `number` and all behind it nobody knows what became; the fault passes by itself."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Patience:
    """How long an answer waits to be read: as long as the sender still sends, and a while."""

    def __init__(self) -> None:
        self._limit: asyncio.Timeout | None = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Wait for an answer to be read.

        Raises:
            TimeoutError: nothing was read, and nothing more came, for `IDLE_SECONDS`.
        """
        async with asyncio.timeout(IDLE_SECONDS) as limit:
            self._limit = limit
            try:
                yield
            finally:
                self._limit = None

    def heard(self) -> None:
        """The sender is there: who sends first and reads afterwards is waited for."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + IDLE_SECONDS)


class Streamed(Response):
    """The answer to a stream of events: it reads the request's body itself."""

    media_type = answers.LINES

    def __init__(self, take: Take, present: Callable[[], Present], types: Catalogue) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store"})  # of a length that nobody knows yet
        self._take_events = take
        self._present = present
        self._types = types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, take and answer until all is done."""
        lines, answered = Buffer[Line](_READ_AHEAD), Buffer[bytes](_ANSWERS_HELD)
        patience = _Patience()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_read(receive, lines, patience))
                tasks.create_task(self._take(lines, answered))
                await _answer(answered, send, self.raw_headers, patience)
        except BaseExceptionGroup as failed:
            raise _first(failed) from None

    async def _take(self, lines: Buffer[Line], answered: Buffer[bytes]) -> None:
        """Take and answer, up to the first line that says from where on nothing was: behind it there is no other."""
        stopped = False
        try:
            while group := await lines.take(answers.MAX_EVENTS):
                if stopped:
                    continue
                stop = next((line for line in group if line.stop is not None), None)
                try:
                    await self._take_group([line for line in group if line.stop is None], answered)
                except _Unknown as unknown:
                    stop = Line(unknown.number, stop=_send_again())
                    await lines.close(dropping=True)  # the reader reads on without effect, so that this can be answered
                if stop is not None:
                    await self._put(answered, self._stopped(stop))
                    stopped = True
        finally:
            await answered.close()

    async def _take_group(self, group: Sequence[Line], answered: Buffer[bytes]) -> None:
        """Take a group in one transaction; where one event is at fault, each by itself."""
        if not group:
            return
        try:
            present = self._present()
            taken = await self._take_events([judge_line(line.content, present) for line in group])
        except Exception as error:
            if is_retriable(error):
                raise _Unknown(group[0].number) from error
            if len(group) == 1:
                _log.exception("a line failed")
                await self._put(answered, self._stopped(Line(group[0].number, stop=internal_problem())))
                return
            for line in group:
                await self._take_group([line], answered)
            return
        for answer in self._told(group, taken):
            await self._put(answered, answer)

    def _told(self, group: Sequence[Line], taken: Taken) -> Iterator[dict[str, Any]]:
        for line, verdict, outcome in zip(group, taken.verdicts, taken.outcomes, strict=True):
            members = answers.members(verdict, outcome, taken, self._types)
            yield {"line": line.number, **members}

    def _stopped(self, line: Line) -> dict[str, Any]:
        assert line.stop is not None
        return {"line": line.number, "problem": document(line.stop, self._types, request_id())}

    async def _put(self, answered: Buffer[bytes], answer: dict[str, Any]) -> None:
        encoded = msgspec.json.encode(answer) + b"\n"
        await answered.put(encoded, len(encoded))


async def _read(receive: Receive, lines: Buffer[Line], patience: _Patience) -> None:
    """Read the body to its end, or until it may not go on; what a sender who went away had sent is dropped."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LONGEST_SECONDS
    split, number, size, more, over = Lines(), 0, 0, True, False
    while more:
        try:
            async with asyncio.timeout_at(min(until, loop.time() + IDLE_SECONDS)):
                message = await receive()
        except TimeoutError:
            await lines.put(Line(number + 1, stop=_too_slow()), _LINE_WEIGHT)
            break
        patience.heard()
        if message["type"] == "http.disconnect":
            await lines.close(dropping=True)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        size += len(body)
        if size > answers.MAX_LINES_BYTES:
            await lines.put(Line(number + 1, stop=answers.too_many_bytes(answers.MAX_LINES_BYTES)), _LINE_WEIGHT)
            break
        for content in (*split.feed(body), *(() if more else split.end())):
            number += 1
            if over or (content is not None and not content.strip()):
                continue
            over = number > answers.MAX_LINES
            stop = answers.too_many_events(answers.MAX_LINES) if over else None
            await lines.put(Line(number, None if over else content, stop), len(content or b"") + _LINE_WEIGHT)
    await lines.close()


async def _answer(answered: Buffer[bytes], send: Send, headers: list[tuple[bytes, bytes]], patience: _Patience) -> None:
    """Send answers as they come. The first waits for a part of the body: who asks whether to send it must be told so
    first.
    """
    begun = False
    try:
        while True:
            some = await answered.take(_ANSWERS_AT_ONCE, _SENT_AT_ONCE)
            async with patience.reading():
                if not begun:
                    await send({"type": "http.response.start", "status": 200, "headers": headers})
                    begun = True
                await send({"type": "http.response.body", "body": b"".join(some), "more_body": bool(some)})
            if not some:
                return
    except TimeoutError:
        raise ClientDisconnect from None  # nobody reads


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what failed first: the others were ended for it."""
    return failed.exceptions[0]


def _send_again() -> Problem:
    return Problem(
        "unavailable",
        "自该行起结果未知；请自该行起原样重发，已接收的事件不会重复生效。",
        "From this line on the outcome is unknown; send them again from here, none takes effect twice.",
    )


def _too_slow() -> Problem:
    return Problem(
        "too_slow",
        f"超过 {IDLE_SECONDS:.0f} 秒未收到内容，或总时长超过 {LONGEST_SECONDS:.0f} 秒；自该行起未接收。",
        f"Nothing came for {IDLE_SECONDS:.0f} seconds, or all took {LONGEST_SECONDS:.0f}; from this line on nothing was"
        " taken.",
    )
