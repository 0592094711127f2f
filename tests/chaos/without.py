"""Guarantees that can be taken away, so that the rig can be seen to notice: each is one patch of the service's code.

Nothing outside the test tree knows of it; `tests/chaos/test_controls.py` says what the judgement must find.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import asyncpg

from shared.bus.barrier import LogEnds
from shared.bus.producing import ProduceUnknown, Producing, Record
from shared.events.registry import Topic


def _unknown_counts_as_sent() -> None:
    """P3: a batch whose answer did not come is taken for one that is in the log."""
    send = Producing.send

    async def careless(self: Producing, topic: str, partition: int, records: Sequence[Record]) -> int:
        try:
            return await send(self, topic, partition, records)
        except ProduceUnknown:
            return len(records)

    Producing.send = careless  # type: ignore[method-assign]  # the patch is the point


def _no_barrier() -> None:
    """B1: whoever sends believes that everything has been read."""
    from shared.bus import bus  # noqa: PLC0415 - only a process that is told to breaks its own modules

    async def open_always(pool: asyncpg.Pool, ends: LogEnds, partition: int, topics: Collection[Topic]) -> datetime:
        return datetime.now(UTC)

    bus.pass_barrier = open_always  # type: ignore[attr-defined]  # imported there by name


def _unconfirmed_again() -> None:
    """A message that may have gone out is handed over once more."""
    from services.notify import hand_over  # noqa: PLC0415 - as above, and only notify has it
    from services.notify.domain import delivery  # noqa: PLC0415 - as above

    def next_state(answer: delivery.Answer, *, to_colleague: bool) -> delivery.Next:
        state = delivery.next_state(answer, to_colleague=to_colleague)
        return "due" if state == "unconfirmed" else state

    hand_over.next_state = next_state  # type: ignore[attr-defined]  # imported there by name


GUARANTEES: Final[MappingProxyType[str, Callable[[], None]]] = MappingProxyType(
    {
        "unknown-is-not-sent": _unknown_counts_as_sent,
        "barrier": _no_barrier,
        "unconfirmed-is-not-sent-again": _unconfirmed_again,
    }
)


def remove(guarantee: str) -> None:
    """Take a guarantee away from this process.

    Raises:
        KeyError: there is none of that name.
    """
    GUARANTEES[guarantee]()
