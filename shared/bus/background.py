"""Keeps a service's endless jobs going: a job that fails begins again from what the database says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from aiokafka.errors import KafkaError

from shared.db.faults import is_retriable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_AGAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)


async def keep_running(name: str, job: Callable[[], Awaitable[None]]) -> None:
    """Run `job` for ever; it is begun again, a little later each time, when it raises or returns.

    No job may hold anything in memory that is not in the database, so beginning again loses nothing.
    """
    loop = asyncio.get_running_loop()
    pause = _FIRST_PAUSE
    while True:
        began = loop.time()
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - the job is begun again from the database; nothing is skipped
            if is_retriable(error) or isinstance(error, KafkaError):
                _log.warning("job waits", extra={"job": name, "reason": type(error).__name__})
            else:
                _log.exception("job failed", extra={"job": name, "reason": type(error).__name__})
        pause = _FIRST_PAUSE if loop.time() - began > 10 * _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
        await asyncio.sleep(pause)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until each has ended.

    `asyncio.wait_for` swallows a cancellation that comes in the moment in which what it waits for is done, and a job
    that runs for ever would then do so: so whoever has not ended after a while is cancelled again.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
