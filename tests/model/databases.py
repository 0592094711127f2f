"""What the statements of the bus do to one stream's rows, in a producer's database and in a consumer's.

The model's own word for SQL: each method is one transaction. That the statements do this on a real server is proven in
`tests/integration/bus`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from shared.bus.outbox import Cursor, chain
from shared.bus.positions import Position
from shared.bus.streams import Segment
from tests.unit.bus.build import packed

KEY = ("card", 0)


@dataclass
class Producer:
    """`outbox_stream`, `outbox_published`, `outbox_segment`, and what was committed: the truth."""

    epoch: int = 1
    head: int = 0
    base: tuple[int, int] = (0, 0)
    published: Cursor = field(default_factory=lambda: Cursor(0, 0))
    segments: list[Segment] = field(default_factory=list)
    truth: list[str] = field(default_factory=list)

    def copy(self) -> Producer:
        """Return a backup."""
        return replace(self, segments=list(self.segments), truth=list(self.truth))

    def numbered(self, names: Sequence[str]) -> Segment:
        """Return what a transaction appends; nothing is stored before its commit (L2)."""
        return Segment(*KEY, self.epoch, self.head + 1, self.base, [packed(name) for name in names])

    def commit(self, segment: Segment) -> None:
        """Store an append."""
        self.head = segment.last
        self.segments.append(segment)
        self.truth += [fact.id for fact in segment.facts]

    def raise_epoch(self, now: int) -> None:
        """Begin a new epoch (E1, E2)."""
        if self.head > self.base[1]:
            self.base = (self.epoch, self.head)
        self.epoch = max(self.epoch + 1, now)

    def above(self, cursor: Cursor) -> list[Segment]:
        """Read the table as the publisher does."""
        rows: list[dict[str, Any]] = [
            {
                "epoch": one.epoch,
                "first": one.first,
                "body": msgspec.msgpack.encode(list(one.facts)),
                "base_epoch": one.base[0],
                "base": one.base[1],
            }
            for one in sorted(self.segments)
            if Cursor(one.epoch, one.last) > cursor
        ]
        return chain(KEY, rows)

    def record(self, cursor: Cursor, term: int) -> bool:
        """Move `published` (P6); tell whether the term was still of the stream's epoch."""
        if term != self.epoch:
            return False
        self.published = max(self.published, cursor)
        self.segments = [one for one in self.segments if Cursor(one.epoch, one.last) > cursor]
        return True


@dataclass
class Consumer:
    """`inbox_position`, and what took effect, in order."""

    position: Position = field(default_factory=Position)
    effects: list[str] = field(default_factory=list)

    def copy(self) -> Consumer:
        """Return a backup."""
        return Consumer(self.position, list(self.effects))

    def take(self, old: Position, new: Position, effects: Sequence[str]) -> bool:
        """Move the position from its old value and store the effects, or do neither (R6)."""
        if self.position != old:
            return False
        self.position = new
        self.effects += effects
        return True
