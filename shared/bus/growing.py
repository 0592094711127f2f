"""Gives all topics more partitions (R2): `python -m shared.bus.growing --to NUMBER`.

With another number of partitions a customer's facts lie under another number, so nothing of the old order may be under
way: everything decided is published, everything published is read, no fact waits or lies dead, no replica runs. Then
all topics grow, each service's database follows, and the services start with `ARREARS_PARTITIONS=NUMBER`. When it is
cut off, the same call finishes it. Fewer partitions are not possible.

It needs `ARREARS_KAFKA_BOOTSTRAP`, `ARREARS_NAMESPACE` and, for each service, `ARREARS_DATABASE_URL_<SERVICE>`. Ends
with 0 when it is done, 1 when it was refused, 2 when the call makes no sense.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaError

from shared.bus import clients
from shared.bus.partitions import partition_of
from shared.bus.positions import subscribe
from shared.bus.topics import partition_counts
from shared.errors import Permanent
from shared.events.registry import TOPICS, Topic

SERVICES = ("ingest", "scoring", "assignment", "fieldvisit", "notify")
_CONNECT_SECONDS = 10.0

_UNREST = """
SELECT (SELECT count(*) FROM outbox_lease WHERE until > clock_timestamp()) AS "leases of running replicas",
    (SELECT coalesce(sum(count), 0) FROM outbox_segment) AS "facts not published",
    (SELECT count(*) FROM inbox_position WHERE state <> 'running') AS "streams stopped",
    (SELECT count(*) FROM deferred) AS "facts that wait",
    (SELECT count(*) FROM dead_letter WHERE state = 'open') AS "open dead letters"
"""
_POSITIONS = "SELECT topic, partition, log_offset FROM inbox_position"
_OWN = """
SELECT c.table_name FROM information_schema.columns c JOIN information_schema.columns k USING (table_schema, table_name)
WHERE table_schema = 'public' AND (c.column_name, k.column_name) = ('partition', 'customer_id')
"""
_CUSTOMERS = "SELECT DISTINCT customer_id FROM {} WHERE customer_id IS NOT NULL"
_MOVE = """
UPDATE {} t SET partition = w.partition FROM unnest($1::text[], $2::int[]) AS w (customer_id, partition)
WHERE t.customer_id = w.customer_id AND t.partition <> w.partition
"""


class NotAtRest(Permanent):
    """Something is still under way; the message says what and where."""


async def grow(
    bootstrap: str, namespace: str, databases: Mapping[str, str], to: int, topics: Sequence[Topic] = TOPICS
) -> None:
    """Give `topics` `to` partitions, and have the services' `databases` (name to URL) follow.

    Raises:
        NotAtRest: nothing was changed.
        KafkaError, OSError, asyncpg.PostgresError: the broker or a database is away; the same call goes on.
    """
    counts = await partition_counts(bootstrap, [topic.full_name(namespace) for topic in topics])
    if min(counts.values()) < 1 or max(counts.values()) > to:
        raise NotAtRest(f"the topics must be there, with at most {to} partitions each: {counts}")
    await _check_members(bootstrap, [f"{namespace}.{service}" for service in databases])
    for service, url in databases.items():
        await _check(service, url, bootstrap, namespace)
    await _alter(bootstrap, {name: to for name, count in counts.items() if count < to})
    for url in databases.values():
        await _follow(url, to, topics)


async def _check_members(bootstrap: str, groups: Sequence[str]) -> None:
    """Check that no group has members: one that comes back soon would keep its old partitions, and get no new ones."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await clients.start(admin.start, admin.close)
    try:
        # One at a time: the client cannot read an answer about several groups of which one has members.
        answers = [answer for group in groups for answer in await admin.describe_consumer_groups([group])]
    finally:
        await clients.stop(admin.close)
    found = [group for answer in answers for _, group, _, _, _, members, *_ in answer.groups if members]
    if found:
        raise NotAtRest(f"members are known for half a minute after they stopped: {', '.join(sorted(found))}")


async def _check(service: str, url: str, bootstrap: str, namespace: str) -> None:
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
    try:
        [unrest] = await connection.fetch(_UNREST)
        positions = await connection.fetch(_POSITIONS)
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)
    found = [f"{what}: {count}" for what, count in unrest.items() if count]
    names = {topic.name: topic.full_name(namespace) for topic in TOPICS}
    read = {TopicPartition(names[row["topic"]], row["partition"]): row["log_offset"] for row in positions}
    ends = await _ends(bootstrap, list(read))
    found += [f"{tp.topic}/{tp.partition} not read to its end" for tp, at in sorted(read.items()) if at < ends[tp]]
    if found:
        raise NotAtRest(f"{service}: {'; '.join(found)}")


async def _ends(bootstrap: str, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
    kafka = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await clients.start(kafka.start, kafka.stop)
    try:
        found: dict[TopicPartition, int] = await kafka.end_offsets(tps) if tps else {}
        return found
    finally:
        await clients.stop(kafka.stop)


async def _alter(bootstrap: str, wanted: Mapping[str, int]) -> None:
    if not wanted:
        return
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await clients.start(admin.start, admin.close)
    try:
        await admin.create_partitions({name: NewPartitions(total_count=count) for name, count in wanted.items()})
    finally:
        await clients.stop(admin.close)


async def _follow(url: str, to: int, topics: Sequence[Topic]) -> None:
    """Subscribe to the new partitions, and put what a service keeps of a customer under his new number."""
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS)
    try:
        async with connection.transaction():
            read = {row["topic"] for row in await connection.fetch("SELECT DISTINCT topic FROM inbox_position")}
            await subscribe(connection, [topic for topic in topics if topic.name in read], to)
            for row in await connection.fetch(_OWN):
                table = await connection.fetchval("SELECT quote_ident($1)", row["table_name"])
                customers = [one["customer_id"] for one in await connection.fetch(_CUSTOMERS.format(table))]
                numbers = [partition_of(customer, to) for customer in customers]
                await connection.execute(_MOVE.format(table), customers, numbers)
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)


def main() -> int:
    """Grow the topics on the broker that the environment names."""
    parser = argparse.ArgumentParser(prog="python -m shared.bus.growing", description=__doc__)
    parser.add_argument("--to", type=int, required=True, help="how many partitions each topic shall have")
    to: int = parser.parse_args().to
    urls = {service: os.environ.get(f"ARREARS_DATABASE_URL_{service.upper()}", "") for service in SERVICES}
    bootstrap = os.environ.get("ARREARS_KAFKA_BOOTSTRAP", "")
    missing = [f"ARREARS_DATABASE_URL_{service.upper()}" for service, url in urls.items() if not url]
    missing += [] if bootstrap else ["ARREARS_KAFKA_BOOTSTRAP"]
    if missing:
        sys.stderr.write(f"请设置 Set: {', '.join(missing)}\n")
        return 2
    try:
        asyncio.run(grow(bootstrap, os.environ.get("ARREARS_NAMESPACE", "arrears"), urls, to))
    except NotAtRest as refused:
        sys.stderr.write(f"拒绝执行 Refused: {refused}\n")
        return 1
    except (KafkaError, OSError, TimeoutError, asyncpg.PostgresError) as away:
        sys.stderr.write(f"未完成, 请重试 Not done, call it again: {type(away).__name__}\n")
        return 1
    sys.stdout.write(
        f"完成 Done. 请以 ARREARS_PARTITIONS={to} 启动各服务 Start all services with ARREARS_PARTITIONS={to}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
