"""Containers and the local stack are one system: the same parts, commands and settings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy.local.parts import SERVICES, Replica, Surroundings
from deploy.local.process import Process
from tests.unit.compose.reading import services

PARTS = ("postgres", "kafka", "topics", *(f"migrate-{name}" for name in SERVICES), "issuer", "mail", "sms", *SERVICES)
LOCAL_ALONE = {"ARREARS_TELEMETRY_DIR", "ARREARS_INSTANCE"}
"""Span files are a developer's; a container's name is its replica's."""
SURROUNDINGS = Surroundings(
    root=Path(),
    ports=dict.fromkeys((*SERVICES, "issuer", "smtp", "smpp"), 8080),
    secrets={"smpp": "", "issuer": ""},
    database_urls=dict.fromkeys(SERVICES, ""),
    bootstrap="",
    partitions=12,
    telemetry=Path(),
    issuer_key=Path(),
)


def in_a_container(process: Process) -> list[str]:
    """The command as a container has it: programs by name, all addresses."""
    words = [*process.argv]
    if words[:3] == [sys.executable, "-m", "uvicorn"]:
        words = words[2:]
        words[words.index("--host") + 1] = "0.0.0.0"
    return ["python" if word == sys.executable else word for word in words]


def arrears(settings: object) -> set[str]:
    assert isinstance(settings, dict)
    return {name for name in settings if name.startswith("ARREARS_")}


def test_the_parts_are_the_same() -> None:
    assert set(services()) == set(PARTS)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_run_by_the_same_command_with_the_same_settings(name: str) -> None:
    replica = Replica.named(name)
    assert services()[name]["command"] == in_a_container(SURROUNDINGS.service(replica))
    local = arrears(SURROUNDINGS.settings(replica)) - LOCAL_ALONE
    assert local <= arrears(services()[name]["environment"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_database_is_migrated_by_the_same_command(name: str) -> None:
    local = SURROUNDINGS.migration(name)
    assert services()[f"migrate-{name}"]["command"] == in_a_container(local)
    assert services()[f"migrate-{name}"]["environment"].items() <= services()[name]["environment"].items()


def test_topics_and_issuer_are_the_same() -> None:
    assert services()["topics"]["command"] == in_a_container(SURROUNDINGS.topics())
    assert arrears(dict(SURROUNDINGS.topics().env)) <= arrears(services()["topics"]["environment"])
    assert services()["issuer"]["command"] == in_a_container(SURROUNDINGS.issuer())
    assert arrears(dict(SURROUNDINGS.issuer().env)) == arrears(services()["issuer"]["environment"])
