"""How large a fact may be: three quarters of what its topic takes just now (P8).

What is appended has to be published one day, so a fact that is too large is refused while whoever makes it can still be
told. The limit is the topic's own in the broker, or the broker's default; it is read at the start, every few minutes,
and whenever the broker refuses a batch for its size.

Before it was read, the limit of the topics that we make ourselves holds. If an operator had lowered it meanwhile, a
fact between the two halts its stream: it stands in the outbox, nothing overtakes it, and the stream goes on by itself
once the topic takes it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError

from shared.bus import clients
from shared.bus.headers import Packed
from shared.bus.producing import MAX_BATCH_BYTES
from shared.bus.topics import MAX_RECORD_BYTES
from shared.errors import Permanent
from shared.events.registry import TOPICS

READ_SECONDS = 300.0
ENVELOPE_BYTES = 600
"""At least what a record holds besides its value and, twice, its key: headers, lengths, and the head of its batch."""

_SETTING = "max.message.bytes"
_log = logging.getLogger(__name__)


class FactTooLarge(Permanent):
    """A fact is larger than the topic can carry."""


def record_bytes(fact: Packed) -> int:
    """Return at most how many bytes `fact` takes in a batch of its own, before it is compressed."""
    return len(fact.value or b"") + 2 * len(fact.key.encode()) + ENVELOPE_BYTES


class FactLimits:
    """The limits of the topics that one service writes, as they were read last."""

    def __init__(self, bootstrap: str, namespace: str, service: str) -> None:
        self._bootstrap = bootstrap
        self._names = {topic.full_name(namespace): topic.name for topic in TOPICS if topic.writer == service}
        self._read: dict[str, int] = {}
        self._asked = asyncio.Event()

    def topic_bytes(self, topic: str) -> int:
        """Return how large a batch `topic` (short name) takes, as far as is known."""
        return self._read.get(topic, MAX_RECORD_BYTES)

    def check(self, topic: str, fact: Packed) -> None:
        """Check that `topic` (short name) can carry `fact`.

        Raises:
            FactTooLarge: with the fact's size and the limit.
        """
        most = min(self.topic_bytes(topic), MAX_BATCH_BYTES) * 3 // 4
        size = record_bytes(fact)
        if size > most:
            raise FactTooLarge(f"{fact.type}: {size} bytes, at most {most}")

    def refused(self) -> None:
        """Have the limits read again at once: the broker has refused a batch for its size."""
        self._asked.set()

    async def run(self) -> None:
        """Read for ever.

        Raises:
            KafkaError, OSError, TimeoutError: the broker is away; the caller begins again.
        """
        while True:
            self._asked.clear()
            self._take(await topic_limits(self._bootstrap, self._names))
            try:
                await asyncio.wait_for(self._asked.wait(), READ_SECONDS)
            except TimeoutError:
                continue

    def _take(self, found: Mapping[str, int]) -> None:
        for name, limit in found.items():
            topic = self._names[name]
            if limit != self.topic_bytes(topic):
                _log.warning("the topic takes another number of bytes now", extra={"topic": topic, "count": limit})
            self._read[topic] = limit


async def topic_limits(bootstrap: str, names: Iterable[str]) -> dict[str, int]:
    """Return `max.message.bytes` of each topic (full name) that is there: its own, or else the broker's default.

    Raises:
        KafkaError, OSError, TimeoutError: the broker is away.
    """
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    if not wanted:
        return {}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await clients.start(admin.start, admin.close)
    try:
        answers = await asyncio.wait_for(admin.describe_configs(wanted), clients.START_SECONDS)
    finally:
        await clients.stop(admin.close)
    resources = [resource for answer in answers for resource in answer.resources]
    for code, why, _, name, _ in resources:
        if code and code != UnknownTopicOrPartitionError.errno:
            _log.warning("the topic's limit cannot be read", extra={"topic": name, "reason": why})
    return {
        name: int(value)
        for _, _, _, name, entries in resources
        for setting, value, *_ in entries
        if setting == _SETTING
    }
