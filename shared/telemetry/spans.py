"""Small spans inside traces that travel with the facts, and spans of batches that only link to them (O4).

A fact carries the W3C `traceparent` of what caused it, in its row and in its Kafka header; nothing here ever starts
a new trace for it. Whether its spans are recorded was decided once, by the sampled flag of the first request.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

MAX_LINKS = 128
"""Links of one batch span: what collectors accept by default."""

Value = str | bool | int | float
Attributes = Mapping[str, Value]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?", re.ASCII)

# The same with the sampled flag unset, as nearly every fact's is: told apart without taking it to pieces.
_UNSAMPLED = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace](?:-.*)?", re.ASCII
)


def parse_traceparent(traceparent: str | None) -> SpanContext | None:
    """Return the span that a W3C `traceparent` names, or None when it is absent or malformed."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & TraceFlags.SAMPLED))
    return context if context.is_valid else None


def format_traceparent(context: SpanContext) -> str:
    """Return the W3C `traceparent` that names this span."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & TraceFlags.SAMPLED:02x}"


def current_traceparent() -> str | None:
    """Return the `traceparent` of the span that runs now, or None outside any."""
    context = trace.get_current_span().get_span_context()
    return format_traceparent(context) if context.is_valid else None


@contextmanager
def fact_span(
    name: str, traceparent: str | None, kind: SpanKind = SpanKind.INTERNAL, attributes: Attributes | None = None
) -> Iterator[Span]:
    """Run the block inside the trace of `traceparent`, as a span of its own when that trace is sampled.

    Unsampled, the block still runs inside the trace, so that its logs carry the trace id and what it causes carries
    the same `traceparent` on. Without a valid `traceparent` the block runs as it is. An exception marks the span as
    failed by its type only, since its text may hold personal data.
    """
    parent = parse_traceparent(traceparent)
    if parent is None:
        yield trace.INVALID_SPAN
        return
    span = _start(name, parent, kind, attributes) if parent.trace_flags.sampled else NonRecordingSpan(parent)
    token = otel_context.attach(trace.set_span_in_context(span))
    try:
        yield span
    except BaseException as error:
        _fail(span, error)
        raise
    finally:
        otel_context.detach(token)
        span.end()


def record_span(
    name: str, traceparent: str | None, started_ns: int, kind: SpanKind, attributes: Attributes | None = None
) -> None:
    """Record that something happened to what `traceparent` names, from `started_ns` (Unix) until now, if sampled."""
    parent = _sampled(traceparent)
    if parent is not None:
        _start(name, parent, kind, attributes, started_ns).end()


def child_traceparent(
    traceparent: str | None,
    name: str,
    kind: SpanKind = SpanKind.PRODUCER,
    attributes: Attributes | None = None,
) -> str:
    """Return a new `traceparent` in the same trace, for a fact that was caused by what `traceparent` names.

    In a sampled trace it names a recorded span without length; otherwise only a new span id. Without a valid cause
    it names a new trace that is not sampled.
    """
    unsampled = _UNSAMPLED.fullmatch(traceparent) if traceparent else None
    if unsampled is not None:
        return f"00-{unsampled[1]}-{_random_id(8)}-00"
    parent = parse_traceparent(traceparent)
    if parent is None:
        return f"00-{_random_id(16)}-{_random_id(8)}-00"
    span = _start(name, parent, kind, attributes)
    span.end()
    made = span.get_span_context()
    if made.span_id == parent.span_id:  # no tracer is set up, which hands the parent back
        return f"00-{parent.trace_id:032x}-{_random_id(8)}-01"
    return format_traceparent(made)


@contextmanager
def batch_span(name: str, traceparents: Sequence[str | None], attributes: Attributes | None = None) -> Iterator[Span]:
    """Run the block as a trace of its own that links to the sampled traces among `traceparents`, at most `MAX_LINKS`.

    A batch has many causes, so it is a child of none.
    """
    tracer = trace.get_tracer("arrears")
    span = tracer.start_span(
        name, context=otel_context.Context(), kind=SpanKind.CONSUMER, attributes=attributes, links=_links(traceparents)
    )
    token = otel_context.attach(trace.set_span_in_context(span))
    try:
        yield span
    except BaseException as error:
        _fail(span, error)
        raise
    finally:
        otel_context.detach(token)
        span.end()


def _links(traceparents: Sequence[str | None]) -> list[Link]:
    links: list[Link] = []
    for traceparent in traceparents:
        context = _sampled(traceparent)
        if context is not None:
            links.append(Link(context))
            if len(links) == MAX_LINKS:
                break
    return links


def _sampled(traceparent: str | None) -> SpanContext | None:
    """Return the span that `traceparent` names when its trace is recorded."""
    if traceparent is None or _UNSAMPLED.fullmatch(traceparent):
        return None
    parent = parse_traceparent(traceparent)
    return parent if parent is not None and parent.trace_flags.sampled else None


def _start(
    name: str, parent: SpanContext, kind: SpanKind, attributes: Attributes | None, started_ns: int | None = None
) -> Span:
    inside = trace.set_span_in_context(NonRecordingSpan(parent))
    return trace.get_tracer("arrears").start_span(
        name, context=inside, kind=kind, attributes=attributes, start_time=started_ns
    )


def _fail(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(trace.StatusCode.ERROR)


def _random_id(size: int) -> str:
    # An id of zeros is invalid; setting the lowest bit costs one bit of chance and never gives one.
    # As the SDK's own ids: unique, and no secret.
    return f"{random.getrandbits(size * 8) | 1:0{size * 2}x}"
