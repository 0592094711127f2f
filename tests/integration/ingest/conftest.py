"""Intake as it runs on a real PostgreSQL and Kafka, and the card system's client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest_asyncio
from fastapi import FastAPI

from services.ingest.answers import STRUCTURED
from services.ingest.app import create_app
from services.ingest.settings import Settings
from shared.clock import FrozenClock
from shared.web.app import Parts
from shared.web.auth import Role, TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer
from tests.integration.conftest import Stage
from tests.unit.ingest.events import NOW, event

SIGNER = Signer.generate(issuer="http://issuer.test")


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while True:
            if await true():
                return
            await asyncio.sleep(0.05)


async def ready(app: FastAPI) -> bool:
    return not await app.state.bus.not_ready()


async def at_rest(app: FastAPI) -> bool:
    return bool((await app.state.bus.idle()).idle)


@pytest_asyncio.fixture(scope="module")
async def url(stage: Stage) -> str:
    return await stage.migrated("ingest")


@pytest_asyncio.fixture(scope="module")
async def app(stage: Stage, url: str) -> AsyncIterator[FastAPI]:
    verifier = TokenVerifier(issuer=SIGNER.issuer, audience=SIGNER.audience, keys=FixedKeys(SIGNER.jwks()))
    settings = Settings.model_validate(stage.surroundings(url))
    app = create_app(settings, parts=Parts(verifier=verifier, clock=FrozenClock(NOW)))
    async with app.router.lifespan_context(app):
        await until(lambda: ready(app))
        yield app


@pytest_asyncio.fixture(scope="module")
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    headers = SIGNER.bearer("cards", Role.UPSTREAM)
    async with httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers) as client:
        yield client


async def send(http: httpx.AsyncClient, body: object, kind: str = STRUCTURED) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await http.post("/v1/events", content=content, headers={"content-type": kind})


async def published(app: FastAPI) -> None:
    await until(lambda: at_rest(app))


def of(customer_id: str, name: str = "account.overdue_reported", **changes: object) -> dict[str, Any]:
    """Return a sound event about a customer of the test's own."""
    made = event(name, **{"id": f"{name}-{customer_id}", **changes})
    made["data"]["customer_id"] = customer_id
    return made
