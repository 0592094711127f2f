"""What this deployment goes by, read once: the calendar, the rules, the zone."""

from __future__ import annotations

from msgspec import Struct

from services.fieldvisit.domain.rules import Policy
from services.fieldvisit.settings import Settings
from shared.rules.calendar import WorkingCalendar, working_calendar
from shared.rules.rulebook import rulebook


class Desk(Struct, frozen=True):
    """The calendar by which deadlines are counted, and the policy by which visits are allowed."""

    calendar: WorkingCalendar
    policy: Policy


def desk(settings: Settings) -> Desk:
    """Return the desk of these settings. Raises `DataFileError` when the packaged data are not sound."""
    return Desk(working_calendar(settings.calendar_region), Policy(rulebook(settings.rule_packs), settings.zone))
