from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.ingest.domain.intake import Sound, judge
from services.ingest.loading.mapping import PACKAGED, Mapping, load, tell
from services.ingest.loading.rows import Row
from shared.rules.loading import DataFileError
from tests.unit.ingest.events import PRESENT
from tests.unit.ingest.loading.files import HEADER, ROW

TEMPLATE = load(PACKAGED / "template.yaml")


def row(**changes: str) -> Row:
    return Row(2, {**dict(zip(HEADER, ROW, strict=True)), **changes})


def changed(folder: Path, change: dict[str, Any]) -> Mapping:
    content = yaml.safe_load((PACKAGED / "template.yaml").read_text(encoding="utf-8"))
    content.update(change)
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return load(file)


def test_a_row_of_the_template_is_an_event_that_intake_takes() -> None:
    told = tell(TEMPLATE, row())
    assert told.event is not None
    assert told.event["data"] == {
        "customer_id": "c-1",
        "account_id": "a-1",
        "card_last4": "0234",
        "product_code": "gold",
        "currency": "CNY",
        "as_of": "2026-02-25T08:00:00+08:00",
        "statement_date": "2026-02-05",
        "due_date": "2026-01-25",
        "min_payment_due": 50_000,
        "amount_past_due": 120_000,
        "principal_past_due": 100_000,
        "balance": 900_050,
        "credit_limit": 2_000_000,
        "periods_past_due": 1,
    }
    assert isinstance(judge(told.event, PRESENT), Sound)


def test_the_same_row_is_the_same_event_and_another_one_is_not() -> None:
    one, again, later, other = (
        tell(TEMPLATE, changed).event
        for changed in (row(), row(), row(数据时间="2026-02-26 08:00"), row(账户编号="a-2"))
    )
    assert one is not None
    assert again is not None
    assert later is not None
    assert other is not None
    assert one == again
    assert len({one["id"], later["id"], other["id"]}) == 3


def test_every_fault_of_a_row_is_said_by_its_column_and_without_its_value() -> None:
    told = tell(TEMPLATE, row(产品="", 逾期金额="12.345", 账单日="5 Feb"))
    assert told.event is None
    assert [fault.column for fault in told.faults] == ["产品", "账单日", "逾期金额"]
    assert "12.345" not in " ".join(map(str, told.faults))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"type": "arrears.account.gone.v1"}, "type: is not an event that intake takes"),
        ({"zone": "Shanghai"}, "zone: is not an IANA time zone"),
        ({"id": ["card"]}, "card: is not among the fields"),
        ({"time": "when"}, "when: is not among the fields"),
        ({"colour": "red"}, "unknown field `colour`"),
        ({"fields": {"customer_id": {"column": "a"}}}, "fields.account_id: is missing"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_with_the_line(
    tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    with pytest.raises(DataFileError, match=fault):
        changed(tmp_path, change)


@pytest.mark.parametrize(
    ("field", "source", "fault"),
    [
        ("nickname", {"column": "a"}, "is not a field of this event"),
        ("balance", {"column": "a", "value": 1}, "has both a column and a value, or neither"),
        ("balance", {}, "has both a column and a value, or neither"),
        ("balance", {"column": "a", "kind": "money"}, "Invalid enum value 'money'"),
    ],
)
def test_a_field_that_cannot_work_is_refused_by_name(
    tmp_path: Path, field: str, source: dict[str, Any], fault: str
) -> None:
    fields = yaml.safe_load((PACKAGED / "template.yaml").read_text(encoding="utf-8"))["fields"]
    with pytest.raises(DataFileError, match=fault):
        changed(tmp_path, {"fields": {**fields, field: source}})
