"""Each service dies once at each step that it takes between a record and its position, a segment and `published`.

One stack, one workload: every service is armed with its first point, dies there, begins a new life armed with the next,
and so on. The judgements of the fault rig then say whether any effect is missing or there twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.local.parts import SERVICES
from deploy.local.stack import ROOT
from shared.bus.failpoints import PUBLISHING, READING, WRITING
from tests.chaos.collecting import collect
from tests.chaos.evidence import Finding
from tests.chaos.judge import judge
from tests.chaos.ledger import Ledger
from tests.chaos.rig import running
from tests.chaos.run import drain, work
from tests.chaos.serving import DEATHS

POINTS: dict[str, Sequence[str]] = {
    service: (*PUBLISHING, *WRITING) if service == "ingest" else (*READING, *PUBLISHING, *WRITING)
    for service in SERVICES
}
"""In the order of a service's deaths: what it publishes early is what the next one dies over. Ingest reads nothing."""
CELLS = [(service, point) for service in SERVICES for point in POINTS[service]]
_SEED = 11
_EVERY = 0.8
_LIMIT_SECONDS = 120.0
_LOOK_SECONDS = 0.1


def deaths(logs: Path, service: str) -> set[str]:
    """The points at which a service says that it killed itself."""
    text = (logs / f"{service}.log").read_text(encoding="utf-8", errors="replace")
    return {point for point in POINTS[service] if f"failpoint {point}:" in text}


@dataclass(frozen=True)
class Outcome:
    """Who died where, and what was found in the end."""

    deaths: dict[str, set[str]]
    findings: Sequence[Finding]
    broken: Sequence[str]


async def _until_all_have_died(logs: Path) -> None:
    with contextlib.suppress(TimeoutError):  # the cells that are left say so
        async with asyncio.timeout(_LIMIT_SECONDS):
            while any(deaths(logs, service) != set(POINTS[service]) for service in SERVICES):  # noqa: ASYNC110 - what is waited for is other processes
                await asyncio.sleep(_LOOK_SECONDS)


@pytest_asyncio.fixture(scope="module")
async def outcome() -> AsyncIterator[Outcome]:
    folder = Path(os.environ.get("ARREARS_LOCAL_DIR", ROOT / ".local")).absolute() / "tests-failpoints"
    logs = folder / "logs"
    ledger = Ledger(folder / "run" / "ledger.jsonl")
    told: list[str] = []
    more = {service: {DEATHS: " ".join(points)} for service, points in POINTS.items()}
    async with running(folder, SERVICES, _SEED, told.append, more) as rig:
        feed, unanswered = await work(rig, ledger, _SEED, _EVERY, lambda _: _until_all_have_died(logs), hand_over=1.0)
        await drain(rig, told.append)
        evidence = await collect(rig, ledger, feed.people, unanswered)
        yield Outcome(
            {service: deaths(logs, service) for service in SERVICES}, judge(evidence), list(rig.client.broken)
        )


@pytest.mark.parametrize(("service", "point"), CELLS)
def test_a_service_is_killed_at_the_point(outcome: Outcome, service: str, point: str) -> None:
    assert point in outcome.deaths[service]


def test_every_effect_is_there_once_after_all_these_deaths(outcome: Outcome) -> None:
    assert list(outcome.findings) == []
    assert list(outcome.broken) == []
