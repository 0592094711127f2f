"""Facts of the topic `staff`: who works here. Kept by supervisors, written by assignment alone; compacted."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

from shared.events.contacts import EmailAddress
from shared.events.kinds import Code, Fact, Instant, Key, Language, StaffRole, Text


class Leave(Struct, frozen=True, kw_only=True):
    """A leave, both days included."""

    first_day: date
    last_day: date


class StaffChanged(Fact, frozen=True, kw_only=True):
    """The whole of what is known of a colleague; a higher `version` replaces it."""

    staff_id: Key
    version: Annotated[int, Meta(ge=1)]
    changed_at: Instant
    name: Text
    role: StaffRole
    team: Key
    areas: tuple[Text, ...] = ()
    languages: tuple[Language, ...] = ("zh",)
    skills: tuple[Code, ...] = ()
    email: EmailAddress
    leave: tuple[Leave, ...] = ()
    insured_until: date | None = None
    recorder_id: Key | None = None
    active: bool = True
