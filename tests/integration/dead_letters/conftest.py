"""Each test has topics and databases of its own, and a reader whose handler can be mended while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from shared.bus import consumer
from shared.bus.bus import Bus
from shared.bus.outcomes import Outcome
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.db.guard import StaleState
from shared.events.card import PaymentPosted
from shared.events.registry import CARD, RISK
from shared.service import create_service
from shared.telemetry.spans import current_traceparent
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer
from tests.integration.bus.log import Record, write
from tests.integration.bus.toys import Toys, at_rest, count_payments, make_toys, ready
from tests.integration.conftest import MakeStage

SIGNER = Signer.generate(issuer="http://issuer.test")
CANARY = "张伟 13800138000"


@dataclass
class Handler:
    """The toy's handler with a bug on some payments, which a new version mends."""

    buggy: set[str] = field(default_factory=set)
    instead: Callable[[Incoming], Outcome | None] = lambda _: None
    races: int = 0
    gate: asyncio.Event | None = None
    traces: list[str | None] = field(default_factory=list)

    async def __call__(self, batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
        """Count the payments, then fail if a buggy one is among them: what was written must not stay."""
        self.traces.append(current_traceparent())
        if self.gate is not None:
            await self.gate.wait()
        given = [self.instead(item) for item in batch]
        counted = iter(await count_payments([i for i, o in zip(batch, given, strict=True) if o is None], uow))
        for item in batch:
            assert isinstance(item.fact, PaymentPosted)
            if item.fact.payment_id in self.buggy:
                raise KeyError(CANARY)
        if self.races:
            self.races -= 1
            raise StaleState("another was first")
        return [outcome or next(counted) for outcome in given]


@dataclass
class Desk:
    """The reader as it runs, its handler, and an operator at its routes."""

    toys: Toys
    handler: Handler
    bus: Bus
    http: httpx.AsyncClient

    async def read(self, *records: Record) -> None:
        """Write records to the first partition of `card`, and wait until they are read."""
        await write(self.toys.stage, CARD, 0, records)
        await at_rest(self.bus)

    async def letters(self, **query: str) -> list[dict[str, Any]]:
        """The letters as the operator's list shows them."""
        answer = await self.http.get("/v1/dead-letters", params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def blocked(self, *keys: str) -> set[str]:
        """Whom nobody may act on."""
        async with self.bus.reading() as connection:
            return await self.bus.blocked_keys(connection, keys)


@asynccontextmanager
async def desk_of(toys: Toys) -> AsyncIterator[Desk]:
    """Run the reader with its routes."""
    handler = Handler()
    bus = toys.reader(handler)
    verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
    app = create_service(
        bus,
        title="玩具 Toy",
        settings=toys.stage.settings(toys.read_url),
        routers=(),
        parts=Parts(verifier=verifier),
    )
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://toy", headers=SIGNER.bearer("op-1", Role.OPERATOR)
    )
    async with app.router.lifespan_context(app), client as http:
        await ready(bus)
        yield Desk(toys, handler, bus, http)


@pytest.fixture(autouse=True)
def _short_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortest that a broker allows, so that a replica that went away is missed soon."""
    monkeypatch.setattr(consumer, "SESSION_MS", 6_000)


@pytest_asyncio.fixture
async def desk(make_stage: MakeStage) -> AsyncIterator[Desk]:
    """An operator's desk on the toys."""
    async with desk_of(await make_toys(await make_stage((CARD, RISK), partitions=2))) as running:
        yield running
