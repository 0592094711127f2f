"""What the field desk needs to know beside what every service is told."""

from __future__ import annotations

from pydantic import Field, field_validator

from shared.rules.rulebook import CHINA_CARD
from shared.rules.zones import is_zone
from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """`zone`: the issuer's IANA zone, by whose days deadlines are counted; also of customers whose own is not known.

    `calendar_region`: whose working-day calendar counts. `rule_packs`: whose contact rules hold; the same for every
    service.
    """

    zone: str = "Asia/Shanghai"
    calendar_region: str = Field(default="CN", pattern=r"^[A-Z]{2}$")
    rule_packs: tuple[str, ...] = CHINA_CARD

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError("ARREARS_ZONE is not an IANA time zone; write for example Asia/Shanghai")
        return value
