"""The outermost layers of an app: nothing leaves without an id, nothing fails without a problem document."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import asyncpg
from opentelemetry import trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.db.faults import is_retriable
from shared.errors import Problem
from shared.telemetry.metrics import Metrics
from shared.telemetry.spans import format_traceparent
from shared.web.auth import TokenRefused, TokenVerifier
from shared.web.catalogue import Catalogue
from shared.web.problems import internal_problem, problem_response, unavailable_problem

_log = logging.getLogger("arrears.web")

PROTECTED = "/v1/"
"""Everything under this prefix needs a valid token, before its route is looked for or its body read."""


class Guard:
    """Answers what nobody else answered, adds the trace to the answer's headers, and counts."""

    def __init__(self, app: ASGIApp, *, types: Catalogue, metrics: Metrics, route_of: Callable[[Scope], str]) -> None:
        self._app = app
        self._types = types
        self._metrics = metrics
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the rest of the app inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            status = 499  # nobody is left to answer; the number is what proxies log for it
        except asyncio.CancelledError:
            # Told to stop, the server gives up what takes too long, and would say no more than 500 itself. What was
            # asked for may have been done: the same key finds it again.
            if not status:
                await problem_response(unavailable_problem(), self._types)(scope, receive, answer)
            raise
        except Exception as error:  # noqa: BLE001 - the one place where an unforeseen failure becomes an answer
            if status:
                # The answer has begun: cutting the connection is all that still tells the truth.
                _report(error)
                raise ConnectionAbortedError("an answer broke off") from None
            problem = _problem_of(error)
            await problem_response(problem, self._types)(scope, receive, answer)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = self._route_of(scope)
        self._metrics.http_requests.labels(method, route, str(status)).inc()
        self._metrics.http_request_seconds.labels(method, route).observe(seconds)


class Authenticate:
    """Verifies the token of every request under `PROTECTED` and leaves the caller in the request's state."""

    def __init__(self, app: ASGIApp, *, verifier: TokenVerifier, metrics: Metrics) -> None:
        self._app = app
        self._verifier = verifier
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through who has a valid token; raises `Problem` for the guard to answer."""
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            try:
                principal = await self._verifier.verify(_token(scope))
            except TokenRefused as refused:
                self._metrics.authz_denied.labels(refused.reason).inc()
                raise
            scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def passing(error: BaseException) -> bool:
    """Return whether a failure is of the surroundings and passes by itself: something is away, a race was lost."""
    if isinstance(error, asyncpg.InterfaceError) and "clos" not in str(error):
        return False  # not a closed connection or pool but a wrong call, which is a defect of ours
    return is_retriable(error)


def _token(scope: Scope) -> str:
    given = Headers(scope=scope).getlist("authorization")
    if not given:
        raise TokenRefused("missing")
    if len(given) > 1:
        raise TokenRefused("doubled")
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenRefused("malformed")
    return token.strip()


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if passing(error):
        _log.warning("something needed is away", extra={"error_type": type(error).__name__})
        return unavailable_problem()
    _report(error)
    return internal_problem()


def _report(error: Exception) -> None:
    _log.error("a request failed", exc_info=error)


def _add_headers(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    headers["x-content-type-options"] = "nosniff"
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        headers["traceresponse"] = format_traceparent(context)
