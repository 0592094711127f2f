"""One hop of the bus on real Kafka and PostgreSQL: what is decided is read, once and in order."""

from __future__ import annotations

from functools import partial

from shared.events.registry import RISK
from tests.integration.bus.log import facts_in, faults_of, log_of
from tests.integration.bus.toys import Toys, at_rest, dead_letters, payments, post, running

CUSTOMERS = [f"c-{number}" for number in range(20)]


async def test_every_fact_takes_effect_once_and_in_order_and_is_answered_once(toys: Toys) -> None:
    one, other = toys.writer(), toys.reader()
    async with running(one, other):
        for number in range(10):
            await one.transact(partial(post, customers=CUSTOMERS, number=number))
        await at_rest(one, other)
    assert await payments(toys.read_url) == {key: [f"p-{number}" for number in range(10)] for key in CUSTOMERS}
    log = await log_of(toys.stage, RISK)
    assert faults_of(log) == []
    assert len(facts_in(log)) == 200
    assert await dead_letters(toys.read_url) == []


async def test_a_pool_of_two_connections_is_enough_for_all_loops_and_timers(toys: Toys) -> None:
    """Nobody waits for a second connection while holding one."""
    one, other = toys.writer(), toys.reader()
    for bus in (one, other):
        bus._settings = bus._settings.model_copy(update={"pool_size": 2})
    async with running(one, other):
        for number in range(5):
            await one.transact(partial(post, customers=CUSTOMERS, number=number))
        await at_rest(one, other)
    assert await payments(toys.read_url) == {key: [f"p-{number}" for number in range(5)] for key in CUSTOMERS}
