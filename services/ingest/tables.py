"""The tables of intake, beside the bus's own."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Date, DateTime, Index, Integer, LargeBinary, MetaData, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from shared.bus.tables import add_bus_tables

metadata = MetaData()
add_bus_tables(metadata)


class Table(SQLModel):
    """A table of this service, on its own metadata."""

    metadata = metadata


class SeenEvent(Table, table=True):
    """An event that was taken: a hash of its identity as received and one of its content.

    `day`: that on which its partition began. The key of a partition alone would do; it needs the day in it.
    """

    __tablename__ = "seen_event"
    __table_args__ = ({"postgresql_partition_by": "LIST (day)"},)

    key: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    day: date = Field(sa_column=Column(Date, primary_key=True))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class SeenPart(Table, table=True):
    """A partition of `seen_event` by the day on which it began; the newest takes what comes."""

    __tablename__ = "seen_part"

    day: date = Field(sa_column=Column(Date, primary_key=True))


class UpstreamPosition(Table, table=True):
    """How far a partition of the card system's topic was taken: the offset of the next record, and of the last one
    taken a hash, by which a log that was made again is told from the one that was read.
    """

    __tablename__ = "upstream_position"

    topic: str = Field(sa_column=Column(Text, primary_key=True))
    partition: int = Field(sa_column=Column(Integer, primary_key=True))
    log_offset: int = Field(sa_column=Column(BigInteger, nullable=False))
    mark: bytes | None = Field(sa_column=Column(LargeBinary))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class Reject(Table, table=True):
    """A record of the card system's topic that was not taken: where it lies and what is wrong, none of its values."""

    __tablename__ = "reject"
    __table_args__ = (Index("reject_newest", "at", "id"),)

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    topic: str = Field(sa_column=Column(Text, nullable=False))
    partition: int = Field(sa_column=Column(Integer, nullable=False))
    log_offset: int = Field(sa_column=Column(BigInteger, nullable=False))
    outcome: str = Field(sa_column=Column(Text, nullable=False))
    event_id: str | None = Field(sa_column=Column(Text))
    errors: list[dict[str, str]] = Field(sa_column=Column(JSONB, nullable=False))


class ContactsTold(Table, table=True):
    """How far a customer's contact data were told and erased: instants, none of the data (`domain.contacts_told`)."""

    __tablename__ = "contacts_told"

    customer_id: str = Field(sa_column=Column(Text, primary_key=True))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    as_of: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    erased_as_of: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
