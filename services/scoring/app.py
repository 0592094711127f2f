"""Composes scoring."""

from __future__ import annotations

from fastapi import FastAPI

from services.scoring.api import ROUTERS
from services.scoring.domain.loading import load_panel
from services.scoring.handlers import HANDLES, SUBSCRIPTIONS, Grader
from services.scoring.settings import Settings
from services.scoring.store import old_rows
from services.scoring.timers import ageing
from shared.bus.bus import Bus
from shared.forgetting import forgetting
from shared.service import create_service
from shared.web.app import Parts


def create_app(settings: Settings | None = None, *, parts: Parts | None = None) -> FastAPI:
    """Return the service, made from its settings; `parts` are what a test sets otherwise.

    Raises:
        DataFileError: a points card cannot be used, or the champion or challenger is not among them.
    """
    settings = settings or Settings()
    parts = parts or Parts()
    panel = load_panel(settings.cards_dir, settings.champion_card, settings.challenger_card)
    grader = Grader(panel, settings.zone)
    bus = Bus(
        service="scoring",
        settings=settings,
        clock=parts.clock or settings.clock(),
        metrics=parts.metrics,
        subscriptions=SUBSCRIPTIONS,
        handle=grader.handle,
        handles=HANDLES,
        timers=(ageing(grader), forgetting(settings.records_kept, *old_rows(settings.records_kept))),
    )
    app = create_service(bus, title="评分服务 Scoring", settings=settings, routers=ROUTERS, parts=parts)
    app.state.grader = grader
    return app
