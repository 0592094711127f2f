"""The routes of the phone desk: parse, authorise, one call, answer."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from services.assignment.api import cases, contacts, field_lists, proposals, staff, strategies, team, worklist

ROUTERS: Final[tuple[APIRouter, ...]] = (
    worklist.router,
    cases.router,
    contacts.router,
    proposals.router,
    field_lists.router,
    staff.router,
    team.router,
    strategies.router,
)
