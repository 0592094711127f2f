"""A customer refuses a medium: recorded, told, and answered with the instant from which it holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from services.notify.domain.folds import opted_out
from services.notify.store import customers
from shared.bus.barrier import WINDOW_SECONDS
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.clock import RealClock
from shared.events.kinds import MessageChannel
from shared.events.notices import CustomerOptedOut

EFFECTIVE_AFTER: Final = timedelta(seconds=WINDOW_SECONDS)


async def opt_out(bus: Bus, customer_id: str, channel: MessageChannel) -> datetime | None:
    """Record the refusal and return the machine's instant from which nothing leaves; None: only recorded so far (B2).

    A refusal that is known already is not told again: whatever was decided before this answer has left by then.

    Raises:
        CommitUnknown: it may have been recorded.
    """

    async def act(uow: UnitOfWork) -> UnitOfWork | None:
        held = (await customers.load(uow.connection, [customer_id]))[customer_id]
        if any(each.channel == channel for each in held.customer.opt_outs):
            return None
        after = opted_out(held.customer, channel, uow.now)
        await customers.save(uow.connection, {customer_id: (held, after)})
        await customers.wake(uow.connection, [customer_id], uow.now)
        uow.emit(CustomerOptedOut(customer_id=customer_id, channel=channel, opted_out_at=uow.now))
        return uow

    told = await bus.transact(act)
    if told is None:
        return RealClock().now() + EFFECTIVE_AFTER
    published_at = await bus.published(told.appended)
    return None if published_at is None else published_at + EFFECTIVE_AFTER
