"""What the script will do, by the domain's clock. Acts of one instant are done together."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

Script = Callable[[], Awaitable[list[str]]]
"""Does something and returns what to tell of it, line by line."""


@dataclass(frozen=True, order=True)
class Act:
    """One thing to do. Ordered by instant, then name, so that every run goes the same way."""

    at: datetime
    name: str
    do: Script = field(compare=False)


class Agenda:
    """The acts that are still to come."""

    def __init__(self) -> None:
        self._acts: list[Act] = []

    def add(self, at: datetime, name: str, do: Script) -> None:
        """Note an act."""
        heapq.heappush(self._acts, Act(at, name, do))

    def next_at(self) -> datetime | None:
        """When the next act comes."""
        return self._acts[0].at if self._acts else None

    def take(self, now: datetime) -> list[Act]:
        """The acts whose time has come, in order; they leave the agenda."""
        due = []
        while self._acts and self._acts[0].at <= now:
            due.append(heapq.heappop(self._acts))
        return due
