"""What was decided is written and told in one go: collectors found, customers and timelines saved, facts emitted.

Every writer of a customer (batch, timer, HTTP) comes through here, so state order is number order for each customer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import structs

from services.assignment.domain.aside import conclude
from services.assignment.domain.policy import Policy, Turn
from services.assignment.domain.roster import Roster
from services.assignment.domain.staff import assign, needs_collector, went_aside
from services.assignment.store import customers, staff
from services.assignment.store.customers import Change, Held
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.events.kinds import Fact


@dataclass(slots=True)
class Work:
    """One customer while a transaction decides: as loaded, the turn, and what each of its facts follows from."""

    held: Held
    turn: Turn
    causes: list[Incoming | None] = field(default_factory=list)

    @classmethod
    def on(cls, held: Held, uow: UnitOfWork, policy: Policy) -> Work:
        """Begin to decide about a customer."""
        return cls(held, Turn(held.customer, uow.now, policy))

    @property
    def changed(self) -> bool:
        """Whether anything is to be written."""
        return self.turn.customer != self.held.customer or bool(self.turn.entries)

    def caused_by(self, cause: Incoming | None) -> None:
        """Say that the facts made since the last call follow from `cause` (None: from a person or a timer)."""
        self.causes += [cause] * (len(self.turn.facts) - len(self.causes))

    def lease(self, staff_id: str | None) -> None:
        """End the lease if it is this collector's, or anybody's when None."""
        if staff_id is None or self.held.leased_by == staff_id:
            self.held = structs.replace(self.held, leased_by=None, leased_until=None)


async def record(uow: UnitOfWork, works: Sequence[Work], policy: Policy, *, touched: bool = False) -> None:
    """Write what changed and collect the facts, in the order that keeps everybody's locks apart (L1).

    `touched`: write all of `works`, because a lease changed. Raises `StaleState` when somebody else was first.
    """
    changed = [work for work in works if touched or work.changed]
    for work in changed:
        conclude(work.turn)
        work.caused_by(work.causes[-1] if work.causes else None)
    await _find_collectors(uow, changed, policy)
    _clear_desks(changed)
    changes = [Change(work.held, work.turn.customer, tuple(work.turn.entries)) for work in changed]
    await customers.save(uow.connection, changes, policy, uow.now)
    for work in changed:
        for fact, cause in zip(work.turn.facts, work.causes, strict=True):
            _tell(uow, work, fact, cause)


async def _find_collectors(uow: UnitOfWork, works: Sequence[Work], policy: Policy) -> None:
    waiting = [work for work in works if _waits(work)]
    if not waiting:
        return
    roster = await roster_of(uow, policy)
    for work in waiting:
        assign(work.turn, roster)
        work.caused_by(work.causes[-1] if work.causes else None)


def _waits(work: Work) -> bool:
    case = work.turn.customer.open_case
    return needs_collector(case) and case is not None and (case.collector is None or went_aside(work.turn))


def _clear_desks(works: Sequence[Work]) -> None:
    """A case that came to another collector no longer lies on the desk of the one before."""
    for work in works:
        before, after = work.held.customer.open_case, work.turn.customer.open_case
        if before is not None and after is not None and before.collector not in (None, after.collector):
            work.lease(None)


async def roster_of(uow: UnitOfWork, policy: Policy) -> Roster:
    """Return the phone collectors and their loads as they are now, and stay the only one who gives out cases.

    After the customers' rows and before the streams, as all children of state rows (L1). Without the lock two
    transactions would both find the last room with one collector.
    """
    await staff.lock_loads(uow.connection)
    agents = await staff.phone_agents(uow.connection)
    return Roster.of(agents, await customers.loads(uow.connection), policy.strategy.staffing)


def _tell(uow: UnitOfWork, work: Work, fact: Fact, cause: Incoming | None) -> None:
    # A timer's facts go on with the trace that opened the case; a person's with the request's own.
    case = work.turn.customer.case
    trace = case.trace if case and work.turn.by_itself else None
    uow.emit(fact, cause=cause, traceparent=trace)
