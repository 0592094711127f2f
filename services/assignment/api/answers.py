"""How a decision about a case is taken and answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Response

from services.assignment.api.views import case_view
from services.assignment.desk import Desk
from services.assignment.store.customers import Held
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.web.idempotency import Command, StoredAnswer, answer_once


async def decide(
    bus: Bus, desk: Desk, command: Command, step: Callable[[UnitOfWork], Awaitable[Held]], *, status: int = 200
) -> Response:
    """Take a decision once, however often it is sent, and answer with the case after it."""

    async def act(uow: UnitOfWork) -> StoredAnswer:
        async def once() -> StoredAnswer:
            held = await step(uow)
            return StoredAnswer.of(status, case_view(held, desk.policy, uow.now).model_dump(mode="json"))

        return await answer_once(uow.connection, command, once)

    return (await bus.transact(act)).response()
