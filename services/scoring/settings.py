"""What scoring needs to know beside what every service is told."""

from __future__ import annotations

from pathlib import Path

from pydantic import field_validator

from shared.rules.zones import is_zone
from shared.settings import ServiceSettings

SHIPPED_CARDS = Path(__file__).parent / "cards"


class Settings(ServiceSettings):
    """`zone`: the issuer's IANA zone, in which accounts grow a day older at midnight. `cards_dir`: the points cards.

    `champion_card`: the name of the card that decides. `challenger_card`: the one recorded beside it; empty: none.
    """

    zone: str = "Asia/Shanghai"
    cards_dir: Path = SHIPPED_CARDS
    champion_card: str = "expert-points"
    challenger_card: str = "uci-scorecard"

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError("ARREARS_ZONE is not an IANA time zone; write for example Asia/Shanghai")
        return value
