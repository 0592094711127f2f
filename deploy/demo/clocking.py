"""The stepped clock: it moves only when every service is at rest, and to the next instant at which something is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.demo.client import OPERATOR, Away, Client, Refusal
from shared.clock import step

_REST_SECONDS = 150.0
"""How long a step may take. Longer than the lease of a message whose sender was killed in mid-sending (90 s)."""
_PAUSE, _LONGEST_PAUSE, _SHARE = 0.03, 0.5, 0.1
"""Between two rounds of questions: a tenth of the wait so far, so that asking does not slow down those who work."""


class NotAtRest(Exception):
    """The services did not come to rest after a step; the text says who still has what to do."""


@dataclass(frozen=True)
class Rest:
    """What a service says of itself. `missing`: why nothing can be said."""

    service: str
    idle: bool
    waiting_for: tuple[str, ...]
    next_due: datetime | None
    mark: int
    dead_letters: int = 0

    @classmethod
    def read(cls, service: str, told: Mapping[str, Any]) -> Rest:
        """Read the answer of GET /v1/idle."""
        due = told["next_due"]
        return cls(
            service=service,
            idle=bool(told["idle"]),
            waiting_for=tuple(told["waiting_for"]),
            next_due=None if due is None else datetime.fromisoformat(due),
            mark=int(told["mark"]),
            dead_letters=int(told["dead_letters"]),
        )


def at_rest(before: Sequence[Rest] | None, now: Sequence[Rest]) -> bool:
    """Two quiet rounds in a row in which nobody did anything in between."""
    return (
        before is not None
        and all(rest.idle for rest in (*before, *now))
        and [rest.mark for rest in before] == [rest.mark for rest in now]
    )


def earliest_due(rests: Sequence[Rest]) -> datetime | None:
    """When the first timer of any service is due."""
    return min((rest.next_due for rest in rests if rest.next_due is not None), default=None)


class Stepper:
    """Holds the clock's file.

    Args:
        file: the file that the services read.
        now: where the clock stands first.
        services: who has to be at rest.
        patience: how many seconds a step may take at most.
    """

    def __init__(self, file: Path, now: datetime, services: Sequence[str], patience: float = _REST_SECONDS) -> None:
        self._file = file
        self._patience = patience
        self._services = tuple(services)
        self.now = now
        self.steps = 0
        self.seconds = 0.0
        """Spent waiting for rest, on the machine's clock."""
        step(file, now)

    def move(self, instant: datetime) -> None:
        """Move the clock; it never goes back."""
        if instant > self.now:
            self.now = instant
            self.steps += 1
            step(self._file, instant)

    async def settle(self, client: Client) -> Sequence[Rest]:
        """Wait until everybody is at rest.

        Raises:
            NotAtRest: somebody is not, within the time given.
        """
        begun = time.monotonic()
        before: Sequence[Rest] | None = None
        while True:
            now = await asyncio.gather(*(_ask(client, service) for service in self._services))
            if at_rest(before, now):
                self.seconds += time.monotonic() - begun
                return now
            if time.monotonic() - begun > self._patience:
                raise NotAtRest(_busy(self.now, now, self._patience))
            before = now
            await asyncio.sleep(pause_after(time.monotonic() - begun))


def pause_after(waited: float) -> float:
    """Return how long to leave the services alone after so many seconds of waiting."""
    return min(max(_PAUSE, waited * _SHARE), _LONGEST_PAUSE)


async def _ask(client: Client, service: str) -> Rest:
    try:
        return Rest.read(service, await client.get(OPERATOR, service, "/v1/idle"))
    except (Refusal, Away) as error:
        return Rest(service, idle=False, waiting_for=(str(error),), next_due=None, mark=-1)


def _busy(now: datetime, rests: Sequence[Rest], seconds: float) -> str:
    lines = [f"at {now.isoformat()} these are not at rest after {seconds:g} s:"]
    lines += [
        f"  {rest.service}: {', '.join(rest.waiting_for) or 'its mark keeps moving'}" for rest in rests if not rest.idle
    ]
    return "\n".join(lines if len(lines) > 1 else [*lines, "  nobody says why: somebody's mark keeps moving"])
