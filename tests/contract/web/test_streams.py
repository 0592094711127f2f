"""A stream of events through a real server on a real socket, whose client reads only when it has sent everything."""

from __future__ import annotations

import asyncio
import json
import socket

import httpx
import uvicorn
from fastapi import APIRouter
from starlette.responses import Response

from services.ingest.answers import LINES, PROBLEM_TYPES
from services.ingest.streaming import Streamed
from shared.web.app import Parts, service_app
from shared.web.catalogue import catalogue
from tests.contract.web.toy import Supervisor, no_lifespan, ready, settings
from tests.unit.ingest.events import PRESENT
from tests.unit.ingest.test_streaming import Intake, line

COUNT = 4000


async def test_a_client_that_sends_first_and_reads_afterwards_gets_all_answers(
    parts: Parts, supervisor: dict[str, str]
) -> None:
    """A body larger than the limit of others. Seen to fail with a length stated in the answer."""
    router, intake = APIRouter(), Intake()

    @router.post("/v1/events")
    async def events(_who: Supervisor) -> Response:
        return Streamed(intake.take, lambda: PRESENT, catalogue(PROBLEM_TYPES))

    app = service_app(
        name="toy",
        title="Toy",
        settings=settings(),
        routers=[router],
        lifespan=no_lifespan,
        readiness=ready,
        parts=parts,
        streamed={"/v1/events": LINES},
    )
    server = uvicorn.Server(uvicorn.Config(app, loop="asyncio", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/events"
            body = b"".join(map(line, range(1, COUNT + 1)))
            headers = {**supervisor, "content-type": LINES, "expect": "100-continue"}
            answer = await http.post(url, content=body, headers=headers)
        server.should_exit = True
        await serving
    assert len(body) > 1 << 20
    assert [json.loads(each)["id"] for each in answer.text.splitlines()] == [f"e-{n}" for n in range(1, COUNT + 1)]
