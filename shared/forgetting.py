"""What is kept for a time only is forgotten by itself: a timer for every service that keeps idempotency keys."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import asyncpg

from shared.bus.timers import Timer
from shared.bus.unit_of_work import UnitOfWork
from shared.web.idempotency import forget

if TYPE_CHECKING:
    from shared.bus.bus import Bus

KEYS_KEPT: Final = timedelta(days=7)
"""A command that is sent again within this time (machine's clock) is answered as before; later it is a new command."""

_PAUSE_SECONDS: Final = 3600.0


async def forget_old_keys(uow: UnitOfWork) -> int:
    """Delete the idempotency keys that nobody retries any more; return how many."""
    return await forget(uow.connection, datetime.now(UTC) - KEYS_KEPT)


async def _round(bus: Bus) -> int:
    await bus.transact(forget_old_keys)
    await asyncio.sleep(_PAUSE_SECONDS)
    return 0


async def _never_due(_connection: asyncpg.Connection) -> datetime | None:
    """Nothing on the domain's clock waits for it: it runs on the machine's, once at the start and then every hour."""
    return None


FORGET_KEYS: Final = Timer("idempotency keys", _round, _never_due)
