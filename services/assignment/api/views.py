"""What callers are shown of a case. Name and numbers are masked but in the contact details of an own case."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.assignment.domain import promises, worklist
from services.assignment.domain.model import Account, Case, Customer, amounts_owed
from services.assignment.domain.permits import usable_phones
from services.assignment.domain.policy import Policy
from services.assignment.domain.staff import needs_collector
from services.assignment.store.customers import Held
from shared.events.kinds import Reason
from shared.rules.aging import days_past_due
from shared.rules.paid import owed
from shared.rules.stops import active


class ReasonView(BaseModel):
    """Why, in words."""

    code: str
    zh: str
    en: str


class AmountView(BaseModel):
    """An amount in whole minor units (fen, cents)."""

    currency: str
    minor: int


class AccountView(BaseModel):
    """One overdue account of the case."""

    account_id: str
    card_last4: str | None
    product_code: str | None
    due_date: date | None
    days_past_due: int
    currency: str
    owed: int
    min_payment_due: int | None
    grade: str | None


class PromiseView(BaseModel):
    """An open promise, and what was paid towards it so far."""

    promise_id: str
    currency: str
    amount: int
    pay_by: date
    made_at: datetime
    paid: int


class HandOverView(BaseModel):
    """With whom the case is in the field."""

    hand_over_id: str
    list_id: str
    field_agent_id: str
    handed_over_at: datetime
    visit_id: str | None


class ProposalView(BaseModel):
    """Law or an agency is proposed and waits for a supervisor. `by` is null when the plan proposes."""

    proposal_id: str
    queue: str
    at: datetime
    by: str | None
    reasons: list[ReasonView]


class WaiverView(BaseModel):
    """A supervisor's decision that should-rules do not hold on this day."""

    supervisor_id: str
    reason: str
    day: date


class PhoneView(BaseModel):
    """A number; `usable` is false once it turned out dead or a stranger's."""

    phone_id: str
    kind: str
    number: str = Field(examples=["+86138****8000"])
    usable: bool


class CustomerView(BaseModel):
    """How the customer is reached."""

    name: str = Field(examples=["张**"])
    language: str
    time_zone: str
    phones: list[PhoneView]
    masked: bool


class WorkItem(BaseModel):
    """A case as lists show it; no personal data."""

    case_id: str
    customer_id: str
    status: Literal["open", "closed"]
    queue: str | None
    step: str | None
    bucket: str
    grade: str | None
    owed: list[AmountView]
    collector: str | None
    team: str | None
    set_date: date | None
    promise: PromiseView | None
    offer_from: datetime | None
    leased_by: str | None
    leased_until: datetime | None
    stopped: bool
    handed_over: bool
    proposal: ProposalView | None
    reasons: list[ReasonView]


class CaseView(WorkItem):
    """A case as it is now."""

    number: int
    opened_at: datetime
    closed_at: datetime | None
    close_reason: str | None
    accounts: list[AccountView]
    segment: str | None
    entered_at: datetime | None
    lapses_at: datetime | None
    begins_at: datetime | None
    strategy: str
    unassigned_reason: ReasonView | None
    broken_promises: int
    tries: int
    contacted_at: datetime | None
    heard_at: datetime | None
    stops: list[str]
    hand_over: HandOverView | None
    waiver: WaiverView | None
    customer: CustomerView | None


class EntryView(BaseModel):
    """One line of the timeline; `note` is the collector's own, kept in this service only."""

    seq: int
    at: datetime
    kind: str
    zh: str
    en: str
    data: dict[str, Any]
    note: str | None


def reason_view(reason: Reason) -> ReasonView:
    """Return a reason as it is shown."""
    return ReasonView(code=reason.code, zh=reason.zh, en=reason.en)


def work_item(held: Held) -> WorkItem:
    """Return a case as lists show it."""
    return WorkItem(**_item(held))


def case_view(held: Held, policy: Policy, now: datetime) -> CaseView:
    """Return a case as it is now, the customer masked."""
    customer = held.customer
    case, step = _case(customer), _case(customer).step
    today = policy.day_of(now)
    return CaseView(
        **_item(held),
        number=case.number,
        opened_at=case.opened_at,
        closed_at=case.closed_at,
        close_reason=case.close_reason,
        accounts=[_account(account_id, account, today) for account_id, account in customer.owing()],
        segment=step.segment if step else None,
        entered_at=step.entered_at if step else None,
        lapses_at=step.lapses_at if step else None,
        begins_at=case.begins_at,
        strategy=(step.strategy if step else "") or policy.strategy.label,
        unassigned_reason=_unassigned(case),
        broken_promises=case.broken_promises,
        tries=case.tries,
        contacted_at=case.contacted_at,
        heard_at=case.heard_at,
        stops=sorted(active(customer.stops)),
        hand_over=_hand_over(case),
        waiver=_waiver(case),
        customer=customer_view(customer, masked=True),
    )


def customer_view(customer: Customer, *, masked: bool) -> CustomerView | None:
    """Return how the customer is reached; None while the contacts have not come."""
    reach = customer.reach
    if reach is None:
        return None
    usable = {phone.phone_id for phone in usable_phones(customer)}
    return CustomerView(
        name=masked_name(reach.name) if masked else reach.name,
        language=reach.language,
        time_zone=reach.time_zone,
        phones=[
            PhoneView(
                phone_id=phone.phone_id,
                kind=phone.kind,
                number=masked_number(phone.number) if masked else phone.number,
                usable=phone.phone_id in usable,
            )
            for phone in reach.phones
        ],
        masked=masked,
    )


def masked_name(name: str) -> str:
    """Return the first character alone; how long the rest is is not told."""
    return f"{name[:1]}**"


def masked_number(number: str) -> str:
    """Return a number of which the middle cannot be read: +8613800138000 as +86138****8000."""
    shown_before, shown_after = min(6, max(0, len(number) - 8)), min(4, len(number) // 3)
    return f"{number[:shown_before]}****{number[-shown_after:]}"


def _item(held: Held) -> dict[str, Any]:
    customer = held.customer
    case = _case(customer)
    step = case.step
    return {
        "case_id": case.case_id,
        "customer_id": customer.customer_id,
        "status": "open" if case.open else "closed",
        "queue": case.queue,
        "step": step.name if step else None,
        "bucket": case.bucket,
        "grade": case.grade,
        "owed": [AmountView(currency=each.currency, minor=each.minor) for each in amounts_owed(customer)],
        "collector": case.collector,
        "team": case.team,
        "set_date": step.set_date if step else None,
        "promise": _promise(customer, case),
        "offer_from": case.offer_from,
        "leased_by": held.leased_by,
        "leased_until": held.leased_until,
        "stopped": customer.stopped,
        "handed_over": case.hand_over is not None,
        "proposal": _proposal(case),
        "reasons": [reason_view(reason) for reason in worklist.reasons(customer)],
    }


def _case(customer: Customer) -> Case:
    if customer.case is None:
        raise LookupError("a customer without a case is in a list of cases")
    return customer.case


def _account(account_id: str, account: Account, today: date) -> AccountView:
    money, details, due = owed(account.ledger), account.details, account.due_date
    return AccountView(
        account_id=account_id,
        card_last4=details.card_last4 if details else None,
        product_code=details.product_code if details else None,
        due_date=due,
        days_past_due=days_past_due(due, today) if due else 0,
        currency=money.currency if money else account.ledger.currency,
        owed=money.minor if money else 0,
        min_payment_due=details.min_payment_due if details else None,
        grade=account.grade,
    )


def _promise(customer: Customer, case: Case) -> PromiseView | None:
    promise = case.promise
    if promise is None:
        return None
    return PromiseView(
        promise_id=promise.promise_id,
        currency=promise.currency,
        amount=promise.amount,
        pay_by=promise.pay_by,
        made_at=promise.made_at,
        paid=max(0, promises.paid_towards(customer, promise)),
    )


def _hand_over(case: Case) -> HandOverView | None:
    held = case.hand_over
    if held is None:
        return None
    return HandOverView(
        hand_over_id=held.hand_over_id,
        list_id=held.list_id,
        field_agent_id=held.field_agent_id,
        handed_over_at=held.at,
        visit_id=held.visit_id,
    )


def _proposal(case: Case) -> ProposalView | None:
    held = case.proposal
    if held is None:
        return None
    reasons = [reason_view(each) for each in held.reasons]
    return ProposalView(proposal_id=held.proposal_id, queue=held.queue, at=held.at, by=held.by, reasons=reasons)


def _waiver(case: Case) -> WaiverView | None:
    held = case.waiver
    return WaiverView(supervisor_id=held.supervisor_id, reason=held.reason, day=held.day) if held else None


def _unassigned(case: Case) -> ReasonView | None:
    if case.collector is not None or not needs_collector(case):
        return None
    return ReasonView(
        code="no_collector_available", zh="没有在岗的电话催收员", en="No phone collector is active and at work"
    )
