"""A customer's erasure over HTTP: who may ask for it, and what stands in the compacted topic afterwards."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from fastapi import FastAPI

from services.ingest.answers import BATCH, STRUCTURED
from shared.bus.headers import numbers_of
from shared.events.registry import CONTACTS
from shared.web.auth import Role
from tests.integration.conftest import Stage
from tests.integration.dumps import traces_in
from tests.integration.ingest.conftest import SIGNER, of, published, send
from tests.unit.ingest.events import NOW

NAME = "欧阳清"
ERASED_AT = NOW - timedelta(hours=1)


def contacts(customer_id: str, as_of: datetime, number: int = 0) -> dict[str, Any]:
    """Contact data of an instant."""
    event = of(customer_id, "customer.contacts_changed", id=f"contacts-{customer_id}-{as_of.isoformat()}-{number}")
    event["data"] |= {"as_of": as_of.isoformat(), "name": NAME}
    return event


def erasure(customer_id: str, as_of: datetime = ERASED_AT) -> dict[str, Any]:
    """An erasure of an instant."""
    event = of(customer_id, "contacts.erased", id=f"erasure-{customer_id}-{as_of.isoformat()}")
    event["data"]["as_of"] = as_of.isoformat()
    return event


async def log(app: FastAPI, stage: Stage) -> list[ConsumerRecord]:
    """Return what stands in the topic, each partition in its order."""
    await published(app)
    name = CONTACTS.full_name(stage.namespace)
    parts = [TopicPartition(name, number) for number in range(stage.partitions)]
    kafka = AIOKafkaConsumer(bootstrap_servers=stage.infra.bootstrap, enable_auto_commit=False)
    await kafka.start()
    try:
        kafka.assign(parts)
        await kafka.seek_to_beginning(*parts)
        ends = await kafka.end_offsets(parts)
        found: list[ConsumerRecord] = []
        while any([await kafka.position(part) < ends[part] for part in parts]):
            for some in (await kafka.getmany(timeout_ms=500)).values():
                found += some
        return found
    finally:
        await kafka.stop()


async def records(app: FastAPI, stage: Stage, customer_id: str) -> list[ConsumerRecord]:
    """Return the customer's records in the topic, in its order."""
    return [each for each in await log(app, stage) if each.key == customer_id.encode()]


async def test_an_erasure_is_the_last_record_of_its_key_without_a_value_and_with_all_headers(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage, url: str
) -> None:
    """Seen to fail with the fact encoded as any other: the topic would keep a record of the key for ever."""
    await send(http, contacts("gone", ERASED_AT - timedelta(days=1)))
    answer = await send(http, erasure("gone"))
    assert (answer.status_code, answer.json()["outcome"], answer.json()["state"]) == (200, "accepted", "published")
    told, erased = await records(app, stage, "gone")
    headers = {name: value.decode() for name, value in erased.headers}
    assert erased.value is None
    assert {name for name, _ in erased.headers} == {name for name, _ in told.headers} - {"ce_epochbase"}
    assert (headers["ce_type"], headers["ce_partitionkey"]) == ("arrears.contacts.erased.v1", "gone")
    assert datetime.fromisoformat(headers["ce_time"]) == ERASED_AT
    before, after = numbers_of(told.headers), numbers_of(erased.headers)
    assert before is not None
    assert after is not None
    assert (after.epoch, after.sequence) == (before.epoch, before.sequence + 1)
    assert await traces_in(url, [NAME]) == []


async def test_an_erasure_sent_again_is_replayed_and_with_other_content_a_conflict(http: httpx.AsyncClient) -> None:
    first, again = await send(http, erasure("twice")), await send(http, erasure("twice"))
    other = await send(http, {**erasure("twice", ERASED_AT + timedelta(minutes=1)), "id": erasure("twice")["id"]})
    assert [first.json()["outcome"], again.json()["outcome"], other.json()["code"]] == [
        "accepted",
        "replayed",
        "event_conflict",
    ]


async def test_older_contact_data_that_come_late_are_taken_and_never_told(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    late = contacts("late", ERASED_AT)
    answer = await send(http, [erasure("late"), late, contacts("late", ERASED_AT + timedelta(seconds=1))], BATCH)
    assert [item["outcome"] for item in answer.json()["items"]] == ["accepted"] * 3
    assert (await send(http, late)).json()["outcome"] == "replayed"
    erased, newer = await records(app, stage, "late")
    assert (erased.value, newer.value is not None) == (None, True)


async def test_an_erasure_and_older_contact_data_at_the_same_time_leave_the_erasure_last(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    """Seen to fail without the guard of `contacts_told`: in some races the older data stood behind the erasure."""
    people = [f"race-{number}" for number in range(20)]
    older = [contacts(each, ERASED_AT - timedelta(days=1)) for each in people]
    erasures = [erasure(each) for each in people]
    answers = await asyncio.gather(*(send(http, each) for pair in zip(older, erasures, strict=True) for each in pair))
    assert {answer.json()["outcome"] for answer in answers} == {"accepted"}
    last = {each.key.decode(): each.value for each in await log(app, stage)}
    assert [each for each in people if last[each] is not None] == []


async def test_an_erasure_older_than_the_contact_data_told_is_refused_in_words_and_may_be_corrected_under_its_id(
    app: FastAPI, http: httpx.AsyncClient, stage: Stage
) -> None:
    await send(http, contacts("newer", ERASED_AT + timedelta(minutes=1)))
    refused = await send(http, erasure("newer"))
    assert (refused.status_code, refused.json()["code"]) == (422, "event_rejected")
    assert [error["field"] for error in refused.json()["errors"]] == ["data.as_of"]
    corrected = {**erasure("newer", ERASED_AT + timedelta(minutes=1)), "id": erasure("newer")["id"]}
    assert (await send(http, corrected)).json()["outcome"] == "accepted"
    assert (await records(app, stage, "newer"))[-1].value is None


@pytest.mark.parametrize("kind", [STRUCTURED, BATCH])
async def test_an_operator_sends_an_erasure_and_nothing_else(app: FastAPI, kind: str) -> None:
    def body(*events: dict[str, Any]) -> Any:
        return list(events) if kind == BATCH else events[-1]

    transport, headers = httpx.ASGITransport(app), SIGNER.bearer("op-1", Role.OPERATOR)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as operator:
        wanted = erasure(f"operated-{len(kind)}")
        taken = await send(operator, body(wanted), kind)
        refused = await send(operator, body(wanted, of("operated", "account.cured")), kind)
    assert taken.status_code in (200, 202)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
