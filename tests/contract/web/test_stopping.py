"""A server that is told to stop while requests are under way, on a real socket."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
import uvicorn
from fastapi import APIRouter

from shared.web.app import Parts, service_app
from tests.contract.web.toy import Supervisor, no_lifespan, ready, settings


@pytest.mark.expected_errors("uvicorn.error: Cancel 1 running task", "uvicorn.error: Exception in ASGI application")
async def test_who_waits_too_long_for_an_answer_is_told_to_come_back(parts: Parts, supervisor: dict[str, str]) -> None:
    """Seen to fail without the guard's answer: the server's own is a bare 500, which nobody may repeat."""
    router, asked = APIRouter(), asyncio.Event()

    @router.get("/v1/hangs")
    async def hangs(_who: Supervisor) -> None:
        asked.set()
        await asyncio.Event().wait()

    app = service_app(
        name="toy",
        title="Toy",
        settings=settings(),
        routers=[router],
        lifespan=no_lifespan,
        readiness=ready,
        parts=parts,
    )
    server = uvicorn.Server(uvicorn.Config(app, loop="asyncio", timeout_graceful_shutdown=1, log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with httpx.AsyncClient(trust_env=False) as http:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/hangs"
            asking = asyncio.create_task(http.get(url, headers=supervisor))
            await asked.wait()
            server.should_exit = True
            answer = await asking
        await serving
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]
