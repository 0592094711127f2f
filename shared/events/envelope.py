"""The envelope of a fact: CloudEvents 1.0 attributes, and where the fact stands in its stream."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Envelope(Struct, frozen=True, kw_only=True, gc=False):
    """Everything about a fact but its content.

    `time` is the domain's instant; `key` the customer (or colleague) it is about; `cause_id` the id of the fact that
    it follows from. `topic` is the short name; (`epoch`, `sequence`) is its place in the stream (`topic`, `partition`).
    """

    id: str
    type: str
    source: str
    time: datetime
    key: str
    traceparent: str
    cause_id: str | None
    topic: str
    partition: int
    epoch: int
    sequence: int
