"""Events over HTTP on a real PostgreSQL and Kafka: taken once, answered truly, found in the log."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI

from services.ingest.answers import BATCH, MAX_EVENTS, STRUCTURED
from shared.events.registry import CARD, CONTACTS, Topic
from shared.web.auth import Role
from tests.integration.conftest import Stage
from tests.integration.ingest.conftest import SIGNER, of, published, send
from tests.unit.ingest.events import DATA

ENDING = ("customer.stop_set", "account.cured", "payment.posted")


async def facts(stage: Stage, topic: Topic) -> list[tuple[dict[str, str], Any]]:
    """Return headers and value of everything in the topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stage.infra.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic.full_name(stage.namespace), number) for number in range(stage.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found = []
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [({k: v.decode() for k, v in r.headers}, json.loads(r.value or b"null")) for r in records]
        return found
    finally:
        await consumer.stop()


async def told(app: FastAPI, stage: Stage, customer_id: str) -> list[tuple[str, Any]]:
    """Return type and value of every fact of the customer."""
    await published(app)
    records = [*await facts(stage, CARD), *await facts(stage, CONTACTS)]
    return [(headers["ce_type"], value) for headers, value in records if headers["ce_partitionkey"] == customer_id]


async def test_every_type_of_event_is_published_as_its_fact(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    answer = await send(http, [of("every", name) for name in DATA], BATCH)
    assert answer.status_code == 202
    assert [item["outcome"] for item in answer.json()["items"]] == ["accepted"] * len(DATA)
    assert sorted(name for name, _ in await told(app, stage, "every")) == sorted(f"arrears.{name}.v1" for name in DATA)


async def test_a_fact_carries_the_time_and_the_trace_of_its_event(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    await send(http, of("traced", traceparent=f"00-{trace}-b7ad6b7169203331-01"))
    await published(app)
    (headers,) = (headers for headers, value in await facts(stage, CARD) if value["customer_id"] == "traced")
    assert datetime.fromisoformat(headers["ce_time"]) == datetime(2026, 2, 25, 1, 30, tzinfo=UTC)
    assert headers["traceparent"].split("-")[1] == trace
    assert headers["ce_source"] == "/arrears/ingest"


async def test_an_event_sent_again_is_replayed_and_told_once(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    first, again = await send(http, of("again")), await send(http, of("again"))
    assert (first.status_code, first.json()["outcome"]) == (202, "accepted")
    assert (again.status_code, again.json()["outcome"]) == (202, "replayed")
    assert len(await told(app, stage, "again")) == 1


async def test_a_known_id_with_other_content_is_a_conflict_and_changes_nothing(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    await send(http, of("clash"))
    other = of("clash")
    other["data"]["balance"] = 1
    answer = await send(http, other)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "event_conflict"
    assert len(await told(app, stage, "clash")) == 1


async def test_a_batch_answers_for_each_event_and_takes_the_good_ones(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    good, again, wrong, clash = of("mixed"), of("mixed"), of("mixed-2"), of("mixed")
    wrong["data"]["currency"] = "XXX"
    clash["data"]["balance"] = 1
    answer = await send(http, [good, wrong, again, clash, 5], BATCH)
    items = answer.json()["items"]
    assert answer.status_code == 207
    assert [item["outcome"] for item in items] == ["accepted", "rejected", "replayed", "conflict", "rejected"]
    assert [item["index"] for item in items] == [0, 1, 2, 3, 4]
    assert items[1]["problem"]["errors"][0]["field"] == "data.currency"
    assert items[3]["problem"]["code"] == "event_conflict"
    assert len(await told(app, stage, "mixed")) == 1


async def test_a_rejected_event_is_corrected_under_its_own_id(http: httpx.AsyncClient) -> None:
    wrong = of("corrected")
    wrong["data"]["amount_past_due"] = -1
    refused = await send(http, wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "event_rejected")
    assert (await send(http, of("corrected"))).json()["outcome"] == "accepted"


async def test_two_senders_of_the_same_events_at_once_tell_each_once(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    events = [of(f"race-{number}") for number in range(40)]
    answers = await asyncio.gather(*(send(http, batch, BATCH) for batch in (events, events[::-1], events)))
    outcomes = [item["outcome"] for answer in answers for item in answer.json()["items"]]
    assert outcomes.count("accepted") == 40
    assert outcomes.count("replayed") == 80
    await published(app)
    customers = [value["customer_id"] for _, value in await facts(stage, CARD)]
    assert all(customers.count(f"race-{number}") == 1 for number in range(40))


@pytest.mark.parametrize("name", [*ENDING, "customer.contacts_changed", "contacts.erased"])
async def test_whoever_ends_or_limits_pressure_is_told_from_when_it_holds(http: httpx.AsyncClient, name: str) -> None:
    before = datetime.now(UTC)
    answer = await send(http, of("stopped", name))
    effective_at = datetime.fromisoformat(answer.json()["effective_at"])
    assert (answer.status_code, answer.json()["state"]) == (200, "published")
    assert effective_at >= before + timedelta(seconds=15)
    again = await send(http, of("stopped", name))
    assert (again.status_code, again.json()["outcome"]) == (200, "replayed")
    assert datetime.fromisoformat(again.json()["effective_at"]) >= effective_at


async def test_other_facts_are_answered_as_soon_as_they_are_stored(http: httpx.AsyncClient) -> None:
    answer = await send(http, of("plain", "payment.reversed"))
    assert answer.status_code == 202
    assert "effective_at" not in answer.json()


async def test_a_stop_that_is_not_published_in_time_is_recorded_and_promises_nothing(
    app: FastAPI, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publisher's answer is withheld. A broker that is really away is in the bus's own tests."""

    async def never(_segments: object, _timeout: float) -> None:
        return None

    monkeypatch.setattr(app.state.bus, "published", never)
    answer = await send(http, of("recorded", "customer.stop_set"))
    assert answer.status_code == 202
    assert answer.json() == {"index": 0, "id": "customer.stop_set-recorded", "outcome": "accepted", "state": "recorded"}


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"", STRUCTURED, 400, "malformed_body"),
        (b"{", STRUCTURED, 400, "malformed_body"),
        (b'{"id":"1","id":"2"}', STRUCTURED, 400, "malformed_body"),
        (b'{"data":{"amount":NaN}}', STRUCTURED, 400, "malformed_body"),
        (b'{"data":{"amount":1e999}}', STRUCTURED, 400, "malformed_body"),
        (b'{"id":"\\u0000"}', STRUCTURED, 400, "malformed_body"),
        (b'"\xff"', STRUCTURED, 400, "malformed_body"),
        (b"{}", BATCH, 400, "malformed_body"),
        (b"[]", STRUCTURED, 422, "event_rejected"),
        (b"{}", "application/json", 415, "unsupported_media_type"),
        (b"{}", "application/cloudevents+avro", 415, "unsupported_media_type"),
        (b"[" + b" " * (1 << 20) + b"]", BATCH, 413, "body_too_large"),
        (json.dumps([1] * (MAX_EVENTS + 1)).encode(), BATCH, 413, "batch_too_large"),
    ],
)
async def test_a_wrong_body_gets_a_problem_document(
    http: httpx.AsyncClient, body: bytes, kind: str, status: int, code: str
) -> None:
    answer = await send(http, body, kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert status != 413 or {"limit_bytes", "limit_items"} & set(answer.json())


async def test_an_empty_batch_is_taken_and_holds_nothing(http: httpx.AsyncClient) -> None:
    answer = await send(http, [], BATCH)
    assert (answer.status_code, answer.json()) == (202, {"items": []})


async def test_the_largest_batch_is_taken(http: httpx.AsyncClient) -> None:
    events = [of(f"large-{number}", "account.cured") for number in range(MAX_EVENTS)]
    answer = await send(http, events, BATCH)
    assert answer.status_code == 202
    assert {item["state"] for item in answer.json()["items"]} == {"published"}


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.UPSTREAM])
async def test_only_the_card_system_sends_events_that_tell_of_something(app: FastAPI, role: Role) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as stranger:
        headers = {**SIGNER.bearer("somebody", role), "content-type": STRUCTURED}
        refused = await stranger.post("/v1/events", json=of("stranger"), headers=headers)
        unknown = await stranger.post("/v1/events", json=of("stranger"), headers={"content-type": STRUCTURED})
    assert (refused.status_code, unknown.status_code) == (403, 401)


async def test_capabilities_name_limits_and_types_with_their_schemas(http: httpx.AsyncClient) -> None:
    told = (await http.get("/v1/capabilities")).json()
    assert (told["max_events"], told["max_bytes"], told["effective_after_seconds"]) == (500, 1 << 20, 15)
    assert (told["max_lines"], told["max_lines_bytes"], told["max_streams"]) == (50_000, 64 << 20, 4)
    assert {each["type"] for each in told["types"]} == {f"arrears.{name}.v1" for name in DATA}
