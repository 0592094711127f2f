"""The injected clock: everything that a rule speaks of happens on it.

Tokens, retries, leases, spans and Kafka timestamps run on the machine's clock instead and never read this one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Tells the domain's present instant, always UTC and aware."""

    def now(self) -> datetime:
        """Return the present instant."""
        ...


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the machine's present instant in UTC."""
        return datetime.now(UTC)


class FrozenClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, instant: datetime) -> None:
        self.instant = _utc(instant)

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self.instant

    def set(self, instant: datetime) -> None:
        """Move the clock to `instant`."""
        self.instant = _utc(instant)


class SteppedClock:
    """A clock that several processes read from one small file, so that a demo's week passes in a minute.

    The file holds one ISO 8601 instant with its offset. Whoever steps the clock replaces the file in one move
    (`step`), so a reader never sees half an instant.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark: tuple[int, int] | None = None
        self._instant = self.now()

    def now(self) -> datetime:
        """Return the instant in the file; it is read again only when the file was replaced."""
        status = self._path.stat()
        mark = (status.st_mtime_ns, status.st_ino)
        if mark != self._mark:
            self._instant = _utc(datetime.fromisoformat(self._path.read_text(encoding="ascii").strip()))
            self._mark = mark
        return self._instant


def step(path: Path, instant: datetime) -> None:
    """Set the stepped clock in `path` to `instant`, in one move."""
    fresh = path.with_suffix(".next")
    fresh.write_text(_utc(instant).isoformat(), encoding="ascii")
    fresh.replace(path)


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    return instant.astimezone(UTC)
