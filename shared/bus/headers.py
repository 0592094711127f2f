"""Facts as Kafka records: binary CloudEvents, and the bus's own numbers beside them (H1 to H3).

The numbers are columns of the outbox and become headers only when sent, so that they are never part of a body.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from shared.events.envelope import Envelope

Headers = Sequence[tuple[str, bytes]]


class Packed(Struct, frozen=True, array_like=True):
    """One fact in an outbox segment: its envelope without numbers, and its encoded value (null: erased)."""

    id: str
    type: str
    time: str
    key: str
    traceparent: str
    cause_id: str | None
    value: bytes | None


class Numbers(NamedTuple):
    """A record's place in its stream; `base` is on the first record of an epoch only."""

    epoch: int
    sequence: int
    base: tuple[int, int] | None


def to_headers(fact: Packed, source: str, numbers: Numbers) -> list[tuple[str, bytes]]:
    """Return the headers of a fact as it is sent."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", fact.id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", fact.type.encode()),
        ("ce_time", fact.time.encode()),
        ("ce_partitionkey", fact.key.encode()),
        ("content-type", b"application/json"),
        ("traceparent", fact.traceparent.encode()),
        ("ce_epoch", str(numbers.epoch).encode()),
        ("ce_sequence", f"{numbers.sequence:019d}".encode()),
    ]
    if numbers.base is not None:
        headers.append(("ce_epochbase", f"{numbers.base[0]}:{numbers.base[1]}".encode()))
    if fact.cause_id is not None:
        headers.append(("ce_causeid", fact.cause_id.encode()))
    return headers


def numbers_of(headers: Iterable[tuple[str, bytes]]) -> Numbers | None:
    """Read a record's numbers; None when they are absent, doubled or not numbers."""
    found = {name: value for name, value in headers if name in {"ce_epoch", "ce_sequence", "ce_epochbase"}}
    try:
        epoch, sequence = int(found["ce_epoch"]), int(found["ce_sequence"])
        base = found.get("ce_epochbase")
        if base is None:
            return Numbers(epoch, sequence, None)
        old, _, last = base.partition(b":")
        return Numbers(epoch, sequence, (int(old), int(last)))
    except (KeyError, ValueError):
        return None


def source_of(headers: Iterable[tuple[str, bytes]]) -> str | None:
    """Return who wrote the record, as its `ce_source` says."""
    return next((value.decode("utf-8", "replace") for name, value in headers if name == "ce_source"), None)


def to_envelope(headers: Iterable[tuple[str, bytes]], topic: str, partition: int, numbers: Numbers) -> Envelope:
    """Read a record's envelope.

    Raises:
        ValueError: an attribute that CloudEvents or the bus requires is missing or malformed; the message names it.
    """
    found = {name: value.decode() for name, value in headers}
    for name in ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_partitionkey", "traceparent"):
        if not found.get(name):
            raise ValueError(f"header {name} is missing")
    if found["ce_specversion"] != "1.0":
        raise ValueError("header ce_specversion is not 1.0")
    time = datetime.fromisoformat(found["ce_time"])
    if time.tzinfo is None:
        raise ValueError("header ce_time has no offset")
    return Envelope(
        id=found["ce_id"],
        type=found["ce_type"],
        source=found["ce_source"],
        time=time,
        key=found["ce_partitionkey"],
        traceparent=found["traceparent"],
        cause_id=found.get("ce_causeid"),
        topic=topic,
        partition=partition,
        epoch=numbers.epoch,
        sequence=numbers.sequence,
    )
