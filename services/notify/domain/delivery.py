"""What a gateway said to a message, and what follows for a customer's notice and for a colleague's report."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from msgspec import Struct

from shared.events.kinds import MessageChannel

LEASE: Final = timedelta(seconds=90)
"""After this long behind its barrier a hand-over without a result is given up as lost; above W and every time limit."""

_FIRST_PAUSE: Final = timedelta(seconds=2)
_LONGEST_PAUSE: Final = timedelta(minutes=10)


class Message(Struct, frozen=True, kw_only=True):
    """What is handed to a gateway. `subject` is for email; `notice_id` names the message wherever it goes."""

    notice_id: str
    channel: MessageChannel
    address: str
    text: str
    subject: str = ""


class Accepted(Struct, frozen=True):
    """The gateway took the message, under its own `reference`.

    `gateway`: which one, where there are several. `parts`: the ids it gave to the message's parts, in their order;
    receipts name them. None: no receipt will come.
    """

    reference: str
    gateway: str = ""
    parts: tuple[str, ...] = ()


class NotNow(Struct, frozen=True):
    """The message has surely not left, and may be tried again later."""

    code: str


class RefusedForGood(Struct, frozen=True):
    """The message has surely not left, and would be refused again.

    `address`: the one that nothing reaches, as the gateway says; empty: it is not the address that was refused.
    """

    code: str
    address: str = ""


class AnswerLost(Struct, frozen=True):
    """The message may have left: nobody knows."""

    code: str


Answer = Accepted | NotNow | RefusedForGood | AnswerLost
Next = Literal["sent", "failed", "unconfirmed", "due"]


def next_state(answer: Answer, *, to_colleague: bool) -> Next:
    """Return what a hand-over makes of a notice.

    A customer's notice leaves at most once: a lost answer ends it, unconfirmed. A colleague's report is repeated until
    the server takes it, whatever it said before.
    """
    match answer:
        case Accepted():
            return "sent"
        case NotNow():
            return "due"
        case RefusedForGood():
            return "due" if to_colleague else "failed"
        case AnswerLost():
            return "due" if to_colleague else "unconfirmed"


_OWN_PAUSES: Final = {"too_late": timedelta(), "rate_reached": timedelta(seconds=5)}
"""Nobody refused these: the first is only to pass a new barrier, the second comes when others have left."""


def pause_after(answer: Answer, attempts: int) -> timedelta:
    """Return how long a notice that is due again waits (machine's clock) after so many attempts."""
    own = _OWN_PAUSES.get(answer.code) if isinstance(answer, NotNow) else None
    return pause_before_retry(attempts) if own is None else own


def pause_before_retry(attempts: int) -> timedelta:
    """Return how long (machine's clock) to wait after so many attempts: doubling from 2 s up to 10 min."""
    doublings = min(max(attempts, 1) - 1, 10)
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << doublings))
