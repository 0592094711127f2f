"""However an event comes: the same fact, byte by byte, and a full card number is refused and repeated nowhere."""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.ingest.domain import words
from services.ingest.domain.card_number import holds_full_card_number
from services.ingest.domain.intake import Rejected, Sound
from services.ingest.loading.mapping import PACKAGED, Fault, load, tell
from services.ingest.loading.rejects import Rejects
from services.ingest.loading.rows import Row
from tests.unit.ingest.events import DATA, event
from tests.unit.ingest.loading.files import HEADER, ROW
from tests.unit.ingest.paths import PATHS, structured

TEMPLATE = load(PACKAGED / "template.yaml")
FULL_WIDTH = {ord(str(digit)): 0xFF10 + digit for digit in range(10)}
DATED = re.compile(r"20\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


def luhn(digits: str) -> str:
    """Return the digits with the check digit of a card number behind them."""
    total = sum(
        sum(divmod(2 * int(digit), 10)) if index % 2 == 0 else int(digit) for index, digit in enumerate(digits[::-1])
    )
    return f"{digits}{-total % 10}"


def identity(head: str, year: int, month: int, day: int, order: int) -> str:
    """Return a Chinese identity number with its check character (GB 11643)."""
    digits = f"{head}{year:04d}{month:02d}{day:02d}{order:03d}"
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits))
    return digits + "10X98765432"[total % 11]


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """Draw a card number as people write one: bare or in groups, in any digits, within other words."""
    length = draw(st.integers(13, 19))
    number = luhn(draw(st.text("0123456789", min_size=length - 1, max_size=length - 1)))
    assume(not DATED.match(number))
    assume(length > 13 or number.startswith("4"))
    assume(not (length == 18 and number[6:8] in {"19", "20"}))  # it may be an identity number
    size, between = draw(st.integers(4, 6)), draw(st.sampled_from(["", " ", "-", ".", "/", "_", " - ", "  ", "−", "·"]))
    written = between.join(number[at : at + size] for at in range(0, length, size))
    if draw(st.booleans()):
        written = written.translate(FULL_WIDTH)
    return draw(st.sampled_from(["", "卡号", "PAN:", "x "])) + written + draw(st.sampled_from(["", "。", " x"]))


identities = st.builds(
    identity,
    st.sampled_from(["110105", "310101", "440305", "620102", "622201", "650102"]),
    st.integers(1940, 2010), st.integers(1, 12), st.integers(1, 28), st.integers(0, 999),
)  # fmt: skip


def texts_in(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every text in a value."""
    if isinstance(value, str):
        yield path
    for name, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from texts_in(item, (*path, name))


PLACES = [
    (name, path)
    for name in DATA
    for path in [*texts_in(event(name)), ("subject",), ("region",), ("data", "note")]
    if path != ("datacontenttype",)  # in binary mode this is the request's own header
]


def put(given_event: dict[str, Any], path: tuple[str | int, ...], text: object) -> dict[str, Any]:
    changed: Any = copy.deepcopy(given_event)
    at = changed
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = text
    return dict(changed)


def is_repeated(number: str, verdict: Rejected) -> bool:
    """Return whether the digits of `number` stand in what is said, whatever stands between them."""
    return digits_of(number) in digits_of(msgspec.json.encode(verdict).decode())


def digits_of(text: str) -> str:
    return re.sub(r"[^0-9]", "", unicodedata.normalize("NFKC", text))


@pytest.mark.parametrize("way", PATHS)
@given(place=st.sampled_from(PLACES), number=card_numbers())
@settings(max_examples=80)
def test_a_full_card_number_is_refused_in_any_text_by_any_way_and_not_repeated(
    way: str, place: tuple[str, tuple[str | int, ...]], number: str
) -> None:
    """Seen to fail with only single hyphens and spaces taken for separators, and with the id always repeated."""
    name, path = place
    verdict = PATHS[way](put(event(name), path, number))
    assert isinstance(verdict, Rejected)
    assert words.FULL_CARD_NUMBER.fault_en in {error.fault_en for error in verdict.errors}
    assert not is_repeated(number, verdict)


@pytest.mark.parametrize("way", PATHS)
@given(number=card_numbers())
@settings(max_examples=50)
def test_a_field_that_is_named_after_a_full_card_number_is_refused_and_not_repeated(way: str, number: str) -> None:
    """Seen to fail with only long runs of digits left out of what is repeated."""
    verdict = PATHS[way](put(event(), ("data", number), "x"))
    assert isinstance(verdict, Rejected)
    assert not is_repeated(number, verdict)


@pytest.mark.parametrize("way", PATHS)
def test_an_attribute_that_is_named_after_a_full_card_number_is_refused(way: str) -> None:
    """Seen to fail with only the values of attributes looked at."""
    verdict = PATHS[way](event(x4111111111111111="1"))
    assert isinstance(verdict, Rejected)
    assert verdict.errors == (words.FULL_CARD_NUMBER.at("x#"),)


@given(number=card_numbers(), column=st.sampled_from(["产品", "备注", "账单日", "逾期金额"]))
@settings(max_examples=100)
def test_a_full_card_number_in_a_file_is_refused_and_not_written_to_the_refused_rows(
    tmp_path_factory: pytest.TempPathFactory, number: str, column: str
) -> None:
    """Seen to fail with refused rows written as they were."""
    row = Row(2, {**dict(zip(HEADER, ROW, strict=True)), "备注": "x", column: number})
    told = tell(TEMPLATE, row)
    if column == "备注":  # a column that no field names is not read, and the row is refused for another reason
        faults: tuple[Fault, ...] = (Fault("产品", "x", "x"),)
    elif told.event is None:
        faults = told.faults
    else:
        assert isinstance(structured(told.event), Rejected)
        faults = (Fault(column, "x", "x"),)
    path: Path = tmp_path_factory.mktemp("refused") / "rows.csv"
    with Rejects(path) as rejects:
        rejects.keep(row, faults)
    assert not holds_full_card_number(path.read_text(encoding="utf-8-sig"))


@given(number=identities, between=st.sampled_from(["", " ", "-"]))
def test_an_identity_number_is_never_taken_for_a_card_number(number: str, between: str) -> None:
    """Seen to fail with identity numbers judged by Luhn alone: one in ten of those without an X passes."""
    written = between.join((number[:6], number[6:14], number[14:]))
    assert not holds_full_card_number(f"身份证 {written}，汉族")


@pytest.mark.parametrize("way", PATHS)
@pytest.mark.parametrize("name", DATA)
def test_the_same_event_gives_the_same_fact_by_any_way(way: str, name: str) -> None:
    """Seen to fail with attributes of headers not decoded."""
    given_event = event(name, id="编号 1/2 %", region="east")
    first, other = structured(given_event), PATHS[way](given_event)
    assert isinstance(first, Sound)
    assert isinstance(other, Sound)
    assert msgspec.json.encode(other.fact) == msgspec.json.encode(first.fact)
    assert (other.identity, other.digest, other.time) == (first.identity, first.digest, first.time)


@pytest.mark.parametrize("way", PATHS)
@pytest.mark.parametrize("name", ["id", "source", "subject", "region"])
@pytest.mark.parametrize("control", ["\n", "\x1f", "\x7f", "\x85"])
def test_an_attribute_with_a_control_character_is_refused_by_any_way(way: str, name: str, control: str) -> None:
    """Seen to fail with headers alone looked at: one event was taken in one mode and refused in another."""
    verdict = PATHS[way](event(**{name: f"e{control}1"}))
    assert isinstance(verdict, Rejected)
    assert words.ATTRIBUTE_TEXT.at(name) in verdict.errors
