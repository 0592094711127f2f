"""What happens by itself: cases age, set times lapse, promises end, cases find a collector and leave who is gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime

import asyncpg

from services.assignment.domain import handover
from services.assignment.domain.lifecycle import catch_up
from services.assignment.domain.policy import Policy, Turn
from services.assignment.domain.roster import back_at_work, next_long_leave, on_long_leave, takes_cases
from services.assignment.domain.staff import assign
from services.assignment.recording import Work, record, roster_of
from services.assignment.store import customers, staff
from services.assignment.store.customers import Held
from shared.bus.timers import Timer, in_unit_of_work
from shared.bus.unit_of_work import UnitOfWork
from shared.clock import Clock
from shared.events.kinds import StaffRole


def case_timer(policy: Policy) -> Timer:
    """Return the timer of everything that is due about a case."""

    async def sweep(uow: UnitOfWork) -> int:
        return await act_on_due(uow, policy)

    return Timer("cases", in_unit_of_work(sweep), customers.next_due, full=customers.SWEEP)


def strategy_timer(policy: Policy, clock: Clock) -> Timer:
    """Return the timer that takes up open cases last decided by an older strategy than the one in force."""

    async def sweep(uow: UnitOfWork) -> int:
        return await take_up(uow, policy)

    async def next_due(connection: asyncpg.Connection) -> datetime | None:
        return clock.now() if await customers.any_decided_before(connection, policy.strategy.edition) else None

    return Timer("strategy", in_unit_of_work(sweep), next_due, full=customers.SWEEP)


def collector_timer(policy: Policy, clock: Clock) -> Timer:
    """Return the timer that gives cases without a collector to one."""

    async def sweep(uow: UnitOfWork) -> int:
        return await find_collectors(uow, policy)

    async def next_due(connection: asyncpg.Connection) -> datetime | None:
        return await collector_due(connection, policy, clock.now())

    return Timer("collectors", in_unit_of_work(sweep), next_due)


def field_timer(policy: Policy, clock: Clock) -> Timer:
    """Return the timer that takes cases back from field collectors who will make no visit."""

    async def sweep(uow: UnitOfWork) -> int:
        return await recall_from_gone(uow, policy)

    async def next_due(connection: asyncpg.Connection) -> datetime | None:
        return await field_due(connection, policy, clock.now())

    return Timer("field collectors", in_unit_of_work(sweep), next_due, full=customers.SWEEP)


async def act_on_due(uow: UnitOfWork, policy: Policy) -> int:
    """Do what is due of some customers, decided under their rows' locks; return how many (L4)."""
    held = await customers.load_due(uow.connection, uow.now)
    await _catch_up(uow, policy, held)
    return len(held)


async def _catch_up(uow: UnitOfWork, policy: Policy, held: Sequence[Held]) -> None:
    works = [Work.on(each, uow, policy) for each in held]
    for work in works:
        work.turn.by_itself = True
        catch_up(work.turn)
        work.caused_by(None)
    # Saved even when nothing was decided, since what they are found by is what has to move on.
    await record(uow, works, policy, touched=True)


async def take_up(uow: UnitOfWork, policy: Policy) -> int:
    """Decide about some open cases by the strategy in force, which was not the last to decide; return how many.

    A case that rests may go on under another strategy, and nothing else would look at it. Only a strategy that begins
    to hold later takes a case up, so two replicas with two files never take it from each other.
    """
    held = await customers.load_decided_before(uow.connection, policy.strategy.edition)
    await _catch_up(uow, policy, held)
    return len(held)


async def find_collectors(uow: UnitOfWork, policy: Policy) -> int:
    """Give some cases that nobody works, or that lie with who left or is long away; return how many found somebody."""
    away = await _long_away(uow.connection, policy, uow.now, "phone_agent")
    if not await customers.any_unassigned(uow.connection, away):
        return 0
    works = [Work.on(held, uow, policy) for held in await customers.load_unassigned(uow.connection, away)]
    roster = await roster_of(uow, policy)
    return await _each(uow, policy, works, lambda turn: assign(turn, roster))


async def recall_from_gone(uow: UnitOfWork, policy: Policy) -> int:
    """Take some cases back from field collectors who left or are long away; return how many."""
    away = await _long_away(uow.connection, policy, uow.now, "field_agent")
    if not await customers.any_with_gone(uow.connection, away):
        return 0
    works = [Work.on(held, uow, policy) for held in await customers.load_with_gone(uow.connection, away)]
    visitors = {handover.visitor(work.turn.customer) for work in works}
    known = await staff.colleagues(uow.connection, (each for each in visitors if each is not None))
    return await _each(uow, policy, works, lambda turn: handover.recall_from_gone(turn, known))


async def _each(uow: UnitOfWork, policy: Policy, works: Sequence[Work], act: Callable[[Turn], bool]) -> int:
    done = 0
    for work in works:
        work.turn.by_itself = True
        done += act(work.turn)
        work.caused_by(None)
    await record(uow, works, policy)
    return done


async def collector_due(connection: asyncpg.Connection, policy: Policy, now: datetime) -> datetime | None:
    """Return when a case can come to another collector: now, when the first is back, or when a long leave begins."""
    today, days = policy.day_of(now), await _leaves_begin(connection, policy, now, "phone_agent")
    if await customers.any_unassigned(connection, await _long_away(connection, policy, now, "phone_agent")):
        agents = [each for each in await staff.phone_agents(connection) if takes_cases(each)]
        days += [day for day in (back_at_work(each, today) for each in agents) if day is not None]
    return _when(policy, now, days)


async def field_due(connection: asyncpg.Connection, policy: Policy, now: datetime) -> datetime | None:
    """Return when a case is to be taken back from a field collector: now, or when a long leave begins."""
    if await customers.any_with_gone(connection, await _long_away(connection, policy, now, "field_agent")):
        return now
    return _when(policy, now, await _leaves_begin(connection, policy, now, "field_agent"))


def _when(policy: Policy, now: datetime, days: Sequence[date]) -> datetime | None:
    if not days:
        return None
    return now if min(days) == policy.day_of(now) else policy.midnight(min(days))


async def _leaves_begin(connection: asyncpg.Connection, policy: Policy, now: datetime, role: StaffRole) -> list[date]:
    """Return the days to come on which a long leave begins."""
    today, staffing = policy.day_of(now), policy.strategy.staffing
    known = await staff.away_since(connection, today, role)
    return [day for day in (next_long_leave(each, today, staffing) for each in known) if day is not None]


async def _long_away(connection: asyncpg.Connection, policy: Policy, now: datetime, role: StaffRole) -> list[str]:
    """Return the colleagues of this role whose leave of today is a long one."""
    today, staffing = policy.day_of(now), policy.strategy.staffing
    known = await staff.away_since(connection, today, role)
    return [each.staff_id for each in known if on_long_leave(each, today, staffing)]
