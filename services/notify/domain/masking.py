"""Addresses as people see them who need not know them."""

from __future__ import annotations

_SHOWN_FIRST, _SHOWN_LAST = 6, 4


def masked(address: str) -> str:
    """Return a number as `+86138****8000`, a mailbox as `z***@example.com`."""
    name, at, domain = address.rpartition("@")
    if at:
        return f"{name[:1]}***@{domain}"
    if len(address) <= _SHOWN_FIRST + _SHOWN_LAST:
        return f"****{address[-2:]}"
    return f"{address[:_SHOWN_FIRST]}****{address[-_SHOWN_LAST:]}"
