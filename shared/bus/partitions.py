"""Which partition a key belongs to: the same in every topic, so that all facts of a customer meet in one place."""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """Return the partition of `key` among `partitions`, as Kafka's own clients choose it (murmur2)."""
    hashed: int = murmur2(key.encode())
    return (hashed & 0x7FFFFFFF) % partitions
