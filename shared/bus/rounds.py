"""Batches of several partition numbers that are ready together are stored in one transaction (L7).

Where little flows, each partition number has a fact or two, and a transaction each would cost far more than the facts.
So what is ready goes with the round that begins next; nobody waits for a round to fill. A partition number stays the
unit of failure all the same: a round that fails is rolled back whole, and its batches are taken alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import cast

from shared.bus.background import end
from shared.bus.taking import Batch, Taken, Taking
from shared.db.faults import is_race

RECORDS = 1000
"""Records of a round at most, unless a single batch has more."""

AT_ONCE = 2
"""Rounds under way: while the database works for one, the next is decided."""

_log = logging.getLogger(__name__)


class Apart(Exception):
    """The round failed as a whole: each of its batches is to be taken alone."""


Place = tuple[Batch, "asyncio.Future[Taken]"]
"""A batch, and where whoever brought it waits for what becomes of it."""


class Rounds:
    """Joins the batches of one process into rounds."""

    def __init__(self, taking: Taking) -> None:
        self.taking = taking
        self._ready: deque[Place] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def join(self, batch: Batch) -> Taken:
        """Take `batch` with whatever else is ready; return what became of its facts.

        Cancelled, it may take effect all the same, as a lost answer to COMMIT may: the positions tell.

        Raises:
            Apart: something of the round failed, or somebody was in its way.
            Exception: what was wrong with `batch`, when nothing else was in its round.
        """
        place: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._ready.append((batch, place))
        if len(self._under_way) < AT_ONCE:
            self._under_way.add(asyncio.get_running_loop().create_task(self._serve()))
        return await place

    async def stop(self) -> None:
        """End the rounds under way, which are rolled back or whose answer is lost, and let go whoever waits."""
        await end(self._under_way)
        self._under_way.clear()  # of those that were ended before they began
        while self._ready:
            self._ready.popleft()[1].cancel()

    async def _serve(self) -> None:
        """Run rounds as long as anything is ready.

        A task begins in the loop's next turn, so whoever is ready in this one is in its first round.
        """
        try:
            while chosen := self._next():
                await self._run(chosen)
        finally:
            # In the step that found nothing ready: whoever is ready a moment later would count on this task.
            self._under_way.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _run(self, chosen: Sequence[Place]) -> None:
        batches = [batch for batch, _ in chosen]
        try:
            # Nothing is tried again here: who is in the way of one would be in the way of all that wait for a round.
            taken = await self.taking.once(batches, again=lambda _: False)
        except asyncio.CancelledError:
            for _, place in chosen:
                place.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it goes to whoever joined
            apart = len(chosen) > 1 or is_race(error)
            if apart:
                numbers = ", ".join(str(batch.partition) for batch in batches)
                _log.info("round taken apart", extra={"partition": numbers, "reason": type(error).__name__})
            for _, place in chosen:
                if not place.done():
                    place.set_exception(Apart() if apart else error)
        else:
            for (_, place), pairs in zip(chosen, taken, strict=True):
                if not place.done():
                    place.set_result(pairs)

    def _next(self) -> list[Place]:
        """Choose the batches of a round in the order in which they came, without those whose reader has gone."""
        chosen: list[Place] = []
        records = 0
        while self._ready:
            batch, place = self._ready[0]
            if not place.done():
                records += len(batch.reads)
                if chosen and records > RECORDS:
                    break
                chosen.append((batch, place))
            self._ready.popleft()
        return chosen
