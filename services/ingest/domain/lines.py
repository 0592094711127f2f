"""Lines out of a stream of bytes, whatever the parts it comes in; a line that is too long is never held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

LONGEST_LINE: Final = 256 << 10
"""Bytes of a line; the largest event has a fifth of it."""


class Lines:
    """Splits what it is fed at line feeds. A line that is too long comes as None, in its place."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._begun = bytearray()
        self._passing = False

    def feed(self, part: bytes) -> Iterator[bytes | None]:
        """Yield the lines that end in `part`, without their line ends."""
        *ended, rest = part.split(b"\n")
        for end in ended:
            yield self._line(end)
        self._begin(rest)

    def end(self) -> Iterator[bytes | None]:
        """Yield the last line where no line feed stands behind it."""
        if self._passing or self._begun:
            yield self._line(b"")

    def _line(self, end: bytes) -> bytes | None:
        self._begin(end)
        line = None if self._passing else bytes(self._begun).removesuffix(b"\r")
        self._begun.clear()
        self._passing = False
        return line

    def _begin(self, part: bytes) -> None:
        if self._passing or len(self._begun) + len(part) > self._longest:
            self._begun.clear()
            self._passing = True
        else:
            self._begun += part
