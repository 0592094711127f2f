"""The whole chain on the local stack: five real services as five processes, once or twice each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer

from benchmarks import snapshots
from benchmarks.alone import BATCH_TYPE
from benchmarks.lines import PATIENCE_SECONDS, Stuck
from benchmarks.meter import Servers, resident
from benchmarks.samples import Latency, Sample
from benchmarks.sending import post_all, post_paced
from deploy.local.parts import SERVICES
from deploy.local.stack import Stack
from services.assignment.settings import PACKAGED_STRATEGY
from shared.bus.headers import text_of
from shared.events.cases import CaseRouted
from shared.events.registry import BY_MODEL, CASES

SECOND = tuple(f"{service}-1" for service in SERVICES)
UNSAMPLED = {"OTEL_TRACES_SAMPLER": "always_off"}
SAMPLED = {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}
"""Settings of services: no request's trace is recorded, or each one's and so each fact's."""

REMINDERS = 2
"""Reminders that the first step of the plan asks for, one a channel."""

_TICK_SECONDS = 0.1
_SLICE = 10_000
_ROUTED = BY_MODEL[CaseRouted].name


def without_gathering(folder: Path) -> Path:
    """Write the packaged collection plan without its wait for what is reported together, and return where.

    Fifteen minutes of waiting are the desk's policy and no work; everything else of the plan stays.
    """
    text = PACKAGED_STRATEGY.read_text(encoding="utf-8")
    waiting = "gather_minutes: 15"
    if waiting not in text:
        raise ValueError(f"{PACKAGED_STRATEGY.name} has no line `{waiting}`")
    file = folder / "strategy.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.replace(waiting, "gather_minutes: 0"), encoding="utf-8")
    return file


@dataclass
class Chain:
    """The running services; `made` counts the events of all rounds, each of another customer.

    `settings`: more settings by service, which each start of a process reads anew.
    """

    stack: Stack
    servers: Servers
    at: datetime
    settings: Mapping[str, MutableMapping[str, str]]
    made: int = 0

    async def start(self, names: Iterable[str]) -> None:
        """Start services that were halted."""
        for name in names:
            await self.stack.resume(name)
        await self.stack.wait_ready()

    async def stop(self, names: Iterable[str]) -> None:
        """Halt services."""
        await asyncio.gather(*(self.stack.halt(name) for name in names))

    async def measure(self, name: str, events: int) -> Sample:
        """Post `events` snapshots of 500 a batch, and return what it cost until the last reminder is queued."""
        urls = [f"{self.stack.urls[each]}/v1/events" for each in ("ingest", "ingest-1") if each in self._pids()]
        headers = await self._headers()
        async with _database(self.stack, "notify") as notify:
            await notify.execute("TRUNCATE notice")
            bodies = self._bodies(events)
            pids = self._pids()
            start = self.servers.read(pids.values())
            await post_all(urls, bodies, headers)
            await _queued(notify, events * REMINDERS)
            end = self.servers.read(pids.values())
            # What is queued would be sent from now on, into the next measurement.
            await notify.execute("TRUNCATE notice")
        shares = {process: end.clients[pid] - start.clients[pid] for process, pid in pids.items()}
        return Sample(name, events, end.since(start), shares)

    async def idle(self, seconds: float) -> float:
        """Return the CPU seconds a second that everything takes while nothing happens."""
        pids = self._pids().values()
        start = self.servers.read(pids)
        await asyncio.sleep(seconds)
        cost = self.servers.read(pids).since(start)
        return cost.total / cost.wall

    async def latency(self, share: float, rate: float, seconds: float) -> Latency:
        """Post at `rate` events a second, and see how long after its acceptance each case is put into a queue."""
        size, ticks = max(round(rate * _TICK_SECONDS), 1), round(seconds / _TICK_SECONDS)
        batches = []
        for _ in range(ticks):
            first, self.made = self.made, self.made + size
            made = snapshots.events("chain", first, size, self.at)
            (body,) = snapshots.batches(made, size)
            batches.append((body, [event["data"]["customer_id"] for event in made]))
        wanted = {key for _, keys in batches for key in keys}
        async with _cases(self.stack) as consumer:
            seeing = asyncio.create_task(_routed(consumer, wanted))
            url = f"{self.stack.urls['ingest']}/v1/events"
            accepted = await post_paced(url, batches, await self._headers(), _TICK_SECONDS)
            seen = await seeing
        delays = [max(seen[key] - accepted[key], 0.0) for key in wanted]
        return Latency(share, size / _TICK_SECONDS, delays)

    def memory(self) -> dict[str, int]:
        """Return the resident bytes of each service."""
        return {name: resident(pid) for name, pid in self._pids().items()}

    def _bodies(self, events: int) -> Iterator[bytes]:
        """Bodies made in slices, so that a million events are not held at once; the first slice before the start."""
        first, self.made = self.made, self.made + events
        head = self._slice(first, min(_SLICE, events))
        starts = range(first + _SLICE, first + events, _SLICE)
        rest = (body for start in starts for body in self._slice(start, min(_SLICE, first + events - start)))
        return (body for part in (head, rest) for body in part)

    def _slice(self, first: int, count: int) -> list[bytes]:
        return snapshots.batches(snapshots.events("chain", first, count, self.at), 500)

    async def _headers(self) -> dict[str, str]:
        token = await self.stack.token("bench", "upstream")
        return {"authorization": f"Bearer {token}", "content-type": BATCH_TYPE}

    def _pids(self) -> dict[str, int]:
        names = {replica.name for replica in self.stack.replicas}
        return {each.name: each.pid for each in self.stack.status() if each.name in names and each.pid is not None}


async def _queued(notify: asyncpg.Connection, wanted: int) -> None:
    until, before = time.monotonic() + PATIENCE_SECONDS, 0
    while (count := int(await notify.fetchval("SELECT count(*) FROM notice"))) < wanted:
        if count > before:
            until, before = time.monotonic() + PATIENCE_SECONDS, count
        if time.monotonic() > until:
            raise Stuck(f"{wanted - count} of {wanted} reminders are not queued; the logs of the stack say why")
        await asyncio.sleep(0.25)


async def _routed(consumer: AIOKafkaConsumer, wanted: set[str]) -> dict[str, float]:
    """Return when each wanted customer's case was put into a queue, on the monotonic clock."""
    seen: dict[str, float] = {}
    until = time.monotonic() + PATIENCE_SECONDS
    while len(seen) < len(wanted):
        if time.monotonic() > until:
            raise Stuck(f"{len(wanted) - len(seen)} cases were not put into a queue")
        got = await consumer.getmany(timeout_ms=100)
        now = time.monotonic()
        for records in got.values():
            for record in records:
                if text_of(record.headers, "ce_type") == _ROUTED and (key := record.key.decode()) in wanted:
                    seen.setdefault(key, now)
    return seen


@asynccontextmanager
async def _cases(stack: Stack) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of the cases' topic, from now on."""
    consumer = AIOKafkaConsumer(CASES.full_name("arrears"), bootstrap_servers=stack.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer.seek_to_end()
        for tp in consumer.assignment():
            await consumer.position(tp)
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _database(stack: Stack, name: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(f"{stack.admin_url.rpartition('/')[0]}/{name}")
    try:
        yield connection
    finally:
        await connection.close()
