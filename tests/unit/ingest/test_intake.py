"""What is taken in and what is refused: field, fault and remedy for each wrong input."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, get_args, get_origin
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from services.ingest.domain import words
from services.ingest.domain.envelope import ACCEPTED
from services.ingest.domain.intake import MAX_FAULTS, Rejected, Sound, judge
from services.ingest.domain.rules import RULES
from services.ingest.domain.shape import fits, shape_faults, unknown_fields
from services.ingest.domain.words import Wrong
from shared.errors import FieldError
from shared.events.registry import CARD, CONTACTS, FACT_TYPES, FactType
from tests.unit.ingest.events import DATA, PRESENT, event, with_data
from tests.unit.ingest.paths import PATHS

SNAPSHOT, CONTACTS_CHANGED, PAYMENT = "account.overdue_reported", "customer.contacts_changed", "payment.posted"
ZONES = ["Asia/Shanghai", "Pacific/Kiritimati", "Etc/GMT+12"]
UNTIL, CONSENT = "at_home[0].until", "night_contact_consent"


def refused(wrong: dict[str, Any]) -> list[tuple[str, str]]:
    verdict = judge(wrong, PRESENT)
    assert isinstance(verdict, Rejected)
    return [(error.field, error.fault_en) for error in verdict.errors]


def test_every_fact_of_card_and_contacts_is_taken_and_no_other() -> None:
    names = {kind.name for kind in FACT_TYPES if kind.topic in (CARD, CONTACTS)}
    assert set(ACCEPTED) == names == {f"arrears.{name}.v1" for name in DATA}
    assert {kind.model for kind in ACCEPTED.values()} == set(RULES)


@pytest.mark.parametrize("name", DATA)
def test_a_sound_event_of_each_type_is_taken(name: str) -> None:
    verdict = judge(event(name), PRESENT)
    assert isinstance(verdict, Sound), verdict
    assert isinstance(verdict.fact, ACCEPTED[f"arrears.{name}.v1"].model)


@pytest.mark.parametrize(
    ("wrong", "field", "fault"),
    [
        (event(specversion="0.3"), "specversion", words.SPECVERSION),
        (event(id=""), "id", words.wrong_length(1, 256, "个字符", "characters")),
        (event(id=7), "id", words.NOT_TEXT),
        (event(source=None), "source", words.NOT_TEXT),
        (event(type="arrears.case.opened.v1"), "type", words.NO_SUCH_TYPE),
        (event(type=["arrears.account.cured.v1"]), "type", words.NO_SUCH_TYPE),
        (event(time="2026-02-25T09:30:00"), "time", words.NAIVE_INSTANT),
        (event(time="yesterday"), "time", words.NOT_AN_INSTANT),
        (event(time="2026-02-25T10:06:00+08:00"), "time", words.IN_THE_FUTURE),
        (event(time="0001-01-01T00:00:00+08:00"), "time", words.TOO_LONG_AGO),
        (event(datacontenttype="text/xml"), "datacontenttype", words.NOT_JSON_DATA),
        (event(data=[]), "data", words.NOT_AN_OBJECT),
        (event(data_base64="e30="), "data_base64", words.BINARY_DATA),
        (event(traceParent="x"), "traceParent", words.ATTRIBUTE_NAME),
        (event(region=1.5), "region", words.ATTRIBUTE_VALUE),
        (with_data(SNAPSHOT, "currency", "XXX"), "data.currency", words.NO_SUCH_CURRENCY),
        (with_data(SNAPSHOT, "currency", "cny"), "data.currency", None),
        (with_data(SNAPSHOT, "amount_past_due", -1), "data.amount_past_due", words.out_of_range(0, 10**15)),
        (with_data(SNAPSHOT, "amount_past_due", "1200"), "data.amount_past_due", words.NOT_A_WHOLE_NUMBER),
        (with_data(SNAPSHOT, "amount_past_due", 1200.5), "data.amount_past_due", words.NOT_A_WHOLE_NUMBER),
        (with_data(SNAPSHOT, "amount_past_due", True), "data.amount_past_due", words.NOT_A_WHOLE_NUMBER),
        (with_data(SNAPSHOT, "as_of", "2026-02-25T08:00:00"), "data.as_of", words.NAIVE_INSTANT),
        (with_data(SNAPSHOT, "as_of", "2026-02-26T08:00:00+08:00"), "data.as_of", words.IN_THE_FUTURE),
        (with_data(SNAPSHOT, "due_date", "2026-02-26"), "data.due_date", words.AFTER_AS_OF),
        (with_data(SNAPSHOT, "due_date", "2026-02-30"), "data.due_date", words.NOT_A_DATE),
        (with_data(SNAPSHOT, "due_date", "0001-01-01"), "data.due_date", words.TOO_LONG_AGO),
        (with_data(SNAPSHOT, "statement_date", "2026-02-26"), "data.statement_date", words.AFTER_AS_OF),
        (with_data(SNAPSHOT, "card_last4", "12345"), "data.card_last4", words.wrong_form("四位数字", "four digits")),
        (with_data(SNAPSHOT, "card_last4", "123\uff14"), "data.card_last4", None),
        (with_data(SNAPSHOT, "card_number", "x"), "data.card_number", words.UNKNOWN),
        (with_data(SNAPSHOT, "history[1].paid_at", "x"), "data.history[1].paid_at", words.UNKNOWN),
        (with_data(SNAPSHOT, "history[1].month", "2026-01"), "data.history[1].month", words.MONTH_TWICE),
        (with_data(SNAPSHOT, "history[1].month", "2026-03"), "data.history[1].month", words.AFTER_AS_OF),
        (with_data(SNAPSHOT, "history[0].status", -3), "data.history[0].status", words.out_of_range(-2, 99)),
        (with_data(SNAPSHOT, "history", "none"), "data.history", words.NOT_A_LIST),
        (with_data(SNAPSHOT, "history", [{}] * 7), "data.history", words.wrong_length(None, 6, "项", "items")),
        (with_data(SNAPSHOT, "history[0]", 5), "data.history[0]", words.NOT_AN_OBJECT),
        (with_data(PAYMENT, "amount", 0), "data.amount", words.out_of_range(1, 10**15)),
        (with_data(PAYMENT, "amount", 10**18), "data.amount", words.out_of_range(1, 10**15)),
        (with_data(PAYMENT, "valued_at", "2026-03-25T08:00:00+08:00"), "data.valued_at", words.IN_THE_FUTURE),
        (with_data("customer.stop_set", "kind", "holiday"), "data.kind", None),
        (with_data(CONTACTS_CHANGED, "time_zone", "Asia/Nowhere"), "data.time_zone", words.NO_SUCH_ZONE),
        (with_data(CONTACTS_CHANGED, "time_zone", "Asia"), "data.time_zone", words.NO_SUCH_ZONE),
        (with_data(CONTACTS_CHANGED, UNTIL, "18:30"), f"data.{UNTIL}", words.UNTIL_NOT_AFTER_SINCE),
        (with_data(CONTACTS_CHANGED, "phones[0].number", "13800138000"), "data.phones[0].number", None),
        (with_data(CONTACTS_CHANGED, "emails[0]", "nobody"), "data.emails[0]", None),
        (with_data(CONTACTS_CHANGED, CONSENT, 1), f"data.{CONSENT}", words.NOT_TRUE_OR_FALSE),
        (with_data(CONTACTS_CHANGED, "addresses[0].hazard", ""), "data.addresses[0].hazard", None),
    ],
)  # fmt: skip
def test_wrong_input_is_named_by_field_fault_and_remedy(wrong: dict[str, Any], field: str, fault: Wrong | None) -> None:
    verdict = judge(wrong, PRESENT)
    assert isinstance(verdict, Rejected)
    assert [error.field for error in verdict.errors] == [field]
    (error,) = verdict.errors
    assert fault is None or error == fault.at(field)
    assert all((error.fault_zh, error.fault_en, error.remedy_zh, error.remedy_en))


@pytest.mark.parametrize("attribute", ["specversion", "id", "source", "type", "time", "data"])
def test_every_required_attribute_is_missed(attribute: str) -> None:
    wrong = event()
    del wrong[attribute]
    assert refused(wrong) == [(attribute, words.MISSING.fault_en)]


@pytest.mark.parametrize("name", DATA)
def test_all_missing_fields_of_an_event_are_named_at_once(name: str) -> None:
    required = [f.encode_name for f in structs.fields(ACCEPTED[f"arrears.{name}.v1"].model) if f.required]
    assert refused(event(name, data={})) == [(f"data.{field}", words.MISSING.fault_en) for field in required]


def test_all_faults_of_an_event_are_named_at_once() -> None:
    wrong = with_data(SNAPSHOT, "currency", "XXX")
    wrong["data"] |= {"amount_past_due": -5, "due_date": "2026-02-26", "note": "x"}
    wrong["data"]["history"][0]["month"] = "2026-13"
    wrong["time"] = "2026-02-25T09:30:00"
    del wrong["data"]["credit_limit"]
    assert {field for field, _ in refused(wrong)} == {
        "time",
        "data.note",
        "data.amount_past_due",
        "data.credit_limit",
        "data.history[0].month",
        "data.currency",
        "data.due_date",
    }


@pytest.mark.parametrize("junk", [None, 1, "text", [], [1], {}, {"data": None}, {"type": {}, "id": []}])
def test_anything_that_is_no_event_is_refused_and_never_raises(junk: object) -> None:
    assert isinstance(judge(junk, PRESENT), Rejected)


EXTREMES = st.datetimes(timezones=st.timezones() | st.sampled_from([timezone(timedelta(hours=h)) for h in (-23, 23)]))
INSTANTS = ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"]


@pytest.mark.parametrize("name", DATA)
@given(instant=st.sampled_from(INSTANTS) | EXTREMES.map(datetime.isoformat), zone=st.sampled_from(ZONES))
def test_no_instant_however_extreme_makes_judging_raise(name: str, instant: str, zone: str) -> None:
    """Seen to fail without the last instant: OverflowError in the days of a snapshot."""
    wrong = event(name, time=instant)
    wrong["data"] |= {field: instant for field in wrong["data"] if field.endswith("_at") or field == "as_of"}
    judge(wrong, replace(PRESENT, zone=ZoneInfo(zone)))


@pytest.mark.parametrize("way", PATHS)
def test_the_last_instant_of_all_is_refused_by_every_way(way: str) -> None:
    verdict = PATHS[way](with_data(SNAPSHOT, "as_of", "9999-12-31T23:59:59Z"))
    assert isinstance(verdict, Rejected)
    assert words.IN_THE_FUTURE.at("data.as_of") in verdict.errors


def test_an_answer_names_at_most_so_many_faults() -> None:
    wrong = event(data={f"f{index}": 0 for index in range(500)})
    assert len(refused(wrong)) == MAX_FAULTS


def test_no_value_is_repeated_in_an_error() -> None:
    secret = "SECRETVALUE"
    wrong = event(CONTACTS_CHANGED, source=7, time=secret, region=[secret])
    wrong["data"] = dict.fromkeys(wrong["data"], secret) | {"phones": [{"number": secret, "kind": secret}]}
    verdict = judge(wrong, PRESENT)
    assert isinstance(verdict, Rejected)
    assert secret not in repr([structs_of(error) for error in verdict.errors])


def structs_of(error: FieldError) -> tuple[str, ...]:
    return error.field, error.fault_zh, error.fault_en, error.remedy_zh, error.remedy_en


def test_a_name_of_a_field_is_repeated_without_long_numbers() -> None:
    (error,) = (found for found in refused(with_data(SNAPSHOT, "tel13800138000", 1)))
    assert error == ("data.tel#", words.UNKNOWN.fault_en)


def test_the_day_of_a_snapshot_is_the_issuers_even_when_its_instant_is_written_in_utc() -> None:
    right = with_data(SNAPSHOT, "as_of", "2026-02-24T17:00:00Z")  # 01:00 on the 25th in Shanghai
    right["data"]["due_date"] = "2026-02-25"
    assert isinstance(judge(right, PRESENT), Sound)


def test_two_ways_to_write_one_content_have_one_digest() -> None:
    one, other = event(), event(time="2026-02-25T01:30:00Z", region="east", subject="a-1")
    other["data"] |= {"as_of": "2026-02-25T00:00:00Z", "late_fee": 0}
    first, second = judge(one, PRESENT), judge(other, PRESENT)
    assert isinstance(first, Sound)
    assert isinstance(second, Sound)
    assert first.digest == second.digest


@pytest.mark.parametrize("changed", [with_data(SNAPSHOT, "balance", 1), event(time="2026-02-25T09:30:01+08:00")])
def test_other_content_has_another_digest(changed: dict[str, Any]) -> None:
    first, second = judge(event(), PRESENT), judge(changed, PRESENT)
    assert isinstance(first, Sound)
    assert isinstance(second, Sound)
    assert first.digest != second.digest


def test_an_identity_is_taken_as_received() -> None:
    verdict = judge(event(id=" e-1 ", source="/bank/cards/"), PRESENT)
    assert isinstance(verdict, Sound)
    assert verdict.identity == ("/bank/cards/", " e-1 ")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        ("nonsense", False),
    ],
)
def test_a_trace_is_kept_when_it_can_be_read_and_never_a_reason_to_refuse(given: str, kept: bool) -> None:
    verdict = judge(event(traceparent=given), PRESENT)
    assert isinstance(verdict, Sound)
    assert verdict.traceparent == (given if kept else None)


@pytest.mark.parametrize("kind", ACCEPTED.values(), ids=lambda kind: kind.name)
def test_every_pattern_of_a_fact_has_words(kind: FactType) -> None:
    """A new kind of value shows here until `FORMS` says how it is written."""
    errors = list(shape_faults(_all_text(kind.model), kind.model, "data"))
    assert words.NOT_SOUND.fault_en not in {error.fault_en for error in errors}


def _all_text(model: object) -> Any:
    """Return data in which every text is there and none has its form."""
    if get_origin(model) is Annotated:
        return _all_text(get_args(model)[0])
    if get_origin(model) is tuple:
        return [_all_text(get_args(model)[0])]
    if isinstance(model, type) and issubclass(model, Struct):
        return {field.encode_name: _all_text(field.type) for field in structs.fields(model)}
    return "\n"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(name=st.sampled_from(list(DATA)), changes=st.data())
def test_the_walk_finds_a_fault_exactly_when_the_decoder_does(name: str, changes: st.DataObject) -> None:
    model, data = ACCEPTED[f"arrears.{name}.v1"].model, event(name)["data"]
    for field in changes.draw(st.sets(st.sampled_from([*data, "unknown"]), max_size=3)):
        data[field] = changes.draw(JSON)
    faults = [*unknown_fields(data, model, "data"), *shape_faults(data, model, "data")]
    assert (fits(data, model) is None) == bool(faults)


@given(event=JSON | st.dictionaries(st.sampled_from(sorted(event())), JSON))
def test_no_json_makes_the_judge_raise(event: object) -> None:
    assert isinstance(judge(event, PRESENT), Rejected)
