"""Which rows of notify are old: what was sent, or will never be, and what colleagues were told."""

from __future__ import annotations

from datetime import timedelta

from shared.forgetting import Old


def old_rows(kept: timedelta) -> tuple[Old, ...]:
    """Return what is forgotten after `kept`; a notice that is still to be sent or told stays."""
    return (
        Old("notice", "created_at", kept, but="t.state IN ('due', 'waiting', 'sending')"),
        Old("report", "occurred_at", kept, but="t.due IS NOT NULL"),
        Old("sms_part", "at", kept, machine=True),
        Old("unmasked_read", "at", kept),
    )
