"""Composes the field desk."""

from __future__ import annotations

from fastapi import FastAPI

from services.fieldvisit.api import ROUTERS
from services.fieldvisit.desk import desk
from services.fieldvisit.handlers import HANDLES, SUBSCRIPTIONS, batch_handler
from services.fieldvisit.problems import PROBLEM_TYPES
from services.fieldvisit.settings import Settings
from services.fieldvisit.store import old_rows, with_contacts
from services.fieldvisit.timers import DEADLINE
from shared.bus.bus import Bus
from shared.events.registry import CONTACTS
from shared.forgetting import forgetting
from shared.service import create_service
from shared.web.app import Parts


def create_app(settings: Settings | None = None, *, parts: Parts | None = None) -> FastAPI:
    """Return the service, made from its settings; `parts` are what a test sets otherwise."""
    settings = settings or Settings()
    clock = parts.clock if parts is not None and parts.clock is not None else settings.clock()
    at_desk = desk(settings)
    bus = Bus(
        service="fieldvisit",
        settings=settings,
        clock=clock,
        metrics=parts.metrics if parts is not None else None,
        subscriptions=SUBSCRIPTIONS,
        handle=batch_handler(at_desk),
        handles=HANDLES,
        sweeps={CONTACTS: with_contacts},
        timers=(DEADLINE, forgetting(settings.records_kept, *old_rows(settings.records_kept))),
    )
    app = create_service(
        bus,
        title="外访服务 Field visits",
        settings=settings,
        routers=ROUTERS,
        parts=parts,
        problem_types=PROBLEM_TYPES,
    )
    app.state.desk = at_desk
    return app
