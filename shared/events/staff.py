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
    """The whole of what is known of a colleague; a higher `version` replaces it.

    `capacity`: how many open cases a phone collector is to have at most; None: as many as the strategy says of all.
    `areas`: districts or cities; `skills`: the codes that the strategy asks for.
    """

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
    capacity: Annotated[int, Meta(ge=0, le=10_000)] | None = None
