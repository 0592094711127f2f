"""Kills services at random moments of the demo, as `kill -9` does; the supervisor starts them again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random

FIRST_BEAT, LAST_BEAT = 3, 60
"""Between these beats (an act or a step of the clock each) a service dies; the demo has more."""
_WITHIN = 0.5
"""Seconds after a beat's beginning within which it dies: while it works, or while it rests."""


def moments(services: Sequence[str], seed: int) -> dict[int, str]:
    """Return the beat at which each service dies, none at the same."""
    chance = Random(f"kill {seed}")  # noqa: S311 - a demonstration, not a secret
    return dict(zip(chance.sample(range(FIRST_BEAT, LAST_BEAT), len(services)), services, strict=True))


class Killer:
    """Kills by `kill(service)` at the beats given, each once."""

    def __init__(self, kill: Callable[[str], Awaitable[None]], at: Mapping[int, str], seed: int) -> None:
        self._kill = kill
        self._left = dict(at)
        self._chance = Random(f"delay {seed}")  # noqa: S311 - a demonstration, not a secret
        self._running: list[asyncio.Task[None]] = []
        self._beat = 0
        self.killed: list[str] = []

    def beat(self) -> str | None:
        """Count a beat; the name of the service that is about to die in it, if one is."""
        self._beat += 1
        victim = self._left.pop(self._beat, None)
        if victim is not None:
            delay = self._chance.uniform(0, _WITHIN)
            self._running.append(asyncio.create_task(self._kill_after(delay, victim), name=f"kill {victim}"))
        return victim

    async def finish(self) -> None:
        """Wait until all kills have happened; those whose beat never came happen now."""
        for victim in self._left.values():
            await self._kill_after(0, victim)
        self._left.clear()
        await asyncio.gather(*self._running)

    async def stop(self) -> None:
        """Kill nobody any more."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _kill_after(self, delay: float, victim: str) -> None:
        await asyncio.sleep(delay)
        await self._kill(victim)
        self.killed.append(victim)
