"""What the administrative assistant is told: every visit done and every visit not done."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request

from services.fieldvisit import store
from services.fieldvisit.api.access import Assistant
from services.fieldvisit.api.views import ReportView
from shared.service import BusDep
from shared.web.paging import Page, PageRequest, page, paged

router = APIRouter(prefix="/v1/reports", tags=["reports"])


@router.get("", summary="外访完成与未完成报告 / visits done and not done")
async def list_reports(
    who: Assistant,
    bus: BusDep,
    request: Request,
    asked: Annotated[PageRequest, paged(datetime, str)],
) -> Page[ReportView]:
    """List, in order of time, every visit that was completed, reported not done, or breached its deadline."""
    async with bus.reading() as connection:
        rows = await store.reports(
            connection,
            after=asked.after,
            fetch=asked.fetch,
        )
    shown, following = page(rows, asked, lambda row: (row["at"], row["report_id"]), request.url)
    return Page(items=[ReportView.model_validate(row) for row in shown], next=following)
