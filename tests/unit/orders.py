"""Facts of several topics in every order that keeps each topic's own, with repetitions: what a reader may meet (O1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from shared.events.kinds import Fact
from shared.events.registry import BY_MODEL

Streams = Sequence[Sequence[Fact]]


@st.composite
def merged(draw: Any, streams: Streams) -> list[Fact]:
    """Every stream in its own order, merged in any way, with facts told again at any later place."""
    left = [list(stream) for stream in streams]
    out: list[Fact] = []
    while any(left):
        stream = draw(st.sampled_from([stream for stream in left if stream]))
        out.append(stream.pop(0))
        if draw(st.booleans()):
            out.append(draw(st.sampled_from(out)))
    return out


def never_told(handles: Iterable[type[Fact]], streams: Streams) -> set[str]:
    """Return the names of the facts that a service handles and that occur in none of `streams`."""
    told = {type(fact) for stream in streams for fact in stream}
    return {BY_MODEL[model].name for model in handles if model not in told}


def mixed(streams: Streams) -> list[str]:
    """Return what is wrong with streams: facts of more than one topic in one, or of one topic in two."""
    topics = [{BY_MODEL[type(fact)].topic.name for fact in stream} for stream in streams]
    shared = [sorted(names) for names in topics if len(names) != 1]
    flat = sorted(name for names in topics for name in names)
    return [*map(str, shared), *(name for name in flat if flat.count(name) > 1)]
