"""No round of messages stays in hand as long as its lease."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from services.notify.domain.delivery import LEASE
from services.notify.hand_over import Claimed, Hands
from services.notify.sending import Plan, Senders
from services.notify.writing import Writer
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from tests.unit.notify.build import POLICY


@dataclass(frozen=True, slots=True)
class Noting(Hands):
    """Hands that note until when they may hand over."""

    deadlines: list[float | None] = field(default_factory=list)

    async def hand_over(self, bus: Bus, claimed: Sequence[Claimed], deadline: float | None) -> None:
        self.deadlines.append(deadline)


class NothingDue(Senders):
    """Senders that found nothing to send."""

    async def _decided(
        self, bus: Bus, act: Callable[[UnitOfWork, Plan], Awaitable[None]], barrier_at: datetime | None
    ) -> Plan:
        return Plan()


async def test_reports_begin_to_leave_well_within_their_lease_or_not_at_all() -> None:
    """At a slow rate a round without an end was given up as lost, and so were the reminders that waited behind it.

    Seen to fail without a deadline.
    """
    hands, nobody = Noting({}, "0/first"), cast(Any, None)
    before = time.monotonic()
    await NothingDue(hands, cast(Writer, nobody), POLICY).to_colleagues(cast(Bus, nobody))
    (deadline,) = hands.deadlines
    assert deadline is not None
    assert before < deadline < time.monotonic() + LEASE.total_seconds() / 2
