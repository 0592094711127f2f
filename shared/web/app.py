"""The one way to make a service's web app: `service_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.types import Scope

from shared.clock import Clock
from shared.settings import ServiceSettings
from shared.telemetry import logs
from shared.telemetry.metrics import Metrics
from shared.telemetry.tracing import Telemetry, setup
from shared.web.admission import Admission, Limits
from shared.web.auth import TokenVerifier
from shared.web.body import BODY_LIMIT, BodyGate
from shared.web.catalogue import ProblemType, catalogue
from shared.web.guard import Authenticate, Guard
from shared.web.health import Readiness, health_router
from shared.web.pages import Pages, documentation_pages, problem_pages
from shared.web.permissions import check_declared, route_templates
from shared.web.problems import HANDLERS, MEDIA_TYPE

VERSION = "0.1.0"
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Parts:
    """What a service or a test sets otherwise; None means the usual one, made from the settings."""

    clock: Clock | None = None
    metrics: Metrics | None = None
    telemetry: Telemetry | None = None
    verifier: TokenVerifier | None = None
    body_limit: int = BODY_LIMIT


def service_app(
    *,
    name: str,
    title: str,
    settings: ServiceSettings,
    routers: Sequence[APIRouter],
    lifespan: Lifespan,
    readiness: Readiness,
    parts: Parts | None = None,
    problem_types: Sequence[ProblemType] = (),
    streamed: Mapping[str, str] | None = None,
) -> FastAPI:
    """Return the app of one service.

    `routers` hold the service's routes, all under `/v1/`, each with a permission (`shared.web.auth.require`); a route
    without one is a RuntimeError here, not a hole later. `readiness` gives the reasons why the service cannot work
    now. `streamed`: {path: the media type of bodies that its route reads as a stream}. `app.state` carries `settings`,
    `clock`, `metrics` and `telemetry` for the service's own lifespan and routes.
    """
    parts = parts or Parts()
    metrics = parts.metrics or Metrics()
    telemetry = parts.telemetry or setup(name, settings)
    verifier = parts.verifier or TokenVerifier.fetching(settings.issuer, settings.audience, settings.jwks_url)
    types = catalogue(problem_types)
    templates: dict[Any, str] = {}
    logs.configure(name, settings.instance, development=settings.development)
    app = FastAPI(
        title=title,
        version=VERSION,
        openapi_url="/openapi.json" if settings.docs_enabled else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_closing(lifespan, telemetry, verifier),
        responses=_PROBLEM_RESPONSES,
        exception_handlers=dict(HANDLERS),  # type: ignore[arg-type]  # keys are classes only
        middleware=[
            Middleware(Guard, types=types, metrics=metrics, route_of=lambda scope: _route(scope, templates)),
            Middleware(Authenticate, verifier=verifier, metrics=metrics),
            Middleware(Admission, limits=_limits(settings), most=parts.body_limit, streamed=streamed),
            Middleware(BodyGate, limit=parts.body_limit, streamed=streamed),
        ],
        telemetry={
            "tracer_provider": telemetry.provider,
            "operation_spans": False,
            # Their metrics and logs would repeat ours, and their logs quote exceptions.
            "metrics": False,
            "logs": False,
            "auto_configure": False,
            "exclude": _is_probe,
        },
    )
    app.state.settings = settings
    app.state.clock = parts.clock or settings.clock()
    app.state.metrics = metrics
    app.state.telemetry = telemetry
    app.state.problem_types = types
    metrics.build_info.labels(name, VERSION, settings.instance).set(1)
    for router in (*routers, *_own_routers(name, title, settings, readiness, app)):
        app.include_router(router)
    check_declared(app)
    templates.update(route_templates(app))
    return app


def _limits(settings: ServiceSettings) -> Limits:
    return Limits(settings.requests_at_once, settings.body_bytes_at_once)


def _own_routers(
    name: str, title: str, settings: ServiceSettings, readiness: Readiness, app: FastAPI
) -> Sequence[APIRouter]:
    pages = Pages(title)
    own = [health_router(name, readiness, app.state.metrics), problem_pages(pages, app.state.problem_types)]
    return [*own, documentation_pages(pages)] if settings.docs_enabled else own


def _closing(lifespan: Lifespan, telemetry: Telemetry, verifier: TokenVerifier) -> Lifespan:
    """Return the service's lifespan, after which the skeleton's own parts are closed."""

    @asynccontextmanager
    async def wrapped(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with lifespan(app):
                yield
        finally:
            await verifier.aclose()
            # In a thread: a collector that is away takes its timeout.
            await run_in_threadpool(telemetry.shutdown)

    return wrapped


def _route(scope: Scope, templates: dict[Any, str]) -> str:
    return templates.get(scope.get("endpoint"), "none")


def _is_probe(scope: Scope) -> bool:
    return scope.get("path") in {"/healthz", "/readyz", "/metrics"}


_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "title_en", "status", "detail", "detail_en", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "description": "说明页 / a page of this service"},
        "title": {"type": "string"},
        "title_en": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "detail_en": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string", "description": "追踪编号 / trace id"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    name: {"type": "string"} for name in ("field", "fault", "fault_en", "remedy", "remedy_en")
                },
            },
        },
    },
}
_PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": f"问题文档 / {words}", "content": {MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA}}}
    for status, words in (("422", "fields are wrong"), ("default", "problem document"))
}
