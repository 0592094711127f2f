from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

import asyncpg
import pytest

from shared.bus import timers
from shared.bus.bus import Bus
from shared.bus.timers import Timer, run_timer
from shared.clock import FrozenClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Desk:
    """What a timer needs of a bus: a clock, and a connection, which the timers here do not look at."""

    clock: FrozenClock

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        yield None


async def rounds_within(looks: int, due: datetime | None, *, asked: bool = True) -> int:
    """Return how many rounds a timer runs until it has looked so often, or run so many."""
    left, rounds = looks, 0

    async def next_due(_connection: asyncpg.Connection) -> datetime | None:
        nonlocal left
        left -= 1
        if left < 0:
            raise asyncio.CancelledError
        return due

    async def once(_bus: Bus) -> int:
        nonlocal rounds
        rounds += 1
        if rounds == looks:
            raise asyncio.CancelledError
        return 0

    timer = Timer("rounds", once, next_due if asked else None)
    with suppress(asyncio.CancelledError):
        await run_timer(cast(Bus, Desk(FrozenClock(NOON))), timer)
    return rounds


async def test_no_round_runs_while_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail without the question before each round: three rounds, each a transaction."""
    monkeypatch.setattr(timers, "LOOK_SECONDS", 0)
    assert await rounds_within(3, None) == 0
    assert await rounds_within(3, NOON + timedelta(seconds=1)) == 0


async def test_a_round_follows_whenever_something_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "LOOK_SECONDS", 0)
    assert await rounds_within(3, NOON) == 3


async def test_a_timer_without_a_due_instant_runs_round_after_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "LOOK_SECONDS", 0)
    assert await rounds_within(3, None, asked=False) == 3
