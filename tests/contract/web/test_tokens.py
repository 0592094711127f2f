"""Tokens that must not be taken, each made for real and sent to a real app."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from joserfc.jws import JWSRegistry

from shared.errors import Problem
from shared.web.app import Parts
from shared.web.auth import ALGORITHMS, TokenVerifier
from shared.web.keys import FetchedKeys, FixedKeys
from shared.web.signing import Signer
from tests.contract.web.toy import ISSUER, toy_app

RSA = RSAKey.generate_key(2048)
RSA.ensure_kid()
NOW = int(time.time())


def claims(**changed: object) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": ["arrears"], "sub": "sup-1", "roles": ["supervisor"], "iat": NOW, "exp": NOW + 900}
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def part(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def good_header(signer: Signer) -> dict[str, Any]:
    return {"alg": "ES256", "kid": signer._key.kid, "typ": "at+jwt"}


def with_header(signer: Signer, **changed: object) -> str:
    """Return a token that is signed for exactly this header."""
    header = {**good_header(signer), **changed}
    given = {name: value for name, value in header.items() if value is not None}
    return jwt.encode(given, claims(), signer._key, default_type=None)


def rsa_secret_as_hmac() -> str:
    """Return a token "signed" with the issuer's public RSA key as if it were a shared secret."""
    signed = f"{part({'alg': 'HS256', 'kid': RSA.kid, 'typ': 'at+jwt'})}.{part(claims())}"
    return f"{signed}.{part(hmac.digest(RSA.as_pem(private=False), signed.encode(), 'sha256'))}"


def signed_as_it_is(signer: Signer, header: bytes) -> str:
    """Return a token that is validly signed over a header as no library would write it; %s is the key's id."""
    signed = f"{part(header % str(signer._key.kid).encode())}.{part(claims())}"
    return f"{signed}.{part(JWSRegistry.algorithms['ES256'].sign(signed.encode(), signer._key))}"


def strangers(**header: object) -> str:
    """Return a token of a stranger's key under the issuer's key id."""
    key = ECKey.generate_key("P-256")
    return jwt.encode({"alg": "ES256", "kid": RSA.kid, "typ": "at+jwt", **header}, claims(), key)


def bad_tokens(signer: Signer) -> dict[str, str]:
    good = signer.token("sup-1", ["supervisor"])
    head, body, signature = good.split(".")
    return {
        "algorithm none": f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': signer._key.kid})}.{body}.AA",
        "algorithm none, no signature": f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': signer._key.kid})}.{body}.",
        "HMAC with the public key": rsa_secret_as_hmac(),
        "another audience": signer.token("sup-1", ["supervisor"], aud=["payroll"]),
        "no audience": signer.token("sup-1", ["supervisor"], aud=None),
        "another issuer": signer.token("sup-1", ["supervisor"], iss="http://elsewhere.test"),
        "an ID token": with_header(signer, typ="JWT"),
        "no type": with_header(signer, typ=None),
        "expired": signer.token("sup-1", ["supervisor"], iat=NOW - 1000, exp=NOW - 100),
        "not yet valid": signer.token("sup-1", ["supervisor"], nbf=NOW + 7200),
        "issued in the future": signer.token("sup-1", ["supervisor"], iat=NOW + 7200, exp=NOW + 7500),
        "unknown key": Signer.generate(issuer=ISSUER).token("sup-1", ["supervisor"]),
        "no key id": with_header(signer, kid=None),
        "a key address of its own": strangers(jku="http://stranger.test/jwks"),
        "a key of its own": strangers(jwk=ECKey.generate_key("P-256").as_dict(private=False)),
        "a key that is not its own": strangers(),
        "no expiry": signer.token("sup-1", ["supervisor"], exp=None),
        "an expiry that is no number": signer.token("sup-1", ["supervisor"], exp="tomorrow"),
        "lives a day": signer.token("sup-1", ["supervisor"], exp=NOW + 86_400),
        "an endless subject": signer.token("x" * 201, ["supervisor"]),
        "a subject of two lines": signer.token("sup-1\nsup-2", ["supervisor"]),
        "no subject": signer.token("", ["supervisor"]),
        "roles that are no list": jwt.encode(good_header(signer), claims(roles="supervisor"), signer._key),
        "huge": signer.token("sup-1", ["supervisor"], padding="x" * 100_000),
        "a header field twice": signed_as_it_is(signer, b'{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"%s"}'),
        "changed claims": f"{head}.{part(claims(roles=['operator']))}.{signature}",
        "cut short": good[:-10],
        "four parts": f"{good}.x",
        "no text at all": "...",
        "a header that is no object": f"{part([1])}.{body}.{signature}",
        "a header that is no JSON": f"{part(b'{')}.{body}.{signature}",
    }


NAMES = sorted(bad_tokens(Signer.generate(issuer=ISSUER)))


@pytest.fixture(scope="session")
def verifier(signer: Signer) -> TokenVerifier:
    both = {"keys": [*signer.jwks()["keys"], RSA.as_dict(private=False)]}
    return TokenVerifier(issuer=ISSUER, audience="arrears", keys=FixedKeys(both))


@pytest.fixture
def app(verifier: TokenVerifier) -> FastAPI:
    return toy_app(Parts(verifier=verifier))


async def test_a_good_token_is_taken_by_either_kind_of_key(http: httpx.AsyncClient, signer: Signer) -> None:
    rsa = jwt.encode({"alg": "RS256", "kid": RSA.kid, "typ": "at+jwt"}, claims(team="north"), RSA)
    for token in (rsa, signer.token("sup-1", ["supervisor", "a role of another system"], "north")):
        answer = await http.get("/v1/who", headers={"authorization": f"Bearer {token}"})
        assert answer.json() == {"subject": "sup-1", "team": "north", "roles": ["supervisor"]}


async def test_a_header_that_is_signed_as_it_is_passes_when_it_names_each_field_once(
    http: httpx.AsyncClient, signer: Signer
) -> None:
    token = signed_as_it_is(signer, b'{"alg":"ES256","typ":"at+jwt","kid":"%s"}')
    assert (await http.get("/v1/who", headers={"authorization": f"Bearer {token}"})).status_code == 200


@pytest.mark.parametrize("name", NAMES)
async def test_a_bad_token_is_401_and_says_no_more_than_needed(
    http: httpx.AsyncClient, signer: Signer, name: str
) -> None:
    answer = await http.get("/v1/who", headers={"authorization": f"Bearer {bad_tokens(signer)[name]}"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == 'Bearer realm="arrears", error="invalid_token"'
    assert answer.json()["reason"] == ("expired" if name == "expired" else "invalid")


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "EdDSA", "Ed25519", "ES256K", "HS256", "none", None, ["ES256"], 7])
async def test_an_algorithm_that_is_not_the_keys_own_is_401(
    http: httpx.AsyncClient, signer: Signer, algorithm: object
) -> None:
    for kid in (signer._key.kid, RSA.kid):
        head = part({"alg": algorithm, "kid": kid, "typ": "at+jwt"})
        token = f"{head}.{part(claims())}.{part(b'x' * 64)}"
        assert (await http.get("/v1/who", headers={"authorization": f"Bearer {token}"})).status_code == 401


@pytest.mark.parametrize("line", ["", "Bearer", "Bearer ", "Basic c3VwOng=", "bearer x y", "Bearer \t"])
async def test_a_header_that_is_no_bearer_token_is_401(http: httpx.AsyncClient, line: str) -> None:
    assert (await http.get("/v1/who", headers={"authorization": line})).status_code == 401


async def test_two_tokens_in_one_request_are_401(http: httpx.AsyncClient, supervisor: dict[str, str]) -> None:
    line = ("authorization", supervisor["authorization"])
    assert (await http.get("/v1/who", headers=[line, line])).status_code == 401


async def test_without_a_token_nothing_under_v1_is_told_apart(http: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/v1/who"), ("GET", "/v1/nothing"), ("POST", "/v1/extensions"), ("PUT", "/v1/who")):
        answer = await http.request(method, path, content=b"{not json")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="arrears"'


async def test_a_key_address_inside_a_token_is_never_asked(signer: Signer) -> None:
    asked: list[str] = []

    class Keys(FixedKeys):
        async def find(self, kid: str) -> Any:
            asked.append(kid)
            return await super().find(kid)

    verifier = TokenVerifier(issuer=ISSUER, audience="arrears", keys=Keys(signer.jwks()))
    with pytest.raises(Problem):
        await verifier.verify(with_header(signer, kid="x", jku="http://stranger.test/jwks"))
    assert asked == ["x"]


async def test_while_no_key_can_be_had_a_well_formed_token_is_503_and_a_bad_one_still_401(signer: Signer) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away", request=request)

    keys = FetchedKeys(f"{ISSUER}/jwks", client=httpx.AsyncClient(transport=httpx.MockTransport(away)))
    app = toy_app(Parts(verifier=TokenVerifier(issuer=ISSUER, audience="arrears", keys=keys)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client:
        answer = await client.get("/v1/who", headers=signer.bearer("sup-1", "supervisor"))
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await client.get("/v1/who", headers={"authorization": "Bearer x.y.z"})).status_code == 401


async def test_an_old_key_is_refused_once_the_issuer_has_withdrawn_it() -> None:
    old, new = Signer.generate(issuer=ISSUER), Signer.generate(issuer=ISSUER)
    token = old.token("sup-1", ["supervisor"])
    both = KeySet([old._key, new._key]).as_dict(private=False)
    before = TokenVerifier(issuer=ISSUER, audience="arrears", keys=FixedKeys(dict(both)))
    assert (await before.verify(token)).subject == "sup-1"
    after = TokenVerifier(issuer=ISSUER, audience="arrears", keys=FixedKeys(new.jwks()))
    with pytest.raises(Problem):
        await after.verify(token)


async def test_a_wrong_role_is_403_and_names_the_roles_that_may(http: httpx.AsyncClient, signer: Signer) -> None:
    for roles in (["field_agent", "phone_agent", "operator"], [], ["another system's"]):
        answer = await http.get("/v1/who", headers=signer.bearer("field-1", *roles))
        assert answer.status_code == 403
        assert answer.json()["roles"] == ["supervisor"]


async def test_denials_are_counted_by_reason(http: httpx.AsyncClient, signer: Signer) -> None:
    await http.get("/v1/who")
    await http.get("/v1/who", headers=signer.bearer("field-1", "field_agent"))
    text = (await http.get("/metrics")).text
    assert 'arrears_authz_denied_total{reason="missing"} 1.0' in text
    assert 'arrears_authz_denied_total{reason="wrong_role"} 1.0' in text


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=40))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
async def test_any_three_parts_are_refused_and_nothing_else_happens(
    verifier: TokenVerifier, head: bytes, body: bytes, signature: bytes
) -> None:
    with pytest.raises(Problem):
        await verifier.verify(f"{part(head)}.{part(body)}.{part(signature)}")


@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "sub", "roles", "team", "iat", "exp", "nbf"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.lists(st.text(max_size=9), max_size=2),
    )
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
async def test_odd_claims_that_are_signed_for_real_give_a_caller_or_a_problem(
    verifier: TokenVerifier, signer: Signer, odd: dict[str, Any]
) -> None:
    token = jwt.encode(good_header(signer), {**claims(), **odd}, signer._key)
    try:
        outcome = (await verifier.verify(token)).subject
    except Problem as problem:
        outcome = problem.code
    assert outcome in ["unauthenticated", {**claims(), **odd}["sub"]]
