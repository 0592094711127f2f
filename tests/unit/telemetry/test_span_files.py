from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.trace import Link, SpanContext, TraceFlags

from shared.telemetry.span_files import read_span_files
from shared.telemetry.tracing import setup

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Surroundings:
    telemetry_dir: Path | None
    instance: str = "0"
    development: bool = True


def test_spans_end_in_one_file_a_process_with_their_tree(tmp_path: Path) -> None:
    telemetry = setup("scoring", Surroundings(tmp_path))
    tracer = telemetry.provider.get_tracer("test")
    link = Link(SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1)))
    with tracer.start_as_current_span("outer", links=[link]), tracer.start_as_current_span("inner") as inner:
        inner.set_attribute("topic", "arrears.card.v1")
        inner.set_attribute("url.query", "name=张伟")
    telemetry.shutdown()
    telemetry.shutdown()
    outer, within = read_span_files(tmp_path)
    assert (outer.name, outer.parent_id, outer.service) == ("outer", None, "scoring")
    assert outer.links == [{"trace_id": f"{7:032x}", "span_id": f"{8:016x}"}]
    assert (within.name, within.parent_id, within.trace_id) == ("inner", outer.span_id, outer.trace_id)
    assert within.attributes["topic"] == "arrears.card.v1"
    assert outer.start_ns <= within.start_ns <= within.end_ns <= outer.end_ns
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("scoring-0-")
    assert path.stat().st_mode & 0o007 == 0


def test_a_query_string_given_at_the_start_is_blanked(tmp_path: Path) -> None:
    telemetry = setup("scoring", Surroundings(tmp_path))
    telemetry.provider.get_tracer("test").start_span("GET", attributes={"url.query": "name=张伟"}).end()
    telemetry.shutdown()
    (span,) = read_span_files(tmp_path)
    assert span.attributes == {"url.query": "REDACTED"}


def test_a_span_that_ends_after_the_stop_is_dropped_quietly(tmp_path: Path) -> None:
    telemetry = setup("scoring", Surroundings(tmp_path))
    late = telemetry.provider.get_tracer("test").start_span("late")
    telemetry.shutdown()
    late.end()
    assert read_span_files(tmp_path) == []


def test_an_unsampled_trace_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    telemetry = setup("scoring", Surroundings(tmp_path))
    telemetry.provider.get_tracer("test").start_span("unseen").end()
    telemetry.shutdown()
    assert read_span_files(tmp_path) == []


def test_without_folder_or_collector_spans_go_nowhere() -> None:
    telemetry = setup("scoring", Surroundings(None))
    with telemetry.provider.get_tracer("test").start_as_current_span("GET") as span:
        assert span.get_span_context().is_valid
    telemetry.shutdown()


KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from shared.telemetry.tracing import setup
telemetry = setup("notify", SimpleNamespace(instance="0", development=True, telemetry_dir=Path(sys.argv[1])))
tracer = telemetry.provider.get_tracer("test")
for number in range(100):
    tracer.start_span(f"span-{number}").end()
tracer.start_span("never ended")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_every_span_that_had_ended(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert [span.name for span in read_span_files(tmp_path)] == [f"span-{number}" for number in range(100)]


def test_a_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    telemetry = setup("scoring", Surroundings(tmp_path))
    telemetry.provider.get_tracer("test").start_span("whole").end()
    telemetry.shutdown()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    assert [span.name for span in read_span_files(tmp_path)] == ["whole"]
