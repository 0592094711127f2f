"""What the routes share: who may read, what grades by which cards, and reasons in words."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import BaseModel

from services.scoring.handlers import Grader
from shared.web.auth import Principal, Role, require

Reader = Annotated[Principal, require(Role.SUPERVISOR)]

KEY: Final = r"^[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?$"


def _grader_of(request: Request) -> Grader:
    grader: Grader = request.app.state.grader
    return grader


GraderDep = Annotated[Grader, Depends(_grader_of)]


class ReasonOut(BaseModel):
    """Why, in words."""

    code: str
    zh: str
    en: str
