"""The rig is seen to notice: guarantees are taken away from the running services, and the judgement must find it.

One stack on which the cases are forced that chance hardly ever makes; `without.py` says what is taken away.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest_asyncio

from deploy.local.parts import SERVICES
from deploy.local.stack import ROOT
from tests.chaos.card_feed import CardFeed
from tests.chaos.collecting import collect
from tests.chaos.evidence import Finding
from tests.chaos.judge import judge
from tests.chaos.ledger import Ledger
from tests.chaos.racing import race, written_to_next
from tests.chaos.rig import Rig, running
from tests.chaos.run import drain, work
from tests.chaos.schedule import GATEWAYS, Fault
from tests.chaos.serving import WITHOUT

_SEED = 12
_EVERY = 0.3
_RACE, _MUTE, _SOME_ARE_SENT, _CUT_OFF = 9.0, 11.0, 2.0, 11.0
"""Seconds. A producer and a gateway wait for 10 s."""
_ENOUGH, _PATIENCE = 3, 60.0
_DRAIN_SECONDS = 10.0
"""What was lost is waited for in vain."""


async def _force(rig: Rig, feed: CardFeed) -> None:
    """Stops race notices; then both gateways give no answers, and ingest dies while the broker is away from it."""
    async with asyncio.timeout(_PATIENCE):
        while len(await written_to_next(rig)) < _ENOUGH:  # noqa: ASYNC110 - what is waited for is in a database
            await asyncio.sleep(0.3)
    await race(rig, feed, _RACE)
    async with asyncio.TaskGroup() as together:
        for gateway in GATEWAYS:
            together.create_task(rig.strike(Fault(0.0, "mute", gateway, _MUTE)))
        await asyncio.sleep(_SOME_ARE_SENT)
        together.create_task(rig.strike(Fault(0.0, "kill_cut_off", "ingest", _CUT_OFF, beside="kafka-ingest")))


@pytest_asyncio.fixture(scope="module")
async def findings() -> AsyncIterator[Sequence[Finding]]:
    folder = Path(os.environ.get("ARREARS_LOCAL_DIR", ROOT / ".local")).absolute() / "tests-controls"
    ledger = Ledger(folder / "run" / "ledger.jsonl")
    told: list[str] = []
    more = {"ingest": {WITHOUT: "unknown-is-not-sent"}, "notify": {WITHOUT: "barrier unconfirmed-is-not-sent-again"}}
    async with running(folder, SERVICES, _SEED, told.append, more) as rig:
        feed, unanswered = await work(rig, ledger, _SEED, _EVERY, partial(_force, rig))
        await drain(rig, told.append, _DRAIN_SECONDS)
        yield judge(await collect(rig, ledger, feed.people, unanswered))


def test_what_was_never_answered_and_counted_as_sent_is_found_lost(findings: Sequence[Finding]) -> None:
    assert any(found.under == "lost" and "was passed over" in found.what for found in findings)


def test_a_notice_decided_without_the_barrier_is_found_sent_after_a_stop(findings: Sequence[Finding]) -> None:
    assert any(found.under == "sent after a stop" and "was decided after" in found.what for found in findings)


def test_an_unconfirmed_message_that_is_sent_again_is_found_twice(findings: Sequence[Finding]) -> None:
    assert any(found.under == "twice" and "arrived" in found.what for found in findings)
