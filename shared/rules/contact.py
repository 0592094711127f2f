"""May this person be contacted now? The one pure answer that every acting service asks for, in its own transaction.

A service passes what it is about to do, the contacts it knows of, and the rule book; the engine reads the rules that
hold on the customer's local day. Refusals come before waits, and must-rules before should-rules.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from shared.rules.localtime import local_midnight, next_local
from shared.rules.model import (
    AtMost,
    Channel,
    ClosedHours,
    Consent,
    ContactRule,
    MinimumTeam,
    Purpose,
    RefusedMedium,
    RestAfterConversation,
    RuleRef,
    Stop,
    StopKind,
    ThirdParty,
)
from shared.rules.rulebook import HeldContactRule, RuleBook, RulesUnknown


class Override(Struct, frozen=True, kw_only=True):
    """A supervisor's recorded decision that a should-rule does not hold this once: who, and why in words."""

    supervisor_id: str
    reason: str


class ContactRequest(Struct, frozen=True, kw_only=True):
    """What somebody is about to do. Every field is of the moment of acting; nothing is looked up.

    `at` is aware; `ends_at` (a visit's planned end) is later. `zone` is the customer's IANA zone (`customer_zone`).
    `method` is an opaque id of the number, mailbox or address (never the number itself) by which attempts are counted.
    `party` is `third_party` for anybody who does not owe; a guarantor owes. `team_size` counts for visits.
    """

    channel: Channel
    purpose: Purpose
    at: datetime
    zone: str
    method: str
    ends_at: datetime | None = None
    party: Literal["self", "third_party"] = "self"
    stops: frozenset[StopKind] = frozenset()
    refused_channels: frozenset[Channel] = frozenset()
    consents: frozenset[Consent] = frozenset()
    team_size: int = 0
    debtor_is_lost: bool = False
    third_party_refused: bool = False
    override: Override | None = None


class Attempt(Struct, frozen=True, array_like=True):
    """A contact made or tried. `effective`: a conversation with the debtor. `inbound`: the customer began it."""

    at: datetime
    channel: Channel
    method: str
    effective: bool = False
    inbound: bool = False


class ContactLedger(Struct, frozen=True):
    """The contacts with one customer that the acting service knows of, in any order."""

    attempts: tuple[Attempt, ...] = ()

    def with_attempt(self, attempt: Attempt, keep: timedelta = timedelta(days=35)) -> ContactLedger:
        """Return the ledger with one contact more (the same one twice counts once), in order of time.

        Contacts older than `keep` before the newest are dropped; `keep` must exceed every rule's window.
        """
        known = {*self.attempts, attempt}
        horizon = max(each.at for each in known) - keep
        return ContactLedger(tuple(sorted((each for each in known if each.at >= horizon), key=_in_time)))


class Allowed(Struct, frozen=True, tag="allowed"):
    """The contact may be made. `packs`: the versions that said so. `yielded`: rules that consent or override lifted."""

    packs: tuple[str, ...]
    yielded: tuple[RuleRef, ...] = ()


class NotBefore(Struct, frozen=True, tag="not_before"):
    """The contact may not be made before `until` (UTC), when it is to be decided again."""

    until: datetime
    because: RuleRef


class Refused(Struct, frozen=True, tag="refused"):
    """The contact may not be made, and waiting does not help."""

    because: RuleRef


Decision = Allowed | NotBefore | Refused

_NEVER = datetime.max.replace(tzinfo=UTC)


def decide(request: ContactRequest, ledger: ContactLedger, book: RuleBook) -> Decision:
    """Return whether the contact may be made: allowed, not before an instant, or refused.

    Raises `ValueError` for a naive instant, an end before the beginning, or an override without name or reason;
    `ZoneInfoNotFoundError` for an unknown zone; `RulesUnknown` when the book has no contact rule for the day, since
    nothing is allowed for want of rules.
    """
    _refuse_nonsense(request)
    local_day = request.at.astimezone(ZoneInfo(request.zone)).date()
    rules = book.on(local_day)
    if not rules.contact:
        raise RulesUnknown(f"no contact rule holds on {local_day} in {', '.join(rules.packs) or 'an empty book'}")
    yielded: list[RuleRef] = []
    first_wait: NotBefore | None = None
    for held in rules.contact:
        until = _closed_until(held.rule, request, ledger)
        if until is None:
            continue
        if _yields(held, request):
            yielded.append(held.ref)
        elif until is _NEVER:
            return Refused(held.ref)
        elif first_wait is None:
            first_wait = NotBefore(until, held.ref)
        elif until > first_wait.until:
            first_wait = NotBefore(until, first_wait.because)
    if first_wait is not None:
        return _wait_for_all(first_wait, request, ledger, book)
    return Allowed(rules.packs, tuple(yielded))


def _wait_for_all(wait: NotBefore, request: ContactRequest, ledger: ContactLedger, book: RuleBook) -> NotBefore:
    """Put off the end of a wait that would fall into another: a limit that frees at midnight is still night."""
    length = None if request.ends_at is None else request.ends_at - request.at
    then = structs.replace(request, at=wait.until, ends_at=None if length is None else wait.until + length)
    again = decide(then, ledger, book)
    return NotBefore(again.until, wait.because) if isinstance(again, NotBefore) else wait


def _refuse_nonsense(request: ContactRequest) -> None:
    if request.at.tzinfo is None or (request.ends_at is not None and request.ends_at.tzinfo is None):
        raise ValueError("at and ends_at must be aware")
    if request.ends_at is not None and request.ends_at < request.at:
        raise ValueError("ends_at is before at")
    override = request.override
    if override is not None and not (override.supervisor_id.strip() and override.reason.strip()):
        raise ValueError("an override names the supervisor and the reason")


def _yields(held: HeldContactRule, request: ContactRequest) -> bool:
    if not request.consents.isdisjoint(held.rule.lifted_by):
        return True
    return held.rule.strength == "should" and request.override is not None


def _closed_until(rule: ContactRule, request: ContactRequest, ledger: ContactLedger) -> datetime | None:
    """Return until when the rule forbids the contact: none if it does not, `_NEVER` if waiting does not help."""
    if request.channel not in rule.channels or request.purpose not in rule.purposes:
        return None
    match rule:
        case ClosedHours():
            return _no_contact_in_closed_hours(rule, request)
        case AtMost():
            return _no_more_contacts_than_allowed(rule, request, ledger)
        case RestAfterConversation():
            return _rest_after_a_conversation(rule, request, ledger)
        case _:
            return _NEVER if _refuses(rule, request) else None


def _refuses(rule: MinimumTeam | RefusedMedium | ThirdParty | Stop, request: ContactRequest) -> bool:
    match rule:
        case MinimumTeam():
            return request.team_size < rule.value
        case RefusedMedium():
            return request.channel in request.refused_channels
        case Stop():
            return rule.stop in request.stops
        case ThirdParty():
            return request.party == "third_party" and not _third_party_may_be_asked(request)


def _third_party_may_be_asked(request: ContactRequest) -> bool:
    return request.debtor_is_lost and request.purpose == "locate" and not request.third_party_refused


def _no_contact_in_closed_hours(rule: ClosedHours, request: ContactRequest) -> datetime | None:
    lasts = timedelta(0) if request.ends_at is None else request.ends_at - request.at
    ends_in_time = not lasts or request.at + lasts <= next_local(request.at, rule.starts, request.zone)
    if ends_in_time and not _closed_at(rule, request):
        return None
    opening = next_local(request.at, rule.ends, request.zone)
    longer_than_a_day = opening + lasts > next_local(opening, rule.starts, request.zone)
    return _NEVER if longer_than_a_day else opening


def _closed_at(rule: ClosedHours, request: ContactRequest) -> bool:
    clock = request.at.astimezone(ZoneInfo(request.zone)).time()
    if rule.starts < rule.ends:
        return rule.starts <= clock < rule.ends
    return clock >= rule.starts or clock < rule.ends


def _no_more_contacts_than_allowed(rule: AtMost, request: ContactRequest, ledger: ContactLedger) -> datetime | None:
    zone = ZoneInfo(request.zone)
    today = request.at.astimezone(zone).date()
    first_day = today - timedelta(days=rule.window.days - 1)
    days = sorted(
        day
        for each in ledger.attempts
        if _counts(rule, each, request) and first_day <= (day := each.at.astimezone(zone).date()) <= today
    )
    if len(days) < rule.value:
        return None
    # One place is free again when all but value - 1 of them have left the window.
    last_to_leave = days[len(days) - rule.value]
    return local_midnight(last_to_leave + timedelta(days=rule.window.days), request.zone)


def _counts(rule: AtMost, attempt: Attempt, request: ContactRequest) -> bool:
    return (
        attempt.at <= request.at
        and attempt.channel in rule.channels
        and not attempt.inbound
        and (attempt.effective or rule.counts == "attempts")
        and (attempt.method == request.method or rule.per == "customer")
    )


def _rest_after_a_conversation(
    rule: RestAfterConversation, request: ContactRequest, ledger: ContactLedger
) -> datetime | None:
    conversations = [
        each.at
        for each in ledger.attempts
        if each.effective and each.channel in rule.channels and each.at <= request.at
    ]
    if not conversations:
        return None
    last_day = max(conversations).astimezone(ZoneInfo(request.zone)).date()
    free_at = local_midnight(last_day + timedelta(days=rule.value), request.zone)
    return free_at if request.at < free_at else None


def _in_time(attempt: Attempt) -> tuple[datetime, str, str, bool, bool]:
    return attempt.at, attempt.channel, attempt.method, attempt.effective, attempt.inbound
