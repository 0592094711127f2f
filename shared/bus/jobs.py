"""Work of a service's own that runs as long as its bus does: begun again when it fails, heard where readiness is told.

What it holds in memory must be in the database too, so that beginning again loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shared.bus.bus import Bus, Reason


class Job(Protocol):
    """One job. `name` is for logs, and what `idle` names while something waits for it."""

    name: str

    async def run(self, bus: Bus) -> None:
        """Work until cancelled; whatever it raises, it is begun again."""
        ...

    def reasons(self) -> Sequence[Reason]:
        """Return why the service is not ready as far as this job knows; nothing when it is."""
        ...

    async def waits(self) -> bool:
        """Return whether something is left that it has to do now."""
        ...
