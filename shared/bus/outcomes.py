"""What became of a fact: a handler's results are values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Done:
    """The fact took effect."""


@dataclass(frozen=True, slots=True)
class Skip:
    """The fact changes nothing, for a `reason` that is a short stable word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The fact can never take effect; it becomes a dead letter for a person to look at."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Later:
    """The fact waits until the domain's instant `until` and is then handled again. Never for a stop (D3)."""

    until: datetime


Outcome = Done | Skip | Dead | Later

DONE = Done()
