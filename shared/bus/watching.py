"""Whether the broker answers: asked again and again beside the work, so that readiness can say it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shared.bus.barrier import LogEnds
from shared.events.registry import Topic

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 6.0
"""A broker that is only slow is not away: an alarm that comes from load alone would be believed by nobody."""


class BrokerWatch:
    """Asks where a log ends, which is a question that a broker can answer only when it works."""

    def __init__(self, ends: LogEnds, topics: Sequence[Topic]) -> None:
        self._ends = ends
        self._topics = topics[:1]
        self.away = True

    async def run(self) -> None:
        """Ask for ever; a question that is not answered in time counts as no answer."""
        while True:
            self.away = await self._ends.of(self._topics, (0,), ANSWER_SECONDS) is None
            await asyncio.sleep(LOOK_SECONDS)
