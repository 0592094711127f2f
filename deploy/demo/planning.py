"""How the field collectors fit their visits into the days: one by one, when the customers are at home. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import cos, hypot, inf, radians
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

Visit: TypeAlias = Mapping[str, Any]
Place: TypeAlias = tuple[float, float]
"""Latitude and longitude in degrees."""

LENGTH = timedelta(minutes=45)
_LAST = time(20, 30)
_ALL_WEEK = tuple(range(7))
ANYTIME = (
    {"weekdays": _ALL_WEEK, "since": "10:30", "until": "14:00"},
    {"weekdays": _ALL_WEEK, "since": "16:00", "until": "20:30"},
)
"""When the collectors go out: not while the phone side works its list, so that no case comes back in mid-session."""


@dataclass(frozen=True)
class Slot:
    """A visit's place in the plan. `outside`: why it lies outside the customer's hours at home; none: it does not."""

    visit_id: str
    starts_at: datetime
    outside: str | None = None

    @property
    def ends_at(self) -> datetime:
        """When the collectors leave."""
        return self.starts_at + LENGTH


def in_order(visits: Sequence[Visit], places: Mapping[str, Place]) -> list[Visit]:
    """Return the most urgent first and, where deadlines are the same, always the one that is nearest to the one before.

    `places`: where each customer lives; those of whom it is not known come last, by their ids.
    """
    left = sorted(visits, key=lambda visit: (visit["due_at"], visit["customer_id"]))
    ordered: list[Visit] = []
    here: Place | None = None
    while left:
        following = min(
            (visit for visit in left if visit["due_at"] == left[0]["due_at"]),
            key=lambda visit: (_apart(here, places.get(visit["customer_id"])), visit["customer_id"]),
        )
        left.remove(following)
        ordered.append(following)
        here = places.get(following["customer_id"], here)
    return ordered


def _apart(here: Place | None, there: Place | None) -> float:
    """Return how far apart two places of one city are, in degrees of latitude."""
    if there is None:
        return inf
    if here is None:
        return 0.0
    return hypot(there[0] - here[0], (there[1] - here[1]) * cos(radians(here[0])))


def fit(
    visits: Sequence[Visit], after: datetime, days: Sequence[date], taken: Sequence[Slot], zone: ZoneInfo
) -> list[Slot]:
    """Return a slot after `after` for each visit, in this order; no two overlap, nor one that is taken.

    A visit for which the customer's hours leave no room on any of `days` is put outside of them, with the reason.
    """
    slots: list[Slot] = []
    for visit in visits:
        slots.append(_first_free(visit, after, days, [*taken, *slots], zone))
    return slots


def _first_free(visit: Visit, after: datetime, days: Sequence[date], taken: Sequence[Slot], zone: ZoneInfo) -> Slot:
    customer = visit["customer"] or {}
    windows = customer.get("at_home") or ANYTIME
    # Only hours of the same days that remain before the deadline are better than hours at which nobody is at home.
    for hours, outside in ((windows, None), (ANYTIME, "按客户时间无空档，另行安排")):
        for start in _starts(hours, days, zone):
            if start > after and all(start >= other.ends_at or start + LENGTH <= other.starts_at for other in taken):
                return Slot(visit["visit_id"], start, outside)
    raise ValueError(f"the days {days} have no room for visit {visit['visit_id']}")


def _starts(windows: Sequence[Mapping[str, Any]], days: Sequence[date], zone: ZoneInfo) -> Iterator[datetime]:
    for day in days:
        for window in windows:
            if day.weekday() not in window["weekdays"]:
                continue
            start = datetime.combine(day, time.fromisoformat(window["since"]), zone)
            last = datetime.combine(day, min(time.fromisoformat(window["until"]), _LAST), zone)
            while start < last:
                yield start
                start += LENGTH
