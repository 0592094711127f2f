"""docker-compose.yml, held to what its users rely on. Nothing here starts a container: there is no engine in CI."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from deploy.local.parts import SERVICES
from services.assignment.settings import Settings as Assignment
from services.fieldvisit.settings import Settings as Fieldvisit
from services.ingest.settings import Settings as Ingest
from services.notify.settings import Settings as Notify
from services.scoring.settings import Settings as Scoring
from shared.web.dev_issuer import IssuerSettings
from tests.unit.compose.reading import COMPOSE, filled, once, services, variables

SETTINGS: dict[str, type[BaseSettings]] = {
    "ingest": Ingest,
    "scoring": Scoring,
    "assignment": Assignment,
    "fieldvisit": Fieldvisit,
    "notify": Notify,
    "issuer": IssuerSettings,
}
DEVELOPMENT = {"issuer", "mail", "sms"}
WRITES_INTO_ITS_IMAGE = {"kafka"}
"""Its start script writes the configuration into the image's own folders."""

everything = pytest.mark.parametrize("name", services())
lasting = pytest.mark.parametrize("name", [name for name, service in services().items() if not once(service)])
each_service = pytest.mark.parametrize("name", SERVICES)


def test_it_is_what_the_compose_specification_allows() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@everything
def test_an_image_has_a_full_version(name: str) -> None:
    image = filled(services()[name]["image"])
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?", image), image


@everything
def test_a_port_is_open_to_this_machine_alone(name: str) -> None:
    for port in services()[name].get("ports", ()):
        assert port.startswith("127.0.0.1:"), port


def test_the_database_server_has_no_port_outside() -> None:
    assert "ports" not in services()["postgres"]


@everything
def test_a_container_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = services()[name]
    uid, _, gid = service["user"].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name not in WRITES_INTO_ITS_IMAGE)
    assert "cap_add" not in service
    assert "privileged" not in service


@everything
def test_a_container_has_limits(name: str) -> None:
    service = services()[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["cpus"] > 0
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@lasting
def test_what_lasts_is_restarted_watched_and_given_time_to_stop(name: str) -> None:
    service = services()[name]
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    assert int(service["stop_grace_period"].removesuffix("s")) >= (20 if name in SERVICES else 10)


@each_service
def test_a_service_counts_as_started_when_it_can_work(name: str) -> None:
    assert "/readyz" in services()[name]["healthcheck"]["test"][-1]
    assert services()[name]["healthcheck"]["test"][:2] == ["CMD", "python"]  # there is no curl in the image


@each_service
def test_a_service_begins_after_what_it_stands_on(name: str) -> None:
    conditions = {part: how["condition"] for part, how in services()[name]["depends_on"].items()}
    assert conditions == {
        "postgres": "service_healthy",
        "kafka": "service_healthy",
        "topics": "service_completed_successfully",
        f"migrate-{name}": "service_completed_successfully",
    }


def test_waiting_for_the_whole_does_not_mistake_a_finished_step_for_a_failure() -> None:
    """`up --wait` forgives the end of a container only if one that lasts waits for just that."""
    adopted = {
        part
        for service in services().values()
        if not once(service) and "profiles" not in service
        for part, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert adopted == {name for name, service in services().items() if once(service)}


def test_no_secret_has_a_value_here() -> None:
    for name, how, rest in variables():
        if name == "ARREARS_ISSUER_SECRET":  # of the try-out alone; the issuer itself refuses an empty one
            assert (how, rest) == (":-", "")
        elif re.search(r"PASSWORD|SECRET|TOKEN|KEY", name):
            assert how == ":?", name
    for service in services().values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|URL", name):
                assert "${" in value, name


def test_a_missing_setting_is_named_with_the_remedy() -> None:
    for name, how, words in variables():
        assert how in (":?", ":-"), name
        assert how == ":-" or words.strip(), name


@each_service
def test_a_service_sees_its_own_database_alone(name: str) -> None:
    url = filled(services()[name]["environment"]["ARREARS_DATABASE_URL"])
    assert url == f"postgresql://{name}:{name}_db_password@postgres:5432/{name}"
    others = {other.upper() for other in SERVICES if other != name}
    assert not any(f"{other}_DB_PASSWORD" in str(services()[name]) for other in others)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_one_that_the_service_reads_and_none_without_default_is_missing(name: str) -> None:
    known = {f"ARREARS_{field.upper()}": info for field, info in SETTINGS[name].model_fields.items()}
    given = services()[name]["environment"]
    shared = {f"ARREARS_{field.upper()}" for settings in SETTINGS.values() for field in settings.model_fields}
    assert {setting for setting in given if not setting.startswith("OTEL_")} <= shared
    assert {setting for setting, info in known.items() if info.is_required()} <= given.keys()


@each_service
def test_a_service_can_have_replicas_without_an_edit(name: str) -> None:
    """Each is named after its container, and finds a free port in the service's range."""
    service = services()[name]
    assert "container_name" not in service
    assert "hostname" not in service
    assert "ARREARS_INSTANCE" not in service["environment"]
    (port,) = service["ports"]
    first, last = re.findall(r"\d+", filled(port))[4:6]
    assert int(last) - int(first) == 9
    assert filled(port).endswith(":8080")


def test_no_two_ranges_of_ports_meet() -> None:
    taken: list[int] = []
    for service in services().values():
        for port in service.get("ports", ()):
            first, _, last = filled(port).split(":")[1].partition("-")
            taken += range(int(first), int(last or first) + 1)
    assert len(taken) == len(set(taken))


def test_only_what_a_bank_has_already_belongs_to_the_try_out() -> None:
    tried = {name for name, service in services().items() if service.get("profiles") == ["development"]}
    assert tried == DEVELOPMENT
    for name, service in services().items():
        assert not DEVELOPMENT & service.get("depends_on", {}).keys(), name


def test_data_outlive_their_containers() -> None:
    def mounted(name: str) -> list[Any]:
        return list(services()[name]["volumes"])

    assert "postgres:/var/lib/postgresql" in mounted("postgres")  # where 18 keeps them; not in …/data as before
    assert "kafka:/var/lib/kafka/data" in mounted("kafka")
    assert services()["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"


def test_kafka_has_a_listener_for_containers_and_one_for_this_machine() -> None:
    told = filled(services()["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]).split(",")
    assert told == ["CONTAINERS://kafka:9092", "HOST://127.0.0.1:19092"]
    assert services()["kafka"]["ports"] == ["127.0.0.1:${KAFKA_PORT:-19092}:19092"]
    assert all(services()[name]["environment"]["ARREARS_KAFKA_BOOTSTRAP"] == "kafka:9092" for name in SERVICES)
