"""Set-up of tracing for one process: where its spans go, and what is kept out of them.

A caller's own decision is kept; else in development every trace is recorded, in production one in a hundred, unless the
standard `OTEL_TRACES_SAMPLER` says otherwise. The standard `OTEL_*` environment names the collector; without
`OTEL_EXPORTER_OTLP_ENDPOINT` spans go to files in `settings.telemetry_dir`, and without that nowhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from shared.telemetry.span_files import SpanFile

PRODUCTION_RATIO = 0.01
"""The share of traces that production records unless told otherwise; each fact of such a trace costs its own spans."""

EXPORT_TIMEOUT_SECONDS = 2
"""How long one export may take, and so how long a collector that is away can delay the stop of a service."""


class TelemetrySettings(Protocol):
    """What set-up needs of a service's settings."""

    @property
    def instance(self) -> str:
        """Stable name of this replica."""
        ...

    @property
    def development(self) -> bool:
        """Whether this is a developer's or a demo's machine."""
        ...

    @property
    def telemetry_dir(self) -> Path | None:
        """Folder for span files, or None."""
        ...


class NoQueries(SpanProcessor):
    """Keeps query strings out of spans: a search term can be a name or a phone number."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Blank what the web framework has put in."""
        if span.attributes is not None and "url.query" in span.attributes:
            span.set_attribute("url.query", "REDACTED")


@dataclass(frozen=True)
class Telemetry:
    """A process's tracing; `shutdown` sends what is left, within seconds."""

    provider: TracerProvider

    def shutdown(self) -> None:
        """Send or write what is left and stop. Calling it twice does no harm."""
        self.provider.shutdown()


def setup(service: str, settings: TelemetrySettings) -> Telemetry:
    """Set up tracing for this process and return its handle.

    The first call in a process also becomes the provider that `shared.telemetry.spans` uses; a second service in the
    same process (tests) gets its own provider for its requests and shares the first one's spans of facts.
    """
    resource = Resource.create({"service.name": service, "service.instance.id": settings.instance})
    provider = TracerProvider(sampler=_sampler(settings), resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(NoQueries())
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        exporter = OTLPSpanExporter(timeout=EXPORT_TIMEOUT_SECONDS)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    elif settings.telemetry_dir is not None:
        provider.add_span_processor(SpanFile(settings.telemetry_dir, service, settings.instance))
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)
    return Telemetry(provider)


def _sampler(settings: TelemetrySettings) -> Sampler | None:
    """Return who decides which new traces are recorded; None leaves it to the environment, whose default is all."""
    if settings.development or os.environ.get("OTEL_TRACES_SAMPLER"):
        return None
    return ParentBased(TraceIdRatioBased(PRODUCTION_RATIO))
