"""Notify as it runs: real gateways, real bus, the services that tell it facts, and one customer for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import msgspec
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI
from msgspec import structs

from services.notify.app import create_app
from services.notify.settings import Settings
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.clock import FrozenClock
from shared.events.contacts import Phone
from shared.events.kinds import Fact
from shared.events.registry import BY_MODEL, BY_NAME, NOTICES
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer
from tests import patience
from tests.integration.conftest import Stage
from tests.unit.notify.build import MORNING, contacts, overdue

WRITERS = ("ingest", "assignment", "fieldvisit")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SIGNER = Signer.generate(issuer="http://issuer.test")
_numbers = itertools.count(1)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(patience.SECONDS):
        while True:
            if await true():
                return
            await asyncio.sleep(0.05)


@dataclass
class House:
    """The service on a module's stage, and buses that tell facts as the other services would."""

    stage: Stage
    app: FastAPI
    settings: Settings
    writers: Mapping[str, Bus]
    clock: FrozenClock
    catchers: httpx.AsyncClient

    @property
    def bus(self) -> Bus:
        bus: Bus = self.app.state.bus
        return bus

    async def tell(self, *facts: Fact) -> None:
        """Tell facts, each by its own writer, in their order as far as one writer goes."""
        for service, bus in self.writers.items():
            own = [fact for fact in facts if BY_MODEL[type(fact)].topic.writer == service]
            if own:
                await bus.transact(lambda uow, own=own: _emit(uow, own))  # type: ignore[misc]  # a default argument

    async def settled(self) -> None:
        """Wait until everybody is at rest until the clock moves on."""

        async def at_rest() -> bool:
            return all([(await bus.idle()).idle for bus in (*self.writers.values(), self.bus)])

        await until(at_rest)

    async def behave(self, catcher: str, **conduct: Any) -> None:
        """Tell the mail catcher ("mail") or the SMS centre ("sms") how to treat some addresses.

        Receipts come only to a test that asks for them: what they say of a message comes when it likes.
        """
        if catcher == "sms":
            conduct = {"receipts": {"*": "NONE"}, **conduct}
        url = f"http://127.0.0.1:{self.stage.infra.ports[catcher]}/behaviour"
        (await self.catchers.put(url, json=conduct)).raise_for_status()

    async def caught(self, catcher: str, to: str) -> list[dict[str, Any]]:
        """Return what arrived for an address."""
        url = f"http://127.0.0.1:{self.stage.infra.ports[catcher]}/messages"
        found: list[dict[str, Any]] = (await self.catchers.get(url, params={"to": to})).json()
        return found

    async def get(self, path: str, subject: str = "sup-1", role: Role = Role.SUPERVISOR) -> httpx.Response:
        """Ask notify, by default as a supervisor."""
        return await self._ask("GET", path, None, subject, role)

    async def post(self, path: str, body: dict[str, Any], role: Role = Role.PHONE_AGENT) -> httpx.Response:
        """Command notify."""
        return await self._ask("POST", path, body, "someone", role)

    async def _ask(self, method: str, path: str, body: Any, subject: str, role: Role) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://notify") as http:
            return await http.request(method, path, json=body, headers=SIGNER.bearer(subject, role))


@dataclass
class Person:
    """One test's own customer, who owes and can be reached."""

    house: House
    number: int

    @property
    def id(self) -> str:
        return f"C{self.number}"

    @property
    def mobile(self) -> str:
        return f"+86138{self.number:08}"

    @property
    def mailbox(self) -> str:
        return f"c{self.number}@example.com"

    def mine(self, fact: Any) -> Any:
        """The fact as one of this customer."""
        changed: dict[str, Any] = {"customer_id": self.id}
        for name in ("case_id", "reminder_id", "visit_id"):
            if hasattr(fact, name):
                changed[name] = f"{getattr(fact, name)}-{self.number}"
        return structs.replace(fact, **changed)

    async def tell(self, *facts: Fact) -> None:
        """Tell facts of this customer and wait until all is at rest."""
        await self.house.tell(*(self.mine(fact) for fact in facts))
        await self.house.settled()

    async def owes(self, **changed: Any) -> None:
        """Become known: overdue, and reachable."""
        phones = (Phone(number=self.mobile, kind="mobile"),)
        reached = contacts(**{"phones": phones, "emails": (self.mailbox,), **changed})
        await self.tell(overdue(at=self.house.clock.now()), reached)

    async def notices(self) -> list[dict[str, Any]]:
        """Return the customer's notices as a supervisor sees them."""
        items: list[dict[str, Any]] = (await self.house.get(f"/v1/notices?customer_id={self.id}")).json()["items"]
        return items

    async def notice(self) -> dict[str, Any]:
        """Return the customer's only notice."""
        (only,) = await self.notices()
        return only

    async def messages(self) -> list[dict[str, Any]]:
        """Return the short messages that reached the customer."""
        return await self.house.caught("sms", self.mobile.removeprefix("+"))

    async def mails(self) -> list[dict[str, Any]]:
        """Return the mails that reached the customer."""
        return await self.house.caught("mail", self.mailbox)


async def _emit(uow: UnitOfWork, facts: Sequence[Fact]) -> None:
    for fact in facts:
        uow.emit(fact, traceparent=TRACE)


def make_app(settings: Settings, clock: FrozenClock) -> FastAPI:
    """The service as it is deployed, with tokens that the tests sign."""
    verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
    return create_app(settings, parts=Parts(verifier=verifier, clock=clock))


async def make_settings(stage: Stage, url: str, instance: str = "0") -> Settings:
    """The settings of notify on a stage."""
    ports = stage.infra.ports
    return Settings.model_validate(
        {
            **stage.surroundings(url, instance=instance),
            "smtp_host": "127.0.0.1",
            "smtp_port": ports["smtp"],
            "smpp_host": "127.0.0.1",
            "smpp_port": ports["smpp"],
            "smpp_system_id": "arrears",
            "smpp_password": stage.infra.secrets["smpp"],
        }
    )


async def told(stage: Stage, key: str) -> list[tuple[str, Fact]]:
    """Return trace id and fact of everything in the topic `notices` under a key."""
    kafka = AIOKafkaConsumer(bootstrap_servers=stage.infra.bootstrap, enable_auto_commit=False)
    await kafka.start()
    try:
        name = NOTICES.full_name(stage.namespace)
        parts = [TopicPartition(name, number) for number in range(stage.partitions)]
        kafka.assign(parts)
        await kafka.seek_to_beginning(*parts)
        ends = await kafka.end_offsets(parts)
        records: list[Any] = []
        while any([await kafka.position(part) < ends[part] for part in parts]):
            records += itertools.chain.from_iterable((await kafka.getmany(timeout_ms=500)).values())
    finally:
        await kafka.stop()
    return [_decoded(record) for record in records if record.key.decode() == key]


def _decoded(record: Any) -> tuple[str, Fact]:
    headers = {name: value.decode() for name, value in record.headers}
    fact = msgspec.json.decode(record.value, type=BY_NAME[headers["ce_type"]].model)
    return headers["traceparent"].split("-")[1], fact


@pytest_asyncio.fixture(scope="module")
async def running(stage: Stage) -> AsyncIterator[House]:
    """Notify and the writers on the module's stage."""
    clock = FrozenClock(MORNING)
    settings = await make_settings(stage, await stage.migrated("notify"))
    app = make_app(settings, clock)
    async with AsyncExitStack() as exits:
        writers = {}
        for service in WRITERS:
            writers[service] = Bus(
                service=service, settings=stage.settings(await stage.migrated("ingest")), clock=clock
            )
            await exits.enter_async_context(writers[service].running())
        await exits.enter_async_context(app.router.lifespan_context(app))
        catchers = await exits.enter_async_context(httpx.AsyncClient())
        house = House(stage, app, settings, writers, clock, catchers)
        await until(lambda: _ready(house))
        yield house


async def _ready(house: House) -> bool:
    return not any([await bus.not_ready() for bus in (*house.writers.values(), house.bus)])


@pytest_asyncio.fixture
async def house(running: House) -> AsyncIterator[House]:
    """Notify on a Wednesday at nine in the morning."""
    running.clock.set(MORNING)
    await running.behave("sms")
    yield running
    await running.behave("sms")
    await running.behave("mail")
    await running.settled()


@pytest_asyncio.fixture
async def person(house: House) -> Person:
    """A customer of the test's own, not yet known."""
    return Person(house, next(_numbers))


def at_night(house: House) -> datetime:
    """Move the clock to 23:00 of the same day in Shanghai, and return eight o'clock of the next."""
    house.clock.set(MORNING.replace(hour=15))
    return MORNING.replace(day=26, hour=0)
