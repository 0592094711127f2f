from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from shared.web.auth import Role, TokenVerifier
from shared.web.dev_issuer import IssuerSettings, create_app
from shared.web.keys import FetchedKeys
from tests.contract.web.toy import ISSUER

SECRET = "a-secret-of-the-local-stack"


def issuer_settings(folder: Path, env: str = "development", secret: str = SECRET) -> IssuerSettings:
    return IssuerSettings.model_validate(
        {
            "env": env,
            "issuer": ISSUER,
            "issuer_secret": SecretStr(secret),
            "issuer_key_file": folder / "keys" / "issuer.pem",
        }
    )


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(issuer_settings(tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as client:
        yield client


def form(**changed: str) -> dict[str, str]:
    usual = {"grant_type": "client_credentials", "client_id": "sup-1", "client_secret": SECRET}
    return {**usual, "scope": "supervisor phone_agent", "team": "north", **changed}


async def test_its_tokens_are_taken_by_a_verifier_that_asks_it_for_its_keys(issuer: httpx.AsyncClient) -> None:
    answer = (await issuer.post("/token", data=form())).json()
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 900)
    found = (await issuer.get("/.well-known/openid-configuration")).json()
    verifier = TokenVerifier(
        issuer=found["issuer"], audience="arrears", keys=FetchedKeys(found["jwks_uri"], client=issuer)
    )
    principal = await verifier.verify(answer["access_token"])
    assert (principal.subject, principal.team) == ("sup-1", "north")
    assert principal.roles == {Role.SUPERVISOR, Role.PHONE_AGENT}


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": "密"}, 401, "invalid_client"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"scope": "supervisor king"}, 400, "invalid_scope"),
    ],
)
async def test_a_wrong_request_gets_no_token(
    issuer: httpx.AsyncClient, changed: dict[str, str], status: int, error: str
) -> None:
    answer = await issuer.post("/token", data=form(**changed))
    assert (answer.status_code, answer.json()) == (status, {"error": error})


@pytest.mark.parametrize("body", [b"", b"\xff", b"a=1&a=2", b"nonsense", b"x" * 10_000])
async def test_a_malformed_form_gets_no_token(issuer: httpx.AsyncClient, body: bytes) -> None:
    assert (await issuer.post("/token", content=body)).status_code == 400


async def test_the_key_set_holds_no_private_part(issuer: httpx.AsyncClient) -> None:
    (key,) = (await issuer.get("/jwks")).json()["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}


async def test_the_key_is_kept_for_its_owner_only_and_used_again(tmp_path: Path) -> None:
    create_app(issuer_settings(tmp_path))
    path = tmp_path / "keys" / "issuer.pem"
    before = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    create_app(issuer_settings(tmp_path))
    assert path.read_bytes() == before


@pytest.mark.parametrize(("env", "secret"), [("production", SECRET), ("development", "short")])
def test_it_refuses_to_run_elsewhere_or_with_a_weak_secret(tmp_path: Path, env: str, secret: str) -> None:
    with pytest.raises(SystemExit, match="refuses to run"):
        create_app(issuer_settings(tmp_path, env, secret))
    assert not list(tmp_path.iterdir())


def test_missing_settings_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ARREARS_ISSUER", "ARREARS_ISSUER_SECRET", "ARREARS_ISSUER_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit, match="ARREARS_ISSUER, ARREARS_ISSUER_SECRET, ARREARS_ISSUER_KEY_FILE"):
        create_app()
