"""Calls: may this customer be called now, and what a logged contact changes.

Before a call the desk asks `may_call`; logging a call that a must-rule forbade at that moment is refused. Whoever
calls in is always heard: an inbound contact is logged whatever the rules say of calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from msgspec import structs

from services.assignment.domain import lifecycle, plan, promises
from services.assignment.domain.desk import DESK_CHANNELS, TABLE, Row, allowed_outcomes, allowed_parties, right_party
from services.assignment.domain.model import Case, Customer, Phone, amounts_owed
from services.assignment.domain.policy import Policy, Turn
from shared.errors import FieldError, Problem
from shared.events.cases import ContactChannelCode, ContactLogged, LineCode, OutcomeCode, PartyCode
from shared.events.kinds import Reason
from shared.rules.contact import Allowed, Attempt, ContactRequest, Decision, NotBefore, Override, decide
from shared.rules.model import Channel, Consent, Purpose, RuleRef, StopKind
from shared.rules.stops import active, with_stop
from shared.rules.zones import customer_zone

NO_PHONE = "none"


@dataclass(frozen=True, slots=True)
class PromiseTold:
    """What the customer promised, as it was logged."""

    currency: str
    amount: int
    pay_by: date


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact as a collector logs it. `phone_id` is the number called; None stands for the first that is usable."""

    contact_id: str
    staff_id: str
    channel: ContactChannelCode
    line: LineCode
    party: PartyCode
    outcome: OutcomeCode
    contacted_at: datetime
    purpose: Purpose = "collection"
    phone_id: str | None = None
    has_note: bool = False
    promise: PromiseTold | None = None


def usable_phones(customer: Customer) -> tuple[Phone, ...]:
    """Return the customer's numbers that have not turned out dead or a stranger's."""
    phones = customer.reach.phones if customer.reach else ()
    return tuple(phone for phone in phones if phone.phone_id not in customer.dead_phones)


def may_call(
    customer: Customer, policy: Policy, at: datetime, *, purpose: Purpose = "collection", phone_id: str | None = None
) -> Decision:
    """Return whether the customer may be called at `at`: allowed, not before an instant, or refused with the rule."""
    reach = customer.reach
    phones = usable_phones(customer)
    consents: frozenset[Consent] = frozenset({"night_contact"} if reach and reach.night_consent else ())
    refused: frozenset[Channel] = frozenset({"call"} if reach and "call" in reach.refused else ())
    request = ContactRequest(
        channel="call",
        purpose=purpose,
        at=at,
        zone=customer_zone(reach.time_zone if reach else None, None, policy.zone),
        method=phone_id or (phones[0].phone_id if phones else NO_PHONE),
        stops=active(customer.stops),
        refused_channels=refused,
        consents=consents,
        override=_override(customer.open_case, policy.day_of(at)),
    )
    return decide(request, customer.calls, policy.book)


def may_visit(customer: Customer, policy: Policy, at: datetime) -> RuleRef | None:
    """Return the rule by which nobody may be sent to the customer at all (a stop, a refused visit), or None.

    Hours and team are the visit plan's matter; here only that is asked which waiting does not mend.
    """
    reach = customer.reach
    refused: frozenset[Channel] = frozenset({"visit"} if reach and "visit" in reach.refused else ())
    request = ContactRequest(
        channel="visit",
        purpose="collection",
        at=at,
        zone=policy.zone,
        method=NO_PHONE,
        stops=active(customer.stops),
        refused_channels=refused,
        consents=frozenset({"night_contact"}),
        team_size=99,
    )
    decision = decide(request, customer.calls, policy.book)
    return None if isinstance(decision, Allowed) else decision.because


def log(turn: Turn, contact: Contact) -> None:
    """Record a contact and everything that follows from it. Raises Problem when it cannot have been so."""
    row = check(turn.customer, turn.policy, contact, turn.now)
    if contact.channel == "CALL":
        _refuse_forbidden(turn, contact)
    case = turn.case()
    _count(turn, contact, row)
    turn.facts.append(
        ContactLogged(
            contact_id=contact.contact_id,
            case_id=case.case_id,
            customer_id=turn.customer.customer_id,
            staff_id=contact.staff_id,
            channel=contact.channel,
            line=contact.line,
            party=contact.party,
            outcome=contact.outcome,
            contacted_at=contact.contacted_at,
        )
    )
    turn.note(
        "contact",
        f"催记：{contact.channel} {contact.line} {contact.party} {contact.outcome}",
        f"Contact: {contact.channel} {contact.line} {contact.party} {contact.outcome}",
        at=contact.contacted_at,
        contact_id=contact.contact_id,
        staff_id=contact.staff_id,
        channel=contact.channel,
        line=contact.line,
        party=contact.party,
        outcome=contact.outcome,
        effective=row.counts_as_effective,
    )
    _follow(turn, contact, row)


def check(customer: Customer, policy: Policy, contact: Contact, now: datetime) -> Row:
    """Return the table's row of the contact. Raises Problem(invalid_fields) that names every field that is wrong."""
    errors: list[FieldError] = []
    if contact.channel not in DESK_CHANNELS:
        errors.append(_error("channel", "此渠道不在电催台登记", "is not logged at the phone desk", DESK_CHANNELS))
    row = TABLE.get((contact.line, contact.party, contact.outcome))
    if row is None:
        errors.append(_combination_error(contact))
    else:
        errors += _requirements(customer, policy, contact, row)
    if contact.contacted_at > now or contact.contacted_at < _opened(customer):
        errors.append(
            FieldError(
                "contacted_at",
                "不在立案之后、现在之前",
                "is not between the case's opening and now",
                "填写实际联系时间，或省略此字段",
                "give the time of the contact, or leave the field out",
            )
        )
    known = {phone.phone_id for phone in customer.reach.phones} if customer.reach else set()
    if contact.phone_id is not None and contact.phone_id not in known:
        errors.append(_error("phone_id", "不是该客户的号码", "is no number of this customer", sorted(known)))
    if errors:
        raise Problem(
            "invalid_fields",
            f"有 {len(errors)} 个字段需要改正。",
            f"{len(errors)} field(s) need correcting.",
            tuple(errors),
        )
    if row is None:
        raise AssertionError("a missing row is an error above")
    return row


def _requirements(customer: Customer, policy: Policy, contact: Contact, row: Row) -> list[FieldError]:
    errors = []
    if row.requires == "promise" and contact.promise is None:
        errors.append(
            FieldError(
                "promise",
                "承诺还款缺少内容",
                "is missing: the outcome is PTP",
                "填写金额、币种和日期",
                "give amount, currency and pay_by",
            )
        )
    if row.requires != "promise" and contact.promise is not None:
        errors.append(
            FieldError(
                "promise",
                "结果不是承诺还款",
                "came without the outcome PTP",
                "删除此字段，或将结果改为 PTP",
                "remove it, or log PTP",
            )
        )
    if row.requires == "note" and not contact.has_note:
        errors.append(
            FieldError(
                "note",
                "投诉须记录内容",
                "is missing: a complaint is written down",
                "填写投诉内容",
                "write what the complaint says",
            )
        )
    if contact.promise is not None:
        errors += _promise_errors(customer, policy, contact.promise, contact.contacted_at)
    return errors


def _promise_errors(customer: Customer, policy: Policy, told: PromiseTold, at: datetime) -> list[FieldError]:
    errors = []
    owed = {amount.currency: amount.minor for amount in amounts_owed(customer)}
    if told.currency not in owed:
        errors.append(_error("promise.currency", "案件没有此币种欠款", "is no currency that is owed", sorted(owed)))
    elif not 0 < told.amount <= owed[told.currency]:
        errors.append(
            FieldError(
                "promise.amount",
                "不在欠款范围内",
                "is not between one and what is owed",
                f"填写 1 至 {owed[told.currency]}（最小货币单位）",
                f"give 1 to {owed[told.currency]} minor units",
            )
        )
    first = policy.day_of(at)
    last = first + timedelta(days=policy.strategy.promise_within_days)
    if not first <= told.pay_by <= last:
        errors.append(
            FieldError(
                "promise.pay_by",
                "日期超出范围",
                "is out of range",
                f"填写 {first} 至 {last}",
                f"give {first} to {last}",
            )
        )
    return errors


def _refuse_forbidden(turn: Turn, contact: Contact) -> None:
    decision = may_call(
        turn.customer, turn.policy, contact.contacted_at, purpose=contact.purpose, phone_id=contact.phone_id
    )
    if isinstance(decision, Allowed):
        return
    raise refused_by_rule(decision.because, decision.until if isinstance(decision, NotBefore) else None)


def refused_by_rule(because: RuleRef, until: datetime | None = None) -> Problem:
    """Return the problem that says which rule forbids the contact, in which version, from what source."""
    return Problem(
        "refused_by_rule",
        because.reason_zh,
        because.reason_en,
        extra={
            "rule": because.rule_id,
            "pack": f"{because.pack}@{because.pack_version}",
            "source": because.source,
            "strength": because.strength,
            "not_before": until.isoformat() if until else None,
        },
    )


def _count(turn: Turn, contact: Contact, row: Row) -> None:
    customer = turn.customer
    phones = usable_phones(customer)
    method = contact.phone_id or (phones[0].phone_id if phones else NO_PHONE)
    attempt = Attempt(
        contact.contacted_at, "call", method, effective=row.counts_as_effective, inbound=contact.channel == "INBOUND"
    )
    dead = customer.dead_phones
    if row.stops_number and contact.channel == "CALL" and method not in (NO_PHONE, *dead):
        dead = tuple(sorted((*dead, method)))
    turn.customer = structs.replace(customer, calls=customer.calls.with_attempt(attempt), dead_phones=dead)


def _follow(turn: Turn, contact: Contact, row: Row) -> None:
    case = turn.case()
    spoken = right_party(row)
    turn.set_case(
        tries=case.tries + 1,
        contacted_at=max(filter(None, (case.contacted_at, contact.contacted_at))),
        heard_at=contact.contacted_at if spoken else case.heard_at,
        offer_from=_offer_from(turn, spoken=spoken),
    )
    if contact.promise is not None:
        told = contact.promise
        if case.promise is not None:
            raise Problem(
                "promise_open",
                f"已有未到期的承诺（{case.promise.pay_by}），到期前不得另立承诺。",
                f"A promise until {case.promise.pay_by} is open; it is judged before another is made.",
            )
        promise = promises.promise_of(
            turn.policy,
            promise_id=contact.contact_id,
            currency=told.currency,
            amount=told.amount,
            pay_by=told.pay_by,
            made_at=contact.contacted_at,
        )
        promises.make(turn, promise)
    if row.stops_case is not None:
        set_stop(turn, row.stops_case, contact.contacted_at)
    elif spoken:
        plan.renew(turn, Reason("conversation", "已与本人沟通", "The customer was spoken to"))
    lifecycle.settle(turn)


def set_stop(turn: Turn, kind: StopKind, set_at: datetime) -> None:
    """Set a stop: pressure ends at once, and a case in the field is recalled."""
    before = active(turn.customer.stops)
    turn.customer = structs.replace(turn.customer, stops=with_stop(turn.customer.stops, kind, set_at))
    fresh = active(turn.customer.stops) - before
    if not fresh:
        return
    turn.note("stop_set", f"停催：{kind}", f"Pressure stopped: {kind}", at=set_at, stop=kind)
    lifecycle.recall(turn, Reason(f"stop_{kind}", f"停催：{kind}", f"Pressure stopped: {kind}"))


def _offer_from(turn: Turn, *, spoken: bool) -> datetime:
    """Return from when the case is offered again: soon after an empty try, next morning after a conversation."""
    if spoken:
        return turn.policy.lapse_after(turn.today)
    return turn.now + timedelta(minutes=turn.policy.strategy.retry_after_minutes)


def _override(case: Case | None, day: date) -> Override | None:
    waiver = case.waiver if case else None
    if waiver is None or waiver.day != day:
        return None
    return Override(supervisor_id=waiver.supervisor_id, reason=waiver.reason)


def _opened(customer: Customer) -> datetime:
    case = customer.open_case
    if case is None:
        raise Problem("case_closed", "案件已结。", "The case is closed.")
    return case.opened_at


def _combination_error(contact: Contact) -> FieldError:
    parties = allowed_parties(contact.line)
    if contact.party not in parties:
        return _error("party", "与接通结果不符", f"does not go with the line {contact.line}", parties)
    outcomes = allowed_outcomes(contact.line, contact.party)
    return _error(
        "outcome", "与接通结果和接触对象不符", f"is not allowed with {contact.line} and {contact.party}", outcomes
    )


def _error(field: str, zh: str, en: str, choices: tuple[str, ...] | list[str]) -> FieldError:
    listed = "、".join(choices) or "无"
    return FieldError(field, zh, en, f"可用：{listed}", f"use one of: {', '.join(choices) or 'none'}")
