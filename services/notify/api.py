"""The routes of notify: parse, authorise, one call, answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from services.notify import opting_out
from services.notify.domain.masking import masked
from services.notify.domain.model import NoticeState, Unusable
from services.notify.domain.receipts import Delivery, Word
from services.notify.store import customers, listing, receipts
from services.notify.store.listing import Listed, Wanted
from shared.db.faults import CommitUnknown
from shared.errors import Problem
from shared.events.notices import Purpose
from shared.service import BusDep
from shared.web.auth import Principal, Role, require
from shared.web.paging import Page, PageRequest, page, paged

router = APIRouter(prefix="/v1", tags=["notices"])

_KEY = r"^[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,62}[A-Za-z0-9])?$"
Key = Annotated[str, Query(pattern=_KEY, description="编号 / id")]
Reader = Annotated[Principal, require(Role.SUPERVISOR, Role.ADMIN_ASSISTANT)]
OptingOut = Annotated[Principal, require(Role.UPSTREAM, Role.PHONE_AGENT, Role.SUPERVISOR)]
Supervisor = Annotated[Principal, require(Role.SUPERVISOR)]
Paged = Annotated[PageRequest, paged(datetime, str)]
PagedByKey = Annotated[PageRequest, paged(str)]


class Why(BaseModel):
    """Why a notice waits, was not sent, or is open: a stable code, Chinese first."""

    code: str
    zh: str
    en: str


class NoticePart(BaseModel):
    """One part of a short message: the gateway's id of it, and how it ended, as the network says; null: not known."""

    number: int
    message_id: str
    receipt: Word | None


class Notice(BaseModel):
    """One notice. `subject` and `text` only for a supervisor who opens it; each such reading is kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "notice_id": "5a7c1f7e-9d3b-8c1e-b1f0-3f2c9a1d7e55",
                    "customer_id": "C1001",
                    "staff_id": None,
                    "case_id": "K1001",
                    "purpose": "reminder",
                    "channel": "sms",
                    "template": "reminder_first",
                    "template_version": "2026-02-01",
                    "language": "zh",
                    "state": "sent",
                    "due": "2026-02-25T01:00:00Z",
                    "attempts": 1,
                    "address": "+86138****8000",
                    "reason": None,
                    "provider_ref": "8f3a01",
                    "gateway": "first",
                    "delivery": "delivered",
                    "delivery_at": "2026-02-25T01:00:04Z",
                    "barrier_at": "2026-02-25T01:00:00.120Z",
                    "sent_at": "2026-02-25T01:00:00Z",
                    "ended_at": "2026-02-25T01:00:00Z",
                    "created_at": "2026-02-25T01:00:00Z",
                    "subject": None,
                    "text": None,
                    "parts": [],
                }
            ]
        }
    )

    notice_id: str
    customer_id: str | None
    staff_id: str | None
    case_id: str | None
    purpose: str
    channel: str
    template: str
    template_version: str | None
    language: str | None
    state: str
    due: datetime
    attempts: int
    address: str | None = Field(description="已脱敏 / masked")
    reason: Why | None
    provider_ref: str | None = Field(description="网关编号 / the gateway's own reference")
    gateway: str | None = Field(description="经由网关 / through which gateway")
    delivery: str | None = Field(description="回执结论，未知为空 / what receipts say; empty: not known")
    delivery_at: datetime | None
    barrier_at: datetime | None = Field(description="机器时钟 / the machine's clock")
    sent_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    subject: str | None = None
    text: str | None = None
    parts: list[NoticePart] = Field(default=[], description="只在单条查看时给出 / of one notice alone")


class RefusedAddress(BaseModel):
    """An address that is not used: its gateway said by `code`, at `refused_at`, that nothing reaches it."""

    channel: str
    address: str = Field(description="已脱敏 / masked")
    code: str
    refused_at: datetime


class RefusedAddresses(BaseModel):
    """A customer's addresses that are not used until the bank changes the contact data of that channel."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "C1001",
                    "addresses": [
                        {
                            "channel": "email",
                            "address": "z****@example.com",
                            "code": "smtp_550",
                            "refused_at": "2026-02-25T01:00:00Z",
                        }
                    ],
                }
            ]
        }
    )

    customer_id: str
    addresses: list[RefusedAddress]


class OptOut(BaseModel):
    """A customer refuses a medium."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"customer_id": "C1001", "channel": "sms"}]}
    )

    customer_id: str = Field(pattern=_KEY, max_length=64)
    channel: Literal["sms", "email"]


class OptedOut(BaseModel):
    """`effective_at` (machine's clock): from then on nothing leaves through this medium."""

    customer_id: str
    channel: str
    status: Literal["published", "recorded"]
    effective_at: datetime | None = None


@router.get("/notices", summary="查询通知 / Look notices up")
async def get_notices(
    who: Reader,
    bus: BusDep,
    request: Request,
    asked: Paged,
    customer_id: Key | None = None,
    staff_id: Key | None = None,
    state: NoticeState | None = None,
    purpose: Purpose | None = None,
    delivery: Delivery | None = None,
) -> Page[Notice]:
    """Return notices by customer, colleague, state, purpose and receipts, in the order in which they were asked for."""
    wanted = Wanted(customer_id=customer_id, staff_id=staff_id, state=state, purpose=purpose, delivery=delivery)
    if not who.has(Role.SUPERVISOR):
        wanted = msgspec.structs.replace(wanted, to_customers=False, to_colleagues=True)
    async with bus.reading() as connection:
        rows = await listing.search(connection, wanted, asked.after, asked.fetch)
    shown, following = page(rows, asked, lambda row: (row.created_at, row.notice_id), request.url)
    return Page(items=[_view(row) for row in shown], next=following)


@router.get("/notices/{notice_id}", summary="查看一条通知 / See one notice")
async def get_notice(who: Reader, bus: BusDep, notice_id: str) -> Notice:
    """Return one notice; to a supervisor with its text, and that reading is kept."""
    async with bus.reading() as connection:
        row = await listing.find(connection, notice_id) if notice_id.isascii() and "\0" not in notice_id else None
        if row is None or not _sees(who, row):
            raise Problem("not_found", "没有这条通知。", "There is no such notice.")
        if not who.has(Role.SUPERVISOR):
            return _view(row)
        parts = (await receipts.parts_of(connection, [row.notice_id])).get(row.notice_id, [])
        await listing.note_unmasked_read(connection, row.notice_id, who.subject, bus.clock.now())
    shown = [NoticePart(number=each.number, message_id=each.message_id, receipt=each.word) for each in parts]
    return _view(row).model_copy(update={"subject": row.subject, "text": row.text, "parts": shown})


@router.get("/refused-addresses", summary="被判无效的联系方式 / Addresses that nothing reaches")
async def get_refused_addresses(
    _who: Supervisor, bus: BusDep, request: Request, asked: PagedByKey, customer_id: Key | None = None
) -> Page[RefusedAddresses]:
    """Return by customer the addresses that a gateway refused for good; changed contact data lift each."""
    after = None if asked.after is None else asked.after[0]
    async with bus.reading() as connection:
        rows = await customers.with_refused_addresses(connection, customer_id, after, asked.fetch)
    shown, following = page(rows, asked, lambda row: (row[0],), request.url)
    return Page(items=[_refused(*row) for row in shown], next=following)


@router.post(
    "/opt-outs",
    summary="客户拒收 / A customer refuses a medium",
    responses={200: {"model": OptedOut}, 202: {"model": OptedOut, "description": "已记录 / recorded"}},
)
async def post_opt_out(_who: OptingOut, bus: BusDep, body: OptOut) -> Response:
    """Record that the medium is not to be used again. Repeating it is harmless."""
    try:
        effective_at = await opting_out.opt_out(bus, body.customer_id, body.channel)
    except CommitUnknown as error:
        raise Problem("unavailable", "结果未知，请重发。", "The outcome is unknown; send it again.") from error
    told: dict[str, Any] = {"customer_id": body.customer_id, "channel": body.channel}
    if effective_at is None:
        return JSONResponse({**told, "status": "recorded"}, 202)
    return JSONResponse({**told, "status": "published", "effective_at": effective_at.isoformat()}, 200)


def _sees(who: Principal, row: Listed) -> bool:
    """A supervisor sees all, the assistant what colleagues were told.

    A phone collector reads what became of a notice on the timeline of the own case: whose case it is, assignment knows.
    """
    return who.has(Role.SUPERVISOR) or row.customer_id is None


def _refused(customer_id: str, marks: Sequence[Unusable]) -> RefusedAddresses:
    addresses = [
        RefusedAddress(channel=each.channel, address=masked(each.address), code=each.code, refused_at=each.at)
        for each in marks
    ]
    return RefusedAddresses(customer_id=customer_id, addresses=addresses)


def _view(row: Listed) -> Notice:
    hidden = {"address": None if row.address is None else masked(row.address), "subject": None, "text": None}
    sent_at = row.ended_at if row.state == "sent" else None
    return Notice(**{**msgspec.to_builtins(row, builtin_types=(datetime,)), **hidden, "sent_at": sent_at})
