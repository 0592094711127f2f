"""What the local stack tells a person when it cannot go on."""

from pathlib import Path


class MissingPartError(Exception):
    """Something that the machine lacks.

    Its text is one line: what is missing, and what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


class LostDataError(MissingPartError):
    """One part's data are gone, and what the other parts hold would not fit new ones."""

    def __init__(self, part: str, data: Path) -> None:
        super().__init__(f"the data of {part} in {data} are gone", "start anew: `python -m deploy.local down --wipe`")


class NotReadyError(Exception):
    """A readiness check has not passed yet; it is asked again."""


class StartFailedError(Exception):
    """A process could not be brought up; the text ends with the last lines of its log."""

    def __init__(self, name: str, reason: str, last_lines: tuple[str, ...]) -> None:
        tail = "".join(f"\n  | {line}" for line in last_lines)
        super().__init__(f"{name} {reason}{tail}")
        self.name = name
        self.reason = reason
        self.last_lines = last_lines


class AlreadyRunningError(Exception):
    """Another supervisor holds this state folder."""
