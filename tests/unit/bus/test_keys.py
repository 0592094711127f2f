"""Identifiers and partitions: what must come out the same everywhere, for ever."""

from __future__ import annotations

from uuid import RFC_4122

import pytest
from aiokafka.partitioner import murmur2

from shared.bus.partitions import partition_of
from shared.ids import derived_id, uuid7


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_a_key_lies_where_kafkas_own_clients_put_it(key: str, hashed: int) -> None:
    """The vectors are those of Kafka's own test of `murmur2`."""
    assert murmur2(key.encode()) & 0xFFFFFFFF == hashed & 0xFFFFFFFF
    for partitions in (1, 3, 12, 1000):
        assert partition_of(key, partitions) == (hashed & 0x7FFFFFFF) % partitions


def test_every_partition_gets_customers() -> None:
    assert {partition_of(f"c-{number}", 12) for number in range(200)} == set(range(12))


def test_the_same_input_always_gives_the_same_id() -> None:
    """The value itself is pinned: another one would make every fact a new one when it is handled again."""
    assert str(derived_id("scoring", "card", 3, 1772000000, 42, 1)) == PINNED
    assert derived_id("scoring", "card", 3, 1772000000, 42, 2) != derived_id("scoring", "card", 3, 1772000000, 42, 1)


def test_parts_are_told_apart() -> None:
    assert derived_id("a", "bc") != derived_id("ab", "c")
    assert derived_id(1, 23) != derived_id(12, 3)


def test_ids_are_of_the_version_they_claim() -> None:
    assert (derived_id("x").version, derived_id("x").variant) == (8, RFC_4122)
    assert (uuid7().version, uuid7().variant) == (7, RFC_4122)


def test_new_ids_do_not_repeat_and_grow_with_time() -> None:
    many = [uuid7() for _ in range(1000)]
    assert len(set(many)) == 1000
    assert [identity.int >> 80 for identity in many] == sorted(identity.int >> 80 for identity in many)


PINNED = "32359b39-e87d-8478-b8b8-1d9989fe265e"
