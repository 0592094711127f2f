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
from services.assignment.domain.model import Case, Customer, Waiver, amounts_owed
from services.assignment.domain.permits import NO_PHONE, may_call, refused_by_rule, usable_phones
from services.assignment.domain.policy import Policy, Turn
from services.assignment.domain.proposals import with_others
from services.assignment.domain.words import CHANNELS, LINES, OUTCOMES, PARTIES, STOPS
from shared.errors import FieldError, Problem
from shared.events.cases import ContactChannelCode, ContactLogged, LineCode, OutcomeCode, PartyCode
from shared.events.kinds import Reason
from shared.rules.contact import Allowed, Attempt, NotBefore
from shared.rules.model import Purpose, StopKind
from shared.rules.stops import active, active_at, with_stop


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


def log(turn: Turn, contact: Contact) -> None:
    """Record a contact and everything that follows from it. Raises Problem when it cannot have been so."""
    row = check(turn.customer, turn.policy, contact, turn.now)
    case = turn.case()
    if contact.channel == "CALL":
        if (problem := why_not_call(case, contact.contacted_at)) is not None:
            raise problem
        _refuse_forbidden(turn, contact)
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
        *_words(contact),
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


def why_not_call(case: Case, at: datetime) -> Problem | None:
    """Return what in the case itself stands against a call at `at`, whatever the contact rules say; None: nothing."""
    if (problem := with_others(case)) is not None:
        return problem
    # Whoever pleads hardship is talked to about help, however early: the rules let no other purpose pass.
    if case.aside != "hardship" and (case.step is None or case.step.queue == "reminder"):
        return Problem(
            "reminders_first", "提醒的设定期限未过，不得外呼。", "The reminder's set time still runs: no call yet."
        )
    if case.hand_over is not None and at >= case.hand_over.at:
        return Problem("with_field", "案件在外访员手中，不再外呼。", "The case is with a field collector: no call now.")
    return None


def _words(contact: Contact) -> tuple[str, str]:
    found = CHANNELS[contact.channel], LINES[contact.line], PARTIES[contact.party], OUTCOMES[contact.outcome]
    channel, line, party, outcome = found
    return f"{channel[0]}：{line[0]}，{party[0]}，{outcome[0]}", f"{channel[1]}: {line[1]}, {party[1]}, {outcome[1]}"


def check(customer: Customer, policy: Policy, contact: Contact, now: datetime) -> Row:
    """Return the table's row of the contact. Raises Problem(invalid_fields) that names every field that is wrong."""
    errors: list[FieldError] = []
    if contact.channel not in DESK_CHANNELS:
        errors.append(_error("channel", "此渠道不在电催台登记", "is not logged at the phone desk", DESK_CHANNELS))
    if contact.channel == "INBOUND" and contact.line != "CONN":
        errors.append(_error("line", "来电必是接通的", "cannot be so when the customer called in", ("CONN",)))
    row = TABLE.get((contact.line, contact.party, contact.outcome))
    in_time = _opened(customer) <= contact.contacted_at <= now
    if row is None:
        errors.append(_combination_error(contact))
    else:
        # A wrong time may lie outside every calendar, so the rest is judged as if it were now.
        errors += _requirements(customer, policy, contact, row, contact.contacted_at if in_time else now)
    if not in_time:
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


def _requirements(customer: Customer, policy: Policy, contact: Contact, row: Row, at: datetime) -> list[FieldError]:
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
        errors += _promise_errors(customer, policy, contact.promise, at)
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
    at = contact.contacted_at
    # A call that was over when a stop was set is kept as it was made: its record is evidence.
    known = active(turn.customer.stops) if at >= turn.now else active_at(turn.customer.stops, at)
    decision = may_call(turn.customer, turn.policy, at, purpose=contact.purpose, phone_id=contact.phone_id, stops=known)
    if isinstance(decision, Allowed):
        return
    raise refused_by_rule(decision.because, decision.until if isinstance(decision, NotBefore) else None)


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
    spoken = right_party(row)
    if contact.channel == "INBOUND" and row.counts_as_effective and row.stops_case is None:
        # Who calls in is heard before anyone presses: nobody is on the way to a customer who has just spoken to us.
        lifecycle.recall(turn, Reason("customer_called", "客户主动来电，先听取", "The customer called in and is heard"))
    if contact.promise is not None:
        lifecycle.recall(turn, Reason("promise_made", "客户已承诺还款", "The customer has promised to pay"))
    case = turn.case()
    turn.set_case(
        tries=case.tries + 1,
        contacted_at=max(filter(None, (case.contacted_at, contact.contacted_at))),
        heard_at=contact.contacted_at if spoken else case.heard_at,
        offer_from=_offer_from(turn, spoken=spoken),
    )
    if contact.promise is not None:
        _promise(turn, contact, contact.promise)
    if row.stops_case is not None:
        set_stop(turn, row.stops_case, contact.contacted_at)
    elif spoken:
        plan.renew(turn, Reason("conversation", "已与本人沟通", "The customer was spoken to"))
    lifecycle.settle(turn)


def _promise(turn: Turn, contact: Contact, told: PromiseTold) -> None:
    held = turn.case().promise
    if held is not None:
        raise Problem(
            "promise_open",
            f"已有未到期的承诺（{held.pay_by}），到期前不得另立承诺。",
            f"A promise until {held.pay_by} is open; it is judged before another is made.",
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


def put_aside(turn: Turn) -> None:
    """Offer the case again later: its collector put it aside without a contact."""
    if turn.customer.open_case is not None:
        turn.set_case(offer_from=_offer_from(turn, spoken=False))


def waive(turn: Turn, supervisor_id: str, words: str) -> None:
    """Record that should-rules do not hold for this case today. Must-rules yield to the customer's consent alone."""
    _opened(turn.customer)
    turn.set_case(waiver=Waiver(supervisor_id, words, turn.today))
    turn.note(
        "waiver",
        "主管准予今日不受建议性规则限制",
        "The supervisor waived the should-rules for today",
        by=supervisor_id,
        words=words,
    )


def set_stop(turn: Turn, kind: StopKind, set_at: datetime) -> None:
    """Set a stop: pressure ends at once, and a case in the field is recalled."""
    before = active(turn.customer.stops)
    turn.customer = structs.replace(turn.customer, stops=with_stop(turn.customer.stops, kind, set_at))
    fresh = active(turn.customer.stops) - before
    if not fresh:
        return
    zh, en = f"停催：{STOPS[kind][0]}", f"Pressure stopped: {STOPS[kind][1]}"
    turn.note("stop_set", zh, en, at=set_at, stop=kind)
    lifecycle.recall(turn, Reason(f"stop_{kind}", zh, en))


def _offer_from(turn: Turn, *, spoken: bool) -> datetime:
    """Return from when the case is offered again: soon after an empty try, next morning after a conversation."""
    if spoken:
        return turn.policy.lapse_after(turn.today)
    return turn.now + timedelta(minutes=turn.policy.strategy.retry_after_minutes)


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
