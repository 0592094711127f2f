from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.web.field_errors import custom_fault, field_path, from_msgspec, from_pydantic

SECRET = "13800138000"  # stands for what a sender would not want to read in an answer


class Line(msgspec.Struct, forbid_unknown_fields=True):
    amount: Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "CNY"
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    id: UUID | None = None
    note: Annotated[str, msgspec.Meta(min_length=1, max_length=3)] = "x"
    kind: Literal["late", "early"] = "late"
    tags: Annotated[list[str], msgspec.Meta(max_length=2)] = []


class Order(msgspec.Struct):
    lines: list[Line]


@pytest.mark.parametrize(
    ("line", "field", "fault"),
    [
        ({}, "lines[0].amount", "is missing"),
        ({"amount": 1, SECRET: 1}, f"lines[0].{SECRET}", "is not a known field"),
        ({"amount": -1}, "lines[0].amount", "is too small"),
        ({"amount": 10**13}, "lines[0].amount", "is too large"),
        ({"amount": SECRET}, "lines[0].amount", "has the wrong type"),
        ({"amount": 1, "currency": SECRET}, "lines[0].currency", "does not have the right form"),
        ({"amount": 1, "at": "2026-02-25T09:00:00"}, "lines[0].at", "is a time without its offset"),
        ({"amount": 1, "at": SECRET}, "lines[0].at", "is not an instant"),
        ({"amount": 1, "id": SECRET}, "lines[0].id", "is not a UUID"),
        ({"amount": 1, "note": ""}, "lines[0].note", "is too short"),
        ({"amount": 1, "note": SECRET}, "lines[0].note", "is too long"),
        ({"amount": 1, "kind": SECRET}, "lines[0].kind", "holds what is not allowed"),
        ({"amount": 1, "tags": [SECRET] * 3}, "lines[0].tags", "has too many items"),
    ],
)
def test_msgspec_faults_name_field_fault_and_remedy_and_never_the_value(
    line: dict[str, Any], field: str, fault: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert({"lines": [line]}, Order)
    (error,) = from_msgspec(caught.value)
    assert (error.field, error.fault_en) == (field, fault)
    words = error.fault_zh + error.fault_en + error.remedy_zh + error.remedy_en
    assert SECRET not in words
    assert "{" not in words
    assert from_msgspec(caught.value, "[7].data")[0].field == f"[7].data.{field}"


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: int = Field(ge=1, le=5)
    at: AwareDatetime
    visit: UUID
    people: list[str] = Field(min_length=2)

    @field_validator("people")
    @classmethod
    def _two(cls, people: list[str]) -> list[str]:
        if len(set(people)) < len(people):
            raise custom_fault("人员重复", "names somebody twice", "每人只写一次", "name each person once")
        return people


GOOD = {"amount": 3, "at": "2026-02-25T09:00:00+08:00", "visit": "0" * 32, "people": ["a", "b"]}


@pytest.mark.parametrize(
    ("changed", "field", "fault"),
    [
        ({"amount": 0}, "amount", "is too small"),
        ({"amount": 9}, "amount", "is too large"),
        ({"amount": SECRET + "x"}, "amount", "has the wrong type"),
        ({"amount": None}, "amount", "has the wrong type"),
        ({"at": "2026-02-25T09:00:00"}, "at", "is a time without its offset"),
        ({"at": SECRET + "x"}, "at", "is not an instant"),
        ({"visit": SECRET}, "visit", "is not a UUID"),
        ({"people": ["a"]}, "people", "has too few items"),
        ({"people": [SECRET, SECRET]}, "people", "names somebody twice"),
        ({"people": [1, "b"]}, "people[0]", "has the wrong type"),
        ({"other": SECRET}, "other", "is not a known field"),
    ],
)
def test_pydantic_faults_name_field_fault_and_remedy_and_never_the_value(
    changed: dict[str, Any], field: str, fault: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Body.model_validate({**GOOD, **changed})
    located = [{**fault, "loc": ("body", *fault["loc"])} for fault in caught.value.errors()]
    (error,) = from_pydantic(located)
    assert (error.field, error.fault_en) == (field, fault)
    words = error.fault_zh + error.fault_en + error.remedy_zh + error.remedy_en
    assert SECRET not in words
    assert "{" not in words


def test_a_field_path_reads_as_the_sender_would_write_it() -> None:
    assert field_path(("data", "lines", 3, "amount")) == "data.lines[3].amount"
    assert field_path((0, "id")) == "[0].id"
