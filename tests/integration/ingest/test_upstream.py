"""The card system's own topic on a real Kafka and PostgreSQL: taken once, refused in rows, never lost in silence."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from fastapi import FastAPI

from services.ingest import store
from services.ingest.answers import BATCH, STRUCTURED
from services.ingest.app import create_app
from services.ingest.settings import Settings
from shared.bus.topics import create_topics
from shared.clock import FrozenClock
from shared.events.registry import CARD
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from tests.integration.bus.test_poison import unreadable
from tests.integration.conftest import Stage
from tests.integration.dumps import traces_in
from tests.integration.ingest.conftest import SIGNER, at_rest, of, ready, send, until
from tests.integration.ingest.test_events import facts, told
from tests.integration.ingest.test_load import loaded, values_of
from tests.integration.ingest.test_ways import send_binary, send_lines
from tests.unit.ingest.events import NOW
from tests.unit.ingest.loading.files import HEADER, ROW, csv_file
from tests.unit.ingest.paths import encoded, headers_of

CARD_NUMBER = "4111111111111111"
PARTITIONS = 2
Record = tuple[bytes | None, list[tuple[str, bytes]]]


def structured(event: object) -> Record:
    return encoded(event), [("content-type", STRUCTURED.encode())]


def binary(event: dict[str, Any]) -> Record:
    headers = [(name, value.encode()) for name, value in headers_of(event, "ce_")]
    return encoded(event["data"]), [*headers, ("content-type", b"application/json")]


class Log:
    """The card system's topic, and a database of intake's that reads it."""

    def __init__(self, stage: Stage, url: str, topic: str) -> None:
        self.stage = stage
        self.url = url
        self.topic = topic

    async def make(self) -> None:
        await create_topics(
            self.stage.infra.bootstrap,
            namespace=self.stage.namespace,
            partitions=PARTITIONS,
            replication=1,
            topics=(),
            foreign=[self.topic],
        )

    async def write(self, records: Sequence[Record], partition: int = 0) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.stage.infra.bootstrap)
        await producer.start()
        try:
            for value, headers in records:
                await producer.send_and_wait(self.topic, value, b"k", partition=partition, headers=headers)
        finally:
            await producer.stop()

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stage.infra.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    @asynccontextmanager
    async def read(self, instance: str = "0") -> AsyncIterator[FastAPI]:
        verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
        surroundings = self.stage.surroundings(self.url, instance=instance)
        settings = Settings.model_validate({**surroundings, "upstream_topic": self.topic})
        app = create_app(settings, parts=Parts(verifier=verifier, clock=FrozenClock(NOW)))
        async with app.router.lifespan_context(app):
            await until(lambda: ready(app))
            yield app

    async def read_all(self) -> dict[str, int]:
        """Read to the end in a process of its own, and return how many records came to what."""
        async with self.read() as app:
            await until(lambda: at_rest(app))
            return outcomes(app)


def outcomes(app: FastAPI) -> dict[str, int]:
    samples = next(iter(app.state.metrics.intake_items.collect())).samples
    return {sample.labels["outcome"]: int(sample.value) for sample in samples}


@asynccontextmanager
async def caller(app: FastAPI, role: Role = Role.UPSTREAM) -> AsyncIterator[httpx.AsyncClient]:
    headers = SIGNER.bearer("cards", role)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://i", headers=headers) as http:
        yield http


async def rejects(app: FastAPI, limit: int = 200) -> list[dict[str, Any]]:
    """Return all refusals, page by page, the oldest first."""
    found: list[dict[str, Any]] = []
    async with caller(app) as http:
        at: str | None = f"/v1/rejects?limit={limit}"
        while at is not None:
            answer = (await http.get(at)).json()
            found, at = [*found, *answer["items"]], answer["next"]
    topic = app.state.settings.upstream_topic
    return [each for each in reversed(found) if each["topic"] == topic]


@pytest_asyncio.fixture
async def log(stage: Stage, url: str) -> AsyncIterator[Log]:
    """A topic of the test's own; the database is the module's, which has told what stands in our topics."""
    made = Log(stage, url, f"{stage.namespace}.{secrets.token_hex(4)}.card")
    await made.make()
    yield made
    async with made.admin() as admin:
        await admin.delete_topics([made.topic])


async def test_records_are_judged_as_over_http_and_what_is_refused_is_a_row(log: Log, stage: Stage) -> None:
    """Seen to fail with what is refused only counted, and with a name that holds a NUL kept as it is."""
    other = of("topic-1")
    other["data"]["balance"] = 1
    records = [
        structured(of("topic-1")),
        binary(of("topic-1", "customer.stop_set", id="stop-13800138000")),
        structured(of("topic-1")),
        structured(other),
        (b"{", []),
        (None, []),
        (b"{}", []),
        (b'{"a\\u0000":1}', [("content-type", STRUCTURED.encode())]),
        structured(of("topic-1", id=CARD_NUMBER)),
        binary(of("topic-1", "account.cured", time="13800138000", id="pay-13800138000")),
        structured(of("topic-2", "account.cured")),
    ]
    await log.write(records)
    async with log.read() as app:
        await until(lambda: at_rest(app))
        assert outcomes(app) == {"accepted": 3, "replayed": 1, "conflict": 1, "rejected": 6}
        kept = await rejects(app, limit=2)
        assert [(each["offset"], each["outcome"]) for each in kept] == [
            (3, "conflict"), *((offset, "rejected") for offset in range(4, 10)),
        ]  # fmt: skip
        assert [each["errors"][0]["field"] for each in kept] == ["id", "body", "value", "headers", "?", "id", "time"]
        assert kept[0]["event_id"] == "account.overdue_reported-topic-1"
        assert "13800138000" not in json.dumps(kept)
        async with caller(app, Role.OPERATOR) as operator, caller(app, Role.SUPERVISOR) as supervisor:
            assert (await operator.get("/v1/rejects")).status_code == 200
            assert (await supervisor.get("/v1/rejects")).status_code == 403
        assert sorted(name for name, _ in await told(app, stage, "topic-1")) == [
            "arrears.account.overdue_reported.v1",
            "arrears.customer.stop_set.v1",
        ]
    assert await traces_in(log.url, [CARD_NUMBER, "13800138000"]) == []


async def test_the_same_facts_by_every_way_are_the_same_bytes_on_the_topic(log: Log, tmp_path: Path) -> None:
    """Of a row of a file and of an event in each form. Seen to fail with instants told as they were written."""
    data = {
        "account_id": "a-1", "card_last4": "0234", "product_code": "gold", "currency": "CNY",
        "as_of": "2026-02-25T00:00:00Z", "statement_date": "2026-02-05", "due_date": "2026-01-25",
        "min_payment_due": 50_000, "amount_past_due": 120_000, "principal_past_due": 100_000, "balance": 900_050,
        "credit_limit": 2_000_000, "periods_past_due": 1, "late_fee": 0,
    }  # fmt: skip
    ways = ("structured", "batch", "binary", "lines", "record", "binary-record", "a-file")
    events = {way: {**of(way), "data": {"customer_id": way, **data}} for way in ways}
    await log.write([structured(events["record"]), binary(events["binary-record"])])
    async with log.read() as app, caller(app) as http:
        await send(http, events["structured"])
        await send(http, [events["batch"]], BATCH)
        await send_binary(http, events["binary"])
        await send_lines(http, [events["lines"]])
        await loaded(http, csv_file(tmp_path, [HEADER, ["a-file", *ROW[1:]]]))
        await until(lambda: at_rest(app))
    values = await values_of(log.stage, set(ways))
    assert {value.replace(f'"{way}"'.encode(), b"") for way, value in values.items()} == {
        values["structured"].replace(b'"structured"', b"")
    }


async def test_records_that_were_removed_before_they_were_read_are_told_as_lost(
    log: Log, expected_errors: Callable[[str], None]
) -> None:
    """Seen to fail with the reading begun at the log's start without a word."""
    expected_errors("the log is not what was read")
    await log.write([structured(of("cut-0"))])
    await log.read_all()
    await log.write([structured(of(f"cut-{number}")) for number in range(1, 6)])
    async with log.admin() as admin:
        await admin.delete_records({TopicPartition(log.topic, 0): RecordsToDelete(before_offset=4)})
    async with log.read() as app:
        await until(lambda: at_rest(app))
        assert outcomes(app) == {"accepted": 2}
        (lost,) = await rejects(app)
    assert (lost["outcome"], lost["offset"]) == ("lost", 1)
    assert "1 to 3" in lost["errors"][0]["fault_en"]


@pytest.mark.parametrize("longer", [True, False])
async def test_a_topic_that_was_made_again_is_read_from_its_start(
    log: Log, expected_errors: Callable[[str], None], longer: bool
) -> None:
    """Longer than before it looks like the old one. Seen to fail with its last record not compared."""
    expected_errors("the log is not what was read")
    await log.write([structured(of(f"old-{longer}-{number}")) for number in range(4)])
    await log.read_all()
    async with log.admin() as admin:
        await admin.delete_topics([log.topic])

        async def gone() -> bool:
            return log.topic not in await admin.list_topics()

        await until(gone)
    await log.make()
    await log.write([structured(of(f"new-{longer}-{number}")) for number in range(6 if longer else 2)])
    async with log.read() as app:
        await until(lambda: at_rest(app))
        assert outcomes(app) == {"accepted": 6 if longer else 2}
        assert [each["outcome"] for each in await rejects(app)] == ["anew"]


async def test_a_record_that_the_client_cannot_read_is_refused_and_the_rest_flows(log: Log) -> None:
    """Seen to fail: the partition stood still for ever."""
    await log.write([structured(of("readable-0"))])
    await unreadable(log.stage.infra.bootstrap, log.topic)
    await log.write([structured(of("readable-1"))])
    await log.write([structured(of(f"beside-{number}")) for number in range(3)], partition=1)
    await unreadable(log.stage.infra.bootstrap, log.topic, partition=1)
    async with log.read() as app:
        await until(lambda: at_rest(app))
        assert outcomes(app) == {"accepted": 5, "rejected": 2}
        assert sorted((each["partition"], each["offset"]) for each in await rejects(app)) == [(0, 1), (1, 3)]


async def test_a_topic_that_is_not_there_is_said_and_waited_for(log: Log) -> None:
    async with log.admin() as admin:
        await admin.delete_topics([log.topic])
    log.topic = f"{log.topic}.late"
    verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
    settings = Settings.model_validate({**log.stage.surroundings(log.url), "upstream_topic": log.topic})
    app = create_app(settings, parts=Parts(verifier=verifier, clock=FrozenClock(NOW)))
    async with app.router.lifespan_context(app):

        async def missing() -> bool:
            return [reason.code for reason in await app.state.bus.not_ready()] == ["upstream_missing"]

        await until(missing)
        await log.make()
        await until(lambda: ready(app))


async def test_a_record_takes_effect_once_whoever_reads_and_however_often_it_begins(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its position, not by its id: nothing is ever seen as sent again. Half of the transactions fail at their end.

    Seen to fail with the position moved in a transaction of its own, before and behind the effect.
    """
    keep, calls = store.keep_rejects, 0

    async def failing(*given: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise asyncpg.ConnectionDoesNotExistError("cut off")
        await keep(*given)

    monkeypatch.setattr(store, "keep_rejects", failing)
    counts: Counter[str] = Counter()
    for number in range(2):
        for partition in range(PARTITIONS):
            name = f"once-{number}-{partition}"
            await log.write([binary(of(f"{name}-{each}")) for each in range(20)] + [(b"[]", [])], partition)
        async with log.read() as one, log.read("1") as two:
            for app in (one, two):
                await until(partial(at_rest, app))
            counts += Counter(outcomes(one)) + Counter(outcomes(two))
            assert len(await rejects(one)) == 2 * (number + 1)
    assert counts == {"accepted": 80, "rejected": 4}
    values = [value for _, value in await facts(log.stage, CARD)]
    assert len([value for value in values if value["customer_id"].startswith("once-")]) == 80
