"""From bytes to a verdict, where events come one by one: a line of a stream, a record of the card system's topic."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.ingest.answers import STRUCTURED
from services.ingest.domain import words
from services.ingest.domain.attributes import KAFKA_PREFIX, from_kafka
from services.ingest.domain.intake import Rejected, Sound, judge
from services.ingest.domain.rules import Present
from shared.errors import Problem
from shared.web.strict_json import check

Headers = Sequence[tuple[str, bytes | None]]


def judge_line(content: bytes | None, present: Present) -> Sound | Rejected:
    """Return what a line tells, or everything that is wrong with it; one without content was too long."""
    if content is None:
        return Rejected(None, (words.LINE_TOO_LONG.at("line"),))
    try:
        check(content)
    except Problem as malformed:
        return Rejected(None, malformed.errors)
    return judge(msgspec.json.decode(content), present)


def judge_record(headers: Headers, value: bytes | None, present: Present) -> Sound | Rejected:
    """Return what a record of Kafka tells (CloudEvents Kafka binding, both modes), or everything that is wrong."""
    if value is None:
        return Rejected(None, (words.NO_VALUE.at("value"),))
    try:
        check(value)
    except Problem as malformed:
        return Rejected(None, malformed.errors)
    data = msgspec.json.decode(value)
    if _content_type(headers) == STRUCTURED:
        return judge(data, present)
    if not any(name.startswith(KAFKA_PREFIX) for name, _ in headers):
        return Rejected(None, (words.NOT_AN_EVENT.at("headers"),))
    found = from_kafka(headers, data)
    return judge(found.event, present, found.faults)


def _content_type(headers: Headers) -> str:
    given = next((value for name, value in headers if name.lower() == "content-type" and value is not None), b"")
    return given.decode("latin-1").partition(";")[0].strip().lower()
