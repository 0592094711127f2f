"""The tables of intake, beside the bus's own."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Date, DateTime, LargeBinary, MetaData, Text, Uuid
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


class ContactsTold(Table, table=True):
    """How far a customer's contact data were told and erased: instants, none of the data (`domain.contacts_told`)."""

    __tablename__ = "contacts_told"

    customer_id: str = Field(sa_column=Column(Text, primary_key=True))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    as_of: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    erased_as_of: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
