"""What can go wrong, in three kinds, and how a person is told.

`Retriable`: the same call may succeed later. `Permanent`: it never will. `Unknown`: it may have happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Retriable(Exception):
    """Nothing happened; the same call may succeed later."""


class Permanent(Exception):
    """Nothing happened, and the same call will fail again."""


class Unknown(Exception):
    """The answer was lost: it may have happened."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field, and the remedy, in Chinese and English.

    `field` is the path as the sender wrote it, for example `data.amount` or `events[3].data.due_date`.
    The value itself is never repeated: it may be personal data.
    """

    field: str
    fault_zh: str
    fault_en: str
    remedy_zh: str
    remedy_en: str


@dataclass(eq=False)
class Problem(Exception):
    """A refusal that a person reads; the web layer answers it as an RFC 9457 problem document.

    `code` is a row of the catalogue in `shared.web.problems`; `status` overrides the catalogue's HTTP status;
    `extra` are further members of the document.
    """

    code: str
    detail_zh: str
    detail_en: str
    errors: tuple[FieldError, ...] = ()
    status: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code}: {self.detail_en}"
