"""Keeps a service's endless jobs going: a job that fails begins again from what the database says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError

from shared.db.faults import is_retriable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0

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
