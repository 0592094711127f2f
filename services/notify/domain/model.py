"""What notify knows of a customer, and what it is asked to tell whom."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from msgspec import Struct

from shared.events.cases import CaseAccount
from shared.events.kinds import Language, MessageChannel, StaffRole
from shared.events.notices import Purpose
from shared.rules.paid import AccountLedger
from shared.rules.stops import Stops

NoticeState = Literal["due", "waiting", "sending", "sent", "failed", "unconfirmed", "suppressed"]
"""docs/lifecycles/notice.md draws how one follows from another."""


class Reach(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a customer can be reached by messages; the part of `CustomerContactsChanged` that notify needs."""

    as_of: datetime
    name: str
    language: Language
    time_zone: str
    mobiles: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    night_consent: bool = False
    refused: tuple[str, ...] = ()

    def addresses(self, channel: MessageChannel) -> tuple[str, ...]:
        """Return where messages of a channel can go, the preferred first."""
        return self.mobiles if channel == "sms" else self.emails


class OptOut(Struct, frozen=True, array_like=True):
    """The customer refused a medium at `at`; it is not used again."""

    channel: MessageChannel
    at: datetime


class Unusable(Struct, frozen=True, array_like=True):
    """An address that nothing reaches, as its gateway said at `at` by `code`."""

    channel: MessageChannel
    address: str
    code: str
    at: datetime


class CaseMark(Struct, frozen=True, array_like=True):
    """When a case was closed, and when it was last taken back out of every queue; none: it was not."""

    case_id: str
    closed_at: datetime | None = None
    recalled_at: datetime | None = None


class Customer(Struct, frozen=True, omit_defaults=True):
    """The facts that decide whether a customer may be sent a reminder; stored as it is, compact.

    Any order of the same facts gives the same value. A customer of whom only a stop is known is one as well.
    `erased_as_of`: contact data this old or older were erased, and do not come back. `unusable`: addresses of `reach`
    that are not used; they are forgotten when the bank changes the addresses of that channel.
    """

    reach: Reach | None = None
    erased_as_of: datetime | None = None
    accounts: tuple[AccountLedger, ...] = ()
    stops: Stops = Stops()
    opt_outs: tuple[OptOut, ...] = ()
    cases: tuple[CaseMark, ...] = ()
    unusable: tuple[Unusable, ...] = ()


class Reminder(Struct, frozen=True, kw_only=True):
    """What a reminder is to say, as the plan asked for it at `due_at`."""

    reminder_id: str
    case_id: str
    step: str
    channel: MessageChannel
    template: str
    pay_by: date
    accounts: tuple[CaseAccount, ...]
    due_at: datetime


class Colleague(Struct, frozen=True, kw_only=True):
    """A colleague as far as a report needs one. `since`: when the colleague was last changed."""

    staff_id: str
    version: int
    name: str
    role: StaffRole
    team: str
    language: Language
    email: str
    active: bool
    since: datetime


class Audience(Struct, frozen=True, kw_only=True):
    """Whom a report is for: one colleague by id, or everybody of a role (in one team, or in all)."""

    staff_id: str | None = None
    role: StaffRole | None = None
    team: str | None = None


class ReportBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a report says. Ids and instants only: no customer's name, address or number ever stands in one."""

    visit_id: str | None = None
    case_id: str | None = None
    field_agent_id: str | None = None
    phone_agent_id: str | None = None
    team: str | None = None
    party: str | None = None
    outcome: str | None = None
    on_time: bool | None = None
    reason: str | None = None
    happened_at: datetime | None = None
    due_at: datetime | None = None
    day: date | None = None
    lines: tuple[ReportLine, ...] = ()


class ReportLine(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a filed list or plan. `owed` are pairs of currency and minor units."""

    case_id: str
    field_agent_id: str | None = None
    bucket: str | None = None
    grade: str | None = None
    owed: tuple[tuple[str, int], ...] = ()
    visit_id: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    due_at: datetime | None = None


class Report(Struct, frozen=True, kw_only=True):
    """Something that happened and that colleagues are told. `key` is natural: the same happening gives one report."""

    key: str
    purpose: Purpose
    audience: Audience
    body: ReportBody
    occurred_at: datetime
