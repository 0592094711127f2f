"""Each test of the bus has topics and databases of its own, on the shared broker and server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
import pytest_asyncio

from shared.bus import consumer
from shared.events.registry import CARD, RISK
from tests.integration.bus.toys import Toys, empty, make_toys
from tests.integration.conftest import MakeStage


@pytest.fixture(autouse=True)
def _short_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortest that a broker allows, so that a replica that went away is missed soon."""
    monkeypatch.setattr(consumer, "SESSION_MS", 6_000)


@pytest.fixture
def quiet_client() -> Iterator[None]:
    """Do not listen to what the client library says of a broker that is away on purpose."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest_asyncio.fixture(scope="module")
async def module_toys(make_stage: MakeStage) -> Toys:
    """The two toys' databases, which a module's tests use one after the other."""
    return await make_toys(await make_stage((), partitions=2))


@pytest_asyncio.fixture
async def toys(module_toys: Toys, make_stage: MakeStage) -> Toys:
    """The two toys on topics of their own with two partitions, and with nothing in their databases."""
    fresh = replace(module_toys, stage=await make_stage((CARD, RISK), partitions=2))
    await empty(fresh.write_url, 2, ())
    await empty(fresh.read_url, 2, (CARD,))
    return fresh
