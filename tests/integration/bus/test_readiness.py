"""A service says that it is ready only when it can work."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from shared.bus.bus import OWN_CONNECTIONS, Bus
from tests.integration.bus.toys import Toys, ready


async def test_it_is_not_ready_while_it_still_opens_the_connections_that_work_is_done_on(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: its own connections were there first, and were all that was asked."""
    go_on, own = asyncio.Event(), asyncio.Event()
    opened = Bus._open

    async def slowly(bus: Bus, size: int) -> asyncpg.Pool:
        if size != OWN_CONNECTIONS:
            own.set()
            await go_on.wait()
        return await opened(bus, size)

    monkeypatch.setattr(Bus, "_open", slowly)
    for bus in (toys.writer(), toys.reader()):
        own.clear()
        go_on.clear()
        async with bus.running():
            await own.wait()
            assert "database_away" in {reason.code for reason in await bus.not_ready()}
            go_on.set()
            await ready(bus)
