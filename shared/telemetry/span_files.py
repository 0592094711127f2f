"""Spans as JSON lines in a file, for machines without a collector.

One file a process, one span a line, written with one system call when the span ends: a killed process loses only
the spans it had not ended. The tree printer of the demo and the tests read these files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import Link, SpanContext


class SpanLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One ended span. Ids are lower-case hexadecimal; instants are nanoseconds since 1970 on the machine's clock."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    service: str
    start_ns: int
    end_ns: int
    status: str = "unset"
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    links: list[dict[str, str]] = msgspec.field(default_factory=list)


class SpanFile(SpanProcessor):
    """Appends every sampled span to `<folder>/<service>-<instance>-<pid>.jsonl` as it ends."""

    def __init__(self, folder: Path, service: str, instance: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{service}-{instance}-{os.getpid()}.jsonl"
        self._service = service
        # Appending whole lines with one write each keeps them whole, from several threads too.
        self._file: int | None = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def on_end(self, span: ReadableSpan) -> None:
        """Write one line."""
        context = span.get_span_context()
        if self._file is None or context is None or not context.trace_flags.sampled:
            return
        os.write(self._file, self._encoder.encode(span_line(span, context, self._service)) + b"\n")

    def shutdown(self) -> None:
        """Close the file; spans that end later are dropped."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def span_line(span: ReadableSpan, context: SpanContext, service: str) -> SpanLine:
    """Return the line of an ended span."""
    parent = span.parent
    return SpanLine(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent is not None else None,
        name=span.name,
        kind=span.kind.name.lower(),
        service=service,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name.lower(),
        attributes=dict(span.attributes or {}),
        links=[_link(link) for link in span.links],
    )


def read_span_files(folder: Path) -> list[SpanLine]:
    """Return every span of every process that wrote into `folder`, by start.

    The last line of a killed process may be cut short; a line that is not whole is left out.
    """
    decoder = msgspec.json.Decoder(SpanLine)
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().split(b"\n")]
    spans = [decoder.decode(line) for line in lines if line.endswith(b"}")]
    return sorted(spans, key=lambda span: span.start_ns)


def _link(link: Link) -> dict[str, str]:
    return {"trace_id": f"{link.context.trace_id:032x}", "span_id": f"{link.context.span_id:016x}"}
