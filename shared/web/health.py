"""Probes and metrics: `/healthz` (the process lives), `/readyz` (it can work, or why not), `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from shared.telemetry.metrics import Metrics
from shared.web.guard import passing

READINESS_SECONDS = 3.0
"""How long the readiness check may take before that itself is the reason."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """One reason why the service cannot work now: a code, and words in Chinese and English without secrets."""

    code: str
    reason: str
    reason_en: str


Readiness = Callable[[], Awaitable[Sequence[NotReady]]]


def health_router(service: str, readiness: Readiness, metrics: Metrics) -> APIRouter:
    """Return the three routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"service": service, "status": "alive"})

    @router.get("/readyz")
    async def readyz() -> Response:
        reasons = await _reasons(readiness)
        status = "not_ready" if reasons else "ready"
        content = {"service": service, "status": status, "reasons": [asdict(reason) for reason in reasons]}
        return JSONResponse(content, 503 if reasons else 200, {"cache-control": "no-store"})

    @router.get("/metrics")
    async def exposition() -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return router


async def _reasons(readiness: Readiness) -> Sequence[NotReady]:
    try:
        async with asyncio.timeout(READINESS_SECONDS):
            return await readiness()
    except TimeoutError:
        return [NotReady("slow", "就绪检查超时", "the readiness check took too long")]
    except Exception as error:
        if not passing(error):
            raise
        return [NotReady("away", "所依赖的部件无法访问", "something that is needed is away")]
