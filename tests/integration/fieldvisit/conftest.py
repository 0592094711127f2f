"""The field desk running on the stage: its app, its database, its clock, and whoever calls it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI
from msgspec import structs

from services.fieldvisit.app import create_app
from services.fieldvisit.handlers import take_batch
from services.fieldvisit.settings import Settings
from shared.bus.bus import Bus
from shared.bus.outcomes import Outcome
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.clock import FrozenClock
from shared.events.cases import CaseHandedOver
from shared.events.envelope import Envelope
from shared.events.kinds import Fact
from shared.events.registry import BY_MODEL, BY_NAME, VISITS
from shared.ids import uuid7
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer
from tests.integration.conftest import Stage
from tests.unit.fieldvisit.build import HOUR, NOW, colleague, contacts, handed_over, overdue

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_sequences = itertools.count(1)
_numbers = itertools.count(1)


@dataclass
class Field:
    """The running service, and facts and callers of one test: its own customer, collectors and team."""

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
    def customer(self) -> str:
        return f"C{self.number}"

    @property
    def team(self) -> str:
        return f"team-{self.number}"

    def staff(self, role: int = 1) -> str:
        return f"field-{self.number}-{role}"

    def headers(
        self, subject: str | None = None, role: Role = Role.FIELD_AGENT, key: str | None = None
    ) -> dict[str, str]:
        """Whoever calls, with a key for a command."""
        team = None if role == Role.ADMIN_ASSISTANT else self.team
        bearer = self.signer.bearer(subject or self.staff(), role, team=team)
        return {**bearer, "idempotency-key": key or str(uuid7())}

    def mine(self, fact: Any) -> Any:
        """The fact as one of this test's customer."""
        changed: dict[str, Any] = {"customer_id": self.customer}
        if hasattr(fact, "case_id"):
            changed["case_id"] = f"{fact.case_id}-{self.number}"
        if isinstance(fact, CaseHandedOver):
            changed |= {
                "hand_over_id": f"{fact.hand_over_id}-{self.number}",
                "field_agent_id": self.staff(),
                "team": self.team,
            }
        return structs.replace(fact, **changed)

    async def take(self, *facts: Fact) -> Sequence[Outcome]:
        """Hand a batch of facts to the handler, as the consumer does."""
        batch = [incoming(fact) for fact in facts]
        return await self.bus.transact(lambda uow: self._take(batch, uow))

    async def _take(self, batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        return await take_batch(batch, uow, self.app.state.desk)

    async def handed_over(self, *more: Fact) -> str:
        """A customer who owes, can be reached, and was handed over to an able pair; returns the visit's id."""
        pair = [colleague(self.staff(role), team=self.team) for role in (1, 2, 3)]
        await self.take(*(self.mine(fact) for fact in (overdue(), contacts(), handed_over(), *more)), *pair)
        (visit,) = [each for each in await self.visits() if each["hand_over_id"] == f"H1-{self.number}"]
        return str(visit["visit_id"])

    async def visits(self, **filters: Any) -> list[dict[str, Any]]:
        answer = await self.http.get("/v1/visits", params=filters, headers=self.headers())
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def line(self, visit_id: str, **changed: Any) -> dict[str, Any]:
        """A line of a plan that nothing stands against."""
        starts_at = changed.pop("starts_at", NOW + 2 * HOUR)
        return {
            "visit_id": visit_id,
            "starts_at": starts_at.isoformat(),
            "ends_at": (starts_at + HOUR).isoformat(),
            "members": [self.staff(1), self.staff(2)],
            "recorder_id": "R1",
            **changed,
        }

    async def until_breached(self) -> None:
        """Wait until the timer has reported the visit."""

        async def breached() -> bool:
            return bool(await self.visits(breached=True))

        await eventually(breached)

    async def plan(self, *lines: dict[str, Any], **headers: Any) -> httpx.Response:
        return await self.http.post("/v1/plans", json={"visits": list(lines)}, headers=self.headers(**headers))

    async def act(self, visit_id: str, step: str, body: dict[str, Any] | None = None, **headers: Any) -> httpx.Response:
        return await self.http.post(f"/v1/visits/{visit_id}/{step}", json=body or {}, headers=self.headers(**headers))

    async def told(self) -> list[Fact]:
        """The facts about this test's customer and collectors that have reached the log, in order."""
        await eventually(self._all_published)
        wanted = {self.customer, self.staff()}
        return [record.fact for record in await read_log(self.stage) if record.key in wanted]

    async def _all_published(self) -> bool:
        return "publishing" not in (await self.bus.idle()).waiting_for


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; what takes this long on a slow machine will never hold."""
    async with asyncio.timeout(30):
        while True:
            if await check():
                return
            await asyncio.sleep(0.05)


async def until_ready(bus: Bus) -> None:
    """Wait until a service can work."""

    async def ready() -> bool:
        return not await bus.not_ready()

    await eventually(ready)


def incoming(fact: Fact) -> Incoming:
    """The fact as the consumer hands it on."""
    kind, sequence = BY_MODEL[type(fact)], next(_sequences)
    envelope = Envelope(
        id=str(uuid7()),
        type=kind.name,
        source=kind.topic.source,
        time=NOW,
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


async def read_log(stage: Stage) -> list[Logged]:
    """Every fact in the visits topic of the stage."""
    name = VISITS.full_name(stage.namespace)
    kafka = AIOKafkaConsumer(bootstrap_servers=stage.infra.bootstrap, auto_offset_reset="earliest")
    await kafka.start()
    try:
        parts = [TopicPartition(name, number) for number in range(stage.partitions)]
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
    settings = Settings.model_validate(stage.surroundings(await stage.migrated("fieldvisit")))
    app = create_app(settings, parts=Parts(verifier=verifier, clock=clock))
    async with app.router.lifespan_context(app):
        bus: Bus = app.state.bus
        await until_ready(bus)
        yield app, signer


@pytest_asyncio.fixture(scope="module")
async def service(stage: Stage) -> AsyncIterator[tuple[FastAPI, Signer, FrozenClock]]:
    """One service for a module's tests."""
    clock = FrozenClock(NOW)
    async with running(stage, clock) as (app, signer):
        yield app, signer, clock


@pytest_asyncio.fixture
async def desk(service: tuple[FastAPI, Signer, FrozenClock], stage: Stage) -> AsyncIterator[Field]:
    """The service at Wednesday 10:00 with a customer, collectors and a team of the test's own."""
    app, signer, clock = service
    clock.set(NOW)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://fieldvisit.test") as http:
        yield Field(app, http, clock, signer, stage, next(_numbers))
