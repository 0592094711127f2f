"""Several gateways of one channel: the next one is asked only for what has surely not left through the one before.

Nothing that was written without an answer is ever tried through another gateway: the customer could read it twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.notify.channels.gateway import Gateway, too_late
from services.notify.domain.delivery import Answer, AnswerLost, Message, NotNow

DOUBT_SECONDS: Final = 30.0
"""So long a gateway that did not answer comes last: each message that it swallows is one that nobody knows of."""


@dataclass
class FailOver:
    """A channel of several gateways, in the order in which they are wanted."""

    gateways: Sequence[Gateway]
    now: Callable[[], float] = time.monotonic
    _doubted: dict[int, float] = field(default_factory=dict)

    async def start(self) -> None:
        """Begin to connect to all: one that is needed must be bound already."""
        for gateway in self.gateways:
            await gateway.start()

    async def stop(self) -> None:
        """Disconnect from all."""
        for gateway in self.gateways:
            await gateway.stop()

    async def hand_over(self, message: Message, deadline: float | None) -> Answer:
        """Hand the message to the first gateway that does not refuse it for now (see `Gateway`)."""
        answer: Answer = NotNow("not_connected")
        for place in self._order():
            answer = await self.gateways[place].hand_over(message, deadline)
            if isinstance(answer, AnswerLost) and answer.code != "partly_accepted":
                self._doubted[place] = self.now() + DOUBT_SECONDS
            if not isinstance(answer, NotNow) or too_late(deadline):
                break
        return answer

    def _order(self) -> list[int]:
        present = self.now()
        return sorted(range(len(self.gateways)), key=lambda place: self._doubted.get(place, 0.0) > present)
