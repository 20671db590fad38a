"""How routes answer: JSON with an ETag, pages with cursors, and the answers that every route may give."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from mnemic.errors import InvalidFilter, ParameterError
from mnemic.serve import answers, requests
from mnemic.serve.problems import as_json, problem
from mnemic.serve.server import Ids, Server

Responses = dict[int | str, dict[str, Any]]
PROBLEM = {"model": answers.Problem, "content": {"application/problem+json": {}}}
_ALWAYS = {
    400: "a body that cannot be read",
    401: "no key, or one that is not known",
    403: "the key does not reach that scope or verb",
    413: "more than the server takes at once",
    421: "a name that this server is not known by",
    422: "input that was refused; nothing was written",
    429: "more often than the server takes",
    503: "the store cannot do it now; try again",
    507: "the disk is full; what was acknowledged is safe",
}


def only_known_arguments(request: Request) -> None:
    """Refuse a query argument that the route does not know: a mistyped `scope` must not mean another one."""
    if not request.query_params:
        return
    known = getattr(request.app.state, "arguments", None)
    if known is None:
        known = request.app.state.arguments = _arguments(request.app.openapi())
    names = known.get((request.scope["route"].path_format, request.method.lower()), frozenset())
    unknown = sorted(set(request.query_params) - names)
    if unknown:
        has = ", ".join(sorted(names)) or "none"
        raise ParameterError(f"There is no argument {unknown[0][:60]!r} in the query of this path. It has: {has}.")


def _arguments(document: Mapping[str, Any]) -> dict[tuple[str, str], frozenset[str]]:
    """The query arguments of every path and method that the document tells of."""
    return {
        (path, method): frozenset(one["name"] for one in told.get("parameters", ()) if one["in"] == "query")
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    }


def in_one_tenant(request: Request, ids: Ids, include_children: bool) -> None:
    """Refuse what means the root and all below it: below it stand the tenants, each in a file of its own."""
    if include_children and not ids.scope and not ids.arguments and any(server_of(request).tenants.names(limit=2)):
        raise ParameterError(
            "The root scope of a server is a tenant of its own, and nothing here reaches into the others. Name a tenant: "
            "GET /v1/scopes lists them."
        )


def server_of(request: Request) -> Server:
    """The server that a request came to."""
    server: Server = request.app.state.server
    return server


def ids_in_query(
    scope: Annotated[str, Query(max_length=2000, description="a path such as acme/alice")] = "",
    user_id: Annotated[str | None, Query(max_length=2000)] = None,
    agent_id: Annotated[str | None, Query(max_length=2000)] = None,
    run_id: Annotated[str | None, Query(max_length=2000)] = None,
    app_id: Annotated[str | None, Query(max_length=2000)] = None,
) -> Ids:
    """The scope and ids of a request without a body."""
    return Ids(scope, user_id, agent_id, run_id, app_id)


QueryIds = Annotated[Ids, Depends(ids_in_query)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=2000, description="next_cursor of the page before")]
FilterText = Annotated[str | None, Query(max_length=20_000, description='JSON, such as {"topic": "tea"}')]


def ids_of(body: requests.Place) -> Ids:
    """The scope and ids of a request with a body."""
    return Ids(body.scope, body.user_id, body.agent_id, body.run_id, body.app_id)


def may_answer(model: Any = None, status: int = 200, *also: int, etag: bool = False) -> Responses:
    """The `responses` of a route for its documentation: what it gives when all is well, and every problem it may have."""
    texts = {404: "not there", 409: "it conflicts with what is there", 412: "it changed since it was read"}
    given: Responses = {} if model is None else {status: {"model": model}}
    if etag:
        given[304] = {"description": "unchanged since the ETag that was sent"}
    given |= {code: {**PROBLEM, "description": text} for code, text in _ALWAYS.items()}
    return given | {code: {**PROBLEM, "description": texts[code]} for code in also}


def answer(values: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON."""
    return Response(as_json(values), status, dict(headers or {}), media_type="application/json")


def answer_once(request: Request, values: Any) -> Response:
    """JSON with an ETag; 304 when the caller has it already."""
    body = as_json(values)
    tag = etag_of(body)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, media_type="application/json")


def etag_of(body: bytes) -> str:
    """The entity tag of an answer."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def unless_changed(request: Request, values: Any) -> Response | None:
    """A 412 when the caller's If-Match is not the tag of these values; None when all is well."""
    wanted = [one.strip() for one in request.headers.get("if-match", "").split(",") if one.strip()]
    if not wanted or "*" in wanted or etag_of(as_json(values)) in wanted:
        return None
    return problem(412, "EditConflict", "It changed since you read it; nothing was written. Read it and try again.")


def cursor_of(place: Any) -> str:
    """A place in a listing, as opaque text."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_in(cursor: str | None, kind: type[int] | type[str]) -> Any:
    """What a cursor stands for; None without one. Raises ParameterError."""
    if cursor is None:
        return None
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        str(place).encode()  # half a character is no place in any listing
    except (ValueError, binascii.Error, RecursionError):
        place = None
    if type(place) is not kind:
        raise ParameterError("This cursor is not one that this listing gave. Leave it out to begin at the start.")
    return place


def filters_in(text: str | None) -> dict[str, Any] | None:
    """Filters given as JSON text. Raises InvalidFilter."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidFilter('filters is no JSON object. Write it as {"topic": "tea"}.')
    return value
