"""Lines out of whatever parts a body comes in."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.lines import Lines

LONGEST = 8
bodies = st.lists(st.sampled_from([b"a", b"bc\n", b"\r\n", b"\n", b"0123456789", "号".encode()]), max_size=30)


@given(bodies, st.lists(st.integers(0, 60), max_size=6))
def test_lines_do_not_depend_on_the_parts_they_come_in(pieces: list[bytes], cuts: list[int]) -> None:
    """Seen to fail with the rest of a part dropped."""
    body = b"".join(pieces)
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    split = Lines(LONGEST)
    found = [line for a, b in pairwise(places) for line in split.feed(body[a:b])]
    found += split.end()
    whole = body.split(b"\n")
    expected = whole if whole[-1] else whole[:-1]
    assert found == [line.removesuffix(b"\r") if len(line) <= LONGEST else None for line in expected]


def test_a_line_that_is_too_long_is_not_held() -> None:
    """Seen to fail with the line kept until its end."""
    split = Lines(LONGEST)
    for _ in range(1000):
        assert list(split.feed(b"0123456789")) == []
        assert len(split._begun) <= LONGEST
    assert list(split.feed(b"\nok\n")) == [None, b"ok"]
