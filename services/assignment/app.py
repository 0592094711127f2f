"""Composes assignment."""

from __future__ import annotations

from fastapi import FastAPI

from services.assignment.api import ROUTERS
from services.assignment.desk import desk_of
from services.assignment.handlers import HANDLES, SUBSCRIPTIONS, batch_handler
from services.assignment.problems import PROBLEM_TYPES
from services.assignment.settings import Settings
from services.assignment.store.customers import with_contacts
from services.assignment.store.retention import old_rows
from services.assignment.timers import case_timer, collector_timer, field_timer, strategy_timer
from shared.bus.bus import Bus
from shared.events.registry import CONTACTS
from shared.forgetting import forgetting
from shared.service import create_service
from shared.web.app import Parts


def create_app(settings: Settings | None = None, *, parts: Parts | None = None) -> FastAPI:
    """Return the service, made from its settings; `parts` are what a test sets otherwise.

    Raises:
        StrategyError: the strategy file cannot be used; the message names row, fault and remedy.
    """
    settings = settings or Settings()
    parts = parts or Parts()
    clock = parts.clock or settings.clock()
    desk = desk_of(settings, clock.now())
    forgotten = forgetting(settings.records_kept, *old_rows(settings.records_kept))
    bus = Bus(
        service="assignment",
        settings=settings,
        clock=clock,
        metrics=parts.metrics,
        subscriptions=SUBSCRIPTIONS,
        handle=batch_handler(desk.policy),
        handles=HANDLES,
        sweeps={CONTACTS: with_contacts},
        timers=(
            case_timer(desk.policy),
            strategy_timer(desk.policy, clock),
            collector_timer(desk.policy, clock),
            field_timer(desk.policy, clock),
            forgotten,
        ),
    )
    app = create_service(
        bus,
        title="案件分派服务 Assignment",
        settings=settings,
        routers=ROUTERS,
        parts=parts,
        problem_types=PROBLEM_TYPES,
    )
    app.state.desk = desk
    return app
