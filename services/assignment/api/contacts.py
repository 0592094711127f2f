"""Calls: may it be made, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Response
from msgspec import structs
from pydantic import BaseModel

from services.assignment import commands
from services.assignment.api.access import DeskDep, DeskReader, Id, PhoneAgent, count_call, own, scope_of
from services.assignment.api.bodies import ContactBody, DeskPurpose, Key
from services.assignment.api.views import ReasonView
from services.assignment.commands import Acting, blocked, row_of
from services.assignment.domain.contacts import Contact, why_not_call
from services.assignment.domain.handover import erased, unknown_case
from services.assignment.domain.permits import may_call
from services.assignment.store import worklists
from services.assignment.store.customers import Held
from shared.bus.unit_of_work import UnitOfWork
from shared.ids import uuid7
from shared.rules.contact import Allowed, Decision, NotBefore
from shared.service import BusDep
from shared.web.etags import IfMatch
from shared.web.idempotency import SentCommand, StoredAnswer, answer_once

router = APIRouter(prefix="/v1/cases", tags=["contacts"])


class CallAnswer(BaseModel):
    """Whether the customer may be called now, and by which rule not. `yielded`: rules lifted by consent or waiver."""

    decision: Literal["allowed", "not_before", "refused"]
    at: datetime
    until: datetime | None
    rule: str | None
    pack: str | None
    source: str | None
    strength: str | None
    reason: ReasonView | None
    yielded: list[str]


class ContactAnswer(BaseModel):
    """A contact that was logged, and what it counts as."""

    contact_id: str
    case_id: str
    counts_as_attempt: bool
    counts_as_effective: bool
    stop_set: str | None
    promise_id: str | None
    status: Literal["open", "closed"]


@router.get("/{case_id}/may-call", summary="此刻可否致电 / may the customer be called now")
async def ask_may_call(
    who: DeskReader,
    bus: BusDep,
    desk: DeskDep,
    case_id: Id,
    purpose: DeskPurpose = "collection",
    phone_id: Key | None = None,
) -> CallAnswer:
    """Ask the contact rules before a call; the answer holds for this moment."""
    async with bus.reading() as connection:
        held = await worklists.case(connection, scope_of(who), case_id)
        if held is None or held.customer.open_case is None:
            raise unknown_case()
        if held.customer.erased:
            raise erased()
        key = held.customer.customer_id
        if await bus.blocked_keys(connection, [key]):
            raise blocked()
        if (problem := (await bus.unread_keys(connection, [key])).get(key)) is not None:
            raise problem
    now = bus.clock.now()
    if (problem := why_not_call(held.customer.open_case, now)) is not None:
        raise problem
    decision = may_call(held.customer, desk.policy, now, purpose=purpose, phone_id=phone_id)
    count_call(bus.metrics, decision)
    return _call_answer(decision, now)


@router.post("/{case_id}/contacts", summary="登记联系 / log a contact", status_code=201, response_model=ContactAnswer)
async def log_contact(
    who: PhoneAgent,
    bus: BusDep,
    desk: DeskDep,
    case_id: Id,
    body: ContactBody,
    command: SentCommand,
    if_match: IfMatch = None,
) -> Response:
    """Log a contact of an own case; a call that a rule forbade at that moment is refused, a call-in never is.

    A call-in is logged on a case that has no collector yet as well.
    """
    # Whoever answers hears the customer, also while the case is only reminded and nobody's yet.
    hearing = structs.replace(own(who), nobodys=body.channel == "INBOUND")
    acting = Acting(case_id, hearing, if_match)

    async def act(uow: UnitOfWork) -> StoredAnswer:
        async def decide() -> StoredAnswer:
            contact = body.contact(str(uuid7()), who.subject, uow.now)
            held = await commands.log_contact(uow, desk, acting, contact, body.note)
            return StoredAnswer.of(201, _contact_answer(contact, held).model_dump(mode="json"))

        return await answer_once(uow.connection, command, decide)

    return (await bus.transact(act)).response()


def _call_answer(decision: Decision, at: datetime) -> CallAnswer:
    if isinstance(decision, Allowed):
        return CallAnswer(
            decision="allowed",
            at=at,
            until=None,
            rule=None,
            pack=None,
            source=None,
            strength=None,
            reason=None,
            yielded=[each.rule_id for each in decision.yielded],
        )
    because = decision.because
    return CallAnswer(
        decision="not_before" if isinstance(decision, NotBefore) else "refused",
        at=at,
        until=decision.until if isinstance(decision, NotBefore) else None,
        rule=because.rule_id,
        pack=f"{because.pack}@{because.pack_version}",
        source=because.source,
        strength=because.strength,
        reason=ReasonView(code=because.rule_id, zh=because.reason_zh, en=because.reason_en),
        yielded=[],
    )


def _contact_answer(contact: Contact, held: Held) -> ContactAnswer:
    row = row_of(contact)
    return ContactAnswer(
        contact_id=contact.contact_id,
        case_id=held.customer.case.case_id if held.customer.case else "",
        counts_as_attempt=row.counts_as_attempt,
        counts_as_effective=row.counts_as_effective,
        stop_set=row.stops_case,
        promise_id=contact.contact_id if contact.promise else None,
        status="open" if held.customer.open_case else "closed",
    )
