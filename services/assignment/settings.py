"""What assignment needs to know beside what every service is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from shared.rules.rulebook import CHINA_CARD
from shared.rules.zones import is_zone
from shared.settings import ServiceSettings

PACKAGED_STRATEGY = Path(__file__).parent / "strategies" / "default-2026-02.yaml"


class Settings(ServiceSettings):
    """`zone`: the issuer's IANA zone, by whose days set times and promises are counted.

    `rule_packs`: whose contact rules hold; the same for every service. `strategy_file`: the collection plan.
    `lease_minutes`: how long a case that was taken from the worklist stays on a collector's desk (machine's clock).
    """

    zone: str = "Asia/Shanghai"
    rule_packs: tuple[str, ...] = CHINA_CARD
    strategy_file: Path = PACKAGED_STRATEGY
    lease_minutes: int = Field(default=15, ge=1, le=240)

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError("ARREARS_ZONE is not an IANA time zone; write for example Asia/Shanghai")
        return value
