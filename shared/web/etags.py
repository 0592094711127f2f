"""ETag and If-Match: whoever decides does so on what they have seen."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from shared.errors import FieldError, Problem

IfMatch = Annotated[str | None, Header(alias="If-Match", description="所见版本的 ETag / the ETag of what was seen")]
"""The If-Match header as a route's argument."""


def etag(version: int) -> str:
    """Return the entity tag of a row's version."""
    return f'"v{version}"'


def check_if_match(given: str | None, version: int, *, required: bool = True) -> None:
    """Refuse an act on another version than the present one.

    Raises `Problem("precondition_failed")` (412) when `given` names another version, and
    `Problem("precondition_required")` (428) when it is absent although `required`. A weak tag never matches.
    """
    if given is None or not given.strip():
        if required:
            raise _missing("If-Match", "请带上读取时收到的 ETag", "send the ETag that came with what you read")
        return
    tags = {tag.strip() for tag in given.split(",")}
    if "*" not in tags and etag(version) not in tags:
        raise Problem(
            "precondition_failed",
            "内容在您读取之后已被更改，请重新读取。",
            "It was changed after you read it; read it again.",
            extra={"etag": etag(version)},
        )


def _missing(header: str, remedy_zh: str, remedy_en: str) -> Problem:
    error = FieldError(f"header.{header}", "缺少此请求头", "is missing", remedy_zh, remedy_en)
    return Problem("precondition_required", f"缺少 {header} 请求头。", f"The header {header} is missing.", (error,))
