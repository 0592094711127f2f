"""What callers are shown. A customer's name and address lines are masked unless the reader is on the way there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.fieldvisit.domain.model import Customer, IncidentKind, Reach, Visit, VisitState
from shared.events.cases import OutcomeCode, PartyCode
from shared.events.visits import MissedReason, WithdrawnReason
from shared.money import totals
from shared.rules.paid import owed

MASK = "***"


class PlanSlot(BaseModel):
    """Where the visit stands in a plan."""

    plan_id: str
    members: list[str]
    recorder_id: str
    address_id: str
    starts_at: datetime
    ends_at: datetime


class ResultView(BaseModel):
    """What came of it."""

    party: PartyCode
    outcome: OutcomeCode
    completed_at: datetime
    on_time: bool
    recorder_id: str
    incident: IncidentKind | None


class MissView(BaseModel):
    """One report that it could not be done."""

    reason: MissedReason
    missed_at: datetime
    incident: IncidentKind | None


class ReasonView(BaseModel):
    """Why, in words."""

    code: str
    zh: str
    en: str


class WithdrawalView(BaseModel):
    """Why it is not to be made any more."""

    reason: WithdrawnReason
    detail: ReasonView
    withdrawn_at: datetime


class AmountView(BaseModel):
    """An amount in whole minor units (fen, cents)."""

    currency: str
    minor: int


class AtHomeView(BaseModel):
    """When the customer is usually at home, local time; 0 is Monday."""

    weekdays: list[int]
    since: str
    until: str


class AddressView(BaseModel):
    """Where the customer can be visited, and a known hazard there."""

    address_id: str
    kind: Literal["home", "work"]
    lines: list[str]
    district: str
    city: str
    hazard: str | None


class CustomerView(BaseModel):
    """As much of the customer as the reader needs; null once the visit has ended."""

    name: str
    time_zone: str
    night_contact_consent: bool
    masked: bool = Field(description="姓名与地址是否脱敏 / whether name and address lines are masked")
    at_home: list[AtHomeView]
    addresses: list[AddressView]


class VisitView(BaseModel):
    """一次外访 / one visit."""

    visit_id: str
    hand_over_id: str
    case_id: str
    customer_id: str
    field_agent_id: str
    phone_agent_id: str
    team: str
    state: VisitState
    revision: int
    handed_over_at: datetime
    due_at: datetime
    breached: bool
    breached_at: datetime | None
    plan: PlanSlot | None
    started_at: datetime | None
    result: ResultView | None
    misses: list[MissView]
    withdrawal: WithdrawalView | None
    owed: list[AmountView]
    customer: CustomerView | None


class NoteView(BaseModel):
    """What a collector wrote."""

    written_at: datetime
    written_by: str
    about: Literal["completed", "missed", "incident"]
    text: str


class VisitDetail(VisitView):
    """One visit with its notes."""

    notes: list[NoteView]


class LineOutcome(BaseModel):
    """What became of one line of a plan; `problem` is an RFC 9457 document."""

    visit_id: str | None
    outcome: Literal["planned", "refused"]
    problem: dict[str, Any] | None


class PlanAnswer(BaseModel):
    """A plan as filed; `plan_id` is null when no line could be planned."""

    plan_id: str | None
    filed_at: datetime
    items: list[LineOutcome]


class PlanLineView(BaseModel):
    """One line of a filed plan."""

    visit_id: str
    case_id: str
    starts_at: datetime
    ends_at: datetime
    due_at: datetime
    members: list[str]
    recorder_id: str
    address_id: str | None
    hazard_acknowledged: bool
    outside_window_reason: str | None


class PlanView(BaseModel):
    """已报送主管的外访计划 / a plan as filed with the supervisor."""

    plan_id: str
    field_agent_id: str
    team: str
    filed_at: datetime
    visits: list[PlanLineView]


class ReportView(BaseModel):
    """一次外访完成或未完成 / a visit done or not done."""

    report_id: str
    kind: Literal["completed", "missed", "breached"]
    visit_id: str
    case_id: str
    customer_id: str
    field_agent_id: str
    team: str
    due_at: datetime
    at: datetime
    on_time: bool | None = Field(description="未完成的报告为 null / null for a visit reported as not done")
    detail: str | None = Field(description="结果代码或未完成原因 / the outcome, or why it was not done")


def needs_to_know(visit: Visit, staff_id: str) -> bool:
    """Tell whether this person is on the way to the customer: on the visit, and the visit still to be done."""
    return visit.is_open and staff_id in visit.people


def visit_view(visit: Visit, customer: Customer, *, unmasked: bool) -> VisitView:
    """Return a visit as it is shown."""
    return VisitView.model_validate(_members(visit, customer, unmasked=unmasked))


def visit_detail(visit: Visit, customer: Customer, notes: list[dict[str, Any]], *, unmasked: bool) -> VisitDetail:
    """Return a visit as it is shown, with its notes."""
    return VisitDetail.model_validate({**_members(visit, customer, unmasked=unmasked), "notes": notes})


def _members(visit: Visit, customer: Customer, *, unmasked: bool) -> Mapping[str, Any]:
    amounts = totals(amount for ledger in customer.ledgers.values() if (amount := owed(ledger)) is not None)
    reach = customer.reach if visit.is_open else None
    return {
        **{name: getattr(visit, name) for name in _SAME},
        "breached": visit.breached_at is not None,
        "plan": visit.slot and PlanSlot.model_validate(visit.slot, from_attributes=True),
        "result": visit.result and ResultView.model_validate(visit.result, from_attributes=True),
        "misses": [MissView.model_validate(miss, from_attributes=True) for miss in visit.misses],
        "withdrawal": visit.withdrawal and WithdrawalView.model_validate(visit.withdrawal, from_attributes=True),
        "owed": [AmountView(currency=amount.currency, minor=amount.minor) for amount in amounts.values()],
        "customer": reach and _customer(reach, unmasked=unmasked),
    }


_SAME = (
    "visit_id",
    "hand_over_id",
    "case_id",
    "customer_id",
    "field_agent_id",
    "phone_agent_id",
    "team",
    "state",
    "revision",
    "handed_over_at",
    "due_at",
    "breached_at",
    "started_at",
)


def _customer(reach: Reach, *, unmasked: bool) -> CustomerView:
    return CustomerView(
        name=reach.name if unmasked else f"{reach.name[:1]}**",
        time_zone=reach.time_zone,
        night_contact_consent=reach.night_contact_consent,
        masked=not unmasked,
        at_home=[AtHomeView.model_validate(window, from_attributes=True) for window in reach.at_home],
        addresses=[
            AddressView(
                address_id=address.address_id,
                kind=address.kind,
                lines=list(address.lines) if unmasked else [MASK],
                district=address.district,
                city=address.city,
                hazard=address.hazard,
            )
            for address in reach.addresses
        ],
    )
