"""How fast a gateway is handed messages: a token bucket at the rate that its owner states, slowed by its own answers.

A message's parts are reserved as a whole: either all may leave before the deadline, or none begins to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

BURST_SECONDS: Final = 0.1
"""What was not used is saved up for so long; at least one token is always there at rest."""

STAND_STILL_SECONDS: Final = 1.0
"""After "too fast" nothing is handed over for so long; what is answered meanwhile was under way, and says no more."""

_SLOWEST: Final = 1 / 64
_STEP: Final = 1 / 100


@dataclass
class Pace:
    """A token bucket. `stated`: tokens a second, as agreed with the gateway's owner. All instants are `time.monotonic`.

    The present rate is halved when the gateway says that it is too fast (down to a sixty-fourth). It grows by a
    hundredth of the stated one with everything that is taken, and with every second: a message of many parts that does
    not fit the slow rate takes nothing, and would be put back for ever.
    """

    stated: float
    rate: float = field(init=False)
    _next: float = field(default=0.0, init=False)
    _slowed: float = field(default=float("-inf"), init=False)
    _grown: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.rate = self.stated

    def reserve(self, tokens: int, now: float, until: float | None) -> list[float] | None:
        """Take `tokens` and return the instant from which each may be used; none: not all up to `until`, none taken."""
        self._grow(now)
        saved = max(BURST_SECONDS - 1 / self.rate, 0.0)
        following, instants = self._next, []
        for _ in range(tokens):
            instants.append(max(now, following - saved))
            following = max(now, following) + 1 / self.rate
        if until is not None and instants and instants[-1] > until:
            return None
        self._next = following
        return instants

    def too_fast(self, now: float) -> None:
        """The gateway refused because of the rate or of its queue."""
        if now < self._slowed + STAND_STILL_SECONDS:
            return
        self._grow(now)
        self._slowed = now
        self._grown = now + STAND_STILL_SECONDS
        self.rate = max(self.rate / 2, self.stated * _SLOWEST)
        self._next = max(self._next, now + STAND_STILL_SECONDS + BURST_SECONDS)

    def taken(self) -> None:
        """The gateway took what it was handed."""
        self._add(1.0)

    def _grow(self, now: float) -> None:
        """Let the time that has passed count; standing still does not."""
        if now > self._grown:
            self._add(now - self._grown)
            self._grown = now

    def _add(self, steps: float) -> None:
        self.rate = min(self.stated, self.rate + self.stated * _STEP * steps)
