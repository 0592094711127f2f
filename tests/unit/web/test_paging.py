from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import URL

from shared.errors import Problem
from shared.web.paging import PageRequest, Position, decode_cursor, encode_cursor, page, paged

URL_ = URL("http://service/v1/visits?state=open&limit=2")


@given(st.tuples(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.integers(-(2**63), 2**63 - 1), st.text("a客-")))
def test_a_position_survives_its_cursor(position: Position) -> None:
    assert decode_cursor(encode_cursor(position), (datetime, UUID, int, str)) == position


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: raw.hex()))
def test_a_made_up_cursor_is_a_problem_and_never_a_crash(cursor: str) -> None:
    told = None
    try:
        decode_cursor(cursor, (datetime, UUID))
    except Problem as problem:
        told = (problem.code, problem.errors[0].field)
    assert told in {None, ("invalid_fields", "query.cursor")}


@pytest.mark.parametrize(
    ("position", "kinds"),
    [
        (("x",), (int,)),
        ((1, 2), (int,)),
        ((2**63,), (int,)),
        (("a\0b",), (str,)),
        (("2026-02-25T09:00:00",), (datetime,)),
        ((datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),), (datetime,)),
        ((True,), (int,)),
    ],
)
def test_a_cursor_of_other_types_never_reaches_the_store(position: Position, kinds: tuple[type, ...]) -> None:
    with pytest.raises(Problem):
        decode_cursor(encode_cursor(position), kinds)


@given(st.integers(0, 30), st.integers(1, 7))
def test_pages_joined_are_the_whole_list_in_order(count: int, limit: int) -> None:
    start = datetime(2026, 2, 25, tzinfo=UTC)
    rows = [(start + timedelta(hours=number // 3), UUID(int=number)) for number in range(count)]
    seen: list[tuple[datetime, UUID]] = []
    after: Position | None = None
    for _ in range(count + 2):
        request = PageRequest(limit, after, (datetime, UUID))
        found = [row for row in rows if after is None or row > after][: request.fetch]
        shown, following = page(found, request, lambda row: row, URL_)
        seen += shown
        if following is None:
            break
        after = decode_cursor(following.split("cursor=")[1].split("&")[0], (datetime, UUID))
    assert seen == rows


def test_the_next_address_keeps_the_filter_and_names_no_host() -> None:
    request = PageRequest(1, None, (date,))
    _, following = page([date(2026, 2, 25), date(2026, 2, 26)], request, lambda day: (day,), URL_)
    assert following is not None
    assert following.startswith("/v1/visits?state=open&")
    assert "limit=1" in following


def test_a_keyset_of_types_that_have_no_order_is_refused_when_declared() -> None:
    with pytest.raises(ValueError, match="keyset"):
        paged(float)
