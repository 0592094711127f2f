"""The five services as the stack runs them. What they do has its own tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy.local.parts import SERVICES
from deploy.local.stack import Stack, wipe


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    state_dir: Path = tmp_path_factory.mktemp("services") / "state"
    clock = state_dir.with_name("clock")
    clock.write_text("2026-02-25T09:00:00+08:00\n", encoding="utf-8")
    async with Stack(state_dir, services=(*SERVICES, "scoring-1"), clock_file=clock, partitions=3) as running:
        yield running
    wipe(state_dir)


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20) as client:
        yield client


async def test_every_service_and_a_second_replica_is_ready(stack: Stack, http: httpx.AsyncClient) -> None:
    for name in (*SERVICES, "scoring-1"):
        answer = await http.get(f"{stack.urls[name]}/readyz")
        assert answer.status_code == 200, f"{name}: {answer.text}"


async def test_token_of_the_stack_is_taken_by_a_service(stack: Stack, http: httpx.AsyncClient) -> None:
    worklist = f"{stack.urls['assignment']}/v1/worklist"
    assert (await http.get(worklist)).status_code == 401
    token = await stack.token("agent-1", "phone_agent", team="north")
    assert (await http.get(worklist, headers={"authorization": f"Bearer {token}"})).status_code == 200


@pytest.mark.parametrize("name", [*SERVICES, "scoring-1", "issuer"])
async def test_killed_process_is_back_and_ready(stack: Stack, http: httpx.AsyncClient, name: str) -> None:
    pids = {status.name: status.pid for status in stack.status()}
    await stack.kill(name)
    await stack.wait_ready(name)
    changed = {status.name for status in stack.status() if status.pid != pids[status.name]}
    assert changed == {name}
    path = "healthz" if name == "issuer" else "readyz"
    assert (await http.get(f"{stack.urls[name]}/{path}")).status_code == 200
