"""Timers: rows with a due instant, acted on by any replica and by none twice (L4).

A timer's round picks due state rows FOR UPDATE SKIP LOCKED, decides again under the lock, and acts. The domain's clock
says what is due; the machine's says when to look again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from shared.bus import deferred
from shared.bus.decoding import Raw
from shared.bus.headers import numbers_of
from shared.bus.outcomes import Dead
from shared.bus.parking import in_order
from shared.bus.taking import ATTEMPTS, settle_facts
from shared.bus.unit_of_work import UnitOfWork
from shared.db.faults import is_retriable

if TYPE_CHECKING:
    from shared.bus.bus import Bus

LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Timer:
    """`round` acts on some due rows and returns how many; `next_due` is the earliest due instant of any row.

    Before each round `next_due` is asked, so there is no round without a due row; None: each round waits by itself. A
    round that acted on `full` rows or more is followed by the next one at once. Where rows become due all the time, a
    higher number gathers what becomes due in a quarter of a second into one transaction.
    """

    name: str
    round: Callable[[Bus], Awaitable[int]]
    next_due: Callable[[asyncpg.Connection], Awaitable[datetime | None]] | None
    full: int = 1


def in_unit_of_work(sweep: Callable[[UnitOfWork], Awaitable[int]]) -> Callable[[Bus], Awaitable[int]]:
    """Make a round of a sweep that runs in one transaction."""

    async def once(bus: Bus) -> int:
        return await bus.transact(sweep)

    return once


async def run_timer(bus: Bus, timer: Timer) -> None:
    """Run rounds for ever: again at once after a full one, else after a short wait and once something is due."""
    while True:
        if not await _is_due(bus, timer) or await timer.round(bus) < timer.full:
            await asyncio.sleep(LOOK_SECONDS)


async def _is_due(bus: Bus, timer: Timer) -> bool:
    """Ask in one statement outside any transaction: at rest that is all that a timer costs."""
    if timer.next_due is None:
        return True
    async with bus.reading() as connection:
        due = await timer.next_due(connection)
    return due is not None and due <= bus.clock.now()


async def run_deferred(bus: Bus) -> int:
    """Handle one waiting fact whose turn has come; a timer of every service that reads.

    One that dies or waits again stays at the head of its queue: the same transaction puts the new row in the old one's
    place.
    """
    claimed: UUID | None = None

    async def act(uow: UnitOfWork, failure: Dead | None = None) -> int:
        nonlocal claimed
        fact = await deferred.claim(uow.connection, uow.now, in_order(bus.service), claimed)
        if fact is None:
            return 0
        claimed = fact.id  # tries and the burial are of this one fact, whatever else becomes due or is locked meanwhile
        raw = Raw(fact.topic, fact.partition, fact.offset, fact.key, fact.headers, fact.body, numbers_of(fact.headers))
        assert bus.decoder is not None
        assert bus.handle is not None
        await settle_facts([bus.decoder.decode(raw)], uow, bus.handle, failure, fact.attempts + 1)
        await deferred.settle(uow.connection, fact)
        return 1

    dead = Dead("handler_failed", "")
    for _ in range(ATTEMPTS):
        try:
            return await bus.transact(act)
        except Exception as error:
            if is_retriable(error):
                raise
            dead = Dead("handler_failed", f"{type(error).__name__}: {error}")
    return await bus.transact(lambda uow: act(uow, dead))


def deferred_timer(service: str) -> Timer:
    """Return the timer of the facts that wait in a service."""

    async def next_due(connection: asyncpg.Connection) -> datetime | None:
        return await deferred.next_due(connection, in_order(service))

    return Timer("deferred facts", run_deferred, next_due)
