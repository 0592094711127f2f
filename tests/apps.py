"""The five applications, built by their own `create_app` and not started: for what holds without a database."""

from __future__ import annotations

import importlib

import pytest
from fastapi import FastAPI

from shared.web.app import Parts
from shared.web.auth import TokenVerifier
from shared.web.keys import FixedKeys
from shared.web.signing import Signer

SERVICES = ("ingest", "scoring", "assignment", "fieldvisit", "notify")

_SURROUNDINGS = {
    "ARREARS_ENV": "development",
    "ARREARS_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
    "ARREARS_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "ARREARS_ISSUER": "http://issuer.test",
    "ARREARS_JWKS_URL": "http://issuer.test/jwks",
    "ARREARS_SMTP_HOST": "127.0.0.1",
    "ARREARS_SMTP_PORT": "1",
    "ARREARS_SMPP_HOST": "127.0.0.1",
    "ARREARS_SMPP_PORT": "1",
    "ARREARS_SMPP_SYSTEM_ID": "nobody",
    "ARREARS_SMPP_PASSWORD": "nothing",
}


def build(service: str, signer: Signer) -> FastAPI:
    """Return the application of `service`, which takes the tokens of `signer`."""
    verifier = TokenVerifier(issuer=signer.issuer, audience=signer.audience, keys=FixedKeys(signer.jwks()))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in _SURROUNDINGS.items():
            environment.setenv(name, value)
        app: FastAPI = importlib.import_module(f"services.{service}.app").create_app(parts=Parts(verifier=verifier))
    return app
