"""The routes of scoring."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from services.scoring.api import cards, explain, grades

ROUTERS: Final[tuple[APIRouter, ...]] = (grades.router, cards.router, explain.router)
