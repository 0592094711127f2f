"""The whole stack behind proxies, on a stepped clock, with a hand on every process and every link."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from pathlib import Path
from random import Random

import httpx

from deploy.demo.client import Caller
from deploy.local.parts import SERVICES, Replica
from deploy.local.ready import http_status
from deploy.local.stack import Stack, wipe
from deploy.local.state import StateDir
from shared.clock import step
from shared.rules.calendar import working_calendar
from tests.chaos.calling import Client
from tests.chaos.schedule import LINKS, Fault
from tests.chaos.story import OPENING, ZONE
from tests.proxy import Link, Mode

_TICK_SECONDS = 0.25
_TICK = timedelta(minutes=10)
_EVENING, _NIGHT, _MORNING = time(19, 0), time(22, 30), time(7, 30)
PARTITIONS = 6


@dataclass
class Clock:
    """The domain's clock: ten minutes a tick through the working day, a moment at night, then the next working day."""

    file: Path
    now: datetime = OPENING

    def advance(self) -> None:
        """One tick."""
        local = self.now.astimezone(ZONE)
        if local.time() < _EVENING:
            self.now += _TICK
        elif local.time() < _NIGHT:
            self.now = datetime.combine(local.date(), _NIGHT, ZONE)
        else:
            self.now = datetime.combine(working_calendar().add_working_days(local.date(), 1), _MORNING, ZONE)
        step(self.file, self.now)

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.advance()


@dataclass
class Rig:
    """A running stack, its links, its clock and a client."""

    stack: Stack
    links: dict[str, Link]
    clock: Clock
    client: Client
    replicas: tuple[str, ...]
    folder: Path
    complaints: list[str] = field(default_factory=list)
    """What a process did that no fault excuses: not ended when told to, or ended by itself."""
    _kills: Counter[str] = field(default_factory=Counter)
    """How often each was killed or put to sleep."""
    _asleep: set[str] = field(default_factory=set)

    def database(self, service: str) -> str:
        """A service's database as the superuser reaches it, past the proxies."""
        return f"{self.stack.admin_url.rpartition('/')[0]}/{service}"

    async def strike(self, fault: Fault) -> None:
        """Let a fault happen, and return when it is over; what it did is undone even when this is cancelled."""
        match fault.kind:
            case "kill" | "restart":
                await self._kill(fault.target)
            case "freeze" | "stall":
                await self._frozen(fault)
            case "leave":
                await self._gone(fault.target, fault.seconds)
            case "outage":
                await self._away(fault)
            case "rolling_restart":
                for name in self.of(fault.target):
                    await self._gone(name, 0.0)
                    await self.stack.wait_ready(name)
            case "kill_cut_off":
                async with self.link(fault.beside, "black_hole"):
                    await asyncio.sleep(fault.seconds)
                    await self._kill(fault.target)
            case "stop_cut_off":
                async with self.link(fault.beside, "black_hole"):
                    await asyncio.sleep(fault.seconds)
                    await self._gone(fault.target, 0.0)
            case _:
                await self._disturbed(fault)

    def of(self, service: str) -> list[str]:
        """The replicas of a service."""
        return [name for name in self.replicas if Replica.named(name).service == service]

    async def _disturbed(self, fault: Fault) -> None:
        assert fault.mode is not None
        async with self.link(fault.target, fault.mode, fault.delay):
            await asyncio.sleep(fault.seconds)

    @asynccontextmanager
    async def link(self, name: str, mode: Mode, delay: float = 0.0) -> AsyncIterator[None]:
        """Put a link into a mode for the length of the block."""
        await self.links[name].set(mode, delay)
        try:
            yield
        finally:
            await self.links[name].set("pass")

    async def _kill(self, name: str) -> None:
        self._kills[name] += 1  # who is killed while it stops has not been too slow
        await self.stack.kill(name)

    async def _gone(self, name: str, seconds: float) -> None:
        """SIGTERM, and a new life so many seconds after the end."""
        kills, asleep = self._kills[name], name in self._asleep  # who sleeps does not hear it
        try:
            if not await self.stack.halt(name) and self._kills[name] == kills and not asleep:
                self.complaints.append(f"{name} did not end in time when it was told to, and was killed")
            await asyncio.sleep(seconds)
        finally:
            await self.stack.resume(name)

    async def _away(self, fault: Fault) -> None:
        """A part is away for long: services stay up, say that they are not ready, and need nobody's help afterwards."""
        restarts = self._restarts()
        await self.stack.halt(fault.target)
        try:
            await asyncio.sleep(fault.seconds)
            for name in self.replicas:
                status = await http_status(self.stack.ports[name], "/readyz")
                if status == HTTPStatus.OK and (fault.target, Replica.named(name).service) != ("kafka", "ingest"):
                    self.complaints.append(f"{name} says that it is ready while {fault.target} is away")
        finally:
            await self.stack.resume(fault.target)
        await self.stack.wait_ready(fault.target)
        died = [name for name, count in self._restarts().items() if count != restarts[name]]
        self.complaints += [f"{name} died while {fault.target} was away" for name in died]

    def _restarts(self) -> dict[str, int]:
        return {status.name: status.restarts for status in self.stack.status() if status.name in self.replicas}

    async def _frozen(self, fault: Fault) -> None:
        pid = next((status.pid for status in self.stack.status() if status.name == fault.target), None)
        if pid is None:  # just dying of something else
            return
        self._kills[fault.target] += 1  # who falls asleep while it stops has not been too slow either
        self._asleep.add(fault.target)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            self._asleep.discard(fault.target)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGCONT)


@asynccontextmanager
async def running(
    folder: Path,
    replicas: Sequence[str],
    seed: int,
    say: Callable[[str], None],
    more: Mapping[str, MutableMapping[str, str]] | None = None,
) -> AsyncIterator[Rig]:
    """Start everything on a fresh state folder, and stop it at the end. `more`: switches of `serving` by service."""
    wipe(folder)
    state = StateDir(folder)
    state.make()
    clock = Clock(folder / "clock")
    step(clock.file, clock.now)
    async with AsyncExitStack() as exits:
        links = await _links(state, exits)
        through = {name: link.port for name, link in links.items()}
        stack = Stack(
            folder,
            services=replicas,
            clock_file=clock.file,
            partitions=PARTITIONS,
            through=through,
            more=more,
            runner="tests.chaos.serving",
            say=say,
        )
        await exits.enter_async_context(stack)
        http = await exits.enter_async_context(
            httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=20))
        )

        async def token_of(who: Caller) -> str:
            return await stack.token(who.subject, who.role, team=who.team)

        urls = {
            service: [stack.urls[name] for name in replicas if Replica.named(name).service == service]
            for service in SERVICES
        }
        client = Client(http, urls, token_of, Random(f"client {seed}"))
        yield Rig(stack, links, clock, client, tuple(replicas), folder)


async def _links(state: StateDir, exits: AsyncExitStack) -> dict[str, Link]:
    """The proxies, listening before anybody starts; each leads to the port that the stack will give its part."""
    ports = state.ports((*(f"through {name}" for name in LINKS), *map(_leads_to, LINKS)))
    links = {name: Link(name, ports[f"through {name}"], ports[_leads_to(name)]) for name in LINKS}
    for link in links.values():
        await link.start()
        exits.push_async_callback(link.stop)
    return links


def _leads_to(link: str) -> str:
    """The name of the port behind a link: Kafka has a listener for each, the other parts have one port."""
    return link if link.startswith("kafka-") else link.partition("-")[0]


def machine_now() -> datetime:
    """The machine's present instant."""
    return datetime.now(UTC)


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
