"""Which rows of assignment are old: records of collection, when their case is over."""

from __future__ import annotations

from datetime import timedelta

from shared.forgetting import OLD_KEYS, Old

_OPEN_CASE = "EXISTS (SELECT FROM customer c WHERE c.case_id = t.case_id AND c.status = 'open')"


def old_rows(kept: timedelta) -> tuple[Old, ...]:
    """Return what is forgotten after `kept`; what belongs to an open case stays as long as that."""
    return (
        Old("timeline", "at", kept, but=_OPEN_CASE),
        Old("contact", "logged_at", kept, but=_OPEN_CASE),
        Old("skipped_case", "at", kept, but=_OPEN_CASE),
        Old("field_list", "filed_at", kept),
        Old("personal_data_read", "at", kept),
        OLD_KEYS,
    )
