"""Instants that callers send: aware, and such that they can be turned into any zone and have days added to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime

from shared.web.field_errors import custom_fault

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def _checked(instant: datetime) -> datetime:
    if not EARLIEST <= instant < LATEST:
        raise custom_fault("不在 1970 至 2199 年之间", "is not between 1970 and 2199", "更正时间", "correct the time")
    return instant


Instant = Annotated[AwareDatetime, AfterValidator(_checked)]
"""The type of an instant in a body or a query."""
