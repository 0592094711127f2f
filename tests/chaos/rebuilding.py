"""Scoring begun anew from its topics: an empty database, everything read from the first number, nothing published."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg
from pydantic import SecretStr

from services.scoring.domain.loading import load_panel
from services.scoring.handlers import HANDLES, SUBSCRIPTIONS, Grader
from services.scoring.settings import Settings
from services.scoring.timers import ageing
from shared.bus.bus import Bus, NotStarted
from shared.bus.consumer import Consumer
from shared.bus.positions import subscribe
from shared.bus.publisher import Publisher
from shared.bus.taking import BatchHandler
from shared.clock import SteppedClock
from shared.db.migrate import migrate, subscriptions_of
from tests.chaos.rig import PARTITIONS, Rig

_NAME = "rebuilt"
_PACKAGE = "services.scoring"
_LIMIT_SECONDS = 60.0
_STATES = "SELECT customer_id, state::text AS state FROM customer_score"


async def rebuilt(rig: Rig) -> dict[str, str]:
    """Rebuild scoring beside the running one; returns each customer's document as the new one has it.

    What could not be read within a minute is missing in it.
    """
    url = await rig.stack.create_database(_NAME)
    await asyncio.to_thread(migrate, _PACKAGE, url)
    database = await asyncpg.connect(url)
    try:
        await subscribe(database, subscriptions_of(_PACKAGE), PARTITIONS)
        bus = _apart(_bus(rig, url))
        async with bus.running():
            await _read_to_the_end(bus)
        return {row["customer_id"]: row["state"] for row in await database.fetch(_STATES)}
    finally:
        await database.close()


def _bus(rig: Rig, url: str) -> Bus:
    settings = Settings(
        env="development",
        database_url=SecretStr(url),
        kafka_bootstrap=rig.stack.bootstrap,
        partitions=PARTITIONS,
        instance=_NAME,
        issuer="http://nobody",
        jwks_url="http://nobody/jwks",
    )
    grader = Grader(load_panel(settings.cards_dir, settings.champion_card, settings.challenger_card), settings.zone)
    return Bus(
        service="scoring",
        settings=settings,
        clock=SteppedClock(rig.clock.file),
        subscriptions=SUBSCRIPTIONS,
        handle=grader.handle,
        handles=HANDLES,
        timers=(ageing(grader),),
    )


def _apart(bus: Bus) -> Bus:
    """Give it a consumer group of its own, and let nothing that it decides reach the log."""
    make = bus._make_consumer

    def make_apart(pool: asyncpg.Pool, publisher: Publisher, handle: BatchHandler) -> Consumer:
        consumer = make(pool, publisher, handle)
        consumer._group = f"chaos.{_NAME}"
        publisher._leases.take = nothing  # type: ignore[method-assign,assignment]  # who holds no lease publishes nothing, ...
        publisher._leases.renew = nothing  # type: ignore[method-assign]  # ... and a second writer would be a fork
        return consumer

    async def nothing(*_: object) -> None:
        return

    bus._make_consumer = make_apart  # type: ignore[method-assign]  # the running scoring must not lose its partitions
    return bus


async def _read_to_the_end(bus: Bus) -> None:
    """Wait until it has read and graded everything; what it would publish waits for ever."""
    last = -1
    with suppress(TimeoutError):
        async with asyncio.timeout(_LIMIT_SECONDS):
            while True:
                await asyncio.sleep(0.1)
                mark = await _mark(bus)
                if mark is not None and mark == last:
                    return
                last = -1 if mark is None else mark


async def _mark(bus: Bus) -> int | None:
    """What changes with everything that it does; None while it has something to do."""
    try:
        idle = await bus.idle()
    except NotStarted:
        return None
    return idle.mark if {*idle.waiting_for} <= {"publishing"} else None
