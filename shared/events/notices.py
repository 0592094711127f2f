"""Facts of the topic `notices`: what became of each message. Written by notify alone.

A notice to a customer is keyed by the customer, a notice to a colleague by the colleague.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from shared.events.kinds import Code, Fact, Instant, Key, MessageChannel, Reason, Text

Purpose = Literal[
    "reminder", "field_list", "visit_plan", "visit_done", "visit_not_done", "visit_breached", "visit_withdrawn"
]


class _Notice(Fact, frozen=True, kw_only=True):
    notice_id: Key
    customer_id: Key | None
    staff_id: Key | None
    case_id: Key | None
    purpose: Purpose
    channel: MessageChannel
    template: Code
    template_version: Code


class NoticeSent(_Notice, frozen=True, kw_only=True):
    """The gateway took the message. `barrier_at` (machine's clock): what was published before it was known."""

    sent_at: Instant
    barrier_at: Instant | None


class NoticeDelivered(_Notice, frozen=True, kw_only=True):
    """The network's receipts say that every part of the message has arrived; follows `NoticeSent`."""

    delivered_at: Instant
    parts: Annotated[int, Meta(ge=1, le=255)]


class NoticeUndelivered(_Notice, frozen=True, kw_only=True):
    """The network's receipts say that the message has left and did not arrive whole; it is not sent again."""

    undelivered_at: Instant
    reason: Reason


class NoticeFailed(_Notice, frozen=True, kw_only=True):
    """The gateway refused the message; it did not leave."""

    failed_at: Instant
    code: Code
    detail: Text


class NoticeSuppressed(_Notice, frozen=True, kw_only=True):
    """The message was not sent, for a reason of law or of the customer's."""

    suppressed_at: Instant
    reason: Reason


class NoticeUnconfirmed(_Notice, frozen=True, kw_only=True):
    """The gateway's answer was lost: the message may have left. It is never sent again by itself."""

    unconfirmed_at: Instant
    barrier_at: Instant | None


class CustomerOptedOut(Fact, frozen=True, kw_only=True):
    """The customer refuses a medium; it is not used again."""

    customer_id: Key
    channel: MessageChannel
    opted_out_at: Instant
