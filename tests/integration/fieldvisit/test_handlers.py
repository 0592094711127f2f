"""Facts come in: on the real database, and once through the real log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from msgspec import structs

from shared.bus.bus import Bus
from shared.bus.outcomes import DONE, Dead, Skip
from shared.bus.unit_of_work import UnitOfWork
from shared.events.kinds import Fact
from shared.events.visits import VisitAccepted, VisitBreached, VisitWithdrawn
from tests.integration.bus.toys import prepare
from tests.integration.fieldvisit.conftest import TRACE, Field, eventually, read_log, until_ready
from tests.unit.fieldvisit.build import DUE, HOUR, colleague, contacts, handed_over, overdue, payment, stop


async def test_a_hand_over_becomes_a_visit_once(desk: Field) -> None:
    hand_over = desk.mine(handed_over())
    assert await desk.take(hand_over, hand_over) == [DONE, Skip("known_already")]
    assert await desk.take(hand_over) == [Skip("known_already")]
    (visit,) = await desk.visits()
    assert (visit["state"], datetime.fromisoformat(visit["due_at"])) == ("accepted", DUE)
    (fact,) = await desk.told()
    assert isinstance(fact, VisitAccepted)
    assert (fact.visit_id, fact.due_at) == (visit["visit_id"], DUE)


async def test_a_hand_over_into_a_year_without_calendar_is_dead_and_makes_no_visit(desk: Field) -> None:
    (outcome,) = await desk.take(desk.mine(handed_over(at=datetime(2026, 12, 31, 2, tzinfo=UTC))))
    assert isinstance(outcome, Dead)
    assert outcome.code == "calendar_unknown"
    assert await desk.visits() == []


async def test_a_bad_fact_does_not_hinder_the_others_of_its_batch(desk: Field) -> None:
    dollars = structs.replace(desk.mine(payment()), currency="USD")
    outcomes = await desk.take(desk.mine(overdue()), dollars, desk.mine(handed_over()))
    assert [type(outcome) for outcome in outcomes] == [type(DONE), Dead, type(DONE)]
    assert [visit["state"] for visit in await desk.visits()] == ["accepted"]


async def test_a_hand_over_of_a_customer_who_has_paid_is_withdrawn_at_once(desk: Field) -> None:
    await desk.take(desk.mine(payment()))
    await desk.take(desk.mine(handed_over()))
    await desk.take(desk.mine(overdue()))
    (visit,) = await desk.visits()
    assert (visit["state"], visit["withdrawal"]["reason"]) == ("withdrawn", "paid")
    accepted, withdrawn = await desk.told()
    assert isinstance(accepted, VisitAccepted)
    assert isinstance(withdrawn, VisitWithdrawn)


async def test_a_stop_before_the_hand_over_withdraws_it_in_the_same_batch(desk: Field) -> None:
    await desk.take(desk.mine(overdue()), desk.mine(stop()), desk.mine(handed_over()))
    assert [type(fact) for fact in await desk.told()] == [VisitAccepted, VisitWithdrawn]


async def test_the_newest_word_on_a_colleague_holds(desk: Field) -> None:
    old, new = (colleague(desk.staff(), version=version) for version in (1, 2))
    assert await desk.take(new, old) == [DONE, Skip("older_version")]
    assert await desk.take(old) == [Skip("older_version")]


async def test_two_writers_who_meet_a_new_customer_lose_nothing(desk: Field) -> None:
    facts = [desk.mine(payment(payment_id=f"P{number}", minor=10_00)) for number in range(8)]
    await asyncio.gather(*(desk.take(fact) for fact in facts))
    async with desk.bus.reading() as connection:
        (row,) = await connection.fetch("SELECT version, state FROM customer WHERE customer_id = $1", desk.customer)
    assert row["version"] == 8
    assert row["state"].count('"P') == 8


async def test_a_visit_not_done_in_time_is_reported_by_itself_once(desk: Field) -> None:
    visit_id = await desk.handed_over()
    async with desk.bus.reading() as connection:
        assert await connection.fetchval("SELECT next_due FROM customer WHERE customer_id = $1", desk.customer) == DUE
    assert (await desk.bus.idle()).next_due == DUE
    desk.clock.set(DUE)
    await desk.until_breached()
    (visit,) = await desk.visits()
    assert (visit["state"], visit["visit_id"]) == ("accepted", visit_id)
    desk.clock.set(DUE + HOUR)
    await asyncio.sleep(0.6)
    assert [fact.breached_at for fact in await desk.told() if isinstance(fact, VisitBreached)] == [DUE]


async def test_facts_of_other_services_reach_the_field_desk_through_the_log_and_keep_their_trace(desk: Field) -> None:
    """Does not cover the writers' own decisions: bare buses tell their facts here."""
    async with writer(desk, "ingest") as card, writer(desk, "assignment") as cases:
        await tell(card, desk.mine(overdue()), desk.mine(contacts()))
        await tell(cases, desk.mine(handed_over()), colleague(desk.staff()))

        async def known() -> bool:
            visits = await desk.visits()
            return bool(visits and visits[0]["customer"] and visits[0]["owed"])

        await eventually(known)
        await tell(card, desk.mine(payment()))

        async def withdrawn() -> bool:
            return [visit["state"] for visit in await desk.visits()] == ["withdrawn"]

        await eventually(withdrawn)
    assert (await desk.bus.idle()).dead_letters == 0
    traces = {record.trace for record in await read_log(desk.stage) if record.key == desk.customer}
    assert traces == {TRACE.split("-")[1]}


@asynccontextmanager
async def writer(desk: Field, service: str) -> AsyncIterator[Bus]:
    """A bare bus of another service."""
    url = await desk.stage.database(service)
    await prepare(url, desk.stage.partitions, ())
    bus = Bus(service=service, settings=desk.stage.settings(url), clock=desk.clock)
    async with bus.running():
        await until_ready(bus)
        yield bus


async def tell(bus: Bus, *facts: Fact) -> None:
    """Publish facts."""

    async def act(uow: UnitOfWork) -> UnitOfWork:
        for fact in facts:
            uow.emit(fact, traceparent=TRACE)
        return uow

    uow = await bus.transact(act)
    assert await bus.published(uow.appended, within=10) is not None
