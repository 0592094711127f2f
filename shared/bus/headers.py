"""Facts as Kafka records: binary CloudEvents, and the bus's own numbers beside them (H1 to H3).

The numbers are columns of the outbox and become headers only when sent, so that they are never part of a body.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from shared.events.envelope import Envelope

Headers = Sequence[tuple[str, bytes | None]]
"""As a record carries them: in any order, a name perhaps twice, a value perhaps null."""

_NUMBERS = ("ce_epoch", "ce_sequence", "ce_epochbase")
_REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_partitionkey", "traceparent")
_ATTRIBUTES = frozenset((*_REQUIRED, "ce_causeid"))
_EPOCH = re.compile(rb"[1-9][0-9]{0,18}")
_SEQUENCE = re.compile(rb"[0-9]{19}")
_BASE = re.compile(rb"(0|[1-9][0-9]{0,18}):(0|[1-9][0-9]{0,18})")
_LARGEST = 2**63 - 1


class Packed(Struct, frozen=True, array_like=True, gc=False):
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
    headers: list[tuple[str, bytes]] = [
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


def numbers_of(headers: Headers) -> Numbers | None:
    """Read a record's numbers; None when they are absent, doubled or not what this bus writes.

    Whoever else writes to the topic must not look like a fact: a negative number would pass for a duplicate and be
    dropped unseen, a number beyond the column's range would fail in the database for ever.
    """
    values = dict(headers)
    if len(values) != len(headers) and _doubled(headers, _NUMBERS):
        return None
    epoch, sequence, base = values.get("ce_epoch"), values.get("ce_sequence"), values.get("ce_epochbase")
    if base is None and "ce_epochbase" in values:
        return None
    if epoch is None or sequence is None or not _EPOCH.fullmatch(epoch) or not _SEQUENCE.fullmatch(sequence):
        return None
    old = (0, 0)
    if base is not None:
        parts = _BASE.fullmatch(base)
        if parts is None:
            return None
        old = (int(parts[1]), int(parts[2]))
    numbers = Numbers(int(epoch), int(sequence), None if base is None else old)
    sound = numbers.sequence >= 1 and max(numbers.epoch, numbers.sequence, *old) <= _LARGEST
    return numbers if sound else None


def text_of(headers: Headers, name: str) -> str | None:
    """Return the first header of that name as text, whatever bytes it holds; None when there is none."""
    return next((value.decode("utf-8", "replace") for key, value in headers if key == name and value is not None), None)


def to_envelope(headers: Headers, topic: str, partition: int, numbers: Numbers) -> Envelope:
    """Read a record's envelope.

    Raises:
        ValueError: an attribute that CloudEvents or the bus requires is missing, doubled or malformed; the message
            names it.
    """
    found = _attributes(headers)
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


def _attributes(headers: Headers) -> dict[str, str]:
    """Return the envelope's attributes; headers of other tools may hold any bytes and are not looked at."""
    values = dict(headers)
    doubled = len(values) != len(headers) and _doubled(headers, _ATTRIBUTES)
    if doubled:
        raise ValueError(f"header {doubled} stands there twice")
    found = {name: value.decode() for name, value in values.items() if value and name in _ATTRIBUTES}
    for name in _REQUIRED:
        if name not in found:
            raise ValueError(f"header {name} is missing")
    if "\x00" in "".join(found.values()):
        raise ValueError("a header holds a NUL character, which no database column takes")
    return found


def _doubled(headers: Headers, names: Collection[str]) -> str | None:
    """Return the first of `names` that stands there twice."""
    counts = Counter(name for name, _ in headers if name in names)
    return next((name for name, count in counts.items() if count > 1), None)
