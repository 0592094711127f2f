"""What callers send."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from services.fieldvisit.domain.model import IncidentKind
from services.fieldvisit.domain.planning import Line
from shared.events.cases import OutcomeCode, PartyCode
from shared.events.visits import MissedReason
from shared.web.instants import Instant

MAX_LINES = 100

Key = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?$")]
Note = Annotated[str, Field(max_length=2000, description="备注，只存于本服务 / kept in this service only")]


class Body(BaseModel):
    """A body in which unknown fields are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LineBody(Body):
    """计划中的一行 / one line of a plan."""

    visit_id: Key
    starts_at: Instant = Field(examples=["2026-02-26T18:30:00+08:00"])
    ends_at: Instant = Field(examples=["2026-02-26T19:30:00+08:00"])
    members: list[Key] = Field(max_length=10, description="含本人，至少两人 / the owner among them, at least two")
    recorder_id: Key = Field(description="执法记录仪编号 / the recorder that is carried")
    address_id: Key | None = None
    hazard_acknowledged: bool = False
    outside_window_reason: Annotated[str, Field(max_length=500)] | None = None

    def line(self) -> Line:
        """Return the line as the domain reads it."""
        return Line(
            visit_id=self.visit_id,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            members=tuple(self.members),
            recorder_id=self.recorder_id,
            address_id=self.address_id,
            hazard_acknowledged=self.hazard_acknowledged,
            outside_window_reason=self.outside_window_reason,
        )


class PlanBody(Body):
    """外访计划 / a visit plan. Each line is judged on its own, so a wrong one never fails the others."""

    visits: Annotated[
        list[Any],
        Field(min_length=1, max_length=MAX_LINES),
        WithJsonSchema(
            {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_LINES,
                "items": LineBody.model_json_schema(),
            }
        ),
    ]


class IncidentBody(Body):
    """突发情况 / what the collectors met."""

    kind: IncidentKind
    note: Note | None = None


class StartBody(Body):
    """Nothing is asked for."""


class CompleteBody(Body):
    """外访结果 / what came of the visit."""

    party: PartyCode = Field(examples=["SELF"])
    outcome: OutcomeCode = Field(examples=["PTP"])
    recorder_id: Key = Field(examples=["R1"])
    note: Note | None = None
    incident: IncidentBody | None = None


class FailBody(Body):
    """未完成的原因 / why the visit could not be done."""

    reason: MissedReason = Field(examples=["nobody_home"])
    note: Note | None = None
    incident: IncidentBody | None = None
