"""Accounts age by themselves: at midnight of the issuer's zone some move into the next bin or bucket."""

from __future__ import annotations

from services.scoring import store
from services.scoring.handlers import Grader, whole
from shared.bus.timers import Timer, in_unit_of_work
from shared.bus.unit_of_work import UnitOfWork

SWEEP = 500
"""Customers that one transaction grades anew."""


def ageing(grader: Grader) -> Timer:
    """Return the timer that grades customers anew when one of their accounts has aged."""

    async def sweep(uow: UnitOfWork) -> int:
        rows = await store.load_due(uow.connection, uow.now, SWEEP)
        await grader.settle([whole(row) for row in rows], uow)
        return len(rows)

    return Timer("ageing accounts", in_unit_of_work(sweep), store.next_due)
