"""What the stack consists of besides PostgreSQL and Kafka, as process descriptions. Pure: nothing is started here."""

import os
import re
import sys
from collections import ChainMap
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.local.process import Process
from deploy.local.ready import HOST, http
from deploy.local.sms import SYSTEM_ID

SERVICES = ("ingest", "scoring", "assignment", "fieldvisit", "notify")
"""In the order of the event flow."""
_REPLICA = re.compile(r"(?P<service>[a-z]+)(-(?P<instance>[1-9][0-9]*))?")
_UPSTREAM = {"ARREARS_UPSTREAM_TOPIC": "upstream.card"}
_AUDIENCE = "arrears"
REQUEST_GRACE = 3
"""Seconds that a stopping service gives to requests under way; one that waits for what is away would wait on."""


@dataclass(frozen=True)
class Replica:
    """One running copy of a service: `scoring` is instance 0, `scoring-1` the next one."""

    name: str
    service: str
    instance: str

    @classmethod
    def named(cls, name: str) -> "Replica":
        """Read a name.

        Raises:
            ValueError: there is no such service.
        """
        match = _REPLICA.fullmatch(name)
        if match is None or match["service"] not in SERVICES:
            raise ValueError(f"no service is called {name!r}: say one of {', '.join(SERVICES)}, a replica as scoring-1")
        return cls(name, match["service"], match["instance"] or "0")


@dataclass(frozen=True)
class Surroundings:
    """All that the settings of the services are made of."""

    root: Path
    """Where the code is."""
    ports: Mapping[str, int]
    secrets: Mapping[str, str]
    database_urls: Mapping[str, str]
    """Service to URL."""
    bootstrap: str
    partitions: int
    telemetry: Path
    issuer_key: Path
    clock_file: Path | None = None
    through: Mapping[str, int] = field(default_factory=dict)
    """`<part>-<service>` to the port by which that service reaches the part (kafka, postgres, smtp, smpp).

    What is not named is reached at its own port.
    """
    more: Mapping[str, MutableMapping[str, str]] = field(default_factory=dict)
    """Service to further settings of its replicas, read at each start of one."""
    runner: str = "uvicorn"
    """The module that runs a service; it takes uvicorn's arguments."""

    def url(self, name: str) -> str:
        """The HTTP address of a part."""
        return f"http://{HOST}:{self.ports[name]}"

    def settings(self, replica: Replica) -> dict[str, str]:
        """The ARREARS_ settings of one replica."""
        settings = {
            "ARREARS_ENV": "development",
            "ARREARS_DATABASE_URL": self.database_urls[replica.service],
            "ARREARS_KAFKA_BOOTSTRAP": self._bootstrap(replica.service),
            "ARREARS_PARTITIONS": str(self.partitions),
            "ARREARS_INSTANCE": replica.instance,
            "ARREARS_ISSUER": self.url("issuer"),
            "ARREARS_JWKS_URL": f"{self.url('issuer')}/jwks",
            "ARREARS_AUDIENCE": _AUDIENCE,
            "ARREARS_TELEMETRY_DIR": str(self.telemetry),
        }
        if self.clock_file is not None:
            settings["ARREARS_CLOCK_FILE"] = str(self.clock_file)
        if replica.service == "ingest":
            return settings | _UPSTREAM
        return settings | (self._gateways() if replica.service == "notify" else {})

    def _bootstrap(self, service: str) -> str:
        port = self.through.get(f"kafka-{service}")
        return self.bootstrap if port is None else f"{HOST}:{port}"

    def _gateways(self) -> dict[str, str]:
        return {
            "ARREARS_SMTP_HOST": HOST,
            "ARREARS_SMTP_PORT": str(self.through.get("smtp-notify", self.ports["smtp"])),
            "ARREARS_SMPP_HOST": HOST,
            "ARREARS_SMPP_PORT": str(self.through.get("smpp-notify", self.ports["smpp"])),
            "ARREARS_SMPP_SYSTEM_ID": SYSTEM_ID,
            "ARREARS_SMPP_PASSWORD": self.secrets["smpp"],
        }

    def topics(self) -> Process:
        """Creates the topics; ends."""
        return self._python(
            "topics",
            "shared.bus.topics",
            settings={
                "ARREARS_KAFKA_BOOTSTRAP": self.bootstrap,
                "ARREARS_PARTITIONS": str(self.partitions),
                **_UPSTREAM,
            },
            after=("kafka",),
        )

    def migration(self, service: str) -> Process:
        """Brings a service's database up to date; ends."""
        return self._python(
            f"migrate-{service}",
            "shared.db.migrate",
            f"services.{service}",
            settings=self.settings(Replica.named(service)),
            after=("postgres",),
        )

    def issuer(self) -> Process:
        """Gives everybody the token that he asks for."""
        return self._web(
            "issuer",
            "shared.web.dev_issuer:create_app",
            ready="/.well-known/openid-configuration",
            settings={
                "ARREARS_ENV": "development",
                "ARREARS_ISSUER": self.url("issuer"),
                "ARREARS_AUDIENCE": _AUDIENCE,
                "ARREARS_ISSUER_SECRET": self.secrets["issuer"],
                "ARREARS_ISSUER_KEY_FILE": str(self.issuer_key),
            },
            after=(),
        )

    def service(self, replica: Replica) -> Process:
        """One replica of a service."""
        gateways = ("mail", "sms") if replica.service == "notify" else ()
        plain = self._web(
            replica.name,
            f"services.{replica.service}.app:create_app",
            ready="/readyz",
            settings=self.settings(replica),
            after=("topics", f"migrate-{replica.service}", "issuer", *gateways),
            runner=self.runner,
        )
        # Not a copy: whoever gave the further settings may change them, and the next start reads them anew.
        return replace(plain, env=ChainMap(self.more.get(replica.service, {}), dict(plain.env)))

    def _python(self, name: str, *module: str, settings: Mapping[str, str], after: tuple[str, ...]) -> Process:
        return Process(
            name=name,
            argv=(sys.executable, "-m", *module),
            env={**base_environment(), **settings},
            cwd=self.root,
            after=after,
            one_shot=True,
        )

    def _web(
        self,
        name: str,
        app: str,
        *,
        ready: str,
        settings: Mapping[str, str],
        after: tuple[str, ...],
        runner: str = "uvicorn",
    ) -> Process:
        port = self.ports[name]
        bound = ("--timeout-graceful-shutdown", str(REQUEST_GRACE))
        options = ("--factory", "--loop", "asyncio", *bound, "--host", HOST, "--port", str(port), "--no-access-log")
        return Process(
            name=name,
            argv=(sys.executable, "-m", runner, *options, app),
            env={**base_environment(), **settings},
            cwd=self.root,
            ready=http(port, ready),
            after=after,
            grace=15.0,
        )


def base_environment() -> dict[str, str]:
    """This process's environment without ARREARS_ settings: a shell's or another stack's must not leak in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ARREARS_")}
    return kept | {"PYTHONUNBUFFERED": "1"}
