"""One log line is one JSON object, with trace ids and without personal data.

Only the fields of `FIELDS` pass from `extra={…}`; whatever else is handed in is dropped and its name listed, so a
careless call loses a field rather than a customer's secret. The text of an exception is written in development only:
a database error quotes the row that it refused.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import TextIO

import msgspec
from opentelemetry import trace

FIELDS = frozenset(
    {
        "attempt",
        "batch",
        "cause_id",
        "channel",
        "code",
        "constraint",
        "count",
        "decision",
        "due_at",
        "duration_ms",
        "epoch",
        "error_type",
        "fact_id",
        "fact_type",
        "head",
        "holder",
        "job",
        "lease",
        "method",
        "offset",
        "outcome",
        "pack",
        "partition",
        "position",
        "problem",
        "reason",
        "roles",
        "route",
        "rule",
        "sequence",
        "signal",
        "sqlstate",
        "state",
        "status",
        "step",
        "stream",
        "table",
        "timer",
        "topic",
        "until",
    }
)
"""Names of `extra` fields that a line may carry: codes, counts, opaque ids and instants, never free text of people."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "suppressed"}
# What uvicorn attaches to its own lines.
_IGNORED = frozenset({"color_message"})
_FLOODING = frozenset({"aiokafka", "opentelemetry"})
_QUIET_PATHS = ("/healthz", "/readyz", "/metrics")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def __init__(self, service: str, instance: str, *, exception_text: bool) -> None:
        super().__init__()
        self._origin = {"service": service, "instance": instance}
        self._exception_text = exception_text

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its line end."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._origin,
            **_trace_ids(),
            **_fields(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe_exception(record.exc_info[1], text=self._exception_text)
        return msgspec.json.encode(line, enc_hook=str).decode()


def describe_exception(error: BaseException, *, text: bool) -> list[dict[str, object]]:
    """Return the chain of an exception, outermost first: type, frames, and its text only if asked."""
    chain: list[dict[str, object]] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        frames = traceback.extract_tb(cause.__traceback__)[-12:]
        entry: dict[str, object] = {
            "type": f"{type(cause).__module__}.{type(cause).__qualname__}",
            "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        for name in ("sqlstate", "constraint_name"):
            if isinstance(value := getattr(cause, name, None), str):
                entry[name] = value
        if text:
            entry["text"] = str(cause)
        chain.append(entry)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return chain


class FloodGate(logging.Filter):
    """Lets libraries that flood while a broker or a collector is away say each thing only a few times a window.

    The first line of the next window says how many were held back. Errors are held back too: the same line a
    thousand times hides the others.
    """

    def __init__(self, most: int = 5, window_seconds: float = 10.0) -> None:
        super().__init__()
        self._most = most
        self._window = window_seconds
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line passes."""
        if record.name.split(".", 1)[0] not in _FLOODING:
            return True
        key, now = (record.name, str(record.msg)), time.monotonic()
        since, count = self._seen.get(key, (now, 0))
        if now - since >= self._window:
            if count > self._most:
                record.suppressed = count - self._most
            since, count = now, 0
        self._seen[key] = (since, count + 1)
        return count < self._most


class AccessLines(logging.Filter):
    """Cuts query strings from uvicorn's access lines, and leaves out the probes that answered 200."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line passes; its path is cut in place."""
        if record.name != "uvicorn.access" or not isinstance(record.args, tuple) or len(record.args) != 5:
            return True
        client, method, target, version, status = record.args
        path = str(target).split("?", 1)[0]
        record.args = (client, method, path, version, status)
        return not (path in _QUIET_PATHS and status == 200)


class _Standard(logging.StreamHandler[TextIO]):
    """Writes to whatever standard output is now, not to what it was at set-up (tests replace it)."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # read-only here
        return sys.stdout


def configure(service: str, instance: str, *, development: bool) -> None:
    """Send every log line of this process to standard output as JSON; a second call replaces the first.

    Other handlers of the root logger stay. uvicorn's own handlers go, so that its lines take the same form.
    """
    handler = _Standard()
    handler.set_name("arrears")
    handler.setFormatter(JsonLines(service, instance, exception_text=development))
    handler.addFilter(FloodGate())
    handler.addFilter(AccessLines())
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if other.get_name() != "arrears"] + [handler]
    root.setLevel(logging.INFO)
    # httpx logs every URL it asks, at the level of news.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True


def _trace_ids() -> dict[str, str]:
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    extras = {name: value for name, value in record.__dict__.items() if name not in _STANDARD | _IGNORED}
    fields: dict[str, object] = {name: value for name, value in extras.items() if name in FIELDS}
    if dropped := sorted(extras.keys() - FIELDS):
        fields["dropped"] = dropped
    if suppressed := getattr(record, "suppressed", 0):
        fields["suppressed"] = suppressed
    return fields
