"""The routes of templates: what may be sent, and how it reads. They show samples and touch nobody's data."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from services.notify.previewing import preview
from services.notify.rendering import Entry
from services.notify.writing import Writer
from shared.errors import Problem
from shared.events.kinds import Language, MessageChannel
from shared.web.auth import Principal, Role, require

router = APIRouter(prefix="/v1/templates", tags=["templates"])

Reader = Annotated[Principal, require(Role.SUPERVISOR)]


_EXAMPLE: Final[dict[str, Any]] = {
    "name": "visit_done",
    "purpose": "visit_done",
    "version": "2026-02-01",
    "approved_on": "2026-01-30",
    "sha256": "cccf2108f5cf2e7b57026b8d0e753c03739ca8a8638b54218100f175d1cc1be5",
    "channels": ["email"],
}
_SHOWN: Final = {
    "language": "en",
    "channel": "email",
    "subject": "Visit done",
    "text": "Visit V1 was made.",
    "sms": None,
}


class Template(BaseModel):
    """What was approved: the digest is of all texts of the template, in every language and channel."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: str
    purpose: str
    version: str
    approved_on: date
    sha256: str
    channels: list[str]


class Size(BaseModel):
    """How a short message travels."""

    alphabet: Literal["gsm", "ucs2"]
    characters: int
    parts: int = Field(description="分几段发送，每段计一条 / in how many parts; each is charged as one")


class Shown(Template):
    """A template as it reads with made-up values."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE | _SHOWN]})

    language: str
    channel: str
    subject: str = Field(description="短信为空 / empty for a short message")
    text: str
    sms: Size | None


class Templates(BaseModel):
    """Every template, by name."""

    items: list[Template]


@router.get("", summary="列出模板 / List the templates")
async def get_templates(_who: Reader, request: Request) -> Templates:
    """Return which templates there are, with version, approval and digest."""
    entries = _writer(request).templates.entries
    return Templates(items=[Template(**_approved(name, entry)) for name, entry in entries.items()])


@router.get("/{template}/preview", summary="预览模板 / Preview a template")
async def get_preview(
    _who: Reader,
    request: Request,
    template: str,
    language: Language = "zh",
    channel: MessageChannel = "sms",
    accounts: Annotated[int, Query(ge=1, le=3, description="提醒中的账户数 / accounts in a reminder")] = 1,
) -> Shown:
    """Return how a template reads, with made-up values: nothing is written, and nobody is written to."""
    found = preview(_writer(request), template, language, channel, accounts)
    if found is None:
        raise Problem("not_found", "没有此渠道的这个模板。", "There is no such template for this channel.")
    size = found.sms
    return Shown(
        **_approved(template, found.entry),
        language=language,
        channel=channel,
        subject=found.text.subject,
        text=found.text.body,
        sms=None if size is None else Size(alphabet=size.alphabet, characters=size.characters, parts=size.parts),
    )


def _approved(name: str, entry: Entry) -> dict[str, Any]:
    return {
        "name": name,
        "purpose": entry.purpose,
        "version": entry.version,
        "approved_on": entry.approved_on,
        "sha256": entry.sha256,
        "channels": list(entry.channels),
    }


def _writer(request: Request) -> Writer:
    writer: Writer = request.app.state.senders.writer
    return writer
