"""Single events taken together: whoever comes while a transaction runs shares the next one.

A commit costs as much for one event as for hundreds. Nobody waits for company: an event that finds no transaction under
way is taken at once, and the more come, the more share a commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace

from services.ingest import commands
from services.ingest.answers import MAX_EVENTS
from services.ingest.commands import Recorded, Taken
from services.ingest.domain.intake import Rejected, Sound
from shared.bus.bus import Bus
from shared.db.faults import CommitUnknown, is_retriable
from shared.telemetry.spans import current_traceparent

Verdict = Sound | Rejected
_Place = tuple[Recorded, int]
"""A transaction's work, and an event's place in it."""


class Group:
    """Takes one event a call; the calls of a moment share a transaction."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[tuple[Verdict, asyncio.Future[_Place]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def take(self, verdict: Verdict) -> Taken:
        """Take one event, as `commands.take` does.

        Raises:
            CommitUnknown: the answer to COMMIT was lost; the same event may be sent again.
        """
        if isinstance(verdict, Sound):  # the transaction runs in the trace of whoever came first
            verdict = replace(verdict, traceparent=verdict.traceparent or current_traceparent())
        mine: asyncio.Future[_Place] = asyncio.get_running_loop().create_future()
        self._waiting.append((verdict, mine))
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())
        recorded, place = await mine
        return await commands.told(self._bus, recorded.of(self._bus, place))

    async def _run(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_EVENTS))]
            await self._record(group)

    async def _record(self, group: list[tuple[Verdict, asyncio.Future[_Place]]]) -> None:
        """Record a group in one transaction; where one event is at fault, each by itself."""
        work = asyncio.get_running_loop().create_task(commands.record(self._bus, [each for each, _ in group]))

        def unless_somebody_waits(_gone: asyncio.Future[_Place]) -> None:
            if all(mine.done() for _, mine in group):
                work.cancel()

        for _, mine in group:
            mine.add_done_callback(unless_somebody_waits)
        try:
            recorded = await work
        except asyncio.CancelledError:  # all have gone: what nobody waits for is not taken behind their backs
            return
        except Exception as error:  # noqa: BLE001 - told to each caller, whose request answers it
            alone = len(group) == 1 or isinstance(error, CommitUnknown) or is_retriable(error)
            for each in group:
                if alone:
                    _fail(each[1], error)
                else:
                    await self._record([each])
            return
        for place, (_, mine) in enumerate(group):
            if not mine.done():  # its caller may have gone
                mine.set_result((recorded, place))


def _fail(mine: asyncio.Future[_Place], error: Exception) -> None:
    if not mine.done():
        mine.set_exception(error)
