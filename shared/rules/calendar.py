"""The working-day calendar, as data: which days work in a region, year by year, and from what source.

A year without data is an error and never a guess: make-up working weekends are announced each November by notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from shared.errors import Permanent
from shared.rules.loading import DataFileError, read_mapping
from shared.rules.localtime import local_midnight

DATA = Path(__file__).parent / "data"
_SATURDAY = 5
_ONE_DAY = timedelta(days=1)


class CalendarUnknown(Permanent):
    """The calendar has no data for a year that a question touches."""

    def __init__(self, region: str, year: int) -> None:
        """Name the year and the remedy."""
        super().__init__(
            f"the working-day calendar of {region} has no data for {year}. Remedy: add "
            f"shared/rules/data/calendar-{region.lower()}-{year}.yaml from the official notice and deploy it"
        )
        self.region = region
        self.year = year


class CalendarDay(Struct, frozen=True, forbid_unknown_fields=True):
    """A day that differs from its weekday: a day off, or a weekend day that is worked to make up for one."""

    date: date
    kind: Literal["holiday", "makeup_workday"]
    name_zh: str
    name_en: str


class CalendarYear(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One year of one region as announced; every day that is not listed follows its weekday."""

    region: str
    year: int
    source: str
    published_at: date
    days: tuple[CalendarDay, ...]


class WorkingCalendar:
    """Which days work in one region. Immutable."""

    def __init__(self, region: str, years: Mapping[int, CalendarYear]) -> None:
        """Take the announced years of `region`, by year."""
        self.region = region
        self.years = dict(years)
        days = [day for year in years.values() for day in year.days]
        self._holidays = frozenset(day.date for day in days if day.kind == "holiday")
        self._makeup_days = frozenset(day.date for day in days if day.kind == "makeup_workday")

    def published_through(self) -> date:
        """Return the last day for which there is data. Raises `ValueError` for a calendar without any year."""
        return date(max(self.years), 12, 31)

    def is_working_day(self, day: date) -> bool:
        """Tell whether `day` is worked. Raises `CalendarUnknown`."""
        if day.year not in self.years:
            raise CalendarUnknown(self.region, day.year)
        if day.weekday() >= _SATURDAY:
            return day in self._makeup_days
        return day not in self._holidays

    def working_day_on_or_after(self, day: date) -> date:
        """Return `day` itself if it is worked, else the next day that is. Raises `CalendarUnknown`."""
        while not self.is_working_day(day):
            day += _ONE_DAY
        return day

    def add_working_days(self, day: date, n: int) -> date:
        """Return the `n`-th working day after `day`; `day` itself is not counted, worked or not.

        `n` is at least 1 (else `ValueError`). Raises `CalendarUnknown`.
        """
        if n < 1:
            raise ValueError("n counts working days after the day and is at least 1")
        for _ in range(n):
            day = self.working_day_on_or_after(day + _ONE_DAY)
        return day

    def due_after_working_days(self, instant: datetime, n: int, zone: str) -> datetime:
        """Return when something is due that is to be done within `n` working days of `instant`, in UTC.

        The day of `instant` in `zone` is not counted and the last working day counts whole, to its 24:00: so a period
        of days is reckoned by the Civil Code of the PRC, art. 201 and 203, and a hand-over late in the day takes no
        time from the collector. What ends at the returned instant or before is in time.
        Raises `CalendarUnknown`, and `ValueError` for a naive instant.
        """
        if instant.tzinfo is None:
            raise ValueError("instant must be aware")
        last_day = self.add_working_days(instant.astimezone(ZoneInfo(zone)).date(), n)
        return local_midnight(last_day + _ONE_DAY, zone)


def load_calendar(region: str, folder: Path = DATA) -> WorkingCalendar:
    """Read every `calendar-<region>-<year>.yaml` of the folder. Raises `DataFileError`."""
    paths = sorted(folder.glob(f"calendar-{region.lower()}-*.yaml"))
    if not paths:
        raise DataFileError(folder.name, "", f"holds no calendar of {region}", "add one file for each year")
    years = [_read_year(path, region) for path in paths]
    return WorkingCalendar(region, {year.year: year for year in years})


@lru_cache
def working_calendar(region: str = "CN") -> WorkingCalendar:
    """Return the packaged calendar of a region, read once. Raises `DataFileError`."""
    return load_calendar(region)


def _read_year(path: Path, region: str) -> CalendarYear:
    try:
        year = msgspec.convert(read_mapping(path), CalendarYear)
    except msgspec.ValidationError as error:
        raise DataFileError(path.name, "", str(error), "write region, year, source, published_at and days") from error
    if path.name != f"calendar-{year.region.lower()}-{year.year}.yaml" or year.region != region:
        raise DataFileError(path.name, "", f"holds {year.region} {year.year}", "name the file for its region and year")
    seen: set[date] = set()
    for number, day in enumerate(year.days, start=1):
        fault = _day_fault(day, year.year, seen)
        if fault:
            raise DataFileError(path.name, f"row {number} ({day.date})", fault, "compare the row with the notice")
        seen.add(day.date)
    return year


def _day_fault(day: CalendarDay, year: int, seen: set[date]) -> str:
    if day.date.year != year:
        return f"is not a day of {year}"
    if day.date in seen:
        return "stands twice"
    if day.kind == "makeup_workday" and day.date.weekday() < _SATURDAY:
        return "is a weekday, which needs no make-up"
    return ""
