"""One run: start, work under faults, calm down, drain, look, judge."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from deploy.local.parts import SERVICES
from tests.chaos.calling import Unanswered
from tests.chaos.card_feed import CardFeed
from tests.chaos.collecting import collect, waiting
from tests.chaos.desks import Desks
from tests.chaos.evidence import Evidence
from tests.chaos.judge import judge
from tests.chaos.judge_rebuilt import equal_rows
from tests.chaos.ledger import Ledger
from tests.chaos.racing import race
from tests.chaos.rebuilding import rebuilt
from tests.chaos.report import Report
from tests.chaos.rig import Rig, running, stopped
from tests.chaos.schedule import Fault, outage, plan
from tests.chaos.watching import Watcher

Say = Callable[[str], None]

FEW = (*SERVICES, "scoring-1", "notify-1")
MANY = (*SERVICES, "ingest-1", "scoring-1", "assignment-1", "fieldvisit-1", "notify-1")
DRAIN_SECONDS = 120.0
"""Longer than the lease of a message whose sender was killed in mid-sending (90 s)."""
_LONG_RUN = 240.0
_QUIET_ROUNDS = 2


async def run(seed: int, seconds: float, folder: Path, say: Say, away: str | None = None) -> Report:
    """Run the schedule of a seed over so many seconds, on a stack of its own in `folder`.

    `away`: instead of a schedule, `kafka` or `postgres` is away for that time.
    """
    replicas = MANY if seconds >= _LONG_RUN else FEW
    ledger = Ledger(folder / "run" / "ledger.jsonl")
    async with running(folder, replicas, seed, say) as rig:
        faults = plan(seed, seconds, replicas) if away is None else outage(away, seconds)
        rig.client.patience += 0.0 if away is None else seconds
        say(f"{len(faults)} faults in {seconds:.0f} s over {len(replicas)} replicas, {len(rig.links)} links")
        watcher = Watcher(rig)
        watching = asyncio.create_task(watcher.run())
        try:
            striking = partial(_throw, rig, watcher, faults, seconds, say)
            feed, unanswered = await work(rig, ledger, seed, max(0.6, seconds / 80), striking)
            await drain(rig, say)
        finally:
            await stopped(watching)
        evidence = await collect(rig, ledger, feed.people, unanswered)
        evidence = replace(evidence, rebuilt=await rebuilt(rig))
        return Report(
            seed,
            seconds,
            watcher.recoveries,
            judge(evidence),
            rig.client.broken,
            size_of(evidence),
            equal_rows(evidence),
        )


async def work(
    rig: Rig,
    ledger: Ledger,
    seed: int,
    every: float,
    striking: Callable[[CardFeed], Awaitable[None]],
    hand_over: float = 0.5,
) -> tuple[CardFeed, list[str]]:
    """Workload and clock, a new customer `every` so many seconds, for as long as something strikes; then finish it.

    `hand_over`: which part of the logged calls ends with a hand-over to the field.

    Returns the feed, and what was never answered.
    """
    feed = CardFeed(rig.client, ledger, seed, lambda: rig.clock.now, every)
    desks = Desks(rig.client, ledger, seed, lambda: rig.clock.now, hand_over)
    await desks.keep_staff()
    tasks = [asyncio.create_task(each) for each in (feed.run(), desks.run(), rig.clock.run())]
    unanswered: list[str] = []
    try:
        await striking(feed)
        for task in tasks:
            if task.done():
                task.result()  # somebody of the workload gave up or broke
    except Unanswered as error:
        unanswered.append(str(error))
    finally:
        for task in tasks:
            await stopped(task)
    await feed.finish()
    return feed, [*unanswered, *feed.unanswered]


async def _throw(rig: Rig, watcher: Watcher, faults: Sequence[Fault], seconds: float, say: Say, feed: CardFeed) -> None:
    begun = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as striking:
        for fault in faults:
            striking.create_task(_strike(rig, watcher, fault, begun, say, feed))
        striking.create_task(asyncio.sleep(seconds))
    say("faults are over; what has begun is finished")


async def _strike(rig: Rig, watcher: Watcher, fault: Fault, begun: float, say: Say, feed: CardFeed) -> None:
    await asyncio.sleep(begun + fault.at - asyncio.get_running_loop().time())
    say(f"{fault.at:5.1f} s  {fault}")
    if fault.kind == "race":
        count = await race(rig, feed, fault.seconds)
        say(f"{count} customers were to be left alone just before a notice of theirs left")
    else:
        await rig.strike(fault)
    watcher.over(fault)


async def drain(rig: Rig, say: Say, within: float = DRAIN_SECONDS) -> None:
    """Wait, `within` so many seconds, until everybody is at rest in two rounds."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    quiet, left = 0, {}
    while quiet < _QUIET_ROUNDS and loop.time() - begun < within:
        await asyncio.sleep(0.5)
        left = await waiting(rig)
        quiet = 0 if left else quiet + 1
    outcome = f"not at rest: {left}" if quiet < _QUIET_ROUNDS else "at rest"
    say(f"{outcome} after {loop.time() - begun:.1f} s")


def size_of(evidence: Evidence) -> dict[str, int]:
    """How much was done, so that a clean run that did nothing is not taken for a proof."""
    kinds = Counter(intent.kind for intent in evidence.intents if intent.is_taken)
    states = Counter(row["state"] for row in evidence.notices)
    return {
        "events": kinds["event"],
        "contacts": kinds["contact"],
        "hand-overs": kinds["hand_over"],
        "visits reported": kinds["complete"] + kinds["fail"],
        "notices sent": states["sent"],
        "unconfirmed": states["unconfirmed"],
        "facts": len(evidence.facts),
        "repeated records": len(evidence.records) - len(evidence.facts),
    }
