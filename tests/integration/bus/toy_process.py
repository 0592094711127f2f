"""A toy service as a process of its own that kills itself: `python -m tests.integration.bus.toy_process ROLE POINT N`.

At its N-th pass of the failpoint POINT it gets SIGKILL from itself, so nothing of it is cleaned up. Its surroundings
come from the environment, as a service's do. The failpoints are laid around the bus's functions from outside.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from shared.bus import consumer, positions
from shared.bus.outbox import Recorder
from shared.bus.producing import Producing
from shared.bus.publisher import Publisher
from shared.bus.reading import PartitionLoop
from shared.bus.unit_of_work import UnitOfWork
from shared.settings import ServiceSettings
from tests.integration.bus import toys

CUSTOMERS = [f"c-{number}" for number in range(5)]
ROUNDS = 8

Where = tuple[Any, str, bool]
"""An object, the name of its function, and whether to die before it rather than after."""

POINTS: dict[str, Where] = {
    "received": (PartitionLoop, "_take", True),
    "position moved": (positions, "move", False),
    "state loaded": (toys, "load", False),
    "decided": (UnitOfWork, "append", True),
    "appended": (UnitOfWork, "append", False),
    "committed": (Publisher, "offer", True),
    "handed to the publisher": (Publisher, "offer", False),
    "about to send": (Producing, "send", True),
    "sent": (Producing, "send", False),
    "recorded as published": (Recorder, "flush", False),
}


def lay(point: str, at: int) -> None:
    """Lay the failpoint."""
    owner, name, before = POINTS[point]
    passes = 0

    def pass_by() -> None:
        nonlocal passes
        passes += 1
        if passes == at:
            os.kill(os.getpid(), signal.SIGKILL)

    original: Callable[..., Any] = getattr(owner, name)

    def plain(*args: Any, **kwargs: Any) -> Any:
        if before:
            pass_by()
        result = original(*args, **kwargs)
        if asyncio.iscoroutine(result):
            return then(result)
        if not before:
            pass_by()
        return result

    async def then(result: Awaitable[Any]) -> Any:
        value = await result
        if not before:
            pass_by()
        return value

    setattr(owner, name, plain)


async def main(role: str) -> None:
    """Run the toy: the writer posts its rounds and waits, the reader reads."""
    settings = ServiceSettings()
    if role == "reader":
        async with toys.reader(settings).running():
            await asyncio.Event().wait()
    bus = toys.writer(settings)
    async with toys.running(bus):
        for number in range(ROUNDS):
            await bus.transact(partial(toys.post, customers=CUSTOMERS, number=number))
            await asyncio.sleep(0.02)
        await asyncio.Event().wait()


if __name__ == "__main__":
    consumer.SESSION_MS = 6_000
    lay(sys.argv[2], int(sys.argv[3]))
    asyncio.run(main(sys.argv[1]))
