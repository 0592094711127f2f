"""Local clocks: the instant at which a zone's clock shows a time, through changes to and from summer time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_ONE_DAY = timedelta(days=1)


def local_midnight(day: date, zone: str) -> datetime:
    """Return the instant, in UTC, at which `day` begins in `zone`."""
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)


def next_local(after: datetime, clock: time, zone: str) -> datetime:
    """Return the first instant later than `after`, in UTC, at which the clock of `zone` shows `clock`.

    A time that the change to summer time leaps over is taken as the instant of the leap plus the time leapt; a time
    that comes twice counts twice.
    """
    day = after.astimezone(ZoneInfo(zone)).date()
    while True:
        for fold in (0, 1):
            instant = datetime.combine(day, clock, ZoneInfo(zone)).replace(fold=fold).astimezone(UTC)
            if instant > after:
                return instant
        day += _ONE_DAY
