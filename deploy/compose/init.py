"""Writes .env for docker-compose.yml with fresh random secrets: `make init`, or `make init PRODUCTION=1`.

A try-out gets what a bank has already: a token issuer, a mail catcher, an SMS centre. For production these settings are
left empty, and `docker compose` names the first that is missing. A file that is there is never touched.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.local.parts import SERVICES

_SMPP_PASSWORD_CHARACTERS = 8
"""SMPP 3.4 has no room for more."""


def settings(*, production: bool) -> dict[str, str]:
    """Return the settings by name; every secret is drawn anew and needs no quoting in a URL."""
    made = {
        "ARREARS_ENV": "production" if production else "development",
        "KAFKA_CLUSTER_ID": base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("="),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(32),
        **{f"{service.upper()}_DB_PASSWORD": secrets.token_urlsafe(32) for service in SERVICES},
    }
    return made | (dict.fromkeys(_OF_THE_BANK, "") if production else _of_a_try_out())


_OF_THE_BANK = (
    "ARREARS_ISSUER",
    "ARREARS_JWKS_URL",
    "ARREARS_SMTP_HOST",
    "ARREARS_SMPP_HOST",
    "ARREARS_SMPP_SYSTEM_ID",
    "ARREARS_SMPP_PASSWORD",
)


def _of_a_try_out() -> dict[str, str]:
    return {
        "COMPOSE_PROFILES": "development",
        "ARREARS_ISSUER": "http://issuer:8080",
        "ARREARS_JWKS_URL": "http://issuer:8080/jwks",
        "ARREARS_ISSUER_SECRET": secrets.token_urlsafe(32),
        "ARREARS_UPSTREAM_TOPIC": "upstream.card",
        "ARREARS_SMTP_HOST": "mail",
        "ARREARS_SMTP_PORT": "1025",
        "ARREARS_SMPP_HOST": "sms",
        "ARREARS_SMPP_PORT": "2775",
        "ARREARS_SMPP_SYSTEM_ID": "arrears",
        "ARREARS_SMPP_PASSWORD": secrets.token_hex(_SMPP_PASSWORD_CHARACTERS // 2),
    }


def write(file: Path, *, production: bool) -> None:
    """Write the settings, readable by their owner alone.

    Raises:
        FileExistsError: the file is there; its secrets are those of the data in the volumes.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(
            "# Written by `make init`. The passwords are those of the data in Docker's volumes: keep this file.\n"
        )
        out.writelines(f"{name}={value}\n" for name, value in settings(production=production).items())


def main(arguments: Sequence[str]) -> int:
    """Write .env beside docker-compose.yml and say what comes next."""
    parser = argparse.ArgumentParser(prog="python -m deploy.compose.init", description=__doc__)
    parser.add_argument("--production", action="store_true", help="leave empty what only the bank knows")
    options = parser.parse_args(arguments)
    file = Path(__file__).resolve().parents[2] / ".env"
    try:
        write(file, production=options.production)
    except FileExistsError:
        print("arrears: .env is there and stays: the data in Docker's volumes have its passwords", file=sys.stderr)
        return 1
    if options.production:
        print("arrears: .env written; fill in the empty settings, then: docker compose up --wait")
    else:
        print("arrears: .env written for a try-out, with a token issuer for everybody; then: docker compose up --wait")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
