"""The tables of assignment, beside the bus's own.

`customer.state` is the truth, one document a customer, written over the version that was read (L3). The columns beside
it repeat what lists and timers filter and sort by; they are written in the same statement and decide nothing.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Index, Integer, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from services.assignment.domain.staff import WORKED
from shared.bus.tables import add_bus_tables
from shared.web.idempotency import idempotency_table

metadata = MetaData()
add_bus_tables(metadata)
idempotency_table(metadata)


def _text(*, key: bool = False, null: bool = False) -> Any:  # noqa: ANN401 - what SQLModel's own Field takes
    return Field(sa_column=Column(Text, primary_key=key, nullable=null))


def _instant(*, null: bool = False) -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(DateTime(timezone=True), nullable=null))


def _whole(*, key: bool = False) -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(Integer, primary_key=key, nullable=False, autoincrement=False))


def _big() -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(BigInteger, nullable=False))


def _flag() -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(Boolean, nullable=False))


def _json() -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(JSONB, nullable=False))


_MOVED = Index(
    "timeline_moved",
    "at",
    "customer_id",
    "seq",
    postgresql_where=text("kind = 'case_assigned' AND data ->> 'earlier_staff_id' IS NOT NULL"),
)


class Table(SQLModel):
    """A table of this service, on its own metadata."""

    metadata = metadata


class CustomerRow(Table, table=True):
    """A customer and the newest case.

    `entries`: how many timeline lines there are. `workable`: on a worklist now. `next_due`: when something is to be
    done by itself. `rank`, `currency`, `owed`: the place in a worklist. `proposed`: the queue that waits for a
    supervisor's word. `field_agent`: with whom the case is in the field. `decided_by`: the
    strategy that decided last. The lease is on the machine's clock.
    """

    __tablename__ = "customer"
    __table_args__ = (
        Index("customer_case", "case_id", postgresql_where=text("case_id IS NOT NULL")),
        Index("customer_next_due", "next_due", postgresql_where=text("next_due IS NOT NULL")),
        Index("customer_collector", "collector", "rank", postgresql_where=text("workable")),
        Index("customer_team", "team", "customer_id", postgresql_where=text("case_id IS NOT NULL")),
        Index("customer_field_agent", "field_agent", postgresql_where=text("field_agent IS NOT NULL")),
        Index("customer_decided_by", "decided_by", postgresql_where=text("status = 'open'")),
        Index("customer_proposed", "customer_id", postgresql_where=text("proposed IS NOT NULL")),
        Index("customer_held", "collector", postgresql_where=text(f"queue IN {WORKED!r}")),
    )

    customer_id: str = _text(key=True)
    version: int = _big()
    entries: int = _whole()
    state: dict[str, Any] = _json()
    next_due: datetime | None = _instant(null=True)
    case_id: str | None = _text(null=True)
    status: str | None = _text(null=True)
    queue: str | None = _text(null=True)
    bucket: str | None = _text(null=True)
    grade: str | None = _text(null=True)
    collector: str | None = _text(null=True)
    team: str | None = _text(null=True)
    workable: bool = _flag()
    offer_from: datetime | None = _instant(null=True)
    rank: int = _whole()
    currency: str = _text()
    owed: int = _big()
    leased_by: str | None = _text(null=True)
    leased_until: datetime | None = _instant(null=True)
    proposed: str | None = _text(null=True)
    field_agent: str | None = _text(null=True)
    decided_by: str = Field(sa_column=Column(Text, nullable=False, server_default=""))


class TimelineRow(Table, table=True):
    """One line of a case's timeline; `seq` counts a customer's lines."""

    __tablename__ = "timeline"
    __table_args__ = (Index("timeline_case", "case_id", "seq"), Index("timeline_old", "at"), _MOVED)

    customer_id: str = _text(key=True)
    seq: int = _whole(key=True)
    case_id: str = _text()
    kind: str = _text()
    at: datetime = _instant()
    zh: str = _text()
    en: str = _text()
    data: dict[str, Any] = _json()


class StaffRow(Table, table=True):
    """A colleague, as a supervisor last said. `leave_until`: the last day of any leave, by which they are found."""

    __tablename__ = "staff"
    __table_args__ = (
        Index("staff_role", "role", "staff_id"),
        Index("staff_leave", "leave_until", postgresql_where=text("leave_until IS NOT NULL")),
    )

    staff_id: str = _text(key=True)
    version: int = _big()
    role: str = _text()
    team: str = _text()
    active: bool = _flag()
    state: dict[str, Any] = _json()
    leave_until: date | None = Field(sa_column=Column(Date, nullable=True))


class ContactRow(Table, table=True):
    """A logged contact with what never leaves this database: the collector's note."""

    __tablename__ = "contact"
    __table_args__ = (Index("contact_old", "logged_at"),)

    contact_id: str = _text(key=True)
    customer_id: str = _text()
    case_id: str = _text()
    staff_id: str = _text()
    channel: str = _text()
    line: str = _text()
    party: str = _text()
    outcome: str = _text()
    purpose: str = _text()
    phone_id: str | None = _text(null=True)
    contacted_at: datetime = _instant()
    logged_at: datetime = _instant()
    note: str | None = _text(null=True)


class FieldListRow(Table, table=True):
    """A list of hand-overs as filed; `lines` holds each with its reason."""

    __tablename__ = "field_list"
    __table_args__ = (
        Index("field_list_old", "filed_at"),
        Index("field_list_agent", "phone_agent_id", "filed_at", "list_id"),
        Index("field_list_team", "team", "filed_at", "list_id"),
    )

    list_id: str = _text(key=True)
    phone_agent_id: str = _text()
    team: str = _text()
    day: date = Field(sa_column=Column(Date, nullable=False))
    filed_at: datetime = _instant()
    lines: list[dict[str, Any]] = _json()


class PersonalDataRead(Table, table=True):
    """Who read a customer's name and numbers unmasked, and when (machine's clock)."""

    __tablename__ = "personal_data_read"
    __table_args__ = (Index("personal_data_read_old", "at"),)

    read_id: str = _text(key=True)
    staff_id: str = _text()
    case_id: str = _text()
    at: datetime = _instant()


class SkippedCase(Table, table=True):
    """A case that its collector put aside without a contact, and the reason given."""

    __tablename__ = "skipped_case"
    __table_args__ = (Index("skipped_case_old", "at"),)

    skip_id: str = _text(key=True)
    staff_id: str = _text()
    case_id: str = _text()
    reason: str = _text()
    at: datetime = _instant()
