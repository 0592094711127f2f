"""Who works a portfolio, and on which days. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final

from deploy.demo.story import Member, Stage
from deploy.portfolio.making import Source
from shared.rules.calendar import working_calendar

FIRST: Final = date(2026, 2, 25)
"""The first day, unless the file is newer."""
_DAYS: Final = 5
_TEAM: Final = "north"
_ENGLISH: Final = 3
"""Every third phone collector speaks English as well."""
_SKILLS: Final = {1: ("hardship",), 2: ("trace",)}
"""Who of the phone collectors speaks with those who cannot pay, and who looks for the lost."""


def stage(source: Source, title: str, customers: int, not_before: date = FIRST) -> Stage:
    """Return the stage of a portfolio of so many customers; it begins on the first working day from `not_before` on.

    Raises:
        CalendarUnknown: the calendar has no data for those days.
    """
    city = source.city
    return Stage(
        title=title,
        zone=city.zone,
        city=city.city,
        seed=source.seed,
        days=_days(not_before),
        staff=_staff(source, customers),
    )


def day_after(newest: datetime, loaded_at: time) -> date:
    """Return the first day on which a file may come in at a time of day: before its newest row is true, that row would
    be of the future, and refused.
    """
    return newest.date() + timedelta(days=newest.time() > loaded_at)


def _days(not_before: date) -> tuple[date, ...]:
    calendar = working_calendar()
    first = not_before if calendar.is_working_day(not_before) else calendar.add_working_days(not_before, 1)
    return (first, *(calendar.add_working_days(first, ahead) for ahead in range(1, _DAYS)))


def _staff(source: Source, customers: int) -> tuple[Member, ...]:
    desk, districts = source.city.staff.phone, source.city.districts
    phone = min(max(-(-customers // desk.customers), desk.least), desk.most)
    team = [_member(source, "S1", role="supervisor"), _member(source, "D1", role="admin_assistant")]
    team += [
        _member(
            source,
            f"P{n}",
            role="phone_agent",
            languages=["zh", "en"] if n % _ENGLISH == 0 else ["zh"],
            skills=_SKILLS.get(n, ()),
        )
        for n in range(1, phone + 1)
    ]
    # Each district has a collector; whoever is left over helps out in the first ones.
    field = max(source.city.staff.field, 2)
    areas = [[each.name for each in districts[n::field]] or [districts[0].name] for n in range(field)]
    team += [
        _member(source, f"F{n}", role="field_agent", areas=mine, recorder_id=f"R{n}") for n, mine in enumerate(areas, 1)
    ]
    return tuple(team)


def _member(source: Source, staff_id: str, **more: object) -> Member:
    chance, names = source.chance(f"colleague {staff_id}"), source.city.names
    name = chance.choice(names.surnames) + chance.choice(names.given)
    email = f"{staff_id.lower()}@bank.example"
    return Member.model_validate({"staff_id": staff_id, "name": name, "team": _TEAM, "email": email} | more)
