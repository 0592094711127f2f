"""The least that a hop can be, as a process of its own: what a real service is measured against.

    python -m benchmarks.floor_hop DATABASE_URL BOOTSTRAP TOPIC_IN TOPIC_OUT

What has arrived is decoded, the states of its accounts are loaded in one statement and written in one, each partition's
facts go into one packed segment, the offsets move in the same transaction, and what was committed is published from
memory. It keeps the outbox and the guard of the offset, and leaves out everything else that a service does: no
envelope, no numbers, no other replica, no failure, no trace, no metrics.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

PARTITIONS = 12
BATCH = 2000

SCHEMA = """
CREATE TABLE account_state (
    account_id text PRIMARY KEY, customer_id text NOT NULL, as_of text NOT NULL, days integer NOT NULL,
    past_due bigint NOT NULL, balance bigint NOT NULL, bucket smallint NOT NULL, score real NOT NULL,
    treatment text NOT NULL, version bigint NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE offsets (partition integer PRIMARY KEY, next_offset bigint NOT NULL) WITH (fillfactor = 20);
CREATE TABLE segment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, partition integer NOT NULL, body bytea NOT NULL
);
ALTER TABLE segment ALTER COLUMN body SET STORAGE EXTERNAL;
INSERT INTO offsets SELECT number, 0 FROM generate_series(0, 11) AS number;
"""

_MOVE = """
UPDATE offsets o SET next_offset = w.next FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS w (partition, old, next)
WHERE o.partition = w.partition AND o.next_offset = w.old RETURNING o.partition
"""
_LOAD = "SELECT account_id, version, bucket FROM account_state WHERE account_id = ANY ($1::text[])"
_SAVE = """
INSERT INTO account_state AS t SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[],
    $6::bigint[], $7::smallint[], $8::real[], $9::text[], $10::bigint[])
ON CONFLICT (account_id) DO UPDATE SET as_of = excluded.as_of, days = excluded.days, past_due = excluded.past_due,
    balance = excluded.balance, bucket = excluded.bucket, score = excluded.score, treatment = excluded.treatment,
    version = excluded.version
WHERE t.version < excluded.version
"""
_APPEND = "INSERT INTO segment (partition, body) SELECT * FROM unnest($1::int[], $2::bytea[]) RETURNING id"
_CLEAR = "DELETE FROM segment WHERE id = ANY ($1::bigint[])"


class Month(msgspec.Struct, gc=False):
    """A month of the history."""

    month: str
    status: int
    statement_balance: int
    paid: int


class Snapshot(msgspec.Struct, gc=False):
    """An overdue snapshot, its values taken as they are."""

    customer_id: str
    account_id: str
    card_last4: str
    product_code: str
    currency: str
    as_of: str
    statement_date: str
    due_date: str
    min_payment_due: int
    amount_past_due: int
    principal_past_due: int
    interest_past_due: int
    late_fee: int
    balance: int
    credit_limit: int
    periods_past_due: int
    history: list[Month]


Facts = dict[int, list[tuple[bytes, bytes]]]
"""Keys and values by partition."""

_decode = msgspec.json.Decoder(Snapshot).decode
_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode


def decide(snapshot: Snapshot) -> tuple[int, float, str]:
    """Return bucket, score and treatment: a scorecard of the simplest kind."""
    late = sum(month.status > 0 for month in snapshot.history)
    worst = max((month.status for month in snapshot.history), default=0)
    paid = sum(month.paid for month in snapshot.history)
    use = snapshot.balance / (snapshot.credit_limit or 1)
    score = 600 - 20 * snapshot.periods_past_due - 40 * use - 12 * late - 6 * worst
    score += 8 * min(paid / (snapshot.min_payment_due * 6 + 1), 3.0)
    bucket = min(snapshot.periods_past_due, 7)
    return bucket, score, "visit" if bucket >= 4 else "call" if bucket >= 2 else "remind"


async def handle(connection: asyncpg.Connection, got: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> Facts:
    """Take in what has arrived and return what follows from it, all in the caller's transaction."""
    moved = [(tp.partition, records[0].offset, records[-1].offset + 1) for tp, records in got.items()]
    if len(await connection.fetch(_MOVE, *_columns(moved))) != len(moved):
        raise RuntimeError("somebody else has moved the offsets")
    taken = [(tp.partition, _decode(record.value)) for tp, records in got.items() for record in records]
    held = await connection.fetch(_LOAD, [snapshot.account_id for _, snapshot in taken])
    versions = {row["account_id"]: row["version"] for row in held}
    facts: Facts = {}
    rows = {}
    for partition, each in taken:
        version = versions[each.account_id] = versions.get(each.account_id, 0) + 1
        state = (each.account_id, each.customer_id, each.as_of, each.periods_past_due * 30)
        rows[each.account_id] = (*state, each.amount_past_due, each.balance, *decide(each), version)
        facts.setdefault(partition, []).append((each.customer_id.encode(), _encode(each)))
    await connection.execute(_SAVE, *_columns(rows.values()))
    return facts


async def run(url: str, bootstrap: str, topic_in: str, topic_out: str) -> None:
    """Hop for ever; what is committed is published while the next batch is handled."""
    connection = await asyncpg.connect(url)
    clearing = await asyncpg.connect(url)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=2 << 20
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        compression_type="snappy",
        max_batch_size=1 << 20,
    )
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(topic_in, number) for number in range(PARTITIONS)])
    for row in await connection.fetch("SELECT partition, next_offset FROM offsets"):
        consumer.seek(TopicPartition(topic_in, row["partition"]), row["next_offset"])
    publishing: asyncio.Task[None] | None = None
    while True:
        got = await consumer.getmany(timeout_ms=500, max_records=BATCH)
        if not got:
            continue
        async with connection.transaction():
            facts = await handle(connection, got)
            ids = await connection.fetch(_APPEND, list(facts), [_pack(made) for made in facts.values()])
        if publishing is not None:
            await publishing
        publishing = asyncio.create_task(_publish(producer, clearing, topic_out, facts, [row["id"] for row in ids]))


async def _publish(
    producer: AIOKafkaProducer, connection: asyncpg.Connection, topic: str, facts: Facts, ids: Sequence[int]
) -> None:
    await send(producer, topic, {partition: [(*each, []) for each in made] for partition, made in facts.items()})
    await connection.execute(_CLEAR, ids)


async def send(
    producer: AIOKafkaProducer,
    topic: str,
    records: Mapping[int, Iterable[tuple[bytes, bytes, Sequence[tuple[str, bytes]]]]],
) -> None:
    """Send key, value and headers to their partitions in as few batches as hold them; wait for all answers."""
    answers = []
    for partition, made in records.items():
        batch = producer.create_batch()
        for key, value, headers in made:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                batch.close()
                answers.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        batch.close()
        answers.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*answers)


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:5]))
