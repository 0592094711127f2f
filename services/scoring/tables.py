"""The tables of scoring, beside the bus's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from shared.bus.tables import add_bus_tables

metadata = MetaData()
add_bus_tables(metadata)


class Table(SQLModel):
    """A table of this service, on its own metadata."""

    metadata = metadata


class CustomerScore(Table, table=True):
    """What is known of a customer's accounts, and when the first of them ages into another bin or bucket.

    `state` is a `services.scoring.domain.account.Customer`; `traceparent` is the trace of the newest fact, which a
    grading by timer goes on with.
    """

    __tablename__ = "customer_score"
    __table_args__ = (Index("customer_score_next_due", "next_due"),)

    customer_id: str = Field(sa_column=Column(Text, primary_key=True))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    next_due: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    traceparent: str | None = Field(sa_column=Column(Text))


class ComparisonRow(Table, table=True):
    """What champion and challenger say of an account now; the challenger's word reaches nobody but who compares."""

    __tablename__ = "comparison"

    customer_id: str = Field(sa_column=Column(Text, primary_key=True))
    account_id: str = Field(sa_column=Column(Text, primary_key=True))
    compared_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    bucket: str = Field(sa_column=Column(Text, nullable=False))
    champion: str = Field(sa_column=Column(Text, nullable=False))
    champion_version: str = Field(sa_column=Column(Text, nullable=False))
    champion_score: int = Field(sa_column=Column(Integer, nullable=False))
    champion_grade: str = Field(sa_column=Column(Text, nullable=False))
    champion_treatment: str = Field(sa_column=Column(Text, nullable=False))
    challenger: str = Field(sa_column=Column(Text, nullable=False))
    challenger_version: str = Field(sa_column=Column(Text, nullable=False))
    challenger_score: int = Field(sa_column=Column(Integer, nullable=False))
    challenger_grade: str = Field(sa_column=Column(Text, nullable=False))
    challenger_treatment: str = Field(sa_column=Column(Text, nullable=False))


class GradingRow(Table, table=True):
    """One published grading; never changed. `basis`: what the account was graded on, line by line."""

    __tablename__ = "grading"
    __table_args__ = (
        Index("grading_newest", "customer_id", "graded_at", "account_id", "version"),
        Index("grading_old", "graded_at"),
    )

    customer_id: str = Field(sa_column=Column(Text, primary_key=True))
    account_id: str = Field(sa_column=Column(Text, primary_key=True))
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    graded_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    score: int = Field(sa_column=Column(Integer, nullable=False))
    grade: str = Field(sa_column=Column(Text, nullable=False))
    bucket: str = Field(sa_column=Column(Text, nullable=False))
    suggested_treatment: str = Field(sa_column=Column(Text, nullable=False))
    reasons: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    card: str = Field(sa_column=Column(Text, nullable=False))
    card_version: str = Field(sa_column=Column(Text, nullable=False))
    basis: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
