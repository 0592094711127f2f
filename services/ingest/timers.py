"""What happens by itself: events that were seen too long ago to come again are forgotten, a partition at a time."""

from __future__ import annotations

from datetime import timedelta

from services.ingest import store
from services.ingest.settings import Settings
from shared.bus.timers import Timer
from shared.bus.unit_of_work import UnitOfWork
from shared.forgetting import Old, hourly


def seen_timer(settings: Settings) -> Timer:
    """Return the timer that begins and drops partitions, by the database's clock, which is one for all replicas."""
    width, window = timedelta(days=settings.seen_part_days), timedelta(days=settings.seen_days)

    async def sweep(uow: UnitOfWork) -> int:
        return await store.turn_over(uow.connection, await store.today(uow.connection), width=width, window=window)

    return hourly("events seen", sweep)


def old_rejects(settings: Settings) -> Old:
    """Return the refusals of the card system's topic that are as old as events that are known no more."""
    return Old("reject", "at", timedelta(days=settings.seen_days), machine=True)
