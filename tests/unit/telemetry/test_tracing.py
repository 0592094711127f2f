"""Which new traces are recorded. Not covered: where the spans go."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from shared.telemetry.tracing import PRODUCTION_RATIO, Telemetry, setup


class Settings:
    """What set-up is told."""

    instance = "0"
    telemetry_dir: Path | None = None

    def __init__(self, *, development: bool) -> None:
        self.development = development


@pytest.fixture(autouse=True)
def _own_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the process's own provider alone, and the environment's word out."""
    monkeypatch.setattr(trace, "set_tracer_provider", lambda provider: None)
    for name in ("OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def recorded(telemetry: Telemetry, count: int, parent: SpanContext | None = None) -> int:
    context = Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent))
    tracer = telemetry.provider.get_tracer("test")
    return sum(tracer.start_span("x", context=context).is_recording() for _ in range(count))


def test_in_development_every_trace_is_recorded() -> None:
    assert recorded(setup("toy", Settings(development=True)), 50) == 50


def test_in_production_a_stated_share_of_the_traces_is_recorded() -> None:
    assert PRODUCTION_RATIO == 0.01
    assert 0 < recorded(setup("toy", Settings(development=False)), 20_000) < 600


@pytest.mark.parametrize("development", [True, False])
@pytest.mark.parametrize("sampled", [True, False])
def test_what_the_caller_decided_is_kept(development: bool, sampled: bool) -> None:
    parent = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(int(sampled)))
    assert recorded(setup("toy", Settings(development=development)), 10, parent) == 10 * sampled


def test_in_production_the_environment_may_say_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    assert recorded(setup("toy", Settings(development=False)), 50) == 50
