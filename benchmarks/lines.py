"""Processes in a row that pass facts on, measured while they do: real services, floor hops, peers.

A run never holds a start-up: the processes run and have passed some facts on, the first one is held still (SIGSTOP)
while its topic is filled, and the counters are read from the moment it goes on until the last fact has come out.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.feed import Record, Topics
from benchmarks.meter import Servers
from benchmarks.samples import Sample
from deploy.local.errors import NotReadyError
from deploy.local.process import Process, spawn, terminate

PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.02


class Stuck(Exception):
    """What was sent did not come out in time; the processes' logs say why."""


@asynccontextmanager
async def running(specs: Sequence[Process], logs: Path) -> AsyncIterator[list[int]]:
    """Run the processes for the length of the block, ready where they can say so; gives their process ids.

    Raises:
        Stuck: one did not become ready.
    """
    logs.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as exits:
        started = []
        for spec in specs:
            log = exits.enter_context((logs / f"{spec.name}.log").open("ab"))
            process = await spawn(spec, log)
            exits.push_async_callback(terminate, process, spec.stop_signal, spec.grace)
            started.append(process)
        for spec in specs:
            await _ready(spec)
        yield [process.pid for process in started]


async def _ready(spec: Process) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while spec.ready is not None:
        try:
            await spec.ready()
        except (NotReadyError, OSError, TimeoutError) as error:
            if time.monotonic() > until:
                raise Stuck(f"{spec.name} is not ready: {error}") from error
            await asyncio.sleep(0.1)
        else:
            return


@dataclass(frozen=True, slots=True)
class Line:
    """Processes that make one fact on `topic_out` of each fact on `topic_in`."""

    name: str
    pids: Sequence[int]
    topic_in: str
    topic_out: str
    topics: Topics
    servers: Servers

    async def warm_up(self, records: Sequence[Record]) -> None:
        """Pass some facts through, unmeasured."""
        before = await self.topics.count(self.topic_out)
        await self.topics.fill(self.topic_in, records)
        await self._await(before + len(records))

    async def measure(self, records: Sequence[Record]) -> Sample:
        """Pass facts through and return what that cost."""
        before = await self.topics.count(self.topic_out)
        os.kill(self.pids[0], signal.SIGSTOP)
        try:
            await self.topics.fill(self.topic_in, records)
            start = self.servers.read(self.pids)
        finally:
            os.kill(self.pids[0], signal.SIGCONT)
        await self._await(before + len(records))
        return Sample(self.name, len(records), self.servers.read(self.pids).since(start))

    async def _await(self, wanted: int) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while (count := await self.topics.count(self.topic_out)) < wanted:
            if time.monotonic() > until:
                raise Stuck(f"{self.name}: {wanted - count} facts have not come out of {self.topic_out}")
            await asyncio.sleep(_POLL_SECONDS)
