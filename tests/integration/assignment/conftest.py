"""Assignment running on the stage: its app, its database, its clock, and whoever calls it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx
import msgspec
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI
from msgspec import structs

from services.assignment.app import create_app
from services.assignment.desk import Desk
from services.assignment.handlers import take_batch
from services.assignment.settings import Settings
from shared.bus.bus import Bus
from shared.bus.outcomes import Outcome
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.clock import FrozenClock
from shared.events.envelope import Envelope
from shared.events.kinds import Fact
from shared.events.registry import BY_MODEL, BY_NAME, CASES, Topic
from shared.ids import uuid7
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer
from tests.integration.conftest import Stage
from tests.unit.assignment.given import DUE, WEDNESDAY, at, graded, overdue, reachable

F = TypeVar("F", bound=Fact)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FRIDAY = at("02-27 10:00")
_sequences = itertools.count(1)
_numbers = itertools.count(1)


@dataclass
class Phones:
    """The running service, and facts and callers of one test: its own customers, collectors and team."""

    app: FastAPI
    http: httpx.AsyncClient
    clock: FrozenClock
    signer: Signer
    stage: Stage
    number: int

    @property
    def bus(self) -> Bus:
        bus: Bus = self.app.state.bus
        return bus

    @property
    def desk(self) -> Desk:
        desk: Desk = self.app.state.desk
        return desk

    @property
    def team(self) -> str:
        return f"team-{self.number}"

    @property
    def agent(self) -> str:
        return f"phone-{self.number}"

    @property
    def field_agent(self) -> str:
        return f"field-{self.number}"

    def customer(self, name: str = "C1") -> str:
        return f"{name}-{self.number}"

    def headers(
        self, subject: str | None = None, role: Role = Role.PHONE_AGENT, *, team: str | None = "own", key: str = ""
    ) -> dict[str, str]:
        """Whoever calls, with a key for a command."""
        own_team = self.team if team == "own" else team
        bearer = self.signer.bearer(subject or self.agent, role, team=own_team)
        return {**bearer, "idempotency-key": key or str(uuid7())}

    def boss(self, **more: Any) -> dict[str, str]:
        """The team's supervisor."""
        return self.headers(f"boss-{self.number}", Role.SUPERVISOR, **more)

    def mine(self, fact: F, name: str = "C1") -> F:
        """The fact as one of this test's customer."""
        return structs.replace(fact, customer_id=self.customer(name))

    async def take(self, *facts: Fact) -> Sequence[Outcome]:
        """Hand a batch of facts to the handler, as the consumer does."""
        batch = [incoming(fact) for fact in facts]
        return await self.bus.transact(lambda uow: self._take(batch, uow))

    async def _take(self, batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        return await take_batch(batch, uow, self.desk.policy)

    async def hire(self, staff_id: str | None = None, role: str = "phone_agent", **changed: Any) -> httpx.Response:
        """Keep a colleague's record."""
        body = {
            "name": "李雷",
            "role": role,
            "team": self.team,
            "email": "a@bank.example",
            **changed,
        }
        return await self.http.put(f"/v1/staff/{staff_id or self.agent}", json=body, headers=self.boss())

    async def opened(self, bucket: str = "M4", name: str = "C1", amount: int = 100_000, grade: str = "D") -> str:
        """A case that is open on Wednesday; returns its id."""
        self.clock.set(WEDNESDAY)
        facts = (reachable(), overdue(due=DUE[bucket], amount=amount), graded(grade))  # type: ignore[arg-type]  # a letter
        await self.take(*(self.mine(fact, name) for fact in facts))
        return str((await self.case_of(name))["case_id"])

    async def case_of(self, name: str = "C1") -> dict[str, Any]:
        """The newest case of a customer, as everybody's supervisor sees it."""
        answer = await self.http.get(
            "/v1/cases", params={"customer_id": self.customer(name)}, headers=self.boss(team=None)
        )
        assert answer.status_code == 200, answer.text
        (case,) = answer.json()["items"]
        return dict(case)

    async def by_phone(self, bucket: str = "M4", name: str = "C1", amount: int = 100_000, grade: str = "D") -> str:
        """A case that has been reminded, has lapsed, and is this test's collector's on Friday 10:00."""
        await self.hire()
        case_id = await self.opened(bucket, name, amount, grade)
        for moment in ("02-25 09:15", "02-27 09:00"):
            await self.step_clock(at(moment))
        self.clock.set(FRIDAY)
        if (await self.case_of(name))["collector"] != self.agent:
            body = {"staff_id": self.agent, "reason": "测试"}
            answer = await self.http.post(f"/v1/cases/{case_id}/assignment", json=body, headers=self.boss(team=None))
            assert answer.status_code == 200, answer.text
        return case_id

    async def step_clock(self, now: datetime) -> None:
        """Move the clock and wait until nothing is due any more."""
        self.clock.set(now)

        async def quiet() -> bool:
            return "timers" not in (await self.bus.idle()).waiting_for

        await eventually(quiet)

    async def read(self, case_id: str, what: str = "", **headers: Any) -> Any:
        answer = await self.http.get(f"/v1/cases/{case_id}{what}", headers=self.headers(**headers))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def timeline(self, case_id: str) -> list[str]:
        answer = await self.http.get(f"/v1/cases/{case_id}/timeline?limit=200", headers=self.boss(team=None))
        assert answer.status_code == 200, answer.text
        return [entry["kind"] for entry in answer.json()["items"]]

    async def log(self, case_id: str, *fields: str, **more: Any) -> httpx.Response:
        """Log a contact: channel, line, party, outcome."""
        headers = more.pop("headers", None) or self.headers()
        body = {**dict(zip(("channel", "line", "party", "outcome"), fields, strict=True)), **more}
        return await self.http.post(f"/v1/cases/{case_id}/contacts", json=body, headers=headers)

    async def file(self, *lines: dict[str, Any], **headers: Any) -> httpx.Response:
        return await self.http.post(
            "/v1/field-lists", json={"hand_overs": list(lines)}, headers=self.headers(**headers)
        )

    def line(self, case_id: str, **changed: Any) -> dict[str, Any]:
        return {"case_id": case_id, "field_agent_id": self.field_agent, "reason": "电话无人接听", **changed}

    async def told(self, key: str = "", topic: Topic = CASES) -> list[Fact]:
        """The facts under one key (this test's first customer) that have reached the log, in order."""
        await eventually(self._all_published)
        return [record.fact for record in await read_log(self.stage, topic) if record.key == (key or self.customer())]

    async def _all_published(self) -> bool:
        return "publishing" not in (await self.bus.idle()).waiting_for


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; what takes this long on a slow machine will never hold."""
    async with asyncio.timeout(30):
        while True:
            if await check():
                return
            await asyncio.sleep(0.05)


def incoming(fact: Fact) -> Incoming:
    """The fact as the consumer hands it on."""
    kind, sequence = BY_MODEL[type(fact)], next(_sequences)
    envelope = Envelope(
        id=str(uuid7()),
        type=kind.name,
        source=kind.topic.source,
        time=WEDNESDAY,
        key=kind.key_of(fact),
        traceparent=TRACE,
        cause_id=None,
        topic=kind.topic.name,
        partition=0,
        epoch=1,
        sequence=sequence,
    )
    return Incoming(envelope, fact)


@dataclass(frozen=True)
class Logged:
    """A fact as it stands in the log, with its key and the id of its trace."""

    key: str
    trace: str
    fact: Fact


async def read_log(stage: Stage, topic: Topic = CASES) -> list[Logged]:
    """Every fact of a topic of the stage."""
    kafka = AIOKafkaConsumer(bootstrap_servers=stage.infra.bootstrap, auto_offset_reset="earliest")
    await kafka.start()
    try:
        parts = [TopicPartition(topic.full_name(stage.namespace), number) for number in range(stage.partitions)]
        kafka.assign(parts)
        ends = await kafka.end_offsets(parts)
        found: list[Logged] = []
        while any([await kafka.position(part) < ends[part] for part in parts]):
            got = await kafka.getmany(*parts, timeout_ms=200)
            found += [_decoded(record) for records in got.values() for record in records]
        return found
    finally:
        await kafka.stop()


def _decoded(record: Any) -> Logged:
    headers = {name: value.decode() for name, value in record.headers}
    fact = msgspec.json.decode(record.value, type=BY_NAME[headers["ce_type"]].model)
    return Logged(record.key.decode(), headers["traceparent"].split("-")[1], fact)


@asynccontextmanager
async def running(stage: Stage, clock: FrozenClock) -> AsyncIterator[tuple[FastAPI, Signer]]:
    """The service on the stage, until the block ends."""
    signer = Signer.generate(issuer="http://issuer.test")
    verifier = TokenVerifier(issuer=signer.issuer, audience="arrears", keys=FixedKeys(signer.jwks()))
    settings = Settings.model_validate(stage.surroundings(await stage.migrated("assignment")))
    app = create_app(settings, parts=Parts(verifier=verifier, clock=clock))
    async with app.router.lifespan_context(app):
        bus: Bus = app.state.bus

        async def ready() -> bool:
            return not await bus.not_ready()

        await eventually(ready)
        yield app, signer


@pytest_asyncio.fixture(scope="module")
async def service(stage: Stage) -> AsyncIterator[tuple[FastAPI, Signer, FrozenClock]]:
    """One service for a module's tests."""
    clock = FrozenClock(WEDNESDAY)
    async with running(stage, clock) as (app, signer):
        yield app, signer, clock


@pytest_asyncio.fixture
async def phones(service: tuple[FastAPI, Signer, FrozenClock], stage: Stage) -> AsyncIterator[Phones]:
    """The service on Wednesday 09:00 with customers, collectors and a team of the test's own."""
    app, signer, clock = service
    clock.set(WEDNESDAY)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://assignment.test") as http:
        yield Phones(app, http, clock, signer, stage, next(_numbers))
