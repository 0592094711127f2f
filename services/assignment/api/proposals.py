"""Law and an agency: proposed by a collector or the plan, confirmed or declined by a supervisor."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.assignment import commands
from services.assignment.api.access import DeskDep, DeskReader, Id, Supervisor, scope_of
from services.assignment.api.answers import decide
from services.assignment.api.bodies import ProposalBody, ReasonBody
from services.assignment.api.views import CaseView
from services.assignment.commands import Acting
from shared.service import BusDep
from shared.web.etags import IfMatch
from shared.web.idempotency import SentCommand

router = APIRouter(prefix="/v1/cases/{case_id}/proposals", tags=["proposals"])


@router.post("", summary="提议转法务或委外 / propose law or an agency", status_code=201, response_model=CaseView)
async def propose(
    who: DeskReader,
    bus: BusDep,
    desk: DeskDep,
    case_id: Id,
    body: ProposalBody,
    command: SentCommand,
    if_match: IfMatch = None,
) -> Response:
    """Propose it for a case in scope, with a reason; the case stays where it is until a supervisor has decided."""
    acting = Acting(case_id, scope_of(who), if_match)
    return await decide(
        bus,
        desk,
        command,
        lambda uow: commands.propose(uow, desk, acting, body.queue, who.subject, body.reason),
        status=201,
    )


@router.post("/{proposal_id}/confirm", summary="批准提议 / confirm a proposal", response_model=CaseView)
async def confirm(
    who: Supervisor,
    bus: BusDep,
    desk: DeskDep,
    case_id: Id,
    proposal_id: Id,
    body: ReasonBody,
    command: SentCommand,
    if_match: IfMatch = None,
) -> Response:
    """Put the case into the queue that was proposed; whoever proposed it does not decide it."""
    acting = Acting(case_id, scope_of(who), if_match)
    return await decide(
        bus, desk, command, lambda uow: commands.confirm(uow, desk, acting, proposal_id, who.subject, body.reason)
    )


@router.post("/{proposal_id}/decline", summary="否决提议 / decline a proposal", response_model=CaseView)
async def decline(
    who: Supervisor,
    bus: BusDep,
    desk: DeskDep,
    case_id: Id,
    proposal_id: Id,
    body: ReasonBody,
    command: SentCommand,
    if_match: IfMatch = None,
) -> Response:
    """Leave the case where it is; the plan does not propose the same step of it again."""
    acting = Acting(case_id, scope_of(who), if_match)
    return await decide(
        bus, desk, command, lambda uow: commands.decline(uow, desk, acting, proposal_id, who.subject, body.reason)
    )
