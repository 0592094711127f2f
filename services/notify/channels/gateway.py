"""What every channel offers: take one message, and say what is known of it afterwards."""

from __future__ import annotations

import time
from typing import Protocol

from services.notify.domain.delivery import Answer, Message


class Gateway(Protocol):
    """One channel of messages."""

    async def start(self) -> None:
        """Begin to connect; does not wait for the other side."""
        ...

    async def stop(self) -> None:
        """Disconnect, within a few seconds whatever the other side does."""
        ...

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        """Hand one message over and return what became of it; never raises for what the other side does.

        `deadline` (seconds of `time.monotonic()`): once it has passed, nothing of the message may begin to leave; it
        is looked at last thing before the first byte goes out. None: at any time.
        """
        ...


def too_late(deadline: float | None) -> bool:
    """Tell whether a message may no longer begin to leave."""
    return deadline is not None and time.monotonic() >= deadline
