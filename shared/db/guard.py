"""The guard of every state row: a row is written only over the version that was read (L3)."""

from __future__ import annotations

from shared.errors import Retriable


class StaleState(Retriable):
    """Another writer was first; load again and decide again."""


def all_saved(*, sent: int, returned: int) -> None:
    """Check that a guarded upsert wrote every row.

    Raises:
        StaleState: a row had another version than the one loaded, so the whole transaction must be repeated.
    """
    if returned != sent:
        raise StaleState(f"{sent - returned} of {sent} rows changed since they were read")
