"""A token issuer for development: anybody who has the shared secret gets a token for any person and role.

    uvicorn --factory shared.web.dev_issuer:create_app

It refuses to start anywhere but in development. In production the bank's own OpenID provider issues the tokens.
"""

from __future__ import annotations

import hmac
import sys
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

from fastapi import FastAPI
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.errors import Problem
from shared.web.auth import Role
from shared.web.body import read_body
from shared.web.signing import LIFETIME_SECONDS, Signer

_FORM_LIMIT = 8192


class IssuerSettings(BaseSettings):
    """The issuer's surroundings; the same names as the services use."""

    model_config = SettingsConfigDict(env_prefix="ARREARS_", extra="ignore")

    env: Literal["production", "development"] = "production"
    issuer: str
    audience: str = "arrears"
    issuer_secret: SecretStr
    issuer_key_file: Path


def create_app(settings: IssuerSettings | None = None) -> FastAPI:
    """Return the issuer's app; leaves with one line when this is not development or a setting is missing."""
    settings = settings or _from_environment()
    if settings.env != "development":
        sys.exit("the development issuer refuses to run: ARREARS_ENV is not 'development'")
    if len(settings.issuer_secret.get_secret_value()) < 16:
        sys.exit("the development issuer refuses to run: ARREARS_ISSUER_SECRET needs 16 characters or more")
    signer = Signer.from_file(settings.issuer_key_file, issuer=settings.issuer, audience=settings.audience)
    app = FastAPI(title="development issuer", openapi_url=None)
    secret = settings.issuer_secret.get_secret_value().encode()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"service": "dev_issuer", "status": "alive"}

    @app.get("/.well-known/openid-configuration")
    async def discovery() -> dict[str, Any]:
        return _discovery(settings.issuer)

    @app.get("/jwks")
    async def jwks() -> dict[str, Any]:
        return signer.jwks()

    @app.post("/token")
    async def token(request: Request) -> Response:
        try:
            form = _form(await read_body(request.receive, _FORM_LIMIT))
        except (Problem, ValueError):
            return _refuse("invalid_request", 400)
        return _issue(form, signer, secret)

    return app


def _issue(form: dict[str, str], signer: Signer, secret: bytes) -> Response:
    if form.get("grant_type") != "client_credentials":
        return _refuse("unsupported_grant_type", 400)
    if not hmac.compare_digest(form.get("client_secret", "").encode(), secret) or not form.get("client_id"):
        return _refuse("invalid_client", 401)
    roles = form.get("scope", "").split()
    if not roles or any(role not in Role.__members__.values() for role in roles):
        return _refuse("invalid_scope", 400)
    access = signer.token(form["client_id"], roles, form.get("team") or None)
    answer = {"access_token": access, "token_type": "Bearer", "expires_in": LIFETIME_SECONDS, "scope": " ".join(roles)}
    return JSONResponse(answer, headers={"cache-control": "no-store"})


def _form(body: bytes) -> dict[str, str]:
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=10)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise ValueError("a field appears twice")
    return form


def _refuse(error: str, status: int) -> Response:
    return JSONResponse({"error": error}, status, {"cache-control": "no-store"})


def _discovery(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "scopes_supported": [str(role) for role in Role],
    }


def _from_environment() -> IssuerSettings:
    try:
        return IssuerSettings()  # from the environment
    except ValidationError as error:
        names = ", ".join(f"ARREARS_{str(fault['loc'][0]).upper()}" for fault in error.errors())
        sys.exit(f"the development issuer refuses to run: {names} missing or not allowed")
