"""Values that these tests share."""

from __future__ import annotations

from datetime import UTC, datetime

NOON = datetime(2026, 2, 25, 4, 0, tzinfo=UTC)

SURROUNDINGS: dict[str, object] = {
    "database_url": "postgresql://u:p@db/x",
    "kafka_bootstrap": "broker:9092",
    "issuer": "https://issuer.test",
    "jwks_url": "https://issuer.test/jwks",
}
