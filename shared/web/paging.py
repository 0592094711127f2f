"""Pages by cursor: in a stable order, from where the last page ended, however much was inserted meanwhile.

The store orders by a keyset that is unique (usually an instant or rank, then the id), asks for rows *after* the
cursor's position, and fetches `limit + 1` of them. A cursor is opaque to callers; it holds only the position, which
must be instants, numbers and ids, never a name.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from fastapi import Depends, Query
from pydantic import BaseModel, Field
from starlette.datastructures import URL

from shared.errors import FieldError
from shared.web.problems import invalid_fields

MAX_LIMIT = 200
DEFAULT_LIMIT = 50

Position = tuple[Any, ...]
"""The keyset values of one row, in the order's order."""

Item = TypeVar("Item")
Row = TypeVar("Row")

_KINDS = frozenset({int, str, datetime, date, UUID})


class Page(BaseModel, Generic[Item]):
    """One page: its items in order, and the address of the next one, or null at the end."""

    items: list[Item]
    next: str | None = Field(description="下一页地址；没有更多时为 null / the next page's address, null at the end")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a caller asks for: at most `limit` items after the position `after` (None: from the start)."""

    limit: int
    after: Position | None
    kinds: tuple[type, ...]

    @property
    def fetch(self) -> int:
        """Rows to fetch: one more than asked for tells whether there is a next page."""
        return self.limit + 1


def paged(*kinds: type) -> Any:  # noqa: ANN401 - what FastAPI's own Depends returns
    """Declare a paged route whose keyset has these types: `Annotated[PageRequest, paged(datetime, UUID)]`.

    A cursor that does not hold exactly these types is a 422 problem, so the store never sees another.
    """
    if not kinds or not _KINDS.issuperset(kinds):
        raise ValueError("a keyset is made of int, str, datetime, date and UUID")

    def page_request(
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="每页条数 / items a page")] = DEFAULT_LIMIT,
        cursor: Annotated[
            str | None, Query(max_length=1024, description="上一页给出的位置 / from the last page")
        ] = None,
    ) -> PageRequest:
        return PageRequest(limit, None if cursor is None else decode_cursor(cursor, kinds), kinds)

    return Depends(page_request)


def page(
    rows: Sequence[Row], request: PageRequest, position: Callable[[Row], Position], url: URL
) -> tuple[list[Row], str | None]:
    """Return the rows of this page and the next page's address (path and query), from up to `request.fetch` rows.

    `position` gives a row's keyset values; `url` is the request's own, whose other parameters are kept.
    """
    shown = list(rows[: request.limit])
    if len(rows) <= request.limit:
        return shown, None
    following = url.include_query_params(cursor=encode_cursor(position(shown[-1])), limit=request.limit)
    return shown, f"{following.path}?{following.query}"


def encode_cursor(position: Position) -> str:
    """Return the cursor of a position."""
    return urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str, kinds: tuple[type, ...]) -> Position:
    """Return the position of a cursor; raises `Problem("invalid_fields")` when it is not one of these types."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        position = msgspec.json.decode(raw, type=tuple[kinds])  # type: ignore[valid-type]  # known at run time only
    except (UnicodeEncodeError, binascii.Error, msgspec.MsgspecError):
        raise _bad_cursor() from None
    if not all(_bindable(value) for value in position):
        raise _bad_cursor()
    return tuple(position)


# What lies outside in UTC is in nobody's table, and the driver cannot send it.
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _bindable(value: object) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, str):
        return "\0" not in value
    return not isinstance(value, datetime) or (value.tzinfo is not None and _FIRST <= value <= _LAST)


def _bad_cursor() -> Exception:
    error = FieldError(
        "query.cursor",
        "不是有效的分页位置",
        "is not a page's position",
        "请使用上一页给出的 next",
        "use next of the last page",
    )
    return invalid_fields((error,))
