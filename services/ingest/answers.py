"""How intake answers: an outcome for each event, and what the API's pages say of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.commands import EFFECTIVE_AFTER, Taken
from services.ingest.domain.envelope import ACCEPTED
from services.ingest.domain.intake import ENDS_PRESSURE, Rejected, Sound
from services.ingest.domain.outcomes import Outcome, all_taken
from services.ingest.domain.upstream import Kept, RefusedFor
from shared.errors import Problem
from shared.events.registry import json_schema
from shared.web.admission import STREAMS_AT_ONCE
from shared.web.body import BODY_LIMIT
from shared.web.catalogue import Catalogue, ProblemType
from shared.web.problems import document, error_out, request_id, types_of

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BINARY = "application/json"
"""With attributes in `ce-` headers."""
LINES = "application/x-ndjson"
CONTENT_TYPES = (STRUCTURED, BATCH, BINARY, LINES)

MAX_EVENTS = 500
MAX_LINES = 50_000
MAX_LINES_BYTES = 64 << 20
"""Of a stream of lines; one line has `domain.lines.LONGEST_LINE` bytes at most."""

PROBLEM_TYPES = (
    ProblemType(
        "event_rejected",
        422,
        "事件有误",
        "The event is wrong",
        "事件可以读取，但信封或数据有字段缺失、多余或取值不允许；未予接收。",
        "The event can be read, but attributes or data are missing, unknown or not allowed; it was not taken.",
        "按 errors 中的字段逐一改正后，以同一 id 重新发送。",
        "Correct each field listed in errors and send it again with the same id.",
    ),
    ProblemType(
        "event_conflict",
        409,
        "同一 id 的内容不同",
        "The same id with other content",
        "同一 source 与 id 的事件已接收，但内容不同；未予接收。",
        "An event of the same source and id was taken before with other content; this one was not taken.",
        "新的事件请使用新的 id；重试时请原样发送。",
        "Give a new event a new id; send a retry unchanged.",
    ),
    ProblemType(
        "too_slow",
        408,
        "发送过慢",
        "It came too slowly",
        "逐行发送的事件流长时间没有内容，或总时长过长；已应答的行已处理，其余未接收。",
        "Nothing came of a stream of lines for too long, or all of it took too long; what was answered was handled, "
        "the rest was not taken.",
        "自 line 所指的行起重新发送。",
        "Send again from the line that is named on.",
    ),
)


class _Answer(BaseModel):
    id: str | None = Field(description="事件的 id / the event's id")
    outcome: Outcome
    state: Literal["published", "recorded"] | None = Field(
        default=None, description="仅用于停催类事件 / only of events that end or limit pressure"
    )
    effective_at: datetime | None = Field(
        default=None, description="自此时起不再发出 / from then on nothing that it forbids leaves"
    )
    problem: dict[str, Any] | None = Field(default=None, description="冲突或拒收的说明 / why it was not taken")


class EventAnswer(_Answer):
    """What became of one event."""

    index: int = Field(description="批次中的位置 / place in the batch, from 0")


class LineAnswer(_Answer):
    """What became of the event on one line.

    One without an outcome tells that it is unknown: of this line, and as the last one of every line from it on.
    """

    line: int = Field(description="行号，从 1 起 / the line's number, from 1")


class BatchAnswer(BaseModel):
    """What became of each event of a batch, in its order."""

    items: list[EventAnswer]


class FaultOut(BaseModel):
    """What is wrong with one field, and the remedy; never its value."""

    field: str
    fault: str
    fault_en: str
    remedy: str
    remedy_en: str


class RejectAnswer(BaseModel):
    """Something of the card system's topic that was not taken."""

    id: UUID
    at: datetime = Field(description="拒收时间（机器时钟） / when, by the machine's clock")
    topic: str
    partition: int
    offset: int = Field(description="记录的位置 / where the record lies")
    outcome: RefusedFor = Field(
        description="lost：读取前已被删除 / gone before it was read; anew：主题重建 / another log"
    )
    event_id: str | None = Field(description="已遮蔽 / masked where it may be personal")
    errors: list[FaultOut]

    @classmethod
    def of(cls, kept: Kept) -> RejectAnswer:
        """Return the answer for a refusal as it is kept."""
        refused = kept.refused
        errors = [FaultOut(**error_out(error)) for error in refused.errors]
        return cls(
            id=kept.id,
            at=kept.at,
            topic=kept.topic,
            partition=kept.partition,
            offset=refused.offset,
            outcome=refused.outcome,
            event_id=refused.event_id,
            errors=errors,
        )


class EventType(BaseModel):
    """A type of event that is taken."""

    type: str
    topic: str
    ends_pressure: bool = Field(description="应答含 effective_at / answered with effective_at")
    data_schema: dict[str, Any] = Field(description="data 的 JSON Schema")


class Capabilities(BaseModel):
    """What intake takes."""

    content_types: list[str]
    max_events: int
    max_bytes: int
    max_lines: int
    max_lines_bytes: int
    max_streams: int = Field(description="同时的逐行流，超出者 429 / streams of lines at once; one more gets 429")
    effective_after_seconds: int
    types: list[EventType]


DESCRIPTION = (
    f"每次至多 {MAX_EVENTS} 个事件、{BODY_LIMIT} 字节。同一 (source, id) 只生效一次；批次中有冲突或拒收时应答 207。"
    f"以 {BINARY} 发送时，属性放在 ce- 头中。以 {LINES} 逐行发送时至多 {MAX_LINES} 行、{MAX_LINES_BYTES} 字节，"
    "每个事件应答一行，某行有误不影响其他行。操作员只能发送资料删除事件，且不能逐行发送。\n\n"
    f"At most {MAX_EVENTS} events and {BODY_LIMIT} bytes a request. One (source, id) takes effect once; a batch with a"
    " conflict or a rejection is answered 207. An event that ends or limits pressure (stop, cure, payment, contacts,"
    " erasure) is answered with effective_at, from which nothing that it forbids leaves any more; without it the event"
    " is recorded and will be published as soon as the log can be reached. An operator may send erasures only, and no"
    f" lines. With {BINARY} the attributes stand in ce- headers. As {LINES} at most {MAX_LINES} lines and"
    f" {MAX_LINES_BYTES} bytes are taken, one event a line and one answer line an event while more come; a wrong line"
    " fails no other."
)

EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "stop-20260225-0001",
    "source": "/bank/cards",
    "type": "arrears.customer.stop_set.v1",
    "time": "2026-02-25T09:30:00+08:00",
    "datacontenttype": "application/json",
    "data": {"customer_id": "c-1001", "kind": "dispute", "set_at": "2026-02-25T09:30:00+08:00"},
}

_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": 256},
        "source": {"type": "string", "minLength": 1, "maxLength": 256},
        "type": {"enum": sorted(ACCEPTED)},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "data": {"type": "object"},
    },
}

REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            STRUCTURED: {"schema": _EVENT_SCHEMA, "example": EXAMPLE},
            BATCH: {
                "schema": {"type": "array", "maxItems": MAX_EVENTS, "items": _EVENT_SCHEMA},
                "example": [EXAMPLE],
            },
            BINARY: {"schema": _EVENT_SCHEMA["properties"]["data"], "example": EXAMPLE["data"]},
            LINES: {"schema": {"type": "string", "description": "每行一个事件 / one event a line"}},
        },
    },
    "parameters": [
        {
            "name": f"ce-{name}",
            "in": "header",
            "required": False,
            "description": f"仅用于 {BINARY} / with {BINARY} only",
            "schema": _EVENT_SCHEMA["properties"][name],
            "example": EXAMPLE[name],
        }
        for name in ("specversion", "id", "source", "type", "time")
    ],
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": EventAnswer,
        "description": "已发布并给出生效时间；逐行应答 / published, with effective_at (one event); a stream's lines",
        "content": {LINES: {"schema": LineAnswer.model_json_schema()}},
    },
    408: {"description": "逐行发送过慢（见于最后一行） / lines came too slowly (said in the last line)"},
    202: {"model": BatchAnswer, "description": "已接收 / taken: a batch's items, or one event's own answer"},
    207: {"model": BatchAnswer, "description": "部分未接收 / some of the batch were not taken"},
    409: {"description": "同一 id 的内容不同 / the same id with other content (one event)"},
    413: {"description": f"事件或字节过多 / more than {MAX_EVENTS} events or {BODY_LIMIT} bytes"},
    415: {"description": ", ".join(CONTENT_TYPES)},
}


def single(taken: Taken, request: Request) -> Response:
    """Return the answer to one event: its own status."""
    (verdict,) = taken.verdicts
    (outcome,) = taken.outcomes
    problem = _problem(verdict, outcome)
    if problem is not None:
        raise problem
    answer = _item(0, verdict, outcome, taken, request)
    return _json(answer, 202 if answer.effective_at is None else 200)


def batch(taken: Taken, request: Request) -> Response:
    """Return the answer to a batch: an item for each event."""
    items = [
        _item(index, verdict, outcome, taken, request)
        for index, (verdict, outcome) in enumerate(zip(taken.verdicts, taken.outcomes, strict=True))
    ]
    return _json(BatchAnswer(items=items), 202 if all_taken(taken.outcomes) else 207)


def capabilities() -> Capabilities:
    """Return what intake takes."""
    return Capabilities(
        content_types=list(CONTENT_TYPES),
        max_events=MAX_EVENTS,
        max_bytes=BODY_LIMIT,
        max_lines=MAX_LINES,
        max_lines_bytes=MAX_LINES_BYTES,
        max_streams=STREAMS_AT_ONCE,
        effective_after_seconds=int(EFFECTIVE_AFTER.total_seconds()),
        types=[
            EventType(
                type=name,
                topic=kind.topic.name,
                ends_pressure=kind.model in ENDS_PRESSURE,
                data_schema=json_schema(kind),
            )
            for name, kind in sorted(ACCEPTED.items())
        ],
    )


def members(verdict: Sound | Rejected, outcome: Outcome, taken: Taken, types: Catalogue) -> dict[str, Any]:
    """Return what is said of one event, its place left out."""
    problem = _problem(verdict, outcome)
    if problem is not None:
        return {"id": verdict.id, "outcome": outcome, "problem": document(problem, types, request_id())}
    said: dict[str, Any] = {"id": verdict.id, "outcome": outcome}
    if isinstance(verdict, Sound) and verdict.ends_pressure:
        said["state"] = "recorded" if taken.effective_at is None else "published"
        if taken.effective_at is not None:
            said["effective_at"] = taken.effective_at
    return said


def _item(index: int, verdict: Sound | Rejected, outcome: Outcome, taken: Taken, request: Request) -> EventAnswer:
    return EventAnswer(index=index, **members(verdict, outcome, taken, types_of(request)))


def too_many_events(most: int) -> Problem:
    """Return what is said of a request that holds more events than it may."""
    return Problem(
        "batch_too_large",
        f"一次至多 {most} 个事件。",
        f"At most {most} events are taken at once.",
        extra={"limit_items": most},
    )


def too_many_bytes(most: int) -> Problem:
    """Return what is said of a stream that is longer than it may be."""
    return Problem(
        "body_too_large",
        f"正文不得超过 {most} 字节。",
        f"The body may have at most {most} bytes.",
        extra={"limit_bytes": most},
    )


def _problem(verdict: Sound | Rejected, outcome: Outcome) -> Problem | None:
    if isinstance(verdict, Rejected):
        count = len(verdict.errors)
        return Problem(
            "event_rejected",
            f"事件有 {count} 处需要改正，未予接收。",
            f"{count} {'field needs' if count == 1 else 'fields need'} correcting; the event was not taken.",
            verdict.errors,
            extra={"outcome": "rejected", "id": verdict.id},
        )
    if outcome == "conflict":
        return Problem(
            "event_conflict",
            "同一 source 与 id 的事件已接收，但内容不同。",
            "An event of the same source and id was taken before with other content.",
            extra={"outcome": "conflict", "id": verdict.id},
        )
    return None


def _json(answer: BaseModel, status: int) -> Response:
    return Response(
        answer.model_dump_json(exclude_none=True),
        status,
        {"cache-control": "no-store"},
        media_type="application/json",
    )
