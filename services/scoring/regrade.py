"""Grades every account anew by the cards that hold today: `python -m services.scoring.regrade`.

For a new card: facts and midnights grade only the accounts they touch. Each batch of customers is one transaction, as
any other grading: what is news is told on the topic `risk` with its reasons, and it is published. May
be stopped and started again: what is as the cards say is not told twice. `--dry-run` stores and tells nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.scoring import store
from services.scoring.domain.grading import Grading
from services.scoring.domain.loading import load_panel
from services.scoring.handlers import Grader, whole
from services.scoring.settings import Settings
from shared.bus.bus import Bus
from shared.bus.outbox import backlog
from shared.bus.unit_of_work import UnitOfWork
from shared.events.kinds import Grade
from shared.rules.loading import DataFileError

BATCH = 500

_LOOKS, _LOOK_SECONDS = 300, 0.1

Write = Callable[[str], object]
Move = tuple[Grade | None, Grade]


@dataclass
class Tally:
    """What became of the portfolio: customers looked at, and accounts told by their grade before and after."""

    customers: int = 0
    moves: Counter[Move] = field(default_factory=Counter)

    def add(self, customers: int, news: Sequence[Grading]) -> None:
        """Count a batch."""
        self.customers += customers
        self.moves.update((grading.before, grading.last.grade) for grading in news)

    @property
    def told(self) -> int:
        """Accounts of which there was news: another grade, bucket, treatment, reason or card."""
        return sum(self.moves.values())

    @property
    def moved(self) -> int:
        """Those of them whose grade is another one."""
        return sum(count for (before, after), count in self.moves.items() if before != after)


async def regrade(bus: Bus, grader: Grader, write: Write, *, batch: int, dry_run: bool) -> Tally:
    """Grade every customer's accounts anew, `batch` customers a transaction, and say how far it has come."""
    tally, after = Tally(), ""
    async with bus.reading() as connection:
        everybody = await store.count_customers(connection)
    while True:
        found = await bus.transact(lambda uow, after=after: _step(uow, grader, after, batch, dry_run))  # type: ignore[misc]  # the default binds the loop's variable
        if found is None:
            return tally
        after, customers, news = found
        tally.add(customers, news)
        write(f"{tally.customers} / {everybody} 客户 customers, {tally.told} 账户 accounts told\n")


async def _step(
    uow: UnitOfWork, grader: Grader, after: str, batch: int, dry_run: bool
) -> tuple[str, int, list[Grading]] | None:
    """Grade the customers that come next; return the last one's id, how many they are, and the news."""
    rows = await store.load_after(uow.connection, after, batch)
    if not rows:
        return None
    changes = [whole(row) for row in rows]
    news = grader.news(changes, uow.now) if dry_run else await grader.settle(changes, uow)
    return rows[-1].customer_id, len(rows), news


def moves(tally: Tally) -> str:
    """Return the table of grades before (rows) and after (columns); `-` was not graded before."""
    grades: tuple[Grade, ...] = ("A", "B", "C", "D", "E")
    lines = ["    " + "".join(f"{grade:>8}" for grade in grades)]
    for before in (*grades, None):
        cells = "".join(f"{tally.moves[before, after] or '':>8}" for after in grades)
        lines.append(f"{before or '-':>4}{cells}")
    return "\n".join(lines) + "\n"


async def run(settings: Settings, write: Write, *, batch: int, dry_run: bool) -> Tally:
    """Regrade the portfolio that the settings name, and wait a little until what was told is published.

    Raises:
        DataFileError: a points card cannot be used.
        TimeoutError: the database cannot be reached.
    """
    panel = load_panel(settings.cards_dir, settings.champion_card, settings.challenger_card)
    own = settings.model_copy(update={"instance": "regrade"})  # else it would share a replica's leases
    bus = Bus(service="scoring", settings=own, clock=settings.clock())
    async with bus.running():
        await _ready(bus)
        tally = await regrade(bus, Grader(panel, settings.zone), write, batch=batch, dry_run=dry_run)
        left = await _unpublished(bus)
    if left:
        write(f"{left} 条待发布 facts wait to be published: scoring does so as soon as the broker is there\n")
    return tally


async def _ready(bus: Bus) -> None:
    """Wait until the database is there, for a bounded time."""
    for _ in range(_LOOKS):
        if not await bus.not_ready():
            return
        await asyncio.sleep(_LOOK_SECONDS)
    raise TimeoutError


async def _unpublished(bus: Bus) -> int:
    """Wait until everything is published, for a bounded time; return how many facts are not."""
    left = 0
    for _ in range(_LOOKS):
        async with bus.reading() as connection:
            left, _since = await backlog(connection)
        if not left:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return left


def main(arguments: Sequence[str]) -> int:
    """Regrade; 1 when a card cannot be used or the database is away."""
    parser = argparse.ArgumentParser(prog="python -m services.scoring.regrade", description=__doc__)
    parser.add_argument("--batch", type=int, default=BATCH, help=f"customers a transaction (default {BATCH})")
    parser.add_argument("--dry-run", action="store_true", help="only count what would change")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.batch <= 10_000:
        parser.error("--batch is 1 to 10000")
    try:
        tally = asyncio.run(run(Settings(), sys.stderr.write, batch=asked.batch, dry_run=asked.dry_run))
    except DataFileError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except TimeoutError:
        sys.stderr.write("数据库连接不上 the database cannot be reached\n")
        return 1
    sys.stdout.write(moves(tally))
    sys.stdout.write(f"{tally.moved} 账户等级改变 accounts changed their grade, {tally.told} told\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
