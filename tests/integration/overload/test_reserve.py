"""The bus has connections of its own, so those who wait for a publication cannot keep it from happening."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from shared.bus.unit_of_work import UnitOfWork
from shared.events.registry import CARD, RISK
from tests.integration.bus.toys import make_toys, post, running
from tests.integration.conftest import MakeStage


async def test_while_all_connections_are_lent_a_fact_is_published_and_the_service_is_ready(
    make_stage: MakeStage,
) -> None:
    """Seen to fail: with one pool for both, nothing was published until a connection came back."""
    toys = await make_toys(await make_stage((CARD, RISK), partitions=2))
    writer = toys.writer()
    writer._settings = writer._settings.model_copy(update={"pool_size": 2})
    async with running(writer), AsyncExitStack() as lent:
        await lent.enter_async_context(writer.reading())

        async def act(uow: UnitOfWork) -> tuple[UnitOfWork, asyncio.Task[object]]:
            # Waits in the queue for the connection of this very transaction, before anybody else can.
            next_one: asyncio.Task[object] = asyncio.create_task(lent.enter_async_context(writer.reading()))
            await asyncio.sleep(0)
            await post(uow, ["c-1"], 1)
            return uow, next_one

        uow, next_one = await writer.transact(act)
        await next_one
        assert await writer.published(uow.appended, within=5) is not None
        assert await writer.not_ready() == []
