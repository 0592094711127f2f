"""What happens by itself: a visit whose time has come without being done is reported, once."""

from __future__ import annotations

from services.fieldvisit import store
from services.fieldvisit.domain.visiting import breach
from services.fieldvisit.recording import Telling, record
from services.fieldvisit.store import Change
from shared.bus.bus import Bus
from shared.bus.timers import Timer
from shared.bus.unit_of_work import UnitOfWork


async def report_late_visits(uow: UnitOfWork) -> int:
    """Breach what is due of some customers, decided under their rows' locks; return how many visits (L4)."""
    changes: list[Change] = []
    tellings: list[Telling] = []
    for held in await store.load_due_customers(uow.connection, uow.now):
        after, facts = breach(held.customer, uow.now)
        traces = {visit.visit_id: visit.traceparent for visit in after.visits.values()}
        changes.append(Change(held, after))
        tellings.extend(Telling(fact, traceparent=traces[fact.visit_id]) for fact in facts)
    await record(uow, changes, tellings)
    return len(tellings)


async def _round(bus: Bus) -> int:
    breached = await bus.transact(report_late_visits)
    bus.metrics.visits_breached.inc(breached)
    return breached


DEADLINE = Timer("visit deadlines", _round, store.next_due)
