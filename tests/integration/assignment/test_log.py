"""Facts of other services through the real log, and writers that meet at one customer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from services.assignment.timers import act_on_due
from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from shared.events.cases import CaseClosed, CaseOpened, ContactLogged, ReminderDue
from shared.events.kinds import Fact
from tests.integration.assignment.conftest import FRIDAY, TRACE, Phones, eventually, read_log
from tests.unit.assignment.given import DUE, WEDNESDAY, at, graded, overdue, paid, reachable


async def test_facts_of_other_services_reach_the_desk_through_the_log_and_keep_their_trace(phones: Phones) -> None:
    """Does not cover the writers' own decisions: bare buses tell their facts here."""
    async with writer(phones, "ingest") as card, writer(phones, "scoring") as risk:
        await tell(risk, phones.mine(graded("E")))
        await tell(card, phones.mine(overdue(due=DUE["M4"])), phones.mine(reachable()))

        async def known() -> bool:
            cases = (
                await phones.http.get(
                    f"/v1/cases?customer_id={phones.customer()}&grade=E", headers=phones.boss(team=None)
                )
            ).json()["items"]
            return bool(cases)

        await eventually(known)
        await phones.step_clock(at("02-25 09:15"))
        await tell(card, phones.mine(paid(100_000, valued=WEDNESDAY + timedelta(hours=1))))

        async def closed() -> bool:
            return bool((await phones.case_of())["status"] == "closed")

        await eventually(closed)
    assert (await phones.bus.idle()).dead_letters == 0
    told = await phones.told()
    assert [type(fact) for fact in told if isinstance(fact, CaseOpened | ReminderDue | CaseClosed)] == [
        CaseOpened,
        ReminderDue,
        ReminderDue,
        CaseClosed,
    ]
    traces = {record.trace for record in await read_log(phones.stage) if record.key == phones.customer()}
    assert traces == {TRACE.split("-")[1]}


async def test_a_batch_and_a_collector_who_meet_at_one_customer_lose_nothing(phones: Phones) -> None:
    case_id = await phones.by_phone()
    payments = [phones.mine(paid(1_000, f"P{number}", valued=FRIDAY)) for number in range(6)]
    contacts = [phones.log(case_id, "INBOUND", "CONN", "SELF", "INFO") for _ in range(6)]
    _, answers = await asyncio.gather(
        asyncio.gather(*(phones.take(payment) for payment in payments)), asyncio.gather(*contacts)
    )
    assert [answer.status_code for answer in answers] == [201] * 6
    case = await phones.read(case_id)
    assert case["owed"] == [{"currency": "CNY", "minor": 94_000}]
    assert len([fact for fact in await phones.told() if isinstance(fact, ContactLogged)]) == 6
    kinds = await phones.timeline(case_id)
    assert (kinds.count("payment"), kinds.count("contact")) == (6, 6)


async def test_two_batches_that_meet_a_new_customer_open_one_case(phones: Phones) -> None:
    facts = [phones.mine(overdue(f"A{number}")) for number in range(8)]
    await asyncio.gather(*(phones.take(fact) for fact in facts))
    assert [type(fact) for fact in await phones.told()] == [CaseOpened]
    case = await phones.case_of()
    assert case["owed"] == [{"currency": "CNY", "minor": 800_000}]


async def test_two_timers_at_once_take_each_step_once(phones: Phones) -> None:
    await phones.opened()
    phones.clock.set(at("02-25 09:15"))
    sweeps = (phones.bus.transact(lambda uow: act_on_due(uow, phones.desk.policy)) for _ in range(4))
    await asyncio.gather(*sweeps)
    reminders = [fact for fact in await phones.told() if isinstance(fact, ReminderDue)]
    assert sorted(fact.channel for fact in reminders) == ["email", "sms"]


@asynccontextmanager
async def writer(phones: Phones, service: str) -> AsyncIterator[Bus]:
    """A bare bus of another service, which only tells."""
    settings = phones.stage.settings(await phones.stage.migrated(service))
    bus = Bus(service=service, settings=settings, clock=phones.clock)
    async with bus.running():

        async def ready() -> bool:
            return not await bus.not_ready()

        await eventually(ready)
        yield bus


async def tell(bus: Bus, *facts: Fact) -> None:
    """Publish facts."""

    async def act(uow: UnitOfWork) -> UnitOfWork:
        for fact in facts:
            uow.emit(fact, traceparent=TRACE)
        return uow

    uow = await bus.transact(act)
    assert await bus.published(uow.appended, within=10) is not None
