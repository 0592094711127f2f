"""The tables of intake, beside the bus's own."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Column, Date, LargeBinary, MetaData, Text
from sqlmodel import Field, SQLModel

from shared.bus.tables import add_bus_tables

metadata = MetaData()
add_bus_tables(metadata)


class Table(SQLModel):
    """A table of this service, on its own metadata."""

    metadata = metadata


class SeenEvent(Table, table=True):
    """An event that was taken: its identity as received, a hash of its content, and the day, for retention."""

    __tablename__ = "seen_event"

    source: str = Field(sa_column=Column(Text, primary_key=True))
    id: str = Field(sa_column=Column(Text, primary_key=True))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    day: date = Field(sa_column=Column(Date, nullable=False))
