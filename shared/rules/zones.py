"""In which time zone the customer lives: as declared, else as the region settles it, else the issuer's default."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from zoneinfo import available_timezones

from shared.rules.calendar import DATA
from shared.rules.loading import DataFileError, read_mapping


@lru_cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache
def zones_by_region() -> Mapping[str, str]:
    """Return the IANA zone of each region that settles it. Raises `DataFileError` for a zone that does not exist."""
    zones: Mapping[str, str] = read_mapping(DATA / "zones.yaml")["zones"]
    for region, zone in zones.items():
        if not is_zone(zone):
            raise DataFileError("zones.yaml", region, f"{zone} is no IANA zone", "write a name of the tz database")
    return zones


def is_zone(name: str) -> bool:
    """Tell whether `name` is a zone of the IANA database (what intake accepts)."""
    return name in _zone_names()


def customer_zone(declared: str | None, region: str | None, default: str) -> str:
    """Return the IANA zone whose clock the contact rules go by.

    `declared` wins if it is a zone. Then `region` (ISO 3166 of the home or of the phone number: "CN", "TW", "US-NY"),
    where the whole region keeps one clock. A region of several clocks settles nothing: then the issuer's `default`.
    """
    if declared is not None and is_zone(declared):
        return declared
    if region is None:
        return default
    zones = zones_by_region()
    code = region.upper()
    return zones.get(code) or zones.get(code.partition("-")[0], default)
