"""What callers send."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from services.assignment.commands import Wanted
from services.assignment.domain.contacts import Contact, PromiseTold
from services.assignment.domain.roster import Colleague
from shared.events.cases import ContactChannelCode, LineCode, OutcomeCode, PartyCode, ProposedQueue
from shared.events.kinds import Language, StaffRole
from shared.events.staff import Leave
from shared.web.field_errors import custom_fault
from shared.web.instants import Instant

MAX_LINES = 200

_CODE = r"^[A-Za-z0-9_.-]+$"
Key = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?$")]
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=_CODE)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[
    str,
    Field(
        min_length=1, max_length=500, pattern=r"\S", description="理由，请勿写客户资料 / why; no customer data, please"
    ),
]
Note = Annotated[str, Field(max_length=2000, description="催记，只存于本服务 / kept in this service only")]
Email = Annotated[
    str,
    Field(
        max_length=254, pattern=r"^[^@\s<>,;:\"\\]+@[^@\s<>,;:\"\\]+\.[^@\s<>,;:\"\\]+$", examples=["a@bank.example"]
    ),
]
DeskPurpose = Literal["collection", "locate", "hardship"]
"""What a collector may call for. A `service` call, which no night binds, is nothing that a collector decides alone."""

Minor = Annotated[int, Field(ge=1, le=10**15, strict=True, description="最小货币单位 / minor units")]


class Body(BaseModel):
    """A body in which unknown fields are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LeaveBody(Body):
    """休假，含首尾两日 / a leave, both days included."""

    first_day: date = Field(examples=["2026-02-26"])
    last_day: date = Field(examples=["2026-02-27"])

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> LeaveBody:
        if self.last_day < self.first_day:
            raise custom_fault("结束早于开始", "ends before it begins", "更正日期", "correct the days")
        return self


class StaffBody(Body):
    """同事资料 / everything that is kept of a colleague."""

    name: Text = Field(examples=["李雷"])
    role: StaffRole = Field(examples=["phone_agent"])
    team: Key = Field(examples=["north"])
    areas: list[Text] = Field(default=[], max_length=100, examples=[["浦东新区"]])
    languages: list[Language] = Field(default=["zh"], min_length=1, max_length=2)
    skills: list[Code] = Field(default=[], max_length=50, examples=[["hardship"]])
    email: Email
    leave: list[LeaveBody] = Field(default=[], max_length=50)
    insured_until: date | None = Field(default=None, examples=["2026-12-31"])
    recorder_id: Key | None = Field(default=None, examples=["R1"])
    active: bool = True
    capacity: int | None = Field(
        default=None,
        ge=0,
        le=10_000,
        strict=True,
        examples=[120],
        description="在手案件上限；空：按策略 / open cases at most",
    )

    def colleague(self, staff_id: str, changed_at: AwareDatetime) -> Colleague:
        """Return the colleague as facts state it; the version is given when it is kept."""
        return Colleague(
            staff_id=staff_id,
            version=1,
            changed_at=changed_at,
            name=self.name,
            role=self.role,
            team=self.team,
            areas=tuple(self.areas),
            languages=tuple(self.languages),
            skills=tuple(self.skills),
            email=self.email,
            leave=tuple(Leave(first_day=each.first_day, last_day=each.last_day) for each in self.leave),
            insured_until=self.insured_until,
            recorder_id=self.recorder_id,
            active=self.active,
            capacity=self.capacity,
        )


class PromiseBody(Body):
    """承诺还款 / what the customer promised."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["CNY"])]
    amount: Minor = Field(examples=[50000])
    pay_by: date = Field(examples=["2026-02-28"])


class ContactBody(Body):
    """一次联系，四个字段 / a contact, in four fields."""

    channel: ContactChannelCode = Field(examples=["CALL"])
    line: LineCode = Field(examples=["CONN"])
    party: PartyCode = Field(examples=["SELF"])
    outcome: OutcomeCode = Field(examples=["PTP"])
    contacted_at: Instant | None = Field(default=None, examples=["2026-02-27T10:05:00+08:00"])
    purpose: DeskPurpose = "collection"
    phone_id: Key | None = None
    note: Note | None = None
    promise: PromiseBody | None = None

    def contact(self, contact_id: str, staff_id: str, now: AwareDatetime) -> Contact:
        """Return the contact as the domain reads it."""
        told = self.promise
        return Contact(
            contact_id=contact_id,
            staff_id=staff_id,
            channel=self.channel,
            line=self.line,
            party=self.party,
            outcome=self.outcome,
            contacted_at=self.contacted_at or now,
            purpose=self.purpose,
            phone_id=self.phone_id,
            has_note=bool(self.note and self.note.strip()),
            promise=PromiseTold(told.currency, told.amount, told.pay_by) if told else None,
        )


class ReasonBody(Body):
    """理由 / why."""

    reason: Words = Field(examples=["客户已同意当日再次联系"])


class ProposalBody(Body):
    """提议转法务或委外 / law or an agency is proposed."""

    queue: ProposedQueue = Field(examples=["legal"])
    reason: Words = Field(examples=["多次上门未遇，分文未还"])


class ReleaseBody(Body):
    """放回案件 / put a case aside."""

    case_id: Key
    reason: Words = Field(examples=["客户要求稍后再联系"])


class AssignmentBody(Body):
    """改派 / another collector."""

    staff_id: Key = Field(examples=["P2"])
    reason: Words = Field(examples=["语言需要"])


class DryRunBody(Body):
    """策略试算 / a strategy to be tried on the open cases, a part of them a call."""

    strategy: str = Field(min_length=1, max_length=65_536, description="策略文件全文（YAML）/ the file's whole text")
    after: Key | None = Field(default=None, description="上次答复的 next / the `next` of the last answer")
    limit: int = Field(default=200, ge=1, le=500, strict=True, description="每次案件数 / cases a call")


class NothingBody(Body):
    """Nothing is asked for."""


class HandOverBody(Body):
    """清单中的一行 / one line of a field list."""

    case_id: Key
    field_agent_id: Key = Field(examples=["F1"])
    reason: Words = Field(examples=["电话无人接听，需上门核实"])

    def wanted(self) -> Wanted:
        """Return the row as the command reads it."""
        return Wanted(self.case_id, self.field_agent_id, self.reason)


class FieldListBody(Body):
    """外访清单 / the daily field list. Each line is judged on its own, so a wrong one never fails the others."""

    hand_overs: Annotated[
        list[Any],
        Field(min_length=1, max_length=MAX_LINES),
        WithJsonSchema(
            {"type": "array", "minItems": 1, "maxItems": MAX_LINES, "items": HandOverBody.model_json_schema()}
        ),
    ]
