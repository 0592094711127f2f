"""Composes intake."""

from __future__ import annotations

from fastapi import FastAPI

from services.ingest.answers import LINES, PROBLEM_TYPES
from services.ingest.api import EVENTS, router
from services.ingest.grouping import Group
from services.ingest.settings import Settings
from services.ingest.timers import old_rejects, seen_timer
from services.ingest.upstream import Upstream
from shared.bus.bus import Bus
from shared.forgetting import forgetting
from shared.service import create_service
from shared.web.app import Parts


def create_app(settings: Settings | None = None, *, parts: Parts | None = None) -> FastAPI:
    """Return the service, made from its settings; `parts` are what a test sets otherwise."""
    settings = settings or Settings()
    parts = parts or Parts()
    jobs = (Upstream(settings),) if settings.upstream_topic else ()
    bus = Bus(
        service="ingest",
        settings=settings,
        clock=parts.clock or settings.clock(),
        metrics=parts.metrics,
        timers=(seen_timer(settings), forgetting(settings.records_kept, old_rejects(settings))),
        jobs=jobs,
    )
    app = create_service(
        bus,
        title="接入服务 Intake",
        settings=settings,
        routers=(router,),
        parts=parts,
        problem_types=PROBLEM_TYPES,
        streamed={EVENTS: LINES},
    )
    app.state.group = Group(bus)
    return app
