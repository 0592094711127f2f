"""Identifiers made here: UUIDv7 for what people and timers begin, UUIDv8 for what follows from a fact."""

from __future__ import annotations

import os
import time
from hashlib import blake2b
from uuid import UUID

_VARIANT = 0b10 << 62


def uuid7() -> UUID:
    """Return a new time-ordered identifier (RFC 9562, version 7)."""
    millis = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10))
    high = (millis & (1 << 48) - 1) << 16 | 0x7 << 12 | noise & 0xFFF
    return UUID(int=high << 64 | _VARIANT | noise >> 12 & (1 << 62) - 1)


def derived_id(*parts: str | int) -> UUID:
    """Return the identifier that the same `parts` always give (RFC 9562, version 8).

    A fact made while consuming is named after its input, so that the same input handled again gives the same id.
    """
    digest = int.from_bytes(blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest())
    high = digest >> 64 & ~(0xF << 12) | 0x8 << 12
    return UUID(int=high << 64 | _VARIANT | digest & (1 << 62) - 1)
