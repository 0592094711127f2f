from __future__ import annotations

import pytest

from shared.rules.zones import customer_zone, is_zone, zones_by_region


@pytest.mark.parametrize(
    ("declared", "region", "zone"),
    [
        ("Asia/Urumqi", "CN", "Asia/Urumqi"),
        (None, "CN", "Asia/Shanghai"),
        (None, "cn", "Asia/Shanghai"),
        (None, "CN-XJ", "Asia/Shanghai"),
        (None, "TW", "Asia/Taipei"),
        (None, "HK", "Asia/Hong_Kong"),
        (None, "NO", "Europe/Oslo"),
        (None, "US-NY", "America/New_York"),
        (None, "US-CA", "America/Los_Angeles"),
        (None, "US", "Asia/Shanghai"),
        (None, "US-TX", "Asia/Shanghai"),
        (None, None, "Asia/Shanghai"),
        ("Mars/Olympus", "TW", "Asia/Taipei"),
        ("", None, "Asia/Shanghai"),
    ],
)
def test_the_zone_is_declared_or_settled_by_the_region_or_the_issuers(
    declared: str | None, region: str | None, zone: str
) -> None:
    assert customer_zone(declared, region, "Asia/Shanghai") == zone


def test_every_zone_of_the_table_exists() -> None:
    assert len(zones_by_region()) > 200
    assert all(map(is_zone, zones_by_region().values()))
    assert not is_zone("Asia/Beijing")
