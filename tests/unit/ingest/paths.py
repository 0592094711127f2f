"""One event by each way into intake, up to what is judged of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from services.ingest.domain.attributes import from_http
from services.ingest.domain.intake import Rejected, Sound, judge, judge_all
from services.ingest.domain.lines import Lines
from services.ingest.reading import judge_line, judge_record
from tests.unit.ingest.events import PRESENT

Verdict = Sound | Rejected


def encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def headers_of(event: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    """Return the attributes of an event as headers."""
    return [(prefix + name, str(value)) for name, value in event.items() if name not in {"data", "datacontenttype"}]


def structured(event: dict[str, Any]) -> Verdict:
    return judge(json.loads(encoded(event)), PRESENT)


def batch(event: dict[str, Any]) -> Verdict:
    (verdict,) = judge_all(json.loads(encoded([event])), PRESENT)
    return verdict


def binary(event: dict[str, Any]) -> Verdict:
    headers = [(name.encode(), quote(value, safe=" -").encode()) for name, value in headers_of(event, "Ce-")]
    found = from_http(headers, "application/json", json.loads(encoded(event["data"])))
    return judge(found.event, PRESENT, found.faults)


def lines(event: dict[str, Any]) -> Verdict:
    split = Lines()
    (line,) = (*split.feed(encoded(event)), *split.end())
    return judge_line(line, PRESENT)


def record(event: dict[str, Any]) -> Verdict:
    headers: list[tuple[str, bytes | None]] = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    return judge_record(headers, encoded(event), PRESENT)


def binary_record(event: dict[str, Any]) -> Verdict:
    headers: list[tuple[str, bytes | None]] = [
        (name, value.encode()) for name, value in [*headers_of(event, "ce_"), ("content-type", "application/json")]
    ]
    return judge_record(headers, encoded(event["data"]), PRESENT)


PATHS: dict[str, Callable[[dict[str, Any]], Verdict]] = {
    "structured": structured,
    "batch": batch,
    "binary": binary,
    "lines": lines,
    "record": record,
    "binary record": binary_record,
}
