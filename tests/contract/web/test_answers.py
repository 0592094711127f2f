"""What leaves an app: problems for every failure, ids, probes, pages; and nothing that must stay inside."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from shared.errors import Retriable
from shared.telemetry.span_files import read_span_files
from shared.web.app import Parts, service_app
from shared.web.health import NotReady
from tests.contract.web.toy import SECRET, no_lifespan, ready, settings, toy_app

MEMBERS = {"type", "title", "title_en", "status", "detail", "detail_en", "code", "request_id", "errors"}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    members: dict[str, Any] = answer.json()
    assert (answer.status_code, members["status"], members["code"]) == (status, status, code)
    assert members.keys() >= MEMBERS
    assert answer.headers["traceresponse"].split("-")[1] == members["request_id"]
    return members


async def test_unknown_addresses_and_methods_are_problems(http: httpx.AsyncClient, supervisor: dict[str, str]) -> None:
    problem(await http.get("/nothing"), 404, "not_found")
    problem(await http.get("/v1/nothing", headers=supervisor), 404, "not_found")
    problem(await http.get("/v1/who/", headers=supervisor), 404, "not_found")
    wrong_method = await http.delete("/v1/who", headers=supervisor)
    problem(wrong_method, 405, "method_not_allowed")
    assert wrong_method.headers["allow"] == "GET"


async def test_wrong_parameters_are_named_with_where_they_stand(
    http: httpx.AsyncClient, supervisor: dict[str, str]
) -> None:
    answer = await http.get(f"/v1/items/{SECRET}?limit=many", headers=supervisor)
    members = problem(answer, 422, "invalid_fields")
    assert [error["field"] for error in members["errors"]] == ["path.item_id", "query.limit"]
    assert "13800138000" not in answer.text


async def test_a_refusal_in_a_route_is_its_problem(http: httpx.AsyncClient, supervisor: dict[str, str]) -> None:
    answer = await http.get("/v1/items/018f0000-0000-7000-8000-000000000000", headers=supervisor)
    assert problem(answer, 404, "not_found")["detail"] == "没有这一项。"


@pytest.mark.expected_errors("arrears.web: a request failed")
async def test_an_unforeseen_failure_leaks_nothing_and_is_logged_with_its_trace(
    http: httpx.AsyncClient, supervisor: dict[str, str], capsys: pytest.CaptureFixture[str], parts: Parts
) -> None:
    production = toy_app(parts, env="production")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(production), base_url="http://toy") as client:
        answer = await client.get("/v1/fails/bug", headers=supervisor)
    members = problem(answer, 500, "internal")
    assert "13800138000" not in answer.text
    assert "ValueError" not in answer.text
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines() if '"ERROR"' in text]
    assert line["trace_id"] == members["request_id"]
    assert line["exception"][0]["type"] == "builtins.ValueError"
    assert "13800138000" not in json.dumps(line, ensure_ascii=False)


@pytest.mark.parametrize("how", ["retry", "away"])
async def test_what_passes_by_itself_is_503_and_says_when_to_come_back(
    http: httpx.AsyncClient, supervisor: dict[str, str], how: str
) -> None:
    answer = await http.get(f"/v1/fails/{how}", headers=supervisor)
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]
    assert "13800138000" not in answer.text


async def test_a_commit_that_fails_is_never_answered_as_done(
    http: httpx.AsyncClient, supervisor: dict[str, str]
) -> None:
    problem(await http.post("/v1/commit-fails", headers=supervisor), 503, "unavailable")


@pytest.mark.expected_errors("arrears.web: a request failed")
async def test_an_answer_that_fails_half_way_breaks_the_connection(
    http: httpx.AsyncClient, supervisor: dict[str, str]
) -> None:
    with pytest.raises(ConnectionAbortedError):
        await http.get("/v1/breaks-off", headers=supervisor)


async def test_the_callers_trace_goes_on_and_names_the_request(
    parts: Parts, supervisor: dict[str, str], tmp_path: Path
) -> None:
    app = toy_app(parts, telemetry_dir=tmp_path)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    headers = {**supervisor, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client:
        answer = await client.get("/v1/who?name=13800138000", headers=headers)
        await client.get("/healthz")
    app.state.telemetry.shutdown()
    (span,) = read_span_files(tmp_path)
    assert (span.trace_id, span.parent_id, span.name) == (trace, "00f067aa0ba902b7", "GET /v1/who")
    assert answer.headers["traceresponse"] == f"00-{trace}-{span.span_id}-01"
    assert "13800138000" not in next(tmp_path.iterdir()).read_text(encoding="utf-8")


async def test_requests_are_counted_by_template_and_never_by_path(
    http: httpx.AsyncClient, supervisor: dict[str, str]
) -> None:
    await http.get("/v1/items/018f0000-0000-7000-8000-000000000000", headers=supervisor)
    await http.get("/v1/made-up-13800138000", headers=supervisor)
    await http.request("BREW", "/v1/who", headers=supervisor)
    text = (await http.get("/metrics")).text
    assert 'arrears_http_requests_total{method="GET",route="/v1/items/{item_id}",status="404"} 1.0' in text
    assert 'method="other"' in text
    assert "13800138000" not in text
    assert "018f0000" not in text
    assert 'arrears_build_info{instance="0",service="toy",version=' in text


async def test_probes_need_no_token(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"service": "toy", "status": "alive"}
    assert (await http.get("/readyz")).json() == {"service": "toy", "status": "ready", "reasons": []}


async def readiness_of(reasons: Sequence[NotReady] | Exception, parts: Parts) -> httpx.Response:
    async def readiness() -> Sequence[NotReady]:
        if isinstance(reasons, Exception):
            raise reasons
        return reasons

    app = service_app(
        name="toy",
        title="Toy",
        settings=settings(),
        routers=[],
        lifespan=no_lifespan,
        readiness=readiness,
        parts=parts,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client:
        return await client.get("/readyz")


async def test_a_service_that_cannot_work_says_why_in_both_languages(parts: Parts) -> None:
    reason = NotReady("database_away", "数据库无法访问", "the database is away")
    answer = await readiness_of([reason], parts)
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [
        {"code": "database_away", "reason": "数据库无法访问", "reason_en": "the database is away"}
    ]


async def test_a_readiness_check_that_meets_an_absence_says_so_without_its_text(parts: Parts) -> None:
    answer = await readiness_of(Retriable(SECRET), parts)
    assert (answer.status_code, answer.json()["reasons"][0]["code"]) == (503, "away")
    assert "13800138000" not in answer.text


async def test_every_problem_has_its_page(http: httpx.AsyncClient, app: FastAPI) -> None:
    listing = await http.get("/problems")
    for code, row in app.state.problem_types.items():
        assert f'href="/problems/{code}"' in listing.text
        page = await http.get(f"/problems/{code}")
        assert page.status_code == 200
        assert row.title_zh in page.text
        assert row.remedy_en in page.text.replace("&#39;", "'")
    problem(await http.get("/problems/no_such_code"), 404, "not_found")


async def test_pages_ask_for_nothing_outside_the_service(http: httpx.AsyncClient) -> None:
    for path in ("/problems", "/problems/conflict", "/problems/page.css", "/docs", "/docs/docs.js"):
        page = await http.get(path)
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.search(r"(?:https?:)?//[a-z]", page.text), path
        for address in re.findall(r'(?:href|src)="([^"]+)"|fetch\("([^"]+)"\)', page.text):
            assert (await http.get("".join(address))).status_code == 200


async def test_the_document_describes_tokens_and_problems(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    post = document["paths"]["/v1/extensions"]["post"]
    assert post["security"] == [{"HTTPBearer": []}]
    assert "application/problem+json" in post["responses"]["422"]["content"]
    assert "application/problem+json" in post["responses"]["default"]["content"]
    assert "HTTPValidationError" not in json.dumps(document)


async def test_outside_development_there_are_no_docs_but_problem_pages(parts: Parts) -> None:
    app = toy_app(parts, env="production")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as client:
        for path in ("/docs", "/docs/docs.js", "/openapi.json", "/redoc"):
            problem(await client.get(path), 404, "not_found")
        assert (await client.get("/problems/conflict")).status_code == 200


def test_an_app_with_an_undeclared_route_does_not_start(parts: Parts) -> None:
    router = APIRouter(prefix="/v1")

    @router.get("/hole")
    async def hole() -> str:
        return "open"

    with pytest.raises(RuntimeError, match="GET /v1/hole"):
        service_app(
            name="toy",
            title="Toy",
            settings=settings(),
            routers=[router],
            lifespan=no_lifespan,
            readiness=ready,
            parts=parts,
        )
