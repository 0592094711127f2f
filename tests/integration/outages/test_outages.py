"""Kafka or PostgreSQL is away, silently or refusing: what each of the five services does, and that it can be stopped.

One scenario for all: every state of the surroundings has a world of its own, and all worlds go through it together.
`make outages SECONDS=300` makes the outage as long as that.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx
import pytest
import pytest_asyncio

from deploy.local.parts import SERVICES
from tests.integration.conftest import MakeStage
from tests.integration.outages.lives import Life, preload
from tests.integration.outages.worlds import STATES, World, make_worlds
from tests.patience import SECONDS as PATIENCE
from tests.proxy import Link, Mode

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "0"))
"""How long the outage lasts at least; as long as it takes to see what the services say of it, anyway."""

STOP_SECONDS = 15.0
_LOOK = 0.25
_CLIENT = ("aiokafka", "asyncio")
"""Loggers of the client library, to which a broker that is away is an error, and a connection of it a leak."""
_MODES: tuple[Mode, ...] = ("black_hole", "cut")
_LISTENER = {"black_hole": "kafka-silent", "cut": "kafka-refusing"}

CELLS = [(state.name, service) for state in STATES for service in SERVICES]
CHANGING = [state.name for state in STATES if state.reasons and not state.from_the_start]


@dataclass
class Seen:
    """What was seen of the worlds; by state and service, where it is not said otherwise."""

    ready: dict[tuple[str, str], set[str] | None] = field(default_factory=dict)
    away: dict[tuple[str, str], set[str] | None] = field(default_factory=dict)
    recovered: dict[tuple[str, str], set[str] | None] = field(default_factory=dict)
    alive: dict[tuple[str, str], bool] = field(default_factory=dict)
    ended: dict[tuple[str, str], tuple[float, int | None]] = field(default_factory=dict)
    stops: dict[str, httpx.Response] = field(default_factory=dict)
    snapshots: dict[str, httpx.Response] = field(default_factory=dict)
    caught_up: dict[str, bool] = field(default_factory=dict)
    graded: dict[str, set[str]] = field(default_factory=dict)
    taken: dict[str, set[str]] = field(default_factory=dict)
    letters: dict[str, int] = field(default_factory=dict)
    errors: dict[tuple[str, str], list[str]] = field(default_factory=dict)


class Scenario:
    """Goes through it, and notes what it sees; judges nothing."""

    def __init__(self, worlds: Sequence[World], links: Sequence[Link], modes: Sequence[Mode]) -> None:
        self.seen = Seen()
        self._all = worlds
        self._worlds = [world for world in worlds if not world.state.from_the_start]
        self._starting = [world for world in worlds if world.state.from_the_start]
        self._links = list(zip(links, modes, strict=True))

    async def run(self) -> None:
        """Everything, in order."""
        for world in self._worlds:
            world.begin()
        self.seen.ready = await self._told(self._worlds, lambda world: set())
        await asyncio.gather(
            *(world.send("account.overdue_reported", f"{world.state.name}-before") for world in self._worlds)
        )
        await self._set_links(away=True)
        began = asyncio.get_running_loop().time()
        for world in self._starting:
            world.begin()
        self.seen.away = await self._told(self._all, lambda world: world.state.reasons)
        await asyncio.gather(*(self._send(world) for world in self._worlds))
        await self._end(self._starting)
        await asyncio.sleep(max(0.0, began + OUTAGE_SECONDS - asyncio.get_running_loop().time()))
        self._note_living()
        await self._set_links(away=False)
        await self._recover()
        await self._set_links(away=True)
        await self._told(self._worlds, lambda world: world.state.reasons)
        await self._end(self._worlds)
        self._note_errors()

    async def _set_links(self, *, away: bool) -> None:
        for link, mode in self._links:
            await link.set(mode if away else "pass")

    async def _told(
        self, worlds: Sequence[World], wanted: Callable[[World], set[str]]
    ) -> dict[tuple[str, str], set[str] | None]:
        """Ask each service until it says what is wanted; return the last that each said."""

        async def one(world: World, service: str) -> set[str] | None:
            said: set[str] | None = None

            async def says() -> bool:
                nonlocal said
                said = await world.says(service)
                return said is not None and wanted(world) <= said and bool(said) == bool(wanted(world))

            await _patiently(says)
            return said

        places = [(world, service) for world in worlds for service in SERVICES]
        told = await asyncio.gather(*(one(*place) for place in places))
        return {(world.state.name, service): said for (world, service), said in zip(places, told, strict=True)}

    async def _send(self, world: World) -> None:
        name = world.state.name
        self.seen.snapshots[name], self.seen.stops[name] = await asyncio.gather(
            world.send("account.overdue_reported", f"{name}-during"), world.send("customer.stop_set", f"{name}-stop")
        )

    def _note_living(self) -> None:
        for world in self._worlds:
            for service, life in world.lives.items():
                self.seen.alive[world.state.name, service] = life.process.exitcode is None

    async def _recover(self) -> None:
        self.seen.recovered = await self._told(self._worlds, lambda world: set())
        await asyncio.gather(*(self._take_stock(world) for world in self._worlds))

    async def _take_stock(self, world: World) -> None:
        name = world.state.name
        await world.send("account.overdue_reported", f"{name}-after")
        self.seen.caught_up[name] = await _patiently(world.caught_up)
        self.seen.taken[name] = {each for each in world.taken if not each.endswith("-stop")}
        rows = await world.rows("scoring", "SELECT DISTINCT customer_id FROM grading")
        self.seen.graded[name] = {row["customer_id"] for row in rows}
        counts = [await world.rows(service, "SELECT count(*) FROM dead_letter") for service in SERVICES]
        self.seen.letters[name] = sum(rows[0][0] for rows in counts)

    async def _end(self, worlds: Sequence[World]) -> None:
        async def one(world: World, life: Life) -> None:
            began = asyncio.get_running_loop().time()
            life.terminate()

            async def gone() -> bool:
                return life.process.exitcode is not None

            await _patiently(gone)
            seconds = asyncio.get_running_loop().time() - began
            self.seen.ended[world.state.name, life.service] = seconds, life.process.exitcode

        await asyncio.gather(*(one(world, life) for world in worlds for life in world.lives.values()))

    def _note_errors(self) -> None:
        for world in self._all:
            for service, life in world.lives.items():
                lines = life.log.read_text(encoding="utf-8").splitlines()
                told = [json.loads(line) for line in lines if line.startswith("{")]
                self.seen.errors[world.state.name, service] = [
                    line["message"]
                    for line in told
                    if line["level"] == "ERROR" and not line["logger"].startswith(_CLIENT)
                ]


async def _patiently(true: Callable[[], Awaitable[bool]]) -> bool:
    """Whether it became true while a patient person waits."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not (found := await true()) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - what is waited for is other processes
        await asyncio.sleep(_LOOK)
    return found


@pytest_asyncio.fixture(scope="module")
async def seen(make_stage: MakeStage) -> AsyncIterator[Seen]:
    preload()
    base = await make_stage((), partitions=1)
    stages = [await make_stage(partitions=1) for _ in STATES]
    templates = {service: await base.migrated(service) for service in SERVICES}
    base._databases.clear()  # they go with the server: dropping forty takes longer than all the rest
    infra = base.infra
    links: dict[tuple[str, Mode], Link] = {}
    async with AsyncExitStack() as exits:
        for mode in _MODES:
            name = _LISTENER[mode]
            links["kafka", mode] = Link(name, infra.through[name], infra.ports[name])
            links["postgres", mode] = Link(f"postgres {mode}", 0, infra.ports["postgres"])
        for link in links.values():
            await link.start()
            exits.push_async_callback(link.stop)
        http = await exits.enter_async_context(httpx.AsyncClient(timeout=PATIENCE, trust_env=False))
        ports = {key: link.port for key, link in links.items()}
        worlds = await make_worlds(STATES, stages, templates, ports, infra.state.logs, http)
        try:
            scenario = Scenario(worlds, list(links.values()), [mode for _, mode in links])
            await scenario.run()
            yield scenario.seen
        finally:
            for life in (life for world in worlds for life in world.lives.values()):
                life.kill()


@pytest.mark.parametrize(("state", "service"), CELLS)
def test_a_service_ends_within_fifteen_seconds_when_it_is_asked_to(seen: Seen, state: str, service: str) -> None:
    seconds, exitcode = seen.ended[state, service]
    assert exitcode in (0, -signal.SIGTERM)
    assert seconds < STOP_SECONDS


@pytest.mark.parametrize(("state", "service"), CELLS)
def test_a_service_says_what_is_away_and_lives_on(seen: Seen, state: str, service: str) -> None:
    wanted = next(each.reasons for each in STATES if each.name == state)
    said = seen.away[state, service]
    assert said is not None
    assert wanted <= said
    if state != "starting":
        assert seen.ready[state, service] == set()
        assert seen.alive[state, service]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("state", CHANGING)
def test_a_service_is_ready_again_by_itself(seen: Seen, state: str, service: str) -> None:
    assert seen.recovered[state, service] == set()


@pytest.mark.parametrize("state", CHANGING)
def test_what_was_accepted_takes_effect_afterwards_and_nothing_lies_dead(seen: Seen, state: str) -> None:
    assert seen.caught_up[state]
    assert seen.graded[state] == seen.taken[state]
    assert seen.letters[state] == 0


@pytest.mark.parametrize("state", ["broker_silent", "broker_refusing"])
def test_intake_accepts_while_the_broker_is_away_and_says_that_a_stop_is_pending(seen: Seen, state: str) -> None:
    assert seen.snapshots[state].status_code == 202
    answer = seen.stops[state]
    assert answer.status_code == 202
    assert answer.json()["state"] == "recorded"
    assert "effective_at" not in answer.json()


@pytest.mark.parametrize("state", ["database_silent", "database_refusing", "both_silent"])
def test_intake_refuses_while_its_database_is_away_and_says_when_to_come_back(seen: Seen, state: str) -> None:
    for answer in (seen.snapshots[state], seen.stops[state]):
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(("state", "service"), CELLS)
def test_an_outage_is_no_error_of_the_service(seen: Seen, state: str, service: str) -> None:
    assert seen.errors[state, service] == []
