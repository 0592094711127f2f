"""RFC 9457 problem documents in Chinese and English, and the handlers that turn every failure into one.

A document never repeats what the sender sent, nor the text of an exception: both may be personal data.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import FieldError, Problem
from shared.web.catalogue import Catalogue, ProblemType, code_for_status
from shared.web.field_errors import MALFORMED, from_msgspec, from_pydantic

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("arrears.web")


def request_id() -> str:
    """Return the trace id of the request that runs now, or a random one outside any trace."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else secrets.token_hex(16)


def document(problem: Problem, types: Catalogue, request_id: str) -> dict[str, Any]:
    """Return the members of the problem's document."""
    row = _row(problem, types)
    fixed = {
        "type": f"/problems/{row.code}",
        "title": row.title_zh,
        "title_en": row.title_en,
        "status": problem.status or row.status,
        "detail": problem.detail_zh,
        "detail_en": problem.detail_en,
        "code": problem.code,
        "request_id": request_id,
        "errors": [error_out(error) for error in problem.errors],
    }
    return {**fixed, **{name: value for name, value in problem.extra.items() if name not in fixed}}


def problem_response(problem: Problem, types: Catalogue, headers: Mapping[str, str] | None = None) -> Response:
    """Return the problem as an HTTP answer; 401 names the scheme, 429 and 503 say when to come back."""
    members = document(problem, types, request_id())
    status = int(members["status"])
    fixed = {"cache-control": "no-store"}
    if status == 401:
        fixed["www-authenticate"] = _challenge(problem)
    if status in (429, 503):
        fixed["retry-after"] = "2"
    return Response(
        msgspec.json.encode(members, enc_hook=str), status, {**fixed, **(headers or {})}, media_type=MEDIA_TYPE
    )


def types_of(request: Request) -> Catalogue:
    """Return the catalogue of the app that answers this request."""
    types: Catalogue = request.app.state.problem_types
    return types


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer a refusal of our own."""
    assert isinstance(error, Problem)
    return problem_response(error, types_of(request))


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer fields that FastAPI or pydantic refused."""
    assert isinstance(error, RequestValidationError)
    return problem_response(invalid_fields(from_pydantic(error.errors())), types_of(request))


async def on_invalid_struct(request: Request, error: Exception) -> Response:
    """Answer fields that msgspec refused."""
    assert isinstance(error, msgspec.ValidationError)
    return problem_response(invalid_fields(from_msgspec(error)), types_of(request))


async def on_undecodable(request: Request, error: Exception) -> Response:
    """Answer a body in which msgspec found no JSON at all: one that is strict but empty."""
    assert isinstance(error, msgspec.DecodeError)
    problem = Problem("malformed_body", "请求正文为空。", "The body is empty.", (MALFORMED.at("body"),))
    return problem_response(problem, types_of(request))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses by status alone: no route, no such method, and the like."""
    assert isinstance(error, HTTPException)
    types = types_of(request)
    row = types[code_for_status(error.status_code)]
    problem = Problem(row.code, row.meaning_zh, row.meaning_en, status=error.status_code)
    return problem_response(problem, types, error.headers)


def invalid_fields(errors: tuple[FieldError, ...]) -> Problem:
    """Return the problem that lists these fields."""
    return Problem(
        "invalid_fields",
        f"有 {len(errors)} 个字段需要改正。",
        f"{len(errors)} {'field needs' if len(errors) == 1 else 'fields need'} correcting.",
        errors,
    )


def internal_problem() -> Problem:
    """Return what is said of an unexpected failure: nothing of its cause."""
    return Problem("internal", "系统未能完成请求，已记录。", "The request failed here and has been logged.")


def unavailable_problem() -> Problem:
    """Return what is said while something that is needed is away."""
    return Problem(
        "unavailable",
        "所依赖的部件暂时无法访问，请稍后重试。",
        "Something that is needed is away for now; try again soon.",
    )


HANDLERS = {
    Problem: on_problem,
    RequestValidationError: on_invalid_request,
    msgspec.ValidationError: on_invalid_struct,
    msgspec.DecodeError: on_undecodable,
    HTTPException: on_http_exception,
}


def _row(problem: Problem, types: Catalogue) -> ProblemType:
    row = types.get(problem.code)
    if row is None:
        # A code without a page is a defect of ours; the sender still gets the status that was meant.
        _log.error("a problem code is missing from the catalogue", extra={"code": problem.code})
        row = types[code_for_status(problem.status or 500)]
    return row


def _challenge(problem: Problem) -> str:
    # RFC 6750: no error member when the request carried no credentials at all.
    if problem.extra.get("reason") == "missing":
        return 'Bearer realm="arrears"'
    return 'Bearer realm="arrears", error="invalid_token"'


def error_out(error: FieldError) -> dict[str, str]:
    """Return a field's error as answers have it."""
    return {
        "field": printable(error.field),
        "fault": error.fault_zh,
        "fault_en": error.fault_en,
        "remedy": error.remedy_zh,
        "remedy_en": error.remedy_en,
    }


def printable(path: str) -> str:
    """Return a field path that is safe to show: names a sender made up are cut and freed of control characters."""
    return re.sub(r"[^\w.\[\]$:-]", "?", path)[:200]
