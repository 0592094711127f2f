"""Jobs that run for ever end when they are told to."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus import background
from shared.bus.background import end


async def test_a_job_ends_although_a_cancellation_was_swallowed_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """`asyncio.wait_for` does so when what it waits for is done in that moment. Seen to hang with one cancellation."""
    monkeypatch.setattr(background, "_AGAIN_SECONDS", 0.01)

    async def deaf() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(10)

    tasks = [asyncio.create_task(each()) for each in (deaf, deaf)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end(tasks)
    assert all(task.done() for task in tasks)
