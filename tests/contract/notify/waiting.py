"""Waiting for what another task does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(met: Callable[[], bool]) -> None:
    """Wait until `met`, at most ten seconds."""
    for _ in range(1000):
        if met():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError
