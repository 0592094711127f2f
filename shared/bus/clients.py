"""Starting and stopping clients of the broker, every wait bounded.

A client that is cancelled while it connects forgets a socket, and one that is stopped while the broker is away waits
for it for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError

START_SECONDS = 10.0
_STOP_SECONDS = 4.0
_GRACE_SECONDS = 2.0

_log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None]]


async def start(begin: Step, *ends: Step, within: float = START_SECONDS) -> None:
    """Start a client by its `begin`; when that fails, is late or is cancelled, the client is stopped by its `ends`.

    Raises:
        KafkaError, OSError, TimeoutError: the broker is away.
    """
    starting = asyncio.ensure_future(begin())
    try:
        await asyncio.wait_for(asyncio.shield(starting), within)
    except BaseException:
        await asyncio.wait({starting}, timeout=_GRACE_SECONDS)
        if not starting.done():
            starting.cancel()
        elif not starting.cancelled():
            starting.exception()  # whoever waited has been told already
        await stop(*ends)
        raise


async def stop(*ends: Step) -> None:
    """Stop a client, each step within bounds; what the broker does not answer is given up."""
    for end in ends:
        try:
            await asyncio.wait_for(end(), _STOP_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            _log.info("client did not stop cleanly", extra={"reason": type(error).__name__})
