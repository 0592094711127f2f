"""The routes of intake: parse, authorise, one call, answer."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.ingest import answers, commands, store
from services.ingest.answers import BATCH, BINARY, LINES, STRUCTURED
from services.ingest.commands import Taken, Verdicts
from services.ingest.domain.attributes import HTTP_PREFIX, from_http
from services.ingest.domain.envelope import ERASURES
from services.ingest.domain.intake import Rejected, Sound, judge, judge_all
from services.ingest.domain.rules import Present
from services.ingest.grouping import Group
from services.ingest.settings import Settings
from services.ingest.streaming import Streamed
from shared.db.faults import CommitUnknown
from shared.errors import Problem
from shared.service import BusDep
from shared.web.auth import Principal, Role, require
from shared.web.body import media_type
from shared.web.paging import Page, PageRequest, page, paged
from shared.web.problems import types_of

router = APIRouter(tags=["intake"])

EVENTS: Final = "/v1/events"

ANSWER_SECONDS: Final = 15.0
"""A database that is silent for so long is away; what it did with the events, it will tell when they are sent again."""

Sender = Annotated[Principal, require(Role.UPSTREAM, Role.OPERATOR)]
Reader = Annotated[Principal, require(Role.UPSTREAM, Role.OPERATOR)]


@router.post(
    EVENTS,
    summary="接收事件 / Take events (CloudEvents 1.0: structured, batch, binary or lines)",
    description=answers.DESCRIPTION,
    responses=answers.RESPONSES,
    openapi_extra=answers.REQUEST_BODY,
)
async def post_events(request: Request, bus: BusDep, caller: Sender) -> Response:
    """Judge and take one event, a batch of them, or a stream; an operator sends erasures only."""
    kind = _kind_of(request)
    if kind == LINES:
        return _stream(request, bus, caller)
    verdicts = _verdicts(request, kind, await request.body(), caller)
    batched = kind == BATCH
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            taken = await (commands.take(bus, verdicts) if batched else _group(request).take(*verdicts))
    except (CommitUnknown, TimeoutError) as error:
        raise _send_again() from error
    _count(request, taken)
    if batched:
        return answers.batch(taken, request)
    return answers.single(taken, request)


@router.get("/v1/capabilities", summary="可接收的内容与上限 / What is taken, and the limits")
async def get_capabilities(_caller: Reader) -> answers.Capabilities:
    """Return limits, content types and event types with their JSON Schemas."""
    return answers.capabilities()


@router.get("/v1/rejects", summary="上游主题中未接收的记录 / What of the card system's topic was not taken")
async def get_rejects(
    _caller: Reader, bus: BusDep, request: Request, asked: Annotated[PageRequest, paged(datetime, UUID)]
) -> Page[answers.RejectAnswer]:
    """Return refused records, the newest first: where each lies and what is wrong, none of its values."""
    after = None if asked.after is None else (asked.after[0], asked.after[1])
    async with bus.reading() as connection:
        rows = await store.rejects(connection, after, asked.fetch)
    shown, following = page(rows, asked, lambda kept: (kept.at, kept.id), request.url)
    return Page(items=[answers.RejectAnswer.of(kept) for kept in shown], next=following)


def _group(request: Request) -> Group:
    group: Group = request.app.state.group
    return group


def _present(request: Request) -> Present:
    settings: Settings = request.app.state.settings
    return Present(request.app.state.clock.now(), settings.tolerance, settings.zone_info)


def _count(request: Request, taken: Taken) -> None:
    for outcome in taken.outcomes:
        request.app.state.metrics.intake_items.labels(outcome).inc()


def _kind_of(request: Request) -> str:
    """Return how the request carries its events. One that names no CloudEvents type is binary by its headers."""
    kind = media_type(request.headers)
    if kind in (STRUCTURED, BATCH, LINES) or _has_attributes(request):
        return kind
    raise Problem(
        "unsupported_media_type",
        f"请以 {STRUCTURED}（单个事件）、{BATCH}（批次）或 {LINES}（每行一个事件）发送；"
        f"以 {BINARY} 发送时，属性放在 ce- 头中。",
        f"Send {STRUCTURED} (one event), {BATCH} (a batch) or {LINES} (one event a line);"
        f" with {BINARY} the attributes stand in ce- headers.",
        extra={"accepted": list(answers.CONTENT_TYPES)},
    )


def _has_attributes(request: Request) -> bool:
    return any(name.lower().startswith(HTTP_PREFIX) for name, _ in request.headers.raw)


def _verdicts(request: Request, kind: str, body: bytes, caller: Principal) -> list[Sound | Rejected]:
    present = _present(request)
    if kind in (STRUCTURED, BATCH):
        events = _events(body, batched=kind == BATCH)
        _check_sender(caller, events)
        return judge_all(events, present)
    found = from_http(request.headers.raw, request.headers.get("content-type", ""), _decoded(body))
    _check_sender(caller, [found.event])
    return [judge(found.event, present, found.faults)]


def _stream(request: Request, bus: BusDep, caller: Principal) -> Response:
    """Answer a stream of lines, which is the card system's alone."""
    if not caller.has(Role.UPSTREAM):
        raise Problem("forbidden", "只有发卡系统可以逐行发送。", "Only a card system may send lines.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > answers.MAX_LINES_BYTES:
        raise answers.too_many_bytes(answers.MAX_LINES_BYTES)

    async def take(verdicts: Verdicts) -> Taken:
        async with asyncio.timeout(ANSWER_SECONDS):
            taken = await commands.take(bus, verdicts)
        _count(request, taken)
        return taken

    return Streamed(take, lambda: _present(request), types_of(request))


def _check_sender(caller: Principal, events: list[Any]) -> None:
    if caller.has(Role.UPSTREAM):
        return
    if not all(_is_erasure(event) for event in events):
        raise Problem(
            "forbidden",
            "操作员只能发送资料删除事件。",
            f"An operator may send erasures only ({', '.join(sorted(ERASURES))}).",
        )


def _is_erasure(event: object) -> bool:
    kind = event.get("type") if isinstance(event, dict) else None
    return isinstance(kind, str) and kind in ERASURES


def _events(body: bytes, *, batched: bool) -> list[Any]:
    decoded = _decoded(body)
    if not batched:
        return [decoded]
    if not isinstance(decoded, list):
        raise Problem("malformed_body", "批次须为 JSON 数组。", "A batch is a JSON array of events.")
    if len(decoded) > answers.MAX_EVENTS:
        raise answers.too_many_events(answers.MAX_EVENTS)
    return decoded


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Problem("malformed_body", "请求正文为空。", "The body is empty.") from None


def _send_again() -> Problem:
    return Problem(
        "unavailable",
        "结果未知；请原样重发，已接收的事件不会重复生效。",
        "The outcome is unknown; send the same events again, none takes effect twice.",
    )
