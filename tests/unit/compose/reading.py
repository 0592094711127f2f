"""The compose file and the Dockerfile as data."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
_VARIABLE = re.compile(r"\$\{([A-Z_]+)(:\?|:-|)([^}]*)\}")


@cache
def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def once(service: dict[str, Any]) -> bool:
    """Whether it ends by itself."""
    return str(service["restart"]).startswith("on-failure")


def variables(text: str | None = None) -> list[tuple[str, str, str]]:
    """Each use of a variable: its name, `:?`, `:-` or nothing, and the words after that."""
    return _VARIABLE.findall(COMPOSE.read_text(encoding="utf-8") if text is None else text)


def filled(value: object) -> str:
    """The value with each default in place of its variable; one that must be given becomes its name in lower case."""
    return _VARIABLE.sub(lambda match: match[3] if match[2] == ":-" else match[1].lower(), str(value))
