"""Who may see what, and the parts of the service that a route works with."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from services.assignment.desk import Desk
from services.assignment.store.worklists import Scope
from shared.rules.contact import Allowed, Decision, NotBefore
from shared.telemetry.metrics import Metrics
from shared.web.auth import Principal, Role, require

PhoneAgent = Annotated[Principal, require(Role.PHONE_AGENT)]
Supervisor = Annotated[Principal, require(Role.SUPERVISOR)]
DeskReader = Annotated[Principal, require(Role.PHONE_AGENT, Role.SUPERVISOR)]

# Whatever no id can hold is refused here, so the store never sees it.
Id = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?$")]


def _desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


DeskDep = Annotated[Desk, Depends(_desk_of)]
"""The desk of this deployment, as an argument of a route."""


def scope_of(who: Principal) -> Scope:
    """Return whose cases the caller may see; a supervisor without a team sees all teams'."""
    supervisor = who.has(Role.SUPERVISOR)
    return Scope(
        everybody=supervisor and who.team is None,
        team=who.team if supervisor else None,
        person=who.subject if who.has(Role.PHONE_AGENT) else None,
    )


def own(who: Principal) -> Scope:
    """Return the scope of the caller's own cases only."""
    return Scope(person=who.subject)


def count_call(metrics: Metrics, decision: Decision) -> None:
    """Count what the contact rules said to a call."""
    if isinstance(decision, Allowed):
        metrics.contact_decisions.labels("call", "allowed", "none").inc()
    else:
        word = "not_before" if isinstance(decision, NotBefore) else "refused"
        metrics.contact_decisions.labels("call", word, decision.because.rule_id).inc()
