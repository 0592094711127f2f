from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.parts import SERVICES, Replica, Surroundings, base_environment

_AROUND = Surroundings(
    root=Path("code"),
    ports={"issuer": 20001, "smtp": 20002, "smpp": 20003, "scoring": 20004, "scoring-2": 20005, "notify": 20006},
    secrets={"smpp": "abcdefgh", "issuer": "word"},
    database_urls={service: f"postgresql://{service}@127.0.0.1/{service}" for service in SERVICES},
    bootstrap="127.0.0.1:20007",
    partitions=12,
    telemetry=Path("telemetry"),
    issuer_key=Path("issuer-key.json"),
)


@pytest.mark.parametrize(
    ("name", "service", "instance"),
    [("scoring", "scoring", "0"), ("scoring-1", "scoring", "1"), ("fieldvisit-12", "fieldvisit", "12")],
)
def test_replica_is_read_from_its_name(name: str, service: str, instance: str) -> None:
    assert Replica.named(name) == Replica(name, service, instance)


@pytest.mark.parametrize("name", ["billing", "scoring-0", "scoring-", "scoring-a", "", "postgres"])
def test_name_of_no_service_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no service is called"):
        Replica.named(name)


def test_replicas_share_a_database_and_differ_in_instance_and_port() -> None:
    first, second = (_AROUND.service(Replica.named(name)) for name in ("scoring", "scoring-2"))
    assert first.env["ARREARS_DATABASE_URL"] == second.env["ARREARS_DATABASE_URL"]
    assert (first.env["ARREARS_INSTANCE"], second.env["ARREARS_INSTANCE"]) == ("0", "2")
    assert (first.argv[-3], second.argv[-3]) == ("20004", "20005")


def test_only_notify_knows_the_gateways() -> None:
    assert "ARREARS_SMPP_PASSWORD" not in _AROUND.settings(Replica.named("scoring"))
    assert _AROUND.settings(Replica.named("notify"))["ARREARS_SMPP_PASSWORD"] == "abcdefgh"


def test_service_waits_for_topics_its_migration_and_the_issuer() -> None:
    assert _AROUND.service(Replica.named("scoring-2")).after == ("topics", "migrate-scoring", "issuer")
    assert _AROUND.service(Replica.named("notify")).after[-2:] == ("mail", "sms")


def test_clock_file_is_set_only_when_the_clock_is_stepped() -> None:
    scoring = Replica.named("scoring")
    assert "ARREARS_CLOCK_FILE" not in _AROUND.settings(scoring)
    stepped = replace(_AROUND, clock_file=Path("clock"))
    assert stepped.settings(scoring)["ARREARS_CLOCK_FILE"] == "clock"


def test_settings_of_the_shell_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARREARS_CLOCK_FILE", "elsewhere")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    environment = base_environment()
    assert "ARREARS_CLOCK_FILE" not in environment
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"


def test_a_service_reaches_a_part_through_what_stands_between_and_the_others_at_its_own_port() -> None:
    between = replace(_AROUND, through={"kafka-scoring": 21001, "smtp-notify": 21002})
    scoring, notify = (between.settings(Replica.named(name)) for name in ("scoring-2", "notify"))
    assert scoring["ARREARS_KAFKA_BOOTSTRAP"] == "127.0.0.1:21001"
    assert notify["ARREARS_KAFKA_BOOTSTRAP"] == "127.0.0.1:20007"
    assert (notify["ARREARS_SMTP_PORT"], notify["ARREARS_SMPP_PORT"]) == ("21002", "20003")
