"""Spans of facts, on the real SDK with its in-memory exporter as the process's provider."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.telemetry.spans import (
    MAX_LINKS,
    batch_span,
    child_traceparent,
    current_traceparent,
    fact_span,
    format_traceparent,
    parse_traceparent,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED = f"00-{TRACE}-00f067aa0ba902b7-00"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


@pytest.mark.parametrize("traceparent", [SAMPLED, UNSAMPLED])
def test_a_traceparent_survives_reading_and_writing(traceparent: str) -> None:
    context = parse_traceparent(traceparent)
    assert context is not None
    assert format_traceparent(context) == traceparent


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "",
        "00",
        SAMPLED.upper(),
        SAMPLED + "\n",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-00f067aa0ba902b-01",
    ],
)
def test_a_malformed_traceparent_is_no_trace_and_a_cause_of_none_gets_an_unsampled_one(bad: str | None) -> None:
    assert parse_traceparent(bad) is None
    made = parse_traceparent(child_traceparent(bad, "publish"))
    assert made is not None
    assert not made.trace_flags.sampled


@given(st.text(max_size=60))
def test_any_text_as_cause_gives_a_valid_traceparent(text: str) -> None:
    assert parse_traceparent(child_traceparent(text, "publish")) is not None


def test_a_sampled_fact_has_its_span_in_the_original_trace(recorded: InMemorySpanExporter) -> None:
    with fact_span("process", SAMPLED, attributes={"messaging.destination.name": "arrears.card.v1"}):
        inside = current_traceparent()
    (span,) = recorded.get_finished_spans()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert f"{span.context.trace_id:032x}" == TRACE
    assert inside == format_traceparent(span.context)
    assert current_traceparent() is None


def test_an_unsampled_fact_records_nothing_and_still_carries_its_trace_on(recorded: InMemorySpanExporter) -> None:
    with fact_span("process", UNSAMPLED):
        assert current_traceparent() == UNSAMPLED
    assert recorded.get_finished_spans() == ()


def test_a_child_stays_in_its_trace_with_a_new_span_id(recorded: InMemorySpanExporter) -> None:
    for cause, flag in ((SAMPLED, "01"), (UNSAMPLED, "00")):
        made = child_traceparent(cause, "risk account.graded")
        assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-{flag}", made)
        assert made != cause
    (span,) = recorded.get_finished_spans()
    assert span.name == "risk account.graded"


def test_without_a_set_up_tracer_a_child_still_has_its_own_span_id() -> None:
    made = child_traceparent(SAMPLED, "publish")
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", made)
    assert made != SAMPLED


def test_a_failed_span_says_the_kind_of_error_and_not_its_text(recorded: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="138"), fact_span("process", SAMPLED):
        raise ValueError("13800138000 is not a phone")
    (span,) = recorded.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert dict(span.attributes or {}) == {"error.type": "ValueError"}
    assert not span.events
    assert span.status.description is None


def test_a_batch_is_its_own_trace_and_links_to_at_most_128_sampled_ones(recorded: InMemorySpanExporter) -> None:
    sampled = [f"00-{number + 1:032x}-00f067aa0ba902b7-01" for number in range(300)]
    with fact_span("outer", SAMPLED), batch_span("process arrears.card.v1", [None, "bad", UNSAMPLED, *sampled]):
        pass
    batch = next(span for span in recorded.get_finished_spans() if span.name == "process arrears.card.v1")
    assert batch.parent is None
    assert f"{batch.context.trace_id:032x}" != TRACE
    assert [link.context.trace_id for link in batch.links] == list(range(1, MAX_LINKS + 1))
