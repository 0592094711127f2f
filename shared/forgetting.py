"""What is kept for a time only is forgotten by itself: which rows, after how long, and the timer that does it.

Once at the start and then every hour each service deletes what is older than its bound, some rows a transaction, so
that nobody waits for it. docs/retention.md has every table with its bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from shared.bus.letter_rows import forget_resolved
from shared.bus.timers import Timer
from shared.bus.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from shared.bus.bus import Bus

KEYS_KEPT: Final = timedelta(days=7)
"""A command that is sent again within this time (machine's clock) is answered as before; later it is a new command."""

BATCH: Final = 1000
"""Rows that one transaction deletes at most; as many as that mean that there may be more."""

_PAUSE_SECONDS: Final = 3600.0

Sweep = Callable[[UnitOfWork], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Old:
    """Rows of `table` whose instant `at` is longer ago than `kept`.

    `machine`: on the machine's clock, not on the domain's. `but`: a condition over the row `t` that keeps it all the
    same. `table`, `at` and `but` are words of the code that become part of the statement; an index begins with `at`.
    """

    table: str
    at: str
    kept: timedelta
    but: str = "false"
    machine: bool = False

    async def sweep(self, uow: UnitOfWork) -> int:
        """Delete some of them, the oldest first; return how many. Rows that somebody works on are left for later."""
        now = datetime.now(UTC) if self.machine else uow.now
        done = await uow.connection.execute(self.statement(), now - self.kept)
        return int(done.rsplit(" ", 1)[1])

    def statement(self) -> str:
        """Return the statement; its parameter is the instant before which rows go."""
        return (
            f"DELETE FROM {self.table} WHERE ctid = ANY (ARRAY("  # noqa: S608 - of words of the code alone
            f"SELECT t.ctid FROM {self.table} t WHERE t.{self.at} < $1 AND NOT ({self.but}) "
            f"ORDER BY t.{self.at} LIMIT {BATCH} FOR UPDATE SKIP LOCKED))"
        )


def forgetting(kept: timedelta, *olds: Old) -> Timer:
    """Return the timer of a service: what of its own is old, and what every service keeps for `kept`."""

    async def letters(uow: UnitOfWork) -> int:
        return await forget_resolved(uow.connection, uow.now - kept)

    acts = (
        Old("inbox_act", "at", kept),
        Old("outbox_void", "done_at", kept),
        Old("outbox_republish", "asked_at", kept),
        Old("forgotten_fact", "reviewed_at", kept),
    )
    return hourly("forgetting", letters, *(old.sweep for old in (*acts, *olds)))


def hourly(name: str, *sweeps: Sweep) -> Timer:
    """Return a timer that sweeps at the start and every hour, again and again while there may be more.

    Nothing on the domain's clock waits for it: it runs on the machine's.
    """

    async def once(bus: Bus) -> int:
        for sweep in sweeps:
            while await bus.transact(sweep) >= BATCH:
                pass
        await asyncio.sleep(_PAUSE_SECONDS)
        return 0

    return Timer(name, once, None)


OLD_KEYS: Final = Old("idempotency_key", "at", KEYS_KEPT, machine=True)
