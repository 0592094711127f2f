"""How time passes: to the next thing that is due or to be done, and never before all have come to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, time

from deploy.demo.agenda import Agenda
from deploy.demo.client import Client
from deploy.demo.clocking import Rest, Stepper, earliest_due
from deploy.demo.killing import Killer
from deploy.demo.story import Stage
from deploy.demo.telling import Teller

Chapter = Callable[[], Awaitable[None]]
"""What is told after each beat."""

_LAST = time(23, 45)


class Player:
    """Plays what stands in the agenda, and what services do by themselves in between."""

    def __init__(self, stage: Stage, client: Client, stepper: Stepper, teller: Teller, killer: Killer) -> None:
        self._stage = stage
        self._client = client
        self.stepper = stepper
        self._teller = teller
        self._killer = killer
        self.agenda = Agenda()
        self.rests: Sequence[Rest] = ()

    def now(self) -> datetime:
        """The clock's instant."""
        return self.stepper.now

    def at(self, day: date, at: time) -> datetime:
        """The instant of a day and a local time."""
        return datetime.combine(day, at, self._stage.zone_info)

    async def play(self, chapter: Chapter) -> None:
        """Play until the last evening."""
        end = self.at(self._stage.days[-1], _LAST)
        self.rests = await self.stepper.settle(self._client)
        while True:
            following = [instant for instant in (earliest_due(self.rests), self.agenda.next_at()) if instant]
            target = min(following, default=end)
            if target > end:
                break
            await self._beat(target)
            await chapter()
        await self._killer.finish()
        self.stepper.move(end)
        self.rests = await self.stepper.settle(self._client)

    async def _beat(self, target: datetime) -> None:
        """Step to an instant, let the services do what is due, then act, and let them do what follows from it."""
        victim = self._killer.beat()
        if victim is not None:
            self._teller.line(target, f"[red]kill -9 {victim}[/red]")
        self.stepper.move(target)
        if _is_due(self.rests, target):  # else nobody notices that the clock moved
            self.rests = await self.stepper.settle(self._client)
        acts = self.agenda.take(self.now())
        if acts:
            told = await asyncio.gather(*(act.do() for act in acts))
            self._teller.lines(self.now(), (line for lines in told for line in lines))
            self.rests = await self.stepper.settle(self._client)


def _is_due(rests: Sequence[Rest], instant: datetime) -> bool:
    due = earliest_due(rests)
    return due is not None and due <= instant
