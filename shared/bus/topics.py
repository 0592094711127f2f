"""The topics in Kafka: made by `python -m shared.bus.topics`, and checked by every service at its start (R1, C2).

The card system's own topic is made as well where `ARREARS_UPSTREAM_TOPIC` names one that is not there yet.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.bus import clients
from shared.errors import Permanent
from shared.events.registry import TOPICS, Topic

RETENTION = timedelta(days=400)
"""So long the log of a topic is kept that is not compacted."""

FOREIGN_RETENTION = timedelta(days=7)

_DAY_MS = 86_400_000
MAX_RECORD_BYTES = 1_048_588

COMPACTION_LAG = timedelta(days=7)
"""L: nothing younger is removed from a compacted topic."""

TOMBSTONES_KEPT = timedelta(days=30)
"""So long an erasure stays in the log at least, for readers that were away."""


class WrongPartitions(Permanent):
    """A topic has another number of partitions than configured, so customers would be split over replicas."""


def topic_settings(topic: Topic) -> dict[str, str]:
    """Return a topic's settings in Kafka.

    `card` and the other logs are kept 400 days. `contacts` and `staff` are compacted: a fact may vanish once it is 7
    days old and was replaced, and an erased customer is gone after 14 days and the cleaner's own time.
    """
    common = {"max.message.bytes": str(MAX_RECORD_BYTES)}
    if not topic.compacted:
        return {**common, "cleanup.policy": "delete", "retention.ms": str(RETENTION.days * _DAY_MS)}
    return {
        **common,
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(COMPACTION_LAG.days * _DAY_MS),
        "max.compaction.lag.ms": str(14 * _DAY_MS),
        "delete.retention.ms": str(TOMBSTONES_KEPT.days * _DAY_MS),
        "segment.ms": str(_DAY_MS),
    }


def foreign_settings() -> dict[str, str]:
    """Return the settings of a topic that somebody else writes: kept for a week, since ours tell what was taken."""
    kept = str(FOREIGN_RETENTION.days * _DAY_MS)
    return {"max.message.bytes": str(MAX_RECORD_BYTES), "cleanup.policy": "delete", "retention.ms": kept}


def configs_of(namespace: str, topics: Iterable[Topic], foreign: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the settings of each topic by its full name; a topic of ours keeps ours, whoever names it as another's."""
    ours = {topic.full_name(namespace): topic_settings(topic) for topic in topics}
    return {name: foreign_settings() for name in foreign} | ours


async def create_topics(
    bootstrap: str,
    *,
    namespace: str,
    partitions: int,
    replication: int,
    topics: Iterable[Topic] = TOPICS,
    foreign: Collection[str] = (),
) -> None:
    """Create the topics that are missing; those that are there stay as they are. `foreign`: others', by full name.

    Raises:
        KafkaError: the broker is away or refuses.
    """
    configs = configs_of(namespace, topics, foreign)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await clients.start(admin.start, admin.close)
    try:
        wanted = [NewTopic(name, partitions, replication, topic_configs=settings) for name, settings in configs.items()]
        answer = await admin.create_topics(wanted)
        for _, code, *_ in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error
    finally:
        await clients.stop(admin.close)


async def partition_counts(bootstrap: str, names: Sequence[str]) -> dict[str, int]:
    """Return how many partitions each topic (full name) has; one that is not there has none.

    Raises:
        KafkaError, OSError: the broker is away.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await clients.start(admin.start, admin.close)
    try:
        described = {entry["topic"]: len(entry["partitions"]) for entry in await admin.describe_topics(list(names))}
    finally:
        await clients.stop(admin.close)
    return {name: described.get(name, 0) for name in names}


async def check_partitions(bootstrap: str, namespace: str, topics: Iterable[Topic], partitions: int) -> None:
    """Check that every topic is there with the configured number of partitions.

    Raises:
        WrongPartitions: with the topic, what it has and the remedy.
        KafkaError, OSError: the broker is away.
    """
    wanted = [topic.full_name(namespace) for topic in topics]
    described = await partition_counts(bootstrap, wanted)
    for name in wanted:
        found = described[name]
        if found != partitions:
            raise WrongPartitions(
                f"topic {name} has {found} partitions, ARREARS_PARTITIONS says {partitions}: create the topics with "
                "`python -m shared.bus.topics`, or set ARREARS_PARTITIONS to what they have"
            )


def main() -> int:
    """Create every topic on the broker that the environment names."""
    bootstrap = os.environ.get("ARREARS_KAFKA_BOOTSTRAP")
    if not bootstrap:
        sys.stderr.write("ARREARS_KAFKA_BOOTSTRAP is not set: give the broker as host:port\n")
        return 2
    partitions = int(os.environ.get("ARREARS_PARTITIONS", "12"))
    replication = int(os.environ.get("ARREARS_REPLICATION", "1"))
    namespace = os.environ.get("ARREARS_NAMESPACE", "arrears")
    upstream = os.environ.get("ARREARS_UPSTREAM_TOPIC")
    making = create_topics(
        bootstrap,
        namespace=namespace,
        partitions=partitions,
        replication=replication,
        foreign=[upstream] if upstream else [],
    )
    asyncio.run(making)
    return 0


if __name__ == "__main__":
    sys.exit(main())
