"""A reader that was away for so long that the log's cleaner, which is real here, has been at work behind its back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.bus import compaction
from shared.bus.bus import Bus
from shared.bus.headers import Numbers, Packed, to_headers
from shared.bus.outcomes import DONE, Outcome
from shared.bus.unit_of_work import Incoming, UnitOfWork
from shared.clock import FrozenClock
from shared.events.contacts import CustomerContactsChanged, CustomerContactsErased
from shared.events.registry import BY_MODEL, CONTACTS
from tests.integration.bus.log import Record, log_of, write
from tests.integration.bus.toys import NOON, Toys, at_rest, empty, execute, fetch, load, payments, running, save, until
from tests.integration.conftest import MakeStage

_QUICK = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.compaction.lag.ms": "0",
    "min.cleanable.dirty.ratio": "0",
    "delete.retention.ms": "0",
}


def told(customer: str, number: int, *, erased: bool = False) -> Record:
    """The whole of a customer's contacts, or their end, at the place of that number."""
    model = CustomerContactsErased if erased else CustomerContactsChanged
    fact = Packed(
        id=f"{customer}/{number}",
        type=BY_MODEL[model].name,
        time=NOON.isoformat(),
        key=customer,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        cause_id=None,
        value=None
        if erased
        else msgspec.json.encode(
            CustomerContactsChanged(
                customer_id=customer, as_of=NOON, name=f"n-{number}", language="zh", time_zone="Asia/Shanghai"
            )
        ),
    )
    base = (0, 0) if number == 1 else None
    return Record(fact.value, to_headers(fact, CONTACTS.source, Numbers(7, number, base)), customer.encode())


async def keep(batch: Sequence[Incoming], uow: UnitOfWork) -> Sequence[Outcome]:
    """The toy's handler: the name that was told last; nothing once it was erased."""
    known = await load(uow, sorted({item.key for item in batch}))
    for item in batch:
        known.payments[item.key] = [item.fact.name] if isinstance(item.fact, CustomerContactsChanged) else []
    await save(uow, known)
    return [DONE] * len(batch)


async def held(connection: asyncpg.Connection, after: str, limit: int) -> list[tuple[str, datetime]]:
    """Of whom the toy holds contacts."""
    query = "SELECT customer_id FROM toy WHERE payments <> '{}' AND customer_id > $1 ORDER BY 1 LIMIT $2"
    return [(row["customer_id"], NOON) for row in await connection.fetch(query, after, limit)]


@pytest_asyncio.fixture
async def compacted(module_toys: Toys, make_stage: MakeStage) -> Toys:
    """The toys on `contacts`, with a cleaner that is in a hurry."""
    stage = await make_stage((), partitions=2)
    stage.topics = (CONTACTS,)
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.infra.bootstrap)
    await admin.start()
    try:
        broker = ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "200"})
        await admin.alter_configs([broker])
        await admin.create_topics([NewTopic(CONTACTS.full_name(stage.namespace), 2, 1, topic_configs=_QUICK)])
    finally:
        await admin.close()
    toys = Toys(stage, module_toys.write_url, module_toys.read_url)
    await empty(toys.read_url, 2, (CONTACTS,))
    return toys


def reader(toys: Toys) -> Bus:
    """The toy that keeps contacts."""
    return Bus(
        service="scoring",
        settings=toys.stage.settings(toys.read_url),
        clock=FrozenClock(NOON),
        subscriptions=(CONTACTS,),
        handle=keep,
        handles=frozenset({CustomerContactsChanged, CustomerContactsErased}),
        sweeps={CONTACTS: held},
    )


async def clean(toys: Toys, first: int, *gone: int) -> int:
    """Tell of somebody else, from number `first` on, until the cleaner has removed `gone`; returns the last number."""
    for number in itertools.count(first):
        await write(toys.stage, CONTACTS, 0, [told("z", number)])
        await asyncio.sleep(0.15)
        left = {record.sequence for record in (await log_of(toys.stage, CONTACTS))[0]}
        if not left & set(gone):
            return number
    raise AssertionError("unreachable")


async def names(toys: Toys) -> dict[str, list[str]]:
    """What the toy holds, without the one who only keeps the log moving."""
    return {key: found for key, found in (await payments(toys.read_url)).items() if found and key != "z"}


@pytest.mark.expected_errors("stream stopped")
async def test_after_longer_than_l_replaced_facts_are_no_loss_and_before_they_are(
    compacted: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with the age not asked: the stream stopped at the first number that the cleaner had removed."""
    await write(compacted.stage, CONTACTS, 0, [told("a", 1), told("b", 2)])
    async with running(bus := reader(compacted)):
        await at_rest(bus)
        await until(lambda: _at_the_end(compacted))
    await write(compacted.stage, CONTACTS, 0, [told("a", 3), told("a", 4), told("b", 5), told("a", 6)])
    async with asyncio.timeout(90):
        last = await clean(compacted, 7, 3, 4)
    async with reader(compacted).running():
        await until(lambda: _stopped(compacted))
    await execute(compacted.read_url, "UPDATE inbox_position SET state = 'running'")
    monkeypatch.setattr(compaction, "STRICT_FOR", timedelta(0))
    async with running(bus := reader(compacted)):
        await at_rest(bus)
        assert (bus.metrics.registry.get_sample_value("arrears_leaps_total", {"topic": "contacts"}) or 0) > 0
    assert await names(compacted) == {"a": ["n-6"], "b": ["n-5"]}
    [row] = await fetch(compacted.read_url, "SELECT sequence FROM inbox_position WHERE partition = 0")
    assert row["sequence"] == last


async def test_whose_erasure_came_and_went_unread_is_erased_and_nobody_else(
    compacted: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with the sweep left out, and with those dropped as known already left unmarked."""
    await write(compacted.stage, CONTACTS, 0, [told("a", 1), told("b", 2), told("c", 3)])
    async with running(bus := reader(compacted)):
        await at_rest(bus)
        await until(lambda: _at_the_end(compacted))
    await write(compacted.stage, CONTACTS, 0, [told("b", 4, erased=True), told("a", 5)])
    async with asyncio.timeout(90):
        await clean(compacted, 6, 1, 2, 4)
    monkeypatch.setattr(compaction, "STRICT_FOR", timedelta(0))
    monkeypatch.setattr(compaction, "SCAN_AFTER", timedelta(0))
    async with running(bus := reader(compacted)):
        await at_rest(bus)
        await until(lambda: _swept(compacted))
    assert await names(compacted) == {"a": ["n-5"], "c": ["n-3"]}
    assert await fetch(compacted.read_url, "SELECT FROM inbox_seen") == []


@pytest.mark.expected_errors("stream stopped")
async def test_a_log_that_ends_before_the_position_erases_nobody(compacted: Toys) -> None:
    """A topic that was lost and made again would empty every service.

    Seen to fail with the sweep not asking whether the record at the position, or a later one, was met.
    """
    await execute(compacted.read_url, "INSERT INTO toy VALUES ('a', 1, ARRAY['n-1'])")
    await execute(compacted.read_url, "UPDATE inbox_position SET epoch = 7, sequence = 5, log_offset = 5")
    async with reader(compacted).running():
        await until(lambda: _stopped(compacted))
    assert await names(compacted) == {"a": ["n-1"]}
    [row] = await fetch(compacted.read_url, "SELECT reason FROM inbox_position WHERE partition = 0")
    assert row["reason"] == "short: the log ends before 7:5, so nobody was erased"


async def _at_the_end(toys: Toys) -> bool:
    """Whether the reader has noted that it was at the end: of a new row that is not known before."""
    return bool(await fetch(toys.read_url, "SELECT FROM inbox_position WHERE partition = 0 AND at > 'epoch'"))


async def _stopped(toys: Toys) -> bool:
    return bool(await fetch(toys.read_url, "SELECT FROM inbox_position WHERE (partition, state) = (0, 'stopped')"))


async def _swept(toys: Toys) -> bool:
    """Whether the scan that began is over: nobody is held who stands nowhere in the log."""
    scanning = await fetch(toys.read_url, "SELECT FROM inbox_position WHERE scan_end IS NOT NULL")
    return not scanning and "b" not in await names(toys)
