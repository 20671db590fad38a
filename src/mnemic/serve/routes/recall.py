"""Recall over HTTP: search, context blocks, and why something was not found."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from mnemic.memory import Memory
from mnemic.serve import answers, requests
from mnemic.serve.routes.answer import answer, ids_of, in_one_tenant, may_answer, only_known_arguments, server_of
from mnemic.wire import context_json, recall_json, why_not_json

router = APIRouter(prefix="/v1", tags=["recall"], dependencies=[Depends(only_known_arguments)])
_OWN = {"scope", "system", "query", "text_or_id", "user_id", "agent_id", "run_id", "app_id"}


@router.post("/search", responses=may_answer(answers.Recall, 200, 404, 409))
def search(request: Request, body: requests.SearchIn) -> Response:
    """The memories that answer a query, best first, each with its score in [0, 1], its reasons and its sources."""
    ids = ids_of(body)
    with server_of(request).memory(request, "read", ids, "search", filters=body.filters) as memory:
        recall = asked(request, memory, body).search(body.query, **arguments(body), **ids.arguments)
        return answer(recall_json(recall))


@router.post("/context", responses=may_answer(answers.Context, 200, 404, 409))
def context(request: Request, body: requests.ContextIn) -> Response:
    """What answers a query, as a block of text for a prompt: dated, attributed, cited, within a budget of tokens."""
    ids = ids_of(body)
    with server_of(request).memory(request, "read", ids, "context", filters=body.filters) as memory:
        given = arguments(body)
        top_k = given.pop("top_k", None)
        if top_k is not None:
            given["limit"] = top_k
        return answer(context_json(asked(request, memory, body).context(body.query, **given, **ids.arguments)))


@router.post("/why-not", responses=may_answer(answers.WhyNot, 200, 404, 409))
def why_not(request: Request, body: requests.WhyNotIn) -> Response:
    """Why a search did not recall an episode: what kept it out, and what would bring it in."""
    ids = ids_of(body)
    with server_of(request).memory(request, "read", ids, "why_not", filters=body.filters) as memory:
        found = asked(request, memory, body).why_not(body.query, body.text_or_id, **arguments(body), **ids.arguments)
        return answer(why_not_json(found))


def asked(request: Request, memory: Memory, body: requests.SearchIn) -> Memory:
    """The handle whose searches the wanted system answers."""
    in_one_tenant(request, ids_of(body), body.include_children)
    return memory if body.system is None else memory.system(body.system)


def arguments(body: requests.SearchIn) -> dict[str, Any]:
    """The arguments of a search, those that were given."""
    return {name: getattr(body, name) for name in body.model_fields_set if name not in _OWN}
