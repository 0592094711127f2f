"""The routes of the field desk: parse, authorise, one call, answer."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from services.fieldvisit.api import plans, reports, visits

ROUTERS: Final[tuple[APIRouter, ...]] = (visits.router, plans.router, reports.router)
