"""One hop of the bus on real Kafka and PostgreSQL: what is decided is read, once and in order."""

from __future__ import annotations

import asyncio

from shared.bus.bus import Bus
from shared.bus.unit_of_work import UnitOfWork
from tests.integration.bus.toys import payment, toys
from tests.integration.conftest import Stage


async def post(bus: Bus, customers: int, payments: int) -> None:
    """Post `payments` payments of each customer, one transaction a payment number."""
    for number in range(payments):

        async def act(uow: UnitOfWork, number: int = number) -> None:
            for customer in range(customers):
                uow.emit(payment(f"c-{customer}", number))

        await bus.transact(act)


async def settled(*buses: Bus) -> None:
    """Wait until everything is read and published."""
    async with asyncio.timeout(30):
        while not all([(await bus.idle()).idle for bus in buses]):
            await asyncio.sleep(0.05)


async def ready(bus: Bus) -> None:
    """Wait until a bus can work."""
    async with asyncio.timeout(30):
        while True:
            try:
                if not await bus.not_ready():
                    return
            except OSError:
                pass
            await asyncio.sleep(0.05)


async def test_every_fact_takes_effect_once_and_in_order(stage: Stage) -> None:
    async with toys(stage) as (one, other):
        await ready(one)
        await ready(other)
        await post(one, customers=20, payments=10)
        await settled(one, other)
        async with other.reading() as connection:
            rows = await connection.fetch("SELECT customer_id, payments FROM toy")
            graded = await connection.fetchval("SELECT sum(head) FROM outbox_stream")
    assert len(rows) == 20
    assert all(row["payments"] == [f"p-{number}" for number in range(10)] for row in rows)
    assert graded == 200
