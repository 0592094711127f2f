"""Intake is sent ten times what it lets in, and its database is slow: it stays small, and loses nothing it accepted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import httpx
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.state import choose_ports
from shared.events.registry import CARD
from shared.settings import ServiceSettings
from shared.web.auth import Role
from shared.web.signing import Signer
from tests.integration.conftest import Stage
from tests.integration.outages.lives import ISSUER, Life, preload
from tests.integration.overload.memory import memory
from tests.patience import SECONDS as PATIENCE
from tests.proxy import Link
from tests.unit.ingest.events import event

BATCH = "application/cloudevents-batch+json"
EVENTS = 250
LIMIT_BYTES: int = ServiceSettings.model_fields["body_bytes_at_once"].default
GROWTH_BYTES = 16 * LIMIT_BYTES
"""What the README of ingest states: above what it takes at rest, sixteen times the bytes that it lets in at once."""


@dataclass
class Flooded:
    """What came of it: batches by what was answered, and the process's memory before and at its highest."""

    answers: dict[str, httpx.Response]
    before: int
    highest: int
    on_topic: set[str]


def body(number: int) -> bytes:
    """A batch of as many events as a customer's feed has, all about customers of this batch."""
    made = []
    for place in range(EVENTS):
        one = event("account.overdue_reported", id=f"{number}-{place}")
        one["data"]["customer_id"] = f"{number}-{place}"
        made.append(one)
    return json.dumps(made).encode()


async def send(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], number: int, content: bytes
) -> httpx.Response:
    return await http.post(f"{url}/v1/events", content=content, headers={**headers, "content-type": BATCH})


async def on_topic(stage: Stage) -> set[str]:
    """Return the customers of all facts in the topic."""
    partitions = [TopicPartition(CARD.full_name(stage.namespace), number) for number in range(stage.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=stage.infra.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: set[str] = set()
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found.update(record.key.decode() for record in records)
    finally:
        await consumer.stop()
    return found


@pytest_asyncio.fixture(scope="module")
async def flooded(stage: Stage) -> AsyncIterator[Flooded]:
    preload()
    signer = Signer.generate(issuer=ISSUER)
    url = await stage.migrated("ingest")
    link = Link("postgres", 0, stage.infra.ports["postgres"])
    await link.start()
    environment = {
        "ARREARS_ENV": "development",
        "ARREARS_DATABASE_URL": url.replace(f":{stage.infra.ports['postgres']}/", f":{link.port}/"),
        "ARREARS_KAFKA_BOOTSTRAP": stage.infra.bootstrap,
        "ARREARS_NAMESPACE": stage.namespace,
        "ARREARS_PARTITIONS": str(stage.partitions),
        "ARREARS_ISSUER": ISSUER,
        "ARREARS_JWKS_URL": f"{ISSUER}/jwks",
    }
    port = choose_ports(("ingest",), {})["ingest"]
    life = Life.begin("ingest", port, environment, signer, stage.infra.state.logs / "flooded.log")
    try:
        yield await _flood(life, link, signer, stage, url)
    finally:
        life.kill()
        await link.stop()


async def _flood(life: Life, link: Link, signer: Signer, stage: Stage, url: str) -> Flooded:
    size = len(body(0))
    count = 10 * LIMIT_BYTES // size
    headers = signer.bearer("cards", Role.UPSTREAM)
    limits = httpx.Limits(max_connections=count + 10)
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False, limits=limits) as http:
        await _ready(http, life)
        await send(http, life.url, headers, -1, body(-1))
        pid = life.process.pid
        assert pid is not None
        before = memory(pid, "VmRSS")
        await link.set("delay", 0.01)
        bodies = [body(number) for number in range(count)]
        given = await asyncio.gather(
            *(send(http, life.url, headers, number, content) for number, content in enumerate(bodies))
        )
        await link.set("pass")
        highest = memory(pid, "VmHWM")
    await _published(url)
    return Flooded({str(n): each for n, each in enumerate(given)}, before, highest, await on_topic(stage))


async def _ready(http: httpx.AsyncClient, life: Life) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if (await http.get(f"{life.url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            await asyncio.sleep(0.1)


async def _published(url: str) -> None:
    """Wait until nothing that was stored is left to be published."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(PATIENCE):
            while await connection.fetchval("SELECT EXISTS (SELECT FROM outbox_segment)"):
                await connection.fetchval("SELECT pg_sleep(0.1)")
    finally:
        await connection.close()


def test_its_memory_stays_below_what_is_stated(flooded: Flooded) -> None:
    """Seen to fail: with a limit of ten times the bytes, all was let in and the process grew beyond it."""
    assert flooded.highest - flooded.before < GROWTH_BYTES


def test_who_is_refused_is_told_to_come_back_and_the_rest_is_accepted(flooded: Flooded) -> None:
    codes = [answer.status_code for answer in flooded.answers.values()]
    assert set(codes) <= {202, 429, 503}
    assert codes.count(202) > 0
    assert codes.count(429) > 0
    refused = [answer for answer in flooded.answers.values() if answer.status_code != 202]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert all(answer.json()["detail"] and answer.json()["detail_en"] for answer in refused)


def test_everything_accepted_is_on_the_topic_and_nothing_refused_is(flooded: Flooded) -> None:
    accepted = {number for number, answer in flooded.answers.items() if answer.status_code == 202}
    refused = {number for number, answer in flooded.answers.items() if answer.status_code == 429}
    told = {customer.rpartition("-")[0] for customer in flooded.on_topic}
    assert {f"{number}-{place}" for number in accepted for place in range(EVENTS)} <= flooded.on_topic
    assert not told & refused
