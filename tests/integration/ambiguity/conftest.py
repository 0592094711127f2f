"""Services whose database lies behind a link that can lose the answer to one COMMIT."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import asyncpg
import httpx
import pytest
import pytest_asyncio

from shared.bus import timers
from shared.bus.streams import Segment
from shared.bus.unit_of_work import UnitOfWork
from shared.events.registry import TOPICS
from tests.integration.conftest import Stage
from tests.proxy import Link, proxied

_of_the_command = ContextVar("of the command", default=False)


@dataclass
class Linked(Stage):
    """A stage on which one service's database is reached over `link`; `direct` is the way past it."""

    exits: AsyncExitStack = field(default_factory=AsyncExitStack)
    link: Link | None = None
    direct: str = ""

    async def migrated(self, service: str) -> str:
        """Make the service's database, and return the URL that leads over the link."""
        self.direct = await super().migrated(service)
        self.link, url = await self.exits.enter_async_context(proxied(self.direct))
        return url

    async def unanswered(self, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Send a command whose COMMIT is done and not answered; return what the sender is told."""
        link, append = self.link, UnitOfWork.append
        lost: list[asyncio.Event] = []
        assert link is not None

        async def then_commit(uow: UnitOfWork) -> Sequence[Segment]:
            segments = await append(uow)
            if _of_the_command.get() and not lost:
                lost.append(link.lose_answer(b"COMMIT;"))
            return segments

        token = _of_the_command.set(True)  # the service's own loops run in contexts of their own
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(UnitOfWork, "append", then_commit)
                answer = await send()
        finally:
            _of_the_command.reset(token)
        assert [event.is_set() for event in lost] == [True]
        return answer

    async def count(self) -> tuple[int, int]:
        """Return how many facts were told, and how many answers to commands are kept."""
        connection = await asyncpg.connect(self.direct)
        try:
            told = await connection.fetchval("SELECT coalesce(sum(head), 0) FROM outbox_stream")
            keeps = await connection.fetchval("SELECT to_regclass('idempotency_key') IS NOT NULL")
            kept = await connection.fetchval("SELECT count(*) FROM idempotency_key") if keeps else 0
        finally:
            await connection.close()
        return int(told), int(kept)


@asynccontextmanager
async def timers_asleep() -> AsyncIterator[None]:
    """No timer makes a round any more: the next COMMIT is the command's."""
    with pytest.MonkeyPatch.context() as patch:
        before = timers.LOOK_SECONDS
        patch.setattr(timers, "LOOK_SECONDS", 3600.0)
        await asyncio.sleep(4 * before)  # the rounds under way
        yield


@pytest_asyncio.fixture(scope="module")
async def linked(stage: Stage) -> AsyncIterator[Linked]:
    """The module's stage with one database behind a link."""
    linked = Linked(stage.infra, stage.namespace, TOPICS, stage.partitions, stage._databases)
    async with linked.exits:
        yield linked
