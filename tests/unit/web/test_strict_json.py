from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Problem
from shared.web.strict_json import MAX_DEPTH, MAX_FAULTS, check

Faults = list[tuple[str, str]]


def faults(body: bytes) -> Faults:
    """Return (field, fault) for each fault that `check` names."""
    with pytest.raises(Problem) as caught:
        check(body)
    assert caught.value.code == "malformed_body"
    return [(error.field, error.fault_en) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":1,"a":2}', [("a", "appears twice")]),
        (b'{"data":{"x":[{"b":1,"c":2,"b":3}]}}', [("data.x[0].b", "appears twice")]),
        (b'{"a":{"b":1},"a":{"b":NaN}}', [("a", "appears twice"), ("a.b", "is not a finite number")]),
        (b'[{"amount":NaN}]', [("[0].amount", "is not a finite number")]),
        (b'{"a":Infinity,"b":-Infinity}', [("a", "is not a finite number"), ("b", "is not a finite number")]),
        (b'{"a":1e400}', [("a", "does not fit in 64 bits")]),
        (b'{"a":9223372036854775808}', [("a", "does not fit in 64 bits")]),
        (b'{"a":-9223372036854775809}', [("a", "does not fit in 64 bits")]),
        (b'{"a":' + b"9" * 5000 + b"}", [("a", "does not fit in 64 bits")]),
        (b'{"a":"\\ud800"}', [("a", "holds half a surrogate pair")]),
        (b'{"a":"\\udc00x"}', [("a", "holds half a surrogate pair")]),
        (b'{"a":["x","\\u0000"]}', [("a[1]", "holds a NUL character")]),
        (b'{"a\\u0000":1}', [("a\0", "holds a NUL character")]),
        (b"NaN", [("body", "is not a finite number")]),
        (b'\xef\xbb\xbf{"a":1}', [("body", "starts with a byte order mark")]),
        (b'{"a":"\xff"}', [("body", "is not UTF-8")]),
        (b'{"a":"\xed\xa0\x80"}', [("body", "is not UTF-8")]),
        (b'{"a":1,}', [("body", "is not valid JSON near line 1, column 8")]),
        (b'{"a":"\x01"}', [("body", "is not valid JSON near line 1, column 7")]),
        (b'{"a":01}', [("body", "is not valid JSON near line 1, column 7")]),
        (b"{'a':1}", [("body", "is not valid JSON near line 1, column 2")]),
        (b"", [("body", "is not valid JSON near line 1, column 1")]),
        (b"{} {}", [("body", "is not valid JSON near line 1, column 4")]),
    ],
)
def test_a_body_that_decoders_could_read_differently_is_refused_with_its_field(body: bytes, expected: Faults) -> None:
    assert faults(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"a":9223372036854775807,"b":-9223372036854775808,"c":1.5e300,"d":true,"e":null}',
        '{"姓名":"张伟","emoji":"\\ud83d\\ude00"}'.encode(),
        b'{"a":"\\\\u0000 and \\\\ud800 are only text"}',
        b'{"a":{"b":1},"c":{"b":1}}',
    ],
)
def test_strict_json_passes(body: bytes) -> None:
    check(body)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_allowed_up_to_the_limit_and_named_beyond(opening: bytes, closing: bytes) -> None:
    check(opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 500, 100_000):
        ((field, fault),) = faults(opening * depth + b"1" + closing * depth)
        assert fault == f"is nested more than {MAX_DEPTH} levels deep"
        assert field.count("a") in {0, MAX_DEPTH}


@pytest.mark.parametrize("digits", [20, 4_300, 5_000, 100_000])
def test_a_whole_number_of_any_length_is_named_as_too_big(digits: int) -> None:
    assert faults(b'{"a":{"b":' + b"9" * digits + b"}}") == [("a.b", "does not fit in 64 bits")]


def test_an_answer_names_no_more_faults_than_a_person_reads() -> None:
    assert len(faults(b"[" + b",".join([b"NaN"] * 1000) + b"]")) == MAX_FAULTS


def test_the_problem_does_not_repeat_the_value() -> None:
    with pytest.raises(Problem) as caught:
        check(b'{"phone":"13800138000\\u0000"}')
    assert "13800138000" not in repr(caught.value.errors)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"41111111":{"11111111":1,"11111111":2}}', "########.########"),
        (b'{"4111":{"1111":[{"1111":{"1111":NaN}}]}}', "####.####[#].####.####"),
        (b'{"4111111111111111":1,"4111111111111111":2}', "################"),
    ],
)
def test_a_card_number_parted_over_names_is_not_repeated(body: bytes, field: str) -> None:
    """Seen to fail with each name judged by itself."""
    assert [name for name, _ in faults(body)] == [field]


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('abc"\\', max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(PLAIN, st.booleans())
def test_whatever_passes_is_read_alike_by_both_decoders(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    check(body)
    assert msgspec.json.decode(body) == json.loads(body)


NASTY = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"a"',
            '"b"',
            '"\\u0000"',
            '"\\ud800"',
            "1",
            "1e999",
            "NaN",
            "-",
            "null",
            " ",
            "\x00",
        ]
    ),
    max_size=14,
)


@given(NASTY)
def test_a_body_is_either_refused_as_malformed_or_read_alike(parts: list[str]) -> None:
    body = "".join(parts).encode()
    try:
        check(body)
        refused_as = None
    except Problem as problem:
        refused_as = (problem.code, bool(problem.errors))
    assert refused_as == ("malformed_body", True) or msgspec.json.decode(body) == json.loads(body)
