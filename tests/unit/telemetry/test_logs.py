from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from shared.telemetry.logs import AccessLines, FloodGate, JsonLines, configure


def record(message: str = "done", *args: object, name: str = "arrears", **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.INFO, __file__, 1, message, args, None)
    made.__dict__.update(extra)
    return made


def line(made: logging.LogRecord, *, exception_text: bool = False) -> dict[str, Any]:
    text = JsonLines("scoring", "0", exception_text=exception_text).format(made)
    assert "\n" not in text
    decoded: dict[str, Any] = json.loads(text)
    return decoded


def failing() -> logging.LogRecord:
    try:
        try:
            raise KeyError("13800138000")
        except KeyError as cause:
            raise ValueError("张伟 is wrong") from cause
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
        return made


def test_a_line_says_where_it_comes_from() -> None:
    said = line(record("took %d", 3, topic="arrears.card.v1", count=3))
    assert said["message"] == "took 3"
    assert (said["service"], said["instance"], said["level"]) == ("scoring", "0", "INFO")
    assert (said["topic"], said["count"]) == ("arrears.card.v1", 3)
    assert said["at"].endswith("+00:00")


def test_a_field_that_is_not_on_the_list_is_dropped_by_name() -> None:
    said = line(record(phone="13800138000", customer_name="张伟", code="x"))
    assert said["dropped"] == ["customer_name", "phone"]
    assert said["code"] == "x"
    assert "13800138000" not in str(said)


def test_a_line_inside_a_trace_carries_its_ids() -> None:
    context = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        said = line(record())
    assert (said["trace_id"], said["span_id"]) == (f"{5:032x}", f"{6:016x}")


def test_an_exception_is_told_by_type_and_place_and_its_text_only_in_development() -> None:
    said = line(failing())
    assert [entry["type"] for entry in said["exception"]] == ["builtins.ValueError", "builtins.KeyError"]
    assert "failing" in said["exception"][0]["frames"][-1]
    assert "张伟" not in str(said)
    assert "13800138000" not in str(said)
    assert "张伟 is wrong" in str(line(failing(), exception_text=True))


def test_a_flood_is_held_back_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("shared.telemetry.logs.time.monotonic", lambda: now[0])
    gate = FloodGate(most=3, window_seconds=10)
    passed = [gate.filter(record("broker away", name="aiokafka.conn")) for _ in range(50)]
    assert passed.count(True) == 3
    assert gate.filter(record("another line", name="aiokafka.conn"))
    assert all(gate.filter(record("ours", name="arrears.bus")) for _ in range(50))
    now[0] = 10.0
    first = record("broker away", name="aiokafka.conn")
    assert gate.filter(first)
    assert line(first)["suppressed"] == 47


def access(target: str, status: int) -> logging.LogRecord:
    return record('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", target, "1.1", status, name="uvicorn.access")


def test_access_lines_have_no_query_and_quiet_probes_are_left_out() -> None:
    cut = access("/v1/cases?name=张伟&phone=138", 200)
    assert AccessLines().filter(cut)
    assert cut.getMessage() == '127.0.0.1:5 - "GET /v1/cases HTTP/1.1" 200'
    assert not AccessLines().filter(access("/healthz", 200))
    assert AccessLines().filter(access("/readyz", 503))


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers, root.level = handlers, level


def test_set_up_twice_writes_each_line_once(root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    others = [handler for handler in root_logger.handlers if handler.get_name() != "arrears"]
    configure("scoring", "0", development=False)
    configure("scoring", "0", development=False)
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("arrears.bus").info("took", extra={"count": 1})
    lines = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [said["message"] for said in lines] == ["started", "took"]
    assert [handler for handler in root_logger.handlers if handler.get_name() != "arrears"] == others
