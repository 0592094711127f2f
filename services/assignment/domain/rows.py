"""Reads one row of a data file strictly, and collects what is wrong in words: which row, which fault, what remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class StrategyError(ValueError):
    """A strategy file that cannot be used; `faults` is everything that is wrong with it."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Row:
    """One mapping of the file; every getter gives a usable value and notes a fault when there is none."""

    path: str
    values: Mapping[str, object]
    faults: list[str]
    asked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, value: object, path: str, faults: list[str]) -> Row:
        """Return `value` as a row, or an empty row and a fault."""
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return cls(path, value, faults)
        faults.append(f"{path}: is no mapping; write `name: value` lines")
        return cls(path, {}, faults)

    def called(self, name: str) -> Row:
        """Return the same row with its own name in the path, so that a message names it."""
        return replace(self, path=f"{self.path} ({name})") if name else self

    def fault(self, where: str, what: str, remedy: str) -> None:
        """Note that `where` in this row is wrong, and how to mend it."""
        self.faults.append(f"{self.path}, {where}: {what}; {remedy}")

    def has(self, name: str) -> bool:
        """Tell whether the row says anything of `name`."""
        return name in self.values

    def _take(self, name: str) -> object:
        self.asked.add(name)
        return self.values.get(name)

    def text(self, name: str) -> str:
        """Return a text of 1 to 200 characters."""
        value = self._take(name)
        if isinstance(value, str) and 0 < len(value) <= 200:
            return value
        self.fault(name, "is missing or no text", "write 1 to 200 characters")
        return ""

    def code(self, name: str) -> str:
        """Return a code: letters, digits and `_ . -`."""
        value = self._take(name)
        if isinstance(value, str) and _CODE.fullmatch(value):
            return value
        self.fault(
            name, "is missing or no code", "use letters, digits and _ . - (quote it if it looks like a number or date)"
        )
        return ""

    def day(self, name: str) -> date:
        """Return a calendar day."""
        value = self._take(name)
        if type(value) is date:
            return value
        self.fault(name, "is missing or no day", "write it as 2026-01-31")
        return date.min

    def whole(self, name: str, least: int, most: int) -> int:
        """Return a whole number within the bounds."""
        value = self._take(name)
        if type(value) is int and least <= value <= most:
            return value
        self.fault(name, "is missing or out of bounds", f"give a whole number from {least} to {most}")
        return least

    def flag(self, name: str) -> bool:
        """Return true or false; absent is false."""
        value = self._take(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.fault(name, "is neither true nor false", "write true, or leave it out")
        return False

    def time_of_day(self, name: str) -> time:
        """Return a time of day."""
        value = self._take(name)
        if isinstance(value, str) and _TIME.fullmatch(value):
            return time.fromisoformat(value)
        self.fault(name, "is missing or no time of day", 'write it quoted, as "09:00"')
        return time.min

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Return one of the allowed words."""
        value = self._take(name)
        if isinstance(value, str) and value in allowed:
            return value
        self.fault(name, "is missing or unknown", f"choose one of {', '.join(allowed)}")
        return allowed[0]

    def choices(self, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """Return some of the allowed words, at least one, none twice."""
        value = self._take(name)
        if (
            isinstance(value, list)
            and value
            and all(each in allowed for each in value)
            and len({*map(str, value)}) == len(value)
        ):
            return tuple(value)
        self.fault(name, "is missing, unknown or doubled", f"list some of {', '.join(allowed)}, each once")
        return ()

    def codes(self, name: str) -> tuple[str, ...]:
        """Return some codes, none twice; absent is none."""
        value = self._take(name)
        if value is None:
            return ()
        if (
            isinstance(value, list)
            and value
            and all(isinstance(each, str) and _CODE.fullmatch(each) for each in value)
            and len(set(value)) == len(value)
        ):
            return tuple(value)
        self.fault(
            name, "is no list of codes, or names one twice", "list codes of letters, digits and _ . -, each once"
        )
        return ()

    def below(self, name: str) -> Row:
        """Return the one row below `name`."""
        return Row.of(self._take(name), f"{self.path}, {name}", self.faults)

    def rows(self, name: str, most: int) -> tuple[Row, ...]:
        """Return the rows below `name`, at least one; of more than `most` none is looked at."""
        value = self._take(name)
        if isinstance(value, list) and len(value) > most:
            self.fault(name, f"has {len(value)} rows", f"list at most {most}")
            return ()
        if isinstance(value, list) and value:
            return tuple(Row.of(each, f"{self.path}, {name}[{index}]", self.faults) for index, each in enumerate(value))
        self.fault(name, "is missing or empty", "list at least one row")
        return ()

    def nothing_else(self) -> None:
        """Note every name that nobody asked for: a typing mistake is never ignored."""
        for name in sorted(set(self.values) - self.asked):
            self.fault(name, "is not known here", f"remove it, or correct it to one of {', '.join(sorted(self.asked))}")
