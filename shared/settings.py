"""The settings that every service shares, read from the environment only."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.bus import failpoints
from shared.clock import Clock, RealClock, SteppedClock


class ServiceSettings(BaseSettings):
    """One service's surroundings: its database, the broker, who issues tokens, which clock it lives by.

    `instance`: this replica's own name, the machine's unless given; two with the same name would turn each other out.
    `pool_size`: connections for its work; its publisher and its probes have two of their own. `requests_at_once`,
    `body_bytes_at_once`: what is let in together; the rest is answered 429. `outbox_keep_hours`: so long what was
    published can be published again (P9); 0 keeps nothing.
    """

    model_config = SettingsConfigDict(env_prefix="ARREARS_", extra="ignore")

    env: Literal["production", "development"] = "production"
    database_url: SecretStr
    kafka_bootstrap: str
    namespace: str = Field(default="arrears", pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    partitions: int = Field(default=12, ge=1, le=1000)
    instance: str = Field(default_factory=socket.gethostname, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    issuer: str
    jwks_url: str
    audience: str = "arrears"
    clock_file: Path | None = None
    telemetry_dir: Path | None = None
    pool_size: int = Field(default=8, ge=2, le=100)
    requests_at_once: int = Field(default=64, ge=1, le=10_000)
    body_bytes_at_once: int = Field(default=8 << 20, ge=1 << 20, le=1 << 30)
    records_kept_days: int = Field(default=1096, ge=731)
    outbox_keep_hours: int = Field(default=0, ge=0, le=168)
    failpoint: str | None = None
    accept_new_streams: bool = False

    @property
    def development(self) -> bool:
        """Whether this is a developer's or a demo's machine."""
        return self.env == "development"

    @property
    def records_kept(self) -> timedelta:
        """So long records are kept: three years, and two at least (card measures, art. 68)."""
        return timedelta(days=self.records_kept_days)

    @property
    def docs_enabled(self) -> bool:
        """Whether the API pages are served."""
        return self.development

    @model_validator(mode="after")
    def _no_stepped_clock_in_production(self) -> Self:
        if self.clock_file is not None and not self.development:
            raise ValueError("ARREARS_CLOCK_FILE is for development only; unset it or set ARREARS_ENV=development")
        return self

    @model_validator(mode="after")
    def _a_person_accepts_new_streams_in_production(self) -> Self:
        if self.accept_new_streams and not self.development:
            raise ValueError(
                "ARREARS_ACCEPT_NEW_STREAMS is for development only; unset it or set ARREARS_ENV=development"
            )
        return self

    @model_validator(mode="after")
    def _no_failpoint_in_production(self) -> Self:
        if self.failpoint is not None:
            if not self.development:
                raise ValueError("ARREARS_FAILPOINT is for development only; unset it or set ARREARS_ENV=development")
            failpoints.parse(self.failpoint)
        return self

    def clock(self) -> Clock:
        """Return the clock that these settings ask for."""
        return RealClock() if self.clock_file is None else SteppedClock(self.clock_file)
