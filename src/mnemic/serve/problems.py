"""Errors as problem+json (RFC 9457): what was asked, what is so, what to do."""

from __future__ import annotations

import json
import logging
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from mnemic import errors

STATUS: tuple[tuple[type[errors.MnemicError], int], ...] = (
    (errors.InvalidInput, 422),
    (errors.FormatError, 422),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Unauthenticated, 401),
    (errors.AccessError, 403),
    (errors.TooLarge, 413),
    (errors.TooManyRequests, 429),
    (errors.EmbedderMismatch, 409),
    (errors.DependencyMissing, 501),
    (errors.StoreFull, 507),
    (errors.MnemicError, 503),
)
TITLES = {
    400: "Bad request",
    401: "A key is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "It changed meanwhile",
    413: "Too large",
    415: "Not in this form",
    421: "Wrong host",
    422: "Bad input",
    429: "Too many requests",
    500: "A fault in the server",
    501: "Not installed here",
    503: "Not now",
    507: "The disk is full",
}


_OF_STORES: tuple[tuple[type[errors.StoreError], str], ...] = (
    (
        errors.StoreFull,
        "The server's disk is full. Nothing of this was written, and all that was acknowledged is safe; try again "
        "when its operator has made room.",
    ),
    (errors.StoreBusy, "The memory was busy for too long. Nothing was written; try again."),
    (errors.StoreReadOnly, "This memory is read-only here. Nothing was written; its operator can change that."),
    (errors.StoreClosed, "The server is going down. Try again when it is back."),
)
_OF_A_STORE = "The server cannot use the file of this memory. Nothing was acknowledged; its log tells the operator why."
_LONGEST = 200  # of what is said about one field: its name may be the caller's, and of any length
_LOG = logging.getLogger("mnemic.serve")


def as_json(values: Any) -> bytes:
    """JSON as bytes; half characters, which UTF-8 cannot hold, are escaped."""
    try:
        return orjson.dumps(values)  # a twentieth of the time
    except orjson.JSONEncodeError:  # half a character, or a whole number beyond 64 bits
        pass
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def problem(
    status: int,
    code: str,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """An answer that says what is wrong. The sentences after the first one are the remedy."""
    says, _, remedy = detail.partition(". ")
    body: dict[str, Any] = {
        "type": f"urn:mnemic:problem:{code}",
        "title": TITLES.get(status, "Problem"),
        "status": status,
        "code": code,
        "detail": detail,
        "remedy": remedy or says,
    }
    if errors:
        body["errors"] = errors
    return Response(as_json(body), status, headers, media_type="application/problem+json")


def told(error: errors.MnemicError) -> str:
    """What a caller learns of an error. Where files and disks stand in the way, their names are for the log alone."""
    is_of_embedder = isinstance(error, errors.EmbedderError) and not isinstance(error, errors.EmbedderMismatch)
    if not isinstance(error, errors.StoreError) and not is_of_embedder:
        return str(error)
    _LOG.warning("%s: %s", type(error).__name__, error)
    if is_of_embedder:
        return "The server cannot embed texts at the moment. Its log tells the operator why; try again later."
    return next((says for kind, says in _OF_STORES if isinstance(error, kind)), _OF_A_STORE)


def from_error(error: errors.MnemicError) -> Response:
    """The answer to a request that raised one of our errors."""
    status = next(number for kind, number in STATUS if isinstance(error, kind))
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mnemic"'
    if status in (429, 503):
        headers["Retry-After"] = str(getattr(error, "retry_after_s", 1))
    return problem(status, type(error).__name__, told(error), headers)


async def on_error(_: Request, error: Exception) -> Response:
    """Handler of MnemicError."""
    assert isinstance(error, errors.MnemicError)
    return from_error(error)


async def on_validation(request: Request, error: Exception) -> Response:
    """Handler of input that is not of the documented shape. What was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    found = sorted(
        error.errors(), key=lambda one: one["type"] != "extra_forbidden"
    )  # a typo explains what else is missing
    wrong = [{"where": _where(one)[:_LONGEST], "says": one["msg"][:_LONGEST]} for one in found[:20]]
    first = wrong[0] if wrong else {"where": "the request", "says": "it cannot be read"}
    remedy = "See /openapi.json for what is expected."
    if "json" not in request.headers.get("content-type", "") and first["where"] == "body":
        remedy = "Send it as JSON, with the header `Content-Type: application/json`."
    return problem(422, "ParameterError", f"{first['where']}: {first['says']}. {remedy}", errors=wrong)


def _where(error: dict[str, Any]) -> str:
    """The field that is meant; in a body that is no JSON, the character."""
    loc = [str(one) for one in error["loc"]]
    return f"{loc[0]}, character {loc[1]}" if error["type"] == "json_invalid" and len(loc) == 2 else ".".join(loc)


async def on_http(_: Request, error: Exception) -> Response:
    """Handler of what the framework itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, errors.MnemicError):  # raised by our own limits while the body was read
        return from_error(error.__cause__)
    detail = {
        404: "There is no such path. See /openapi.json for those there are.",
        405: "This path has other methods. See /openapi.json.",
    }.get(error.status_code, f"{error.detail}. See /openapi.json.")
    code = {404: "NoSuchPath", 405: "MethodNotAllowed"}.get(error.status_code, "BadRequest")
    return problem(error.status_code, code, detail, dict(error.headers or {}))


async def on_fault(_: Request, __: Exception) -> Response:
    """Handler of everything unforeseen. The reason is in the server's log, not in the answer."""
    return problem(
        500, "Fault", "The server failed on this request; nothing was acknowledged. The reason is in the server's log."
    )
