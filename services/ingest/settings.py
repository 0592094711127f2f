"""What intake needs to know beside what every service is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from shared.events.registry import TOPICS
from shared.rules.zones import is_zone
from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`zone`: the issuer's IANA zone, by whose days dates are judged. `clock_tolerance_seconds`: how far ahead of ours
    a sender's clock may be before what it tells counts as the future. `seen_days`: so long, on the database's clock, an
    event that is sent again is known again. `seen_part_days`: how many days one partition of them takes; each event is
    looked for in all partitions, so that many narrow ones cost more than a few wide ones. `upstream_topic`: the card
    system's own topic, by its full name; empty: none is read.
    """

    zone: str = "Asia/Shanghai"
    clock_tolerance_seconds: int = Field(default=300, ge=0, le=3600)
    seen_days: int = Field(default=35, ge=1, le=400)
    seen_part_days: int = Field(default=7, ge=1, le=100)
    upstream_topic: str = Field(default="", max_length=249, pattern=r"^[a-zA-Z0-9._-]*$")

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError("ARREARS_ZONE is not an IANA time zone; write for example Asia/Shanghai")
        return value

    @model_validator(mode="after")
    def _upstream_is_not_ours(self) -> Self:
        if self.upstream_topic in {topic.full_name(self.namespace) for topic in TOPICS}:
            raise ValueError("ARREARS_UPSTREAM_TOPIC is a topic of our own; name the one that the card system writes")
        return self

    @property
    def tolerance(self) -> timedelta:
        """The tolerance as a duration."""
        return timedelta(seconds=self.clock_tolerance_seconds)

    @property
    def zone_info(self) -> ZoneInfo:
        """The issuer's zone."""
        return ZoneInfo(self.zone)
