"""Each service dies once at each step that it takes between a record and its position, a segment and `published`.

One stack, one workload: every service is armed with the first point that it has not died at yet, dies there, is started
again with the next, and so on. The judgements of the fault rig then say whether any effect is missing or there twice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.parts import SERVICES
from deploy.local.process import Backoff
from deploy.local.stack import ROOT
from shared.bus.failpoints import PUBLISHING, READING, WRITING
from tests.chaos.collecting import collect
from tests.chaos.evidence import Finding
from tests.chaos.judge import judge
from tests.chaos.ledger import Ledger
from tests.chaos.rig import Rig, running
from tests.chaos.run import drain, work

POINTS: dict[str, Sequence[str]] = {
    service: (*WRITING, *PUBLISHING) if service == "ingest" else (*READING, *WRITING, *PUBLISHING)
    for service in SERVICES
}
"""Ingest reads nothing."""
CELLS = [(service, point) for service in SERVICES for point in POINTS[service]]
_SEED = 11
_EVERY = 0.8
_LIMIT_SECONDS = 180.0
_LOOK_SECONDS = 0.03
_QUICK = Backoff(first=0.1, most=0.1)


class Chain:
    """Arms each service for its next start. `more`: the further settings that the stack reads at each start."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self.more: dict[str, dict[str, str]] = {service: {} for service in SERVICES}

    def deaths(self, service: str) -> set[str]:
        """The points at which a service says that it killed itself."""
        text = (self._logs / f"{service}.log").read_text(encoding="utf-8", errors="replace")
        return {point for point in POINTS[service] if f"failpoint {point}:" in text}

    def disarm(self) -> None:
        """Whoever is started from now on lives."""
        for settings in self.more.values():
            settings.clear()

    def arm(self) -> int:
        """Arm everybody with what is left; how many cells are."""
        count = 0
        for service, settings in self.more.items():
            left = [point for point in POINTS[service] if point not in self.deaths(service)]
            settings.clear()
            settings.update({"ARREARS_FAILPOINT": left[0]} if left else {})
            count += len(left)
        return count


@dataclass(frozen=True)
class Outcome:
    """Who died where, and what was found in the end."""

    deaths: dict[str, set[str]]
    findings: Sequence[Finding]
    broken: Sequence[str]


async def _until_all_have_died(rig: Rig, chain: Chain) -> None:
    chain.arm()
    for service in SERVICES:
        await rig.stack.kill(service)
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            while chain.arm():  # noqa: ASYNC110 - what is waited for is other processes
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        chain.disarm()  # the cells that are left say so; what died there stays up from now on
    await rig.stack.wait_ready()


@pytest_asyncio.fixture(scope="module")
async def outcome() -> AsyncIterator[Outcome]:
    folder = Path(os.environ.get("ARREARS_LOCAL_DIR", ROOT / ".local")).absolute() / "tests-failpoints"
    chain = Chain(folder / "logs")
    ledger = Ledger(folder / "run" / "ledger.jsonl")
    told: list[str] = []
    async with running(folder, SERVICES, _SEED, told.append, chain.more, _QUICK) as rig:
        feed, unanswered = await work(rig, ledger, _SEED, _EVERY, _until_all_have_died(rig, chain))
        await drain(rig, told.append)
        evidence = await collect(rig, ledger, feed.people, unanswered)
        deaths = {service: chain.deaths(service) for service in SERVICES}
        yield Outcome(deaths, judge(evidence), list(rig.client.broken))


@pytest.mark.parametrize(("service", "point"), CELLS)
def test_a_service_is_killed_at_the_point(outcome: Outcome, service: str, point: str) -> None:
    assert point in outcome.deaths[service]


def test_every_effect_is_there_once_after_all_these_deaths(outcome: Outcome) -> None:
    assert list(outcome.findings) == []
    assert list(outcome.broken) == []
