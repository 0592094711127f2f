"""May this reminder leave now? Asked at the moment of sending, with everything known behind the read barrier."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.notify.domain.model import Customer, Reach, Reminder
from shared.events.cases import CaseAccount
from shared.events.kinds import MessageChannel, Reason
from shared.ids import derived_id
from shared.money import Money
from shared.rules import contact, paid
from shared.rules.model import Channel, Consent, RuleRef
from shared.rules.rulebook import RuleBook
from shared.rules.stops import active
from shared.rules.zones import customer_zone

CONTACTS_WAIT: Final = timedelta(hours=24)
"""How long after it fell due a reminder waits for contact data that have never come; then it is suppressed."""

_PAID = Reason("paid", "款项已结清，不再提醒。", "Nothing is past due any more, so no reminder is sent.")
_NOTHING_OWED = Reason(
    "nothing_owed", "没有已报告的逾期款项，不发提醒。", "No overdue amount was ever reported, so no reminder is sent."
)
_CASE_CLOSED = Reason("case_closed", "案件已关闭，不再提醒。", "The case is closed, so no reminder is sent.")
_CASE_RECALLED = Reason(
    "case_recalled", "案件已撤回，此前的提醒不再发送。", "The case was recalled, so its earlier reminders are not sent."
)
_OVERTAKEN = Reason(
    "overtaken",
    "提醒中的还款日期已过，不再发送。",
    "The date to pay by has passed, so the reminder is not sent any more.",
)
_NO_ADDRESS = Reason("no_address", "客户没有可用于此渠道的联系方式。", "The customer has no address for this channel.")
_ADDRESS_REFUSED = Reason(
    "address_refused",
    "客户在此渠道的联系方式已被网关判定无效，更新联系资料后恢复。",
    "The gateway refused every address of the customer for this channel; changed contact data lift this.",
)
_CONTACTS_AWAITED = Reason(
    "contacts_awaited",
    "客户联系资料尚未到达，稍候再定。",
    "The customer's contact data have not come yet; decided later.",
)
_CONTACTS_UNKNOWN = Reason(
    "contacts_unknown",
    "客户联系资料始终未到达，不发提醒。",
    "The customer's contact data never came, so nothing is sent.",
)

_CONTACTS_ERASED = Reason(
    "contacts_erased",
    "客户联系资料已按要求删除，不发提醒。",
    "The customer's contact data were erased on request, so nothing is sent.",
)


class Owing(Struct, frozen=True):
    """An account that a reminder names, and what is past due on it now."""

    account: CaseAccount
    owed: Money


class Send(Struct, frozen=True, kw_only=True):
    """The reminder may leave: to `address`, about `owing`. `zone`: the customer's. `ruled_by`: who allowed it."""

    address: str
    zone: str
    reach: Reach
    owing: tuple[Owing, ...]
    ruled_by: tuple[str, ...]


class Wait(Struct, frozen=True):
    """Not before `until`; then it is decided again."""

    until: datetime
    reason: Reason


class Suppress(Struct, frozen=True):
    """Not sent, now or later."""

    reason: Reason


Verdict = Send | Wait | Suppress


class Policy(Struct, frozen=True):
    """What a deployment goes by: its rule packs, and the zone of a customer whose zone is unknown."""

    book: RuleBook
    default_zone: str


def decide(
    reminder: Reminder, customer: Customer, sent: contact.ContactLedger, at: datetime, policy: Policy
) -> Verdict:
    """Return what becomes of the reminder at `at`. `sent`: the messages that left or may have left before."""
    owing = still_owing(reminder, customer)
    ended = _case_ended(reminder, customer) or (None if owing else _nothing_owing(reminder, customer))
    if ended is not None:
        return Suppress(ended)
    reach = customer.reach
    if reach is None:
        return _contacts_missing(reminder, customer, at)
    address = usable_address(customer, reach, reminder.channel)
    if address is None:
        return Suppress(_ADDRESS_REFUSED if reach.addresses(reminder.channel) else _NO_ADDRESS)
    request = _request(reminder, customer, reach, address, at, policy)
    if at.astimezone(ZoneInfo(request.zone)).date() > reminder.pay_by:
        return Suppress(_OVERTAKEN)
    ruling = contact.decide(request, sent, policy.book)
    if isinstance(ruling, contact.Allowed):
        return Send(address=address, zone=request.zone, reach=reach, owing=owing, ruled_by=ruling.packs)
    return _held_back(ruling)


def usable_address(customer: Customer, reach: Reach, channel: MessageChannel) -> str | None:
    """Return the customer's first address that was not refused for good; none: there is none."""
    refused = {each.address for each in customer.unusable if each.channel == channel}
    return next((address for address in reach.addresses(channel) if address not in refused), None)


def still_owing(reminder: Reminder, customer: Customer) -> tuple[Owing, ...]:
    """Return the accounts of the reminder that owe something now, each with its present amount."""
    ledgers = {ledger.account_id: ledger for ledger in customer.accounts}
    found = []
    for account in reminder.accounts:
        ledger = ledgers.get(account.account_id)
        amount = None if ledger is None or paid.is_paid(ledger) else paid.owed(ledger)
        if amount is not None:
            found.append(Owing(account, amount))
    return tuple(found)


def ledger_of(sent: Iterable[tuple[datetime, MessageChannel, str | None]]) -> contact.ContactLedger:
    """Return the ledger of messages: when, through which channel, to which address (none: erased since).

    A contact whose address was erased still counts for the customer, but for no number or mailbox.
    """
    return contact.ContactLedger(
        tuple(
            contact.Attempt(at, channel, _FORGOTTEN if address is None else method_of(address))
            for at, channel, address in sent
        )
    )


def method_of(address: str) -> str:
    """Return the opaque id by which contacts through one number or mailbox are counted."""
    return str(derived_id("contact-method", address))


def reason_of(rule: RuleRef) -> Reason:
    """Return a rule's own words as the reason of what it decided."""
    return Reason(rule.rule_id, rule.reason_zh, rule.reason_en)


def _held_back(ruling: contact.NotBefore | contact.Refused) -> Verdict:
    reason = reason_of(ruling.because)
    return Suppress(reason) if isinstance(ruling, contact.Refused) else Wait(ruling.until, reason)


def _case_ended(reminder: Reminder, customer: Customer) -> Reason | None:
    mark = next((each for each in customer.cases if each.case_id == reminder.case_id), None)
    if mark is None:
        return None
    if mark.closed_at is not None:
        return _CASE_CLOSED
    return _CASE_RECALLED if mark.recalled_at is not None and reminder.due_at <= mark.recalled_at else None


def _nothing_owing(reminder: Reminder, customer: Customer) -> Reason:
    named = {account.account_id for account in reminder.accounts}
    known = any(each.snapshot is not None for each in customer.accounts if each.account_id in named)
    return _PAID if known else _NOTHING_OWED


def _contacts_missing(reminder: Reminder, customer: Customer, at: datetime) -> Verdict:
    if customer.erased_as_of is not None:
        return Suppress(_CONTACTS_ERASED)
    until = reminder.due_at + CONTACTS_WAIT
    return Wait(until, _CONTACTS_AWAITED) if at < until else Suppress(_CONTACTS_UNKNOWN)


def _request(
    reminder: Reminder, customer: Customer, reach: Reach, address: str, at: datetime, policy: Policy
) -> contact.ContactRequest:
    return contact.ContactRequest(
        channel=reminder.channel,
        purpose="reminder",
        at=at,
        zone=customer_zone(reach.time_zone, None, policy.default_zone),
        method=method_of(address),
        stops=active(customer.stops),
        refused_channels=_refused(customer, reach),
        consents=_NIGHT if reach.night_consent else frozenset(),
    )


def _refused(customer: Customer, reach: Reach) -> frozenset[Channel]:
    channels: tuple[Channel, ...] = ("sms", "email")
    refused = {*reach.refused, *(each.channel for each in customer.opt_outs)}
    return frozenset(channel for channel in channels if channel in refused)


_FORGOTTEN: Final = "erased"
_NIGHT: Final[frozenset[Consent]] = frozenset({"night_contact"})
