"""What was read from one partition number goes into the database, whatever is wrong with some of it (D1, L7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.bus.compaction import Sweep
from shared.bus.outcomes import Dead, Later
from shared.bus.parking import Parked
from shared.bus.positions import Position
from shared.bus.rounds import Apart, Rounds
from shared.bus.taking import ATTEMPTS, Batch, Read, Taken
from shared.bus.unit_of_work import UnitOfWork
from shared.db.faults import is_race, is_retriable
from shared.db.pool import borrow
from shared.errors import Permanent

BREAKER = 20
"""So many facts of one partition failing in a row is a bad deploy, not bad data: the partition stops."""


class HandlerBroken(Permanent):
    """The handler fails for every fact; the partition stops `at` these positions until a person has looked."""

    def __init__(self, reason: str, at: Mapping[str, Position]) -> None:
        super().__init__(reason)
        self.at = at


class Handling:
    """Takes what was read from one partition number, with others or, when anything is wrong, alone."""

    def __init__(self, rounds: Rounds, partition: int) -> None:
        self._rounds = rounds
        self._taking = rounds.taking
        self._transactions = rounds.taking.transactions
        self.pool = self._transactions.pool
        self._partition = partition
        self._failed_in_a_row = 0
        self._in_trouble = False

    async def take(
        self, reads: Sequence[Read], old: Mapping[str, Position], ends: Mapping[str, int] | None = None
    ) -> dict[str, Position]:
        """Store the effect of `reads` and return the positions after them. `ends`: where each log is known to end.

        When the handler fails, the batch is rolled back and halved, down to the one fact that fails; after three tries
        that one becomes a dead letter, and the rest go on. After any failure a partition number goes alone until it has
        succeeded, so it holds up the others once at most.

        Raises:
            HandlerBroken: too many failed in a row.
            Exception: whatever `shared.db.faults.is_retriable` knows; nothing was stored.
        """
        batch = Batch(self._partition, reads, old, ends or {})
        if not self._in_trouble:
            self._in_trouble = True
            new = await self._together(batch)
        else:
            new = await self._alone(batch)
        self._in_trouble = False
        return new

    async def _together(self, batch: Batch) -> dict[str, Position]:
        try:
            taken = await self._rounds.join(batch)
        except Apart:
            return await self._alone(batch)
        except Exception as error:
            if not _is_the_handlers(error):
                raise
            return await self._halved(batch)
        self._note_success(taken)
        return batch.new

    async def _alone(self, batch: Batch) -> dict[str, Position]:
        try:
            return await self._once(batch, None)
        except Exception as error:
            if not _is_the_handlers(error):
                raise
            return await self._halved(batch)

    async def _halved(self, batch: Batch) -> dict[str, Position]:
        """Take a batch with which the handler failed in halves, down to the one fact with which it fails."""
        if len(batch.reads) == 1:
            return await self._again(batch)
        middle = len(batch.reads) // 2
        old = await self._alone(Batch(batch.partition, batch.reads[:middle], batch.old, batch.ends))
        return await self._alone(Batch(batch.partition, batch.reads[middle:], old, batch.ends))

    async def _again(self, batch: Batch) -> dict[str, Position]:
        """Try one failing fact twice more, then bury it."""
        failure = Dead("handler_failed", "")
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._once(batch, None)
            except Exception as error:
                if not _is_the_handlers(error):
                    raise
                failure = Dead("handler_failed", f"{type(error).__name__}: {error}")
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= BREAKER:
            # The error's kind only: its text may quote a customer's row, and readiness shows this reason to anybody.
            kind = failure.detail.partition(":")[0]
            raise HandlerBroken(f"breaker: {BREAKER} facts in a row failed, the last with {kind}", batch.old)
        return await self._once(batch, failure)

    async def _once(self, batch: Batch, failure: Dead | None) -> dict[str, Position]:
        (taken,) = await self._taking.once([batch], failure)
        if failure is None:
            self._note_success(taken)
        return batch.new

    def _note_success(self, taken: Taken) -> None:
        if any(fact.incoming and not isinstance(outcome, Parked) for fact, outcome in taken):
            self._failed_in_a_row = 0

    async def sweep(self, sweep: Sweep, at: Position) -> int:
        """Erase by the service's own handler whom the scan of a topic did not see, and return how many."""
        erased, after = 0, ""
        following: str | None = after
        while following is not None:
            async with borrow(self.pool) as connection:
                subjects, following = await sweep.page(connection, after)
            after = following or after

            async def act(uow: UnitOfWork, page: Sequence[tuple[str, datetime]] = subjects) -> int:
                erasures = await sweep.erasures(uow, at, page)
                outcomes = await self._taking.handle(erasures, uow) if erasures else ()
                if any(isinstance(outcome, Dead | Later) for outcome in outcomes):
                    raise ValueError("the handler did not take an erasure")
                return len(erasures)

            if subjects:
                erased += await self._transactions.transact(act, is_race)
        return erased


def _is_the_handlers(error: Exception) -> bool:
    return not is_retriable(error) and not isinstance(error, HandlerBroken)
