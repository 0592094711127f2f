"""How large a fact the topic takes is the topic's own word, also when it takes less than it did (P8)."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.bus import publisher
from shared.bus.bus import Bus
from shared.bus.limits import FactTooLarge, topic_limits
from shared.bus.topics import MAX_RECORD_BYTES
from shared.events.registry import CARD, RISK
from tests.integration.bus.log import facts_in, faults_of, log_of
from tests.integration.bus.toys import Toys, at_rest, fetch, payments, post, running, until

CUSTOMERS = [f"c-{number}" for number in range(60)]
TAKES_FIVE, TAKES_NONE, TAKES_ALL = 1_500, 300, 1_000_000
"""Bytes: a topic that takes a few payments at a time, one that takes not even one, and one that takes them all."""


async def limit(toys: Toys, size: int | None) -> None:
    """Set the topic's own limit, or leave it to the broker's default."""
    admin = AIOKafkaAdminClient(bootstrap_servers=toys.stage.infra.bootstrap)
    await admin.start()
    try:
        name = CARD.full_name(toys.stage.namespace)
        own = {} if size is None else {"max.message.bytes": str(size)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, own)])
    finally:
        await admin.close()


async def _knows(bus: Bus, size: int) -> bool:
    return bus._limits.topic_bytes("card") == size


async def test_the_limit_is_the_topics_own_or_else_the_brokers_default(toys: Toys) -> None:
    names = [topic.full_name(toys.stage.namespace) for topic in (CARD, RISK)]
    await limit(toys, 4_000)
    absent = f"{toys.stage.namespace}.absent.v1"
    assert await topic_limits(toys.stage.infra.bootstrap, [*names, absent]) == {names[0]: 4_000, names[1]: 1_048_588}
    await limit(toys, None)
    assert (await topic_limits(toys.stage.infra.bootstrap, names))[names[0]] == MAX_RECORD_BYTES


async def test_a_batch_above_the_brokers_limit_is_halved_and_nothing_is_left_out(toys: Toys) -> None:
    await limit(toys, TAKES_FIVE)
    bus = toys.writer()
    async with running(bus):
        for number in range(3):
            await bus.transact(partial(post, customers=CUSTOMERS, number=number))
        await at_rest(bus)
        assert await bus.not_ready() == []
    log = await log_of(toys.stage, CARD)
    assert faults_of(log) == []
    assert len(facts_in(log)) == 180


async def halted(bus: Bus) -> bool:
    return "stream_halted" in {why.code for why in await bus.not_ready()}


async def goes_on(bus: Bus) -> bool:
    return not await bus.not_ready()


async def _refused_after(bus: Bus) -> int:
    """Post payments until the bus refuses them for their size; how many were committed."""
    for number in range(1_000):
        try:
            await bus.transact(partial(post, customers=CUSTOMERS[:10], number=number))
        except FactTooLarge:
            return number
        await asyncio.sleep(0.01)
    raise AssertionError("nothing was refused")


@pytest.mark.expected_errors("stream halted")
async def test_a_limit_lowered_under_load_leaves_no_hole_in_the_log(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed before waits in order and says so; new facts are refused; raised again, it all goes out.

    Seen to fail: a publisher that passed over the refused fact left a hole; without the second reading of the limit
    nothing was refused and nothing went on.
    """
    monkeypatch.setattr(publisher, "HALT_SECONDS", 0.2)
    writer, reader = toys.writer(), toys.reader()
    async with running(writer, reader):
        await until(partial(_knows, writer, MAX_RECORD_BYTES))
        posting = asyncio.ensure_future(_refused_after(writer))
        await until(partial(_some_published, toys))
        await limit(toys, TAKES_NONE)
        committed = await posting
        await until(partial(halted, writer))
        assert faults_of(await log_of(toys.stage, CARD)) == []
        await limit(toys, TAKES_ALL)
        await until(partial(goes_on, writer))
        await at_rest(writer, reader)
        assert await writer.not_ready() == []
    log = await log_of(toys.stage, CARD)
    assert faults_of(log) == []
    assert len(facts_in(log)) == 10 * committed
    assert await payments(toys.read_url) == {
        customer: [f"p-{number}" for number in range(committed)] for customer in CUSTOMERS[:10]
    }


async def _some_published(toys: Toys) -> bool:
    return bool(await fetch(toys.write_url, "SELECT FROM outbox_published WHERE sequence > 20"))
