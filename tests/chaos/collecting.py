"""Looks at everything after a run: the logs, the databases (read only), the catchers, what the services say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from http import HTTPStatus
from typing import Any

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from deploy.demo.client import OPERATOR
from deploy.local.parts import SERVICES
from shared.bus.headers import numbers_of, text_of
from shared.events.registry import TOPICS
from tests.chaos.evidence import Evidence, Head, Position, Record, Row
from tests.chaos.ledger import Ledger
from tests.chaos.rig import PARTITIONS, Rig
from tests.chaos.schedule import MOST_DELAY
from tests.chaos.story import STAFF, Person

_NAMESPACE = "arrears"
_HEADS = """
SELECT s.topic, s.partition, s.epoch, s.head,
    coalesce(p.epoch, 0) AS published_epoch, coalesce(p.sequence, 0) AS published
FROM outbox_stream s LEFT JOIN outbox_published p USING (topic, partition)
"""
_POSITIONS = "SELECT topic, partition, epoch, sequence, state, reason FROM inbox_position"
_LEFT_TO_DO = """
SELECT 'dead letter: ' || code || ' ' || left(detail, 120) AS what FROM dead_letter WHERE state = 'open'
UNION ALL SELECT 'segment not published: ' || topic || '/' || partition FROM outbox_segment
"""
_HAND_OVERS = """
SELECT line ->> 'hand_over_id' AS hand_over_id, line ->> 'reason' AS reason
FROM field_list, jsonb_array_elements(lines) AS line
"""
_NOTICES = """
SELECT notice_id, natural_key, customer_id, staff_id, purpose, channel, state, due, address, provider_ref, barrier_at,
    holder
FROM notice
"""
_STATES = {
    "scoring": "SELECT customer_id, state::text AS state FROM customer_score",
    "assignment": "SELECT customer_id, state::text AS state FROM customer",
    "fieldvisit": "SELECT customer_id, state::text AS state FROM customer",
    "notify": "SELECT customer_id, state::text AS state FROM customer",
}
_ROWS = {
    "gradings": ("scoring", "SELECT account_id, version FROM grading"),
    "contacts": ("assignment", "SELECT contact_id, note FROM contact"),
    "timeline": ("assignment", "SELECT customer_id, seq, kind, data::text AS data FROM timeline"),
    "hand_overs": ("assignment", _HAND_OVERS),
    "visits": ("fieldvisit", "SELECT visit_id, hand_over_id, state, due_at FROM visit"),
    "visit_notes": ("fieldvisit", "SELECT visit_id, text FROM visit_note"),
    "reports": ("fieldvisit", "SELECT report_id, visit_id, kind FROM report"),
    "notices": ("notify", _NOTICES),
}


async def collect(rig: Rig, ledger: Ledger, people: Mapping[str, Person], unanswered: Sequence[str]) -> Evidence:
    """Look at everything that the judgements speak of."""
    databases = {service: await asyncpg.connect(rig.database(service)) for service in SERVICES}
    try:
        heads = [_head(row) for service in SERVICES for row in await databases[service].fetch(_HEADS)]
        positions = [
            Position(
                service, row["topic"], row["partition"], (row["epoch"], row["sequence"]), row["state"], row["reason"]
            )
            for service in SERVICES
            for row in await databases[service].fetch(_POSITIONS)
        ]
        states = {
            service: {row["customer_id"]: row["state"] for row in await databases[service].fetch(sql)}
            for service, sql in _STATES.items()
        }
        rest = {service: [row["what"] for row in await databases[service].fetch(_LEFT_TO_DO)] for service in SERVICES}
        rows: dict[str, Any] = {name: await _rows(databases[service], sql) for name, (service, sql) in _ROWS.items()}
    finally:
        for database in databases.values():
            await database.close()
    for name in rig.replicas:
        rest[f"{name} itself"] = await _says(rig, name)
    return Evidence(
        clock=rig.clock.now.astimezone(UTC),
        network=MOST_DELAY,
        intents=list(ledger.intents.values()),
        unanswered=unanswered,
        settling=frozenset(customer_id for customer_id, each in people.items() if each.settles),
        records=await read_logs(rig.stack.bootstrap),
        heads=heads,
        positions=positions,
        states=states,
        rest=rest,
        complaints=list(rig.complaints),
        mails=(await rig.client.http.get(f"{rig.stack.urls['mail']}/messages")).json(),
        texts=(await rig.client.http.get(f"{rig.stack.urls['sms']}/messages")).json(),
        assistants=sum(member.role == "admin_assistant" for member in STAFF),
        **rows,
    )


async def read_logs(bootstrap: str) -> list[Record]:
    """Every record of every topic, in the order of the log."""
    kafka = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    await kafka.start()
    try:
        names = {TopicPartition(t.full_name(_NAMESPACE), n): t.name for t in TOPICS for n in range(PARTITIONS)}
        kafka.assign(list(names))
        ends = await kafka.end_offsets(list(names))
        found: list[Record] = []
        while any([await kafka.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await kafka.getmany(timeout_ms=500)).items():
                found += [_record(names[tp], record) for record in records]
    finally:
        await kafka.stop()
    return found


async def waiting(rig: Rig) -> dict[str, Sequence[str]]:
    """What each replica says that it still has to do."""
    said = await asyncio.gather(*(_says(rig, name) for name in rig.replicas))
    return {name: each for name, each in zip(rig.replicas, said, strict=True) if each}


async def _says(rig: Rig, name: str) -> list[str]:
    """What one replica has left to do, by its own word; asked directly, and once."""
    url = rig.stack.urls[name]
    token = await rig.client.token_of(OPERATOR)
    try:
        ready = await rig.client.http.get(f"{url}/readyz", timeout=5)
        idle = await rig.client.http.get(f"{url}/v1/idle", headers={"authorization": f"Bearer {token}"}, timeout=10)
    except httpx.TransportError as error:
        return [f"does not answer: {type(error).__name__}"]
    if idle.status_code != HTTPStatus.OK:
        return [f"GET /v1/idle answered {idle.status_code}"]
    reasons = [] if ready.is_success else [reason["reason_en"] for reason in ready.json()["reasons"]]
    told: dict[str, Any] = idle.json()
    return [*reasons, *told["waiting_for"]]


def _head(row: asyncpg.Record) -> Head:
    published = (row["published_epoch"], row["published"])
    return Head(row["topic"], row["partition"], row["epoch"], row["head"], published)


async def _rows(database: asyncpg.Connection, sql: str) -> list[Row]:
    rows = [dict(row) for row in await database.fetch(sql)]
    return [row | {"data": json.loads(row["data"])} if "data" in row else row for row in rows]


def _record(topic: str, record: ConsumerRecord) -> Record:
    numbers = numbers_of(record.headers)
    assert numbers is not None, f"a record of {topic} has no numbers"
    return Record(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        epoch=numbers.epoch,
        sequence=numbers.sequence,
        id=str(text_of(record.headers, "ce_id")),
        type=str(text_of(record.headers, "ce_type")),
        data=json.loads(record.value),
    )
