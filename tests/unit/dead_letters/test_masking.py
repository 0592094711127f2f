from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.headers import Numbers, Packed, to_headers
from shared.bus.masking import masked_body, masked_cause, masked_headers, masked_key
from shared.events.registry import BY_NAME

CONTACTS = "arrears.customer.contacts_changed.v1"
OVERDUE = "arrears.account.overdue_reported.v1"
PAYMENT = "arrears.payment.posted.v1"

CANARIES = ("张伟", "zhang.wei@bank.example", "+8613800138000", "13800138000", "人民路 1 号", "110101199003078515")
HUGE = "6222021234567890123"

NUMBERS = Numbers(7, 12, None)
FACT = Packed(
    id="0192f0c1-1111-7222-8333-a13912345678",
    type=PAYMENT,
    time="2026-02-25T04:00:00+00:00",
    key="c-7",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    cause_id=None,
    value=None,
)


def masked(value: object, fact_type: str | None) -> Any:
    return masked_body(json.dumps(value).encode(), fact_type)


def test_contacts_show_ids_instants_and_fixed_words_and_nothing_of_the_person() -> None:
    shown = masked(
        {
            "customer_id": "c-7",
            "as_of": "2026-02-25T12:00:00+08:00",
            "name": "张伟",
            "language": "zh",
            "time_zone": "Asia/Shanghai",
            "phones": [{"number": "+8613800138000", "kind": "mobile"}],
            "emails": ["zhang.wei@bank.example"],
            "addresses": [
                {"address_id": "a-1", "kind": "home", "lines": ["人民路 1 号"], "district": "海淀", "city": "北京"}
            ],
        },
        CONTACTS,
    )
    assert shown == {
        "customer_id": "c-7",
        "as_of": "2026-02-25T12:00:00+08:00",
        "name": "<text of 2>",
        "language": "zh",
        "time_zone": "<text of 13>",
        "phones": [{"number": "<text of 14>", "kind": "mobile"}],
        "emails": ["<text of 22>"],
        "addresses": [
            {
                "address_id": "a-1",
                "kind": "home",
                "lines": ["<text of 7>"],
                "district": "<text of 2>",
                "city": "<text of 2>",
            }
        ],
    }


def test_amounts_dates_and_codes_of_an_account_are_shown_and_its_cards_digits_are_not() -> None:
    shown = masked(
        {"account_id": "a-1", "card_last4": "1234", "currency": "CNY", "due_date": "2026-01-25", "balance": -5}, OVERDUE
    )
    assert shown == {
        "account_id": "a-1",
        "card_last4": "<text of 4>",
        "currency": "CNY",
        "due_date": "2026-01-25",
        "balance": -5,
    }


def test_the_fault_can_be_seen_without_the_value() -> None:
    """A value of another kind than the fact's model asks for tells its kind only."""
    assert masked({"amount": "12,00", "valued_at": "2026-02-25T04:00:00", "currency": "yuan"}, PAYMENT) == {
        "amount": "<text of 5>",
        "valued_at": "2026-02-25T04:00:00",
        "currency": "<text of 4>",
    }


@pytest.mark.parametrize("canary", [*CANARIES, HUGE])
@pytest.mark.parametrize("fact_type", [*BY_NAME, "arrears.unknown.thing.v1", None])
def test_personal_data_in_any_field_of_any_fact_is_never_shown(canary: str, fact_type: str | None) -> None:
    """Whatever a fault put where it does not belong: as a value, a number, a field's name, or nested."""
    names = [field.name for field in msgspec.structs.fields(BY_NAME[fact_type].model)] if fact_type in BY_NAME else []
    value = {
        **dict.fromkeys([*names, "name", "id", "note", "mobile"], canary),
        canary: 1,
        "more": [canary, {"customer_id": canary, canary: canary}, [[canary]]],
    }
    numbers = dict.fromkeys(names, int(canary)) if canary.isdecimal() else {}
    for body in (value, numbers, [value], canary, {name: [canary, {"code": canary}] for name in names}):
        assert canary not in json.dumps(masked(body, fact_type), ensure_ascii=False)


@given(
    st.recursive(
        st.text() | st.integers() | st.floats() | st.booleans() | st.none(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["name", "phones", "amount"]), inner)
        ),
    ),
    st.sampled_from([*BY_NAME, "?"]),
)
def test_any_json_can_be_masked_and_sent(value: object, fact_type: str) -> None:
    msgspec.json.encode(masked(value, fact_type))


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 100_000, b"9" * 5_000])
def test_what_is_no_json_is_not_shown(body: bytes) -> None:
    assert masked_body(body, PAYMENT) is None


def test_long_and_deep_bodies_are_cut() -> None:
    assert masked(list(range(60)), None)[-1] == "<10 more>"
    assert masked({f"f{n}": n for n in range(60)}, None)["<more>"] == 10
    assert "<nested deeper>" in json.dumps(masked(json.loads("[" * 40 + "]" * 40), None))


def test_the_buss_own_headers_are_shown_and_the_rest_is_only_counted() -> None:
    ours = to_headers(FACT, "/arrears/ingest", NUMBERS)
    assert masked_headers(ours) == [(name, value.decode()) for name, value in ours]
    strange = [("x-name", "张伟".encode()), ("ce_id", "张伟".encode()), ("ce_type", b"zhang wei"), ("ce_time", None)]
    assert masked_headers(strange) == [
        ("<header of 6>", "<6 bytes>"),
        ("ce_id", "<6 bytes>"),
        ("ce_type", "<9 bytes>"),
        ("ce_time", None),
    ]


@pytest.mark.parametrize(
    ("key", "shown"), [(None, None), ("c-7", "c-7"), ("张伟", "<text of 2>"), ("13800138000", "<text of 11>")]
)
def test_a_key_is_shown_when_it_is_an_identifier(key: str | None, shown: str | None) -> None:
    assert masked_key(key) == shown


@pytest.mark.parametrize(
    ("code", "detail", "shown"),
    [
        ("handler_failed", "KeyError: '张伟 13800138000'", "KeyError"),
        ("handler_failed", "张伟", ""),
        ("undecodable", "Expected `int`, got `str` - at `$.amount`", "Expected `int`, got `str` - at `$.amount`"),
        ("undecodable", "Invalid enum value '张'伟' - at `$.kind`", "Invalid enum value '…' - at `$.kind`"),
        ("envelope", "Invalid isoformat string: '张伟'", "Invalid isoformat string: '…'"),
        ("envelope", "header ce_id is missing", "header ce_id is missing"),
        (
            "unknown_type",
            "zhang wei is not a fact that this version knows",
            "its type is not a fact that this version knows",
        ),
        (
            "calendar_unknown",
            "no calendar for 2027, says zhang.wei@bank.example 张伟",
            "no calendar for 2027, says … …",
        ),
    ],
)
def test_a_cause_does_not_repeat_what_the_error_quotes(code: str, detail: str, shown: str) -> None:
    assert masked_cause(code, detail) == shown
