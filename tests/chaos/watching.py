"""How long it takes to recover: from the end of a fault until all that was known then has been taken by everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import asyncpg

from deploy.local.parts import SERVICES
from shared.db.faults import is_retriable
from tests.chaos.rig import Rig
from tests.chaos.schedule import Fault

_LOOK_SECONDS = 0.3
_PATIENCE = 3.0

_HEADS = "SELECT topic, partition, head FROM outbox_stream"
_POSITIONS = "SELECT topic, partition, sequence FROM inbox_position"

Stream = tuple[str, int]


@dataclass(frozen=True)
class Progress:
    """How far numbers were given in each stream, and how far each service has read it."""

    heads: Mapping[Stream, int]
    read: Mapping[tuple[str, Stream], int]

    def covers(self, mark: Mapping[Stream, int]) -> bool:
        """Whether everybody has read what had been given at the mark."""
        return all(number >= mark.get(stream, 0) for (_, stream), number in self.read.items())


@dataclass
class Recovery:
    """One fault, and how long everybody took to catch up after it. `seconds`: none while they have not."""

    fault: Fault
    seconds: float | None = None


@dataclass
class Watcher:
    """Looks at all databases again and again, past the proxies."""

    rig: Rig
    recoveries: list[Recovery] = field(default_factory=list)
    _databases: dict[str, asyncpg.Connection] = field(default_factory=dict)
    _open: list[tuple[Recovery, float, Mapping[Stream, int] | None]] = field(default_factory=list)

    def over(self, fault: Fault) -> None:
        """A fault is over: from now on its recovery is measured."""
        recovery = Recovery(fault)
        self.recoveries.append(recovery)
        self._open.append((recovery, asyncio.get_running_loop().time(), None))

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                progress = await self._look()
                if progress is not None:
                    self._judge(progress)
        finally:
            for database in self._databases.values():
                database.terminate()

    def _judge(self, progress: Progress) -> None:
        now = asyncio.get_running_loop().time()
        still: list[tuple[Recovery, float, Mapping[Stream, int] | None]] = []
        for recovery, since, mark in self._open:
            known = progress.heads if mark is None else mark
            if progress.covers(known):
                recovery.seconds = now - since
            else:
                still.append((recovery, since, known))
        self._open = still

    async def _look(self) -> Progress | None:
        heads: dict[Stream, int] = {}
        read: dict[tuple[str, Stream], int] = {}
        for service in SERVICES:
            try:
                async with asyncio.timeout(_PATIENCE):
                    database = await self._database(service)
                    heads |= {(row["topic"], row["partition"]): row["head"] for row in await database.fetch(_HEADS)}
                    for row in await database.fetch(_POSITIONS):
                        read[service, (row["topic"], row["partition"])] = row["sequence"]
            except Exception as error:
                if not is_retriable(error):
                    raise
                self._forget(service)
                return None
        return Progress(heads, read)

    async def _database(self, service: str) -> asyncpg.Connection:
        if service not in self._databases:
            self._databases[service] = await asyncpg.connect(self.rig.database(service))
        return self._databases[service]

    def _forget(self, service: str) -> None:
        database = self._databases.pop(service, None)
        if database is not None:
            database.terminate()
