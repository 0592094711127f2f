"""A reader that is far behind catches up without growing: it holds what it was given last, and asks for no more.

`make far-behind FACTS=1000000` is the long form.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest_asyncio

from benchmarks.feed import Numbering, Topics
from benchmarks.floor_hop import PARTITIONS
from benchmarks.snapshots import snapshots
from deploy.local.state import choose_ports
from shared.events.registry import CARD
from shared.web.signing import Signer
from tests.integration.conftest import MakeStage, Stage
from tests.integration.outages.lives import ISSUER, Life, preload
from tests.integration.overload.memory import memory

FACTS = int(os.environ.get("FAR_BEHIND", "40000"))
GROWTH_BYTES = 64 << 20
"""What docs/bus.md states: above what it takes after its first facts. A fact held whole is two kilobytes."""

_SLICE = 20_000
_STANDSTILL = 60


@pytest_asyncio.fixture
async def behind(make_stage: MakeStage) -> AsyncIterator[tuple[Stage, str]]:
    """A stage on which `card` holds everything and scoring's database nothing yet."""
    stage = await make_stage(partitions=PARTITIONS)
    url = await stage.migrated("scoring")
    numbering, at = Numbering(), datetime.now(UTC).replace(microsecond=0)
    async with Topics(stage.infra.bootstrap) as topics:
        for first in range(0, FACTS, _SLICE):
            made = snapshots("behind", first, min(_SLICE, FACTS - first), at)
            await topics.fill(CARD.full_name(stage.namespace), numbering.records(made, at, sampled=False))
    yield stage, url


async def test_memory_stays_where_it_was_after_the_first_facts(behind: tuple[Stage, str]) -> None:
    """Seen to fail with every batch kept."""
    stage, url = behind
    preload()
    signer = Signer.generate(issuer=ISSUER)
    environment = {
        "ARREARS_ENV": "production",
        "ARREARS_DATABASE_URL": url,
        "ARREARS_KAFKA_BOOTSTRAP": stage.infra.bootstrap,
        "ARREARS_NAMESPACE": stage.namespace,
        "ARREARS_PARTITIONS": str(stage.partitions),
        "ARREARS_ISSUER": ISSUER,
        "ARREARS_JWKS_URL": f"{ISSUER}/jwks",
    }
    port = choose_ports(("scoring",), {})["scoring"]
    life = Life.begin("scoring", port, environment, signer, stage.infra.state.logs / "behind.log")
    connection = await asyncpg.connect(url)
    try:
        pid = life.process.pid
        assert pid is not None
        await _until(connection, FACTS // 8)
        before = memory(pid, "VmRSS")
        await _until(connection, FACTS)
        assert memory(pid, "VmHWM") - before < GROWTH_BYTES
    finally:
        await connection.close()
        life.kill()


async def _until(connection: asyncpg.Connection, wanted: int) -> None:
    """Wait until so many facts were taken; fail when it stands still."""
    taken, patience = -1, float(_STANDSTILL)
    while taken < wanted:
        now = await connection.fetchval("SELECT sum(sequence) FROM inbox_position WHERE topic = 'card'")
        taken, patience = (now, float(_STANDSTILL)) if now > taken else (taken, patience - 0.2)
        assert patience > 0, f"{taken} of {wanted} facts were taken"
        await asyncio.sleep(0.2)
