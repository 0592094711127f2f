from __future__ import annotations

import io

from rich.console import Console

from deploy.demo.trace_tree import draw, forest, names, services
from shared.telemetry.span_files import SpanLine

TRACE = "a" * 32


def span(name: str, parent: str | None, start_ms: int, took_ms: int = 1, *, service: str = "ingest") -> SpanLine:
    return SpanLine(
        trace_id=TRACE,
        span_id=name,
        parent_id=parent,
        name=name,
        kind="internal",
        service=service,
        start_ns=start_ms * 1_000_000,
        end_ns=(start_ms + took_ms) * 1_000_000,
        status="error" if name == "send" else "ok",
    )


SPANS = [
    span("send", "due", 900, 5, service="notify"),
    span("post", "the sender's own", 10, 24),
    span("create", "post", 12),
    span("handle", "create", 30, 7, service="assignment"),
    span("due", "handle", 800, service="assignment"),
    SpanLine("b" * 32, "x", None, "another trace", "internal", "ingest", 0, 1),
]


def drawn(spans: list[SpanLine]) -> list[str]:
    console = Console(file=io.StringIO(), width=100)
    console.print(draw(forest(spans, TRACE), "trace"))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_the_tree_goes_from_the_request_to_the_message_with_durations() -> None:
    lines = [line.rstrip() for line in drawn(SPANS)]
    assert lines == [
        "trace",
        "└── ingest post  +0 ms, took 24.0 ms",
        "    └── ingest create  +2 ms, took 1.0 ms",
        "        └── assignment handle  +20 ms, took 7.0 ms",
        "            └── assignment due  +790 ms, took 1.0 ms",
        "                └── notify send  +890 ms, took 5.0 ms  error",
    ]


def test_a_span_whose_parent_was_never_written_begins_a_tree_of_its_own() -> None:
    """A process that is killed loses the spans it had not ended."""
    without = [each for each in SPANS if each.name != "handle"]
    assert [node.span.name for node in forest(without, TRACE)] == ["post", "due"]


def test_a_line_written_twice_is_drawn_once() -> None:
    assert names(forest([*SPANS, SPANS[0]], TRACE)) == ("post", "create", "handle", "due", "send")


def test_the_services_come_in_the_order_in_which_they_took_part() -> None:
    assert services(forest(SPANS, TRACE)) == ("ingest", "assignment", "notify")


def test_an_unknown_trace_is_an_empty_tree() -> None:
    assert forest(SPANS, "c" * 32) == ()
