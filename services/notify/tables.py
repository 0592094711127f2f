"""The tables of notify, beside the bus's own.

`customer.state` is what the facts say of a customer, written only over the version that was read (L3). A `notice` is
one message to one person and its whole life; those to a customer are at the same time the ledger of contacts made.
A `report` is something that colleagues are told of; it becomes one notice a colleague.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from shared.bus.tables import add_bus_tables

metadata = MetaData()
add_bus_tables(metadata)


def _text(*, key: bool = False, null: bool = False) -> Any:  # noqa: ANN401 - what SQLModel's own Field takes
    return Field(sa_column=Column(Text, primary_key=key, nullable=null))


def _instant(*, null: bool = False) -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(DateTime(timezone=True), nullable=null))


def _json(*, null: bool = False) -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(JSONB, nullable=null))


def _whole() -> Any:  # noqa: ANN401 - as above
    return Field(sa_column=Column(Integer, nullable=False))


class Table(SQLModel):
    """A table of this service, on its own metadata."""

    metadata = metadata


class CustomerRow(Table, table=True):
    """A customer: what decides whether a reminder may leave (`domain.model.Customer`)."""

    __tablename__ = "customer"
    __table_args__ = (Index("customer_unusable", "customer_id", postgresql_where=text("state ? 'unusable'")),)

    customer_id: str = _text(key=True)
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: dict[str, Any] = _json()


class ColleagueRow(Table, table=True):
    """A colleague, as assignment last told; `since`: when that was."""

    __tablename__ = "colleague"

    staff_id: str = _text(key=True)
    version: int = _whole()
    name: str = _text()
    role: str = _text()
    team: str = _text()
    language: str = _text()
    email: str = _text()
    active: bool = Field(sa_column=Column(Boolean, nullable=False))
    since: datetime = _instant()


class ReportRow(Table, table=True):
    """Something that colleagues are told of, once a happening. `due` is null when nobody is left to be told.

    `told` counts the colleagues told so far; 0 with `due` null waits for the first colleague who is meant.
    """

    __tablename__ = "report"
    __table_args__ = (
        Index("report_due", "due", postgresql_where=text("due IS NOT NULL")),
        Index("report_untold", "report_key", postgresql_where=text("told = 0")),
        Index("report_occurred", "occurred_at"),
    )

    report_key: str = _text(key=True)
    purpose: str = _text()
    staff_id: str | None = _text(null=True)
    role: str | None = _text(null=True)
    team: str | None = _text(null=True)
    body: dict[str, Any] = _json()
    occurred_at: datetime = _instant()
    due: datetime | None = _instant(null=True)
    told: int = _whole()
    traceparent: str = _text()


_OPEN = "state IN ('due', 'waiting')"


class NoticeRow(Table, table=True):
    """One message to one person: what was asked for, what became of it, and what exactly was handed over.

    Domain's clock: `created_at`, `due`, `reserved_at` (when it became a contact), `ended_at`, `delivery_at`. Machine's
    clock: `barrier_at`, `retry_at`, `lease_until`. `holder` is the process that is handing it over. `delivery` is what
    receipts said after it had left; `state` is what became of the hand-over, and stays.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("notice_natural_key", "natural_key", unique=True),
        Index("notice_due", "due", postgresql_where=text(_OPEN)),
        Index("notice_report_due", "due", postgresql_where=text(f"{_OPEN} AND staff_id IS NOT NULL")),
        Index("notice_sending", "lease_until", postgresql_where=text("state = 'sending'")),
        Index("notice_order", "created_at", "notice_id"),
        Index("notice_customer", "customer_id", "created_at", "notice_id"),
        Index("notice_staff", "staff_id", "created_at", "notice_id"),
        Index("notice_unconfirmed", "created_at", "notice_id", postgresql_where=text("state = 'unconfirmed'")),
        Index("notice_undelivered", "created_at", "notice_id", postgresql_where=text("delivery = 'undelivered'")),
    )

    notice_id: str = _text(key=True)
    natural_key: str = _text()
    partition: int = _whole()
    customer_id: str | None = _text(null=True)
    staff_id: str | None = _text(null=True)
    case_id: str | None = _text(null=True)
    purpose: str = _text()
    channel: str = _text()
    template: str = _text()
    template_version: str | None = _text(null=True)
    language: str | None = _text(null=True)
    state: str = _text()
    due: datetime = _instant()
    retry_at: datetime | None = _instant(null=True)
    attempts: int = _whole()
    payload: dict[str, Any] = _json()
    address: str | None = _text(null=True)
    subject: str | None = _text(null=True)
    text: str | None = _text(null=True)
    reason: dict[str, Any] | None = _json(null=True)
    provider_ref: str | None = _text(null=True)
    gateway: str | None = _text(null=True)
    delivery: str | None = _text(null=True)
    delivery_at: datetime | None = _instant(null=True)
    barrier_at: datetime | None = _instant(null=True)
    holder: str | None = _text(null=True)
    lease_until: datetime | None = _instant(null=True)
    reserved_at: datetime | None = _instant(null=True)
    ended_at: datetime | None = _instant(null=True)
    created_at: datetime = _instant()
    traceparent: str = _text()


class SmsPartRow(Table, table=True):
    """One part of a short message, under the id that its gateway gave it: what was answered, and what receipts said.

    Without `notice_id`: a receipt that came before the answer, or of a message that nobody knows. `word`: how the part
    ended; none so far. `at` (machine's clock): when the first of the two came.
    """

    __tablename__ = "sms_part"
    __table_args__ = (
        Index("sms_part_notice", "notice_id", postgresql_where=text("notice_id IS NOT NULL")),
        Index("sms_part_old", "at"),
    )

    gateway: str = _text(key=True)
    message_id: str = _text(key=True)
    notice_id: str | None = _text(null=True)
    number: int | None = Field(sa_column=Column(Integer, nullable=True))
    total: int | None = Field(sa_column=Column(Integer, nullable=True))
    word: str | None = _text(null=True)
    at: datetime = _instant()


class UnmaskedReadRow(Table, table=True):
    """Who read a notice's text, and when (domain's clock)."""

    __tablename__ = "unmasked_read"
    __table_args__ = (Index("unmasked_read_notice", "notice_id", "at"), Index("unmasked_read_old", "at"))

    read_id: str = _text(key=True)
    notice_id: str = _text()
    staff_id: str = _text()
    at: datetime = _instant()
