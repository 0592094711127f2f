"""A toy service as a process of its own that kills or freezes itself.

`python -m tests.integration.bus.toy_process ROLE POINT N SIGNAL`: at its N-th pass of the failpoint POINT it gets
SIGKILL from itself, so nothing of it is cleaned up, or SIGSTOP. Its surroundings come from the environment, as those of
a service do. The failpoints are laid around the bus's functions from outside.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
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
ROOT = Path(__file__).resolve().parents[3]

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


def lay(point: str, at: int, number: signal.Signals) -> None:
    """Lay the failpoint."""
    owner, name, before = POINTS[point]
    passes = 0

    def pass_by() -> None:
        nonlocal passes
        passes += 1
        if passes == at:
            os.kill(os.getpid(), number)

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


@asynccontextmanager
async def born(
    toys_: toys.Toys, role: str, point: str, at: int, number: signal.Signals
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a toy as a process; it is killed at the end of the block if it still lives."""
    url = toys_.write_url if role == "writer" else toys_.read_url
    surroundings = {**toys_.stage.surroundings(url), "database_url": url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.bus.toy_process", role, point, str(at), number.name,
        cwd=ROOT,
        env={"PATH": os.defpath, **{f"ARREARS_{name.upper()}": str(value) for name, value in surroundings.items()}},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    consumer.SESSION_MS = 6_000
    lay(sys.argv[2], int(sys.argv[3]), signal.Signals[sys.argv[4]])
    asyncio.run(main(sys.argv[1]))
