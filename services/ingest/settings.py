"""What intake needs to know beside what every service is told."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from shared.rules.zones import is_zone
from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`zone`: the issuer's IANA zone, by whose days dates are judged. `clock_tolerance_seconds`: how far ahead of ours
    a sender's clock may be before what it tells counts as the future. `seen_days`: so long, on the database's clock, an
    event that is sent again is known again. `seen_part_days`: how many days one partition of them takes; each event is
    looked for in all partitions, so that many narrow ones cost more than a few wide ones.
    """

    zone: str = "Asia/Shanghai"
    clock_tolerance_seconds: int = Field(default=300, ge=0, le=3600)
    seen_days: int = Field(default=35, ge=1, le=400)
    seen_part_days: int = Field(default=7, ge=1, le=100)

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError("ARREARS_ZONE is not an IANA time zone; write for example Asia/Shanghai")
        return value

    @property
    def tolerance(self) -> timedelta:
        """The tolerance as a duration."""
        return timedelta(seconds=self.clock_tolerance_seconds)

    @property
    def zone_info(self) -> ZoneInfo:
        """The issuer's zone."""
        return ZoneInfo(self.zone)
