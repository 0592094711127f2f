"""A service: the web skeleton around one bus. What every `create_app` ends with."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import Response

from shared.bus.bus import Bus
from shared.dead_letters_api import dead_letter_router
from shared.positions_api import position_router
from shared.settings import ServiceSettings
from shared.web.app import Parts, service_app
from shared.web.auth import Role, require
from shared.web.catalogue import ProblemType
from shared.web.health import NotReady


def _bus_of(request: Request) -> Bus:
    bus: Bus = request.app.state.bus
    return bus


BusDep = Annotated[Bus, Depends(_bus_of)]
"""The service's bus, as an argument of a route."""


_NEW_OBJECTS = 100_000
"""So many more objects made than gone begin a collection; a batch of two thousand facts makes a few times as many."""


def rest_garbage_collector() -> None:
    """Let the cycle collector leave alone what lives as long as the process, and look at the rest less often.

    Facts and states are trees and die by their reference counts. With the usual 700 objects every batch is traversed
    dozens of times while it is being decided.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 20)


def create_service(
    bus: Bus,
    *,
    title: str,
    settings: ServiceSettings,
    routers: Sequence[APIRouter],
    parts: Parts | None = None,
    problem_types: Sequence[ProblemType] = (),
    streamed: Mapping[str, str] | None = None,
) -> FastAPI:
    """Return the service's application; the bus runs as long as it does, and readiness is the bus's."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        rest_garbage_collector()
        async with bus.running():
            yield

    async def readiness() -> list[NotReady]:
        return [NotReady(reason.code, reason.zh, reason.en) for reason in await bus.not_ready()]

    app = service_app(
        name=bus.service,
        title=title,
        settings=settings,
        routers=(*routers, *_own_routers(bus, settings)),
        lifespan=lifespan,
        readiness=readiness,
        parts=replace(parts or Parts(), clock=bus.clock, metrics=bus.metrics),
        problem_types=problem_types,
        streamed=streamed,
    )
    app.state.bus = bus
    return app


def _own_routers(bus: Bus, settings: ServiceSettings) -> list[APIRouter]:
    """What operators find in every service: dead letters and positions of one that reads, the rest of one on a stepped
    clock.
    """
    reading = [dead_letter_router(bus), position_router(bus)] if bus.handle is not None else []
    return [*reading, _stepping_router()] if settings.clock_file is not None else reading


def _stepping_router() -> APIRouter:
    """What whoever steps the clock asks: is everything at rest, and until when? Only on a stepped clock."""
    router = APIRouter(prefix="/v1", tags=["clock"])

    @router.get("/idle", dependencies=[require(Role.OPERATOR)])
    async def idle(bus: BusDep) -> Response:
        return Response(msgspec.json.encode(await bus.idle()), media_type="application/json")

    return router
