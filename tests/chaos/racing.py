"""Stops that race notices which are due: the one case that the read barrier is there for.

Left to chance it hardly ever happens: a notice leaves in the second in which it falls due, and a reader is milliseconds
behind. So here notices pile up before gateways that are away; then notify hears nothing of the bus, the customers who
are about to be written to are to be left alone, and only then the gateways come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

import asyncpg

from shared.db.faults import is_retriable
from tests.chaos.card_feed import CardFeed
from tests.chaos.rig import Rig
from tests.chaos.schedule import DEAF, GATEWAYS

_PILE_UP_SECONDS = 2.5
_MOST = 40
_NEXT = """
SELECT customer_id FROM notice WHERE customer_id IS NOT NULL AND state = 'due' AND due <= $1
GROUP BY customer_id ORDER BY min(due), customer_id LIMIT $2
"""


async def race(rig: Rig, feed: CardFeed, seconds: float) -> int:
    """Let stops race notices for so many seconds; returns how many customers were in it."""
    waiting: Sequence[str] = ()
    with suppress(TimeoutError):  # the time is over; a stop without an answer yet stays open in the ledger
        async with asyncio.timeout(seconds), AsyncExitStack() as exits:
            async with AsyncExitStack() as away:
                for gateway in GATEWAYS:
                    await away.enter_async_context(rig.link(gateway, "cut"))
                await asyncio.sleep(_PILE_UP_SECONDS)
                await exits.enter_async_context(rig.link(DEAF, "black_hole"))
                waiting = await written_to_next(rig)
                await feed.stop(waiting)
            await asyncio.Event().wait()
    return len(waiting)


async def written_to_next(rig: Rig) -> Sequence[str]:
    """The customers with notices whose hour has come; nobody while the database is away."""
    try:
        database = await asyncpg.connect(rig.database("notify"))
        try:
            return [row["customer_id"] for row in await database.fetch(_NEXT, rig.clock.now, _MOST)]
        finally:
            await database.close()
    except Exception as error:
        if not is_retriable(error):
            raise
        return ()
