"""Who may see what, and the parts of the service that a route works with."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from services.fieldvisit.desk import Desk
from services.fieldvisit.store import Scope
from shared.errors import Problem
from shared.telemetry.metrics import Metrics
from shared.web.auth import Principal, Role, require

Reader = Annotated[Principal, require(Role.FIELD_AGENT, Role.SUPERVISOR, Role.ADMIN_ASSISTANT)]
FieldAgent = Annotated[Principal, require(Role.FIELD_AGENT)]
Assistant = Annotated[Principal, require(Role.ADMIN_ASSISTANT)]

# Whatever no id can hold is refused here, so the store never sees it.
Id = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]


def _desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskDep = Annotated[Desk, Depends(_desk_of)]
"""The desk of this deployment, as an argument of a route."""


def scope_of(who: Principal) -> Scope:
    """Return whose visits the caller may see; a supervisor without a team sees all teams'."""
    supervisor = who.has(Role.SUPERVISOR)
    return Scope(
        everybody=who.has(Role.ADMIN_ASSISTANT) or (supervisor and who.team is None),
        team=who.team if supervisor else None,
        person=who.subject if who.has(Role.FIELD_AGENT) else None,
    )


def count_decision(metrics: Metrics, problem: Problem | None) -> None:
    """Count what the contact rules said to a visit; refusals of other kinds are not theirs."""
    if problem is None:
        metrics.contact_decisions.labels("visit", "allowed", "none").inc()
    elif problem.code == "refused_by_rule":
        decision = "not_before" if "not_before" in problem.extra else "refused"
        metrics.contact_decisions.labels("visit", decision, problem.extra["rule"]).inc()
