"""The operators' routes to the dead letters of a service that reads; customers' data stays masked.

No Idempotency-Key is needed: the letter is the key. Sent again, a command that was done finds the letter resolved and
is told by whom (409); a bulk command finds what is left.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from msgspec.structs import asdict
from pydantic import BaseModel, ConfigDict, Field

from shared.bus import letter_rows, replaying
from shared.bus.bus import Bus
from shared.bus.headers import text_of
from shared.bus.letter_rows import ActName, Letter, State, Wanted
from shared.bus.masking import masked_body, masked_cause, masked_headers, masked_key
from shared.bus.replaying import Act, Became
from shared.errors import Problem
from shared.telemetry.spans import parse_traceparent
from shared.web.auth import Principal, Role, require
from shared.web.paging import Page, PageRequest, page, paged

MOST_AT_ONCE = 500

Operator = Annotated[Principal, require(Role.OPERATOR)]
LetterId = Annotated[UUID, Path(description="死信编号 / the letter's id")]
Newest = Annotated[PageRequest, paged(datetime, UUID)]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Words = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$",
        description="原因，请勿写客户资料 / why; no customer data, please",
    ),
]


class LetterOut(BaseModel):
    """一封死信 / one dead letter, without anybody's data."""

    id: UUID
    state: State
    topic: str
    partition: int
    offset: int
    epoch: int | None
    sequence: int | None
    key: str | None
    type: str | None = Field(description="事实类型 / the fact's type")
    code: str
    cause: str
    step: str = Field(description="失败的步骤 / decode or handle")
    attempts: int
    trace_id: str | None
    failed_at: datetime
    acted_by: str | None = Field(description="最近处理人 / who acted last")
    acted_at: datetime | None
    reason: str | None


class HeaderOut(BaseModel):
    """记录头 / a record's header, masked."""

    name: str
    value: str | None


class ActedOut(BaseModel):
    """一次处理 / what one operator did with the letter."""

    at: datetime
    by: str
    act: ActName
    reason: str | None
    outcome: str


class WholeLetterOut(LetterOut):
    """一封死信及其遮盖后的内容 / one dead letter with what it holds, masked."""

    headers: list[HeaderOut]
    body_bytes: int | None = Field(description="已删除或本来没有时为 null / null where erased or never there")
    acts: list[ActedOut] = Field(description="处理记录，按时间先后 / what was done with it, in order")
    body: Any = Field(description="遮盖后的 JSON；不是 JSON 时为 null / the JSON, masked; null where it is none")


class ActOut(BaseModel):
    """处理结果 / what became of one letter."""

    id: UUID
    outcome: Became
    code: str | None = Field(description="仍失败时的错误码 / why it failed again")
    cause: str | None
    attempts: int | None
    behind: UUID | None = Field(description="须先处理的死信 / the letter that comes first; null: a waiting fact")


class ActsOut(BaseModel):
    """逐封结果 / one outcome a letter, in the order in which they were taken."""

    items: list[ActOut]


class DiscardBody(BaseModel):
    """丢弃的原因 / why it is discarded."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Words = Field(examples=["测试数据，核实无误"])
    erase: bool = Field(default=False, strict=True, description="同时删除内容 / remove what it holds as well")


class ManyBody(BaseModel):
    """哪些死信 / which letters: the open ones of an error code."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Word = Field(examples=["handler_failed"])
    topic: Word | None = Field(default=None, examples=["card"])
    limit: int = Field(default=MOST_AT_ONCE, ge=1, le=MOST_AT_ONCE, strict=True)


class DiscardManyBody(ManyBody, DiscardBody):
    """哪些死信，以及丢弃的原因 / which letters, and why they are discarded."""


def dead_letter_router(bus: Bus) -> APIRouter:
    """Return the routes to the dead letters of the service that `bus` belongs to."""
    router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])

    @router.get("")
    async def letters(
        who: Operator,
        request: Request,
        asked: Newest,
        state: Literal["open", "replayed", "discarded", "all"] = "open",
        topic: Annotated[Word | None, Query()] = None,
        code: Annotated[Word | None, Query()] = None,
    ) -> Page[LetterOut]:
        """死信列表，最新的在前 / dead letters, the newest first."""
        wanted = Wanted(state=None if state == "all" else state, topic=topic, code=code)
        after = None if asked.after is None else (asked.after[0], asked.after[1])
        async with bus.reading() as connection:
            rows = await letter_rows.page_of(connection, wanted, after, asked.fetch)
        shown, following = page(rows, asked, lambda letter: (letter.failed_at, letter.id), request.url)
        return Page(items=[LetterOut(**_shown(letter)) for letter in shown], next=following)

    @router.get("/{letter_id}")
    async def letter(who: Operator, letter_id: LetterId) -> WholeLetterOut:
        """一封死信 / one dead letter."""
        async with bus.reading() as connection:
            found = await letter_rows.find(connection, letter_id)
            acts = await letter_rows.acts_on(connection, letter_id)
        if found is None:
            raise _absent()
        return WholeLetterOut(**_shown(found), **_content(found), acts=[ActedOut(**asdict(act)) for act in acts])

    @router.post("/{letter_id}/replay")
    async def replay(who: Operator, letter_id: LetterId) -> ActOut:
        """重新处理；再次失败时保持未处理 / have it handled again; it stays open when it fails again."""
        return _answer(await replaying.replay(bus, letter_id, who.subject))

    @router.post("/{letter_id}/discard")
    async def discard(who: Operator, letter_id: LetterId, body: DiscardBody) -> ActOut:
        """丢弃，须注明原因 / resolve it without effect, for a reason."""
        return _answer(await replaying.discard(bus, letter_id, who.subject, body.reason, erase=body.erase))

    @router.post("/replay")
    async def replay_all(who: Operator, body: ManyBody) -> ActsOut:
        """按错误码批量重新处理 / have all of an error code handled again, each by itself."""
        return _answers(await replaying.replay_all(bus, body.code, body.topic, body.limit, who.subject))

    @router.post("/discard")
    async def discard_all(who: Operator, body: DiscardManyBody) -> ActsOut:
        """按错误码批量丢弃 / discard all of an error code."""
        acts = await replaying.discard_all(
            bus, body.code, body.topic, body.limit, who.subject, body.reason, erase=body.erase
        )
        return _answers(acts)

    return router


def _answer(act: Act) -> ActOut:
    """Return the answer about one letter; raises the problem when nothing could be done with it."""
    if act.became == "absent":
        raise _absent()
    if act.became == "resolved" and act.letter is not None:
        raise _conflict(
            "这封死信已处理。",
            "This dead letter is resolved already.",
            {"state": act.letter.state, "acted_by": act.letter.resolved_by, "acted_at": act.letter.resolved_at},
        )
    if act.became == "busy":
        raise _conflict("另一人正在处理这封死信。", "Somebody else is acting on this dead letter right now.", {})
    if act.became == "held" and act.behind is None:
        raise _conflict(
            "同一客户较早的事实尚在等待，请稍后再试。", "Earlier facts of the same key still wait; try again later.", {}
        )
    if act.became == "held":
        raise _conflict(
            "同一客户较早的死信须先处理。",
            "An earlier dead letter of the same key comes first.",
            {"behind": act.behind},
        )
    return _out(act)


def _answers(acts: list[Act]) -> ActsOut:
    return ActsOut(items=[_out(act) for act in acts])


def _out(act: Act) -> ActOut:
    failed = act.letter if act.became == "failed" else None
    return ActOut(
        id=act.id,
        outcome=act.became,
        code=failed.code if failed else None,
        cause=masked_cause(failed.code, failed.detail) if failed else None,
        attempts=failed.attempts if failed else None,
        behind=act.behind,
    )


def _absent() -> Problem:
    return Problem("not_found", "没有这封死信。", "There is no such dead letter.")


def _conflict(zh: str, en: str, extra: dict[str, object]) -> Problem:
    return Problem("conflict", zh, en, extra=extra)


def _shown(letter: Letter) -> dict[str, Any]:
    span = parse_traceparent(letter.traceparent)
    types = [value for name, value in masked_headers(letter.headers) if name == "ce_type"]
    return {
        "id": letter.id,
        "state": letter.state,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.log_offset,
        "epoch": letter.epoch,
        "sequence": letter.sequence,
        "key": masked_key(letter.key),
        "type": types[0] if types else None,
        "code": letter.code,
        "cause": masked_cause(letter.code, letter.detail),
        "step": letter.step,
        "attempts": letter.attempts,
        "trace_id": f"{span.trace_id:032x}" if span else None,
        "failed_at": letter.failed_at,
        "acted_by": letter.resolved_by,
        "acted_at": letter.resolved_at,
        "reason": letter.resolved_reason,
    }


def _content(letter: Letter) -> dict[str, Any]:
    body = letter.body
    return {
        "headers": [HeaderOut(name=name, value=value) for name, value in masked_headers(letter.headers)],
        "body_bytes": None if body is None else len(body),
        "body": None if body is None else masked_body(body, text_of(letter.headers, "ce_type")),
    }
