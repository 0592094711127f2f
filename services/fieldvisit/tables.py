"""The tables of the field desk, beside the bus's own.

`customer.state` is the truth, one document a customer, written over the version that was read (L3). `visit` repeats
what lists are filtered and sorted by; it is written in the same transaction and never read to decide about a visit.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from shared.bus.tables import add_bus_tables
from shared.web.idempotency import idempotency_table

metadata = MetaData()
add_bus_tables(metadata)
idempotency_table(metadata)


def _text(*, key: bool = False, null: bool = False) -> Any:  # noqa: ANN401 - what SQLModel's own Field takes
    return Field(sa_column=Column(Text, primary_key=key, nullable=null))


def _instant(*, null: bool = False) -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(DateTime(timezone=True), nullable=null))


def _json() -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(JSONB, nullable=False))


class Table(SQLModel):
    """A table of this service, on its own metadata."""

    metadata = metadata


class CustomerRow(Table, table=True):
    """A customer: all that the facts say, and the visits; `next_due`: the next deadline that the timer waits for."""

    __tablename__ = "customer"
    __table_args__ = (Index("customer_next_due", "next_due", postgresql_where=text("next_due IS NOT NULL")),)

    customer_id: str = _text(key=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    next_due: datetime | None = _instant(null=True)
    state: dict[str, Any] = _json()


class VisitRow(Table, table=True):
    """A visit as lists filter it. `people`: its field collector and the colleagues on its plan."""

    __tablename__ = "visit"
    __table_args__ = (
        Index("visit_hand_over", "hand_over_id", unique=True),
        Index("visit_order", "due_at", "visit_id"),
        Index("visit_team", "team", "due_at", "visit_id"),
        Index("visit_people", "people", postgresql_using="gin"),
    )

    visit_id: str = _text(key=True)
    customer_id: str = _text()
    hand_over_id: str = _text()
    field_agent_id: str = _text()
    team: str = _text()
    people: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    state: str = _text()
    due_at: datetime = _instant()
    breached: bool = Field(sa_column=Column(Boolean, nullable=False))
    starts_at: datetime | None = _instant(null=True)
    ends_at: datetime | None = _instant(null=True)


class StaffRow(Table, table=True):
    """A colleague, as assignment last told."""

    __tablename__ = "staff"

    staff_id: str = _text(key=True)
    version: int = Field(sa_column=Column(Integer, nullable=False))
    state: dict[str, Any] = _json()


class PlanRow(Table, table=True):
    """A filed plan and its lines, as filed."""

    __tablename__ = "plan"
    __table_args__ = (Index("plan_order", "filed_at", "plan_id"),)

    plan_id: str = _text(key=True)
    field_agent_id: str = _text()
    team: str = _text()
    filed_at: datetime = _instant()
    lines: list[Any] = _json()


class NoteRow(Table, table=True):
    """What a collector wrote about a visit. Free text: it never leaves this database in a fact."""

    __tablename__ = "visit_note"
    __table_args__ = (Index("visit_note_visit", "visit_id", "written_at"), Index("visit_note_old", "written_at"))

    note_id: str = _text(key=True)
    visit_id: str = _text()
    written_at: datetime = _instant()
    written_by: str = _text()
    about: str = _text()
    text: str = _text()


class ReportRow(Table, table=True):
    """A visit done or not done, for the administrative assistant; `report_id` is the id of the fact that says so."""

    __tablename__ = "report"
    __table_args__ = (Index("report_order", "at", "report_id"),)

    report_id: str = _text(key=True)
    kind: str = _text()
    visit_id: str = _text()
    case_id: str = _text()
    customer_id: str = _text()
    field_agent_id: str = _text()
    team: str = _text()
    due_at: datetime = _instant()
    at: datetime = _instant()
    on_time: bool | None = Field(sa_column=Column(Boolean, nullable=True))
    detail: str | None = _text(null=True)


class UnmaskedReadRow(Table, table=True):
    """Who read a customer's name and address unmasked, and when."""

    __tablename__ = "unmasked_read"
    __table_args__ = (Index("unmasked_read_visit", "visit_id", "at"), Index("unmasked_read_old", "at"))

    read_id: str = _text(key=True)
    visit_id: str = _text()
    staff_id: str = _text()
    at: datetime = _instant()
