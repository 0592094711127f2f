"""The routes of intake: parse, authorise, one call, answer."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.ingest import answers, commands
from services.ingest.answers import BATCH, STRUCTURED
from services.ingest.domain.envelope import ERASURES
from services.ingest.domain.intake import judge_all
from services.ingest.domain.rules import Present
from services.ingest.grouping import Group
from services.ingest.settings import Settings
from shared.db.faults import CommitUnknown
from shared.errors import Problem
from shared.service import BusDep
from shared.web.auth import Principal, Role, require

router = APIRouter(tags=["intake"])

ANSWER_SECONDS: Final = 15.0
"""A database that is silent for so long is away; what it did with the events, it will tell when they are sent again."""

Sender = Annotated[Principal, require(Role.UPSTREAM, Role.OPERATOR)]
Reader = Annotated[Principal, require(Role.UPSTREAM, Role.OPERATOR)]


@router.post(
    "/v1/events",
    summary="接收事件 / Take events (CloudEvents 1.0, structured or batch)",
    description=answers.DESCRIPTION,
    responses=answers.RESPONSES,
    openapi_extra=answers.REQUEST_BODY,
)
async def post_events(request: Request, bus: BusDep, caller: Sender) -> Response:
    """Judge and take one event, or a batch of them; an operator sends erasures only."""
    batched = _is_batch(request.headers.get("content-type", ""))
    events = _events(await request.body(), batched=batched)
    _check_sender(caller, events)
    settings: Settings = request.app.state.settings
    verdicts = judge_all(events, Present(bus.clock.now(), settings.tolerance, settings.zone_info))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            taken = await (commands.take(bus, verdicts) if batched else _group(request).take(*verdicts))
    except (CommitUnknown, TimeoutError) as error:
        raise _send_again() from error
    for outcome in taken.outcomes:
        request.app.state.metrics.intake_items.labels(outcome).inc()
    if batched:
        return answers.batch(taken, request)
    return answers.single(taken, request)


@router.get("/v1/capabilities", summary="可接收的内容与上限 / What is taken, and the limits")
async def get_capabilities(_caller: Reader) -> answers.Capabilities:
    """Return limits, content types and event types with their JSON Schemas."""
    return answers.capabilities()


def _group(request: Request) -> Group:
    group: Group = request.app.state.group
    return group


def _is_batch(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in (STRUCTURED, BATCH):
        raise Problem(
            "unsupported_media_type",
            f"请以 {STRUCTURED}（单个事件）或 {BATCH}（批次）发送。",
            f"Send {STRUCTURED} (one event) or {BATCH} (a batch).",
            extra={"accepted": [STRUCTURED, BATCH]},
        )
    return kind == BATCH


def _check_sender(caller: Principal, events: list[Any]) -> None:
    if caller.has(Role.UPSTREAM):
        return
    if any(not isinstance(event, dict) or event.get("type") not in ERASURES for event in events):
        raise Problem(
            "forbidden",
            "操作员只能发送资料删除事件。",
            f"An operator may send erasures only ({', '.join(sorted(ERASURES))}).",
        )


def _events(body: bytes, *, batched: bool) -> list[Any]:
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Problem("malformed_body", "请求正文为空。", "The body is empty.") from None
    if not batched:
        return [decoded]
    if not isinstance(decoded, list):
        raise Problem("malformed_body", "批次须为 JSON 数组。", "A batch is a JSON array of events.")
    if len(decoded) > answers.MAX_EVENTS:
        raise Problem(
            "batch_too_large",
            f"一个批次至多 {answers.MAX_EVENTS} 个事件。",
            f"A batch holds at most {answers.MAX_EVENTS} events.",
            extra={"limit_items": answers.MAX_EVENTS},
        )
    return decoded


def _send_again() -> Problem:
    return Problem(
        "unavailable",
        "结果未知；请原样重发，已接收的事件不会重复生效。",
        "The outcome is unknown; send the same events again, none takes effect twice.",
    )
