"""The routes of mem0's own server, so that what speaks to that one can speak to this one.

The scope that its users stand in is the header `X-Mnemic-Scope`, else the only one that the key reaches, else "mem0". Nothing is
inferred: what is sent is kept as it was. Shapes are those of `mnemic.integrations.mem0`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mnemic.errors import ParameterError
from mnemic.integrations.mem0 import Memory
from mnemic.memory.intake import drafts_from
from mnemic.serve.access import scope_in
from mnemic.serve.requests import Filters, Name, Text, When
from mnemic.serve.routes.answer import Responses, answer, may_answer, only_known_arguments, server_of
from mnemic.serve.server import Ids

router = APIRouter(tags=["as mem0 has them"], dependencies=[Depends(only_known_arguments)])
DEFAULT_SCOPE = "mem0"
Id = Annotated[str | None, Query(max_length=2000)]


class _In(BaseModel):
    model_config = ConfigDict(extra="ignore")  # its clients send more than means something here
    user_id: Name | None = None
    agent_id: Name | None = None
    run_id: Name | None = None


class Mem0Add(_In):
    """What to remember, in mem0's shape."""

    messages: Text | dict[str, Any] | list[dict[str, Any]]
    metadata: dict[str, Any] | None = None
    infer: bool | None = None
    timestamp: When | None = None
    expiration_date: str | None = None


class Mem0Search(_In):
    """A search, in mem0's shape."""

    query: Text
    filters: Filters | None = None
    top_k: int | None = Field(None, ge=1, le=1000)
    limit: int | None = Field(None, ge=1, le=1000)
    threshold: float | None = Field(None, ge=0.0, le=1.0)


class Mem0Update(BaseModel):
    """A correction, in mem0's shape."""

    model_config = ConfigDict(extra="ignore")
    text: Text | None = None
    data: Text | None = Field(None, description="another name for text")
    metadata: dict[str, Any] | None = None


class Mem0Results(BaseModel):
    """Memories, in mem0's shape."""

    results: list[dict[str, Any]]


class Mem0Said(BaseModel):
    """That something was done."""

    message: str


def _with_memory(
    request: Request,
    verb: str,
    operation: str,
    call: Callable[[Memory], Any],
    check: Callable[[], object] | None = None,
) -> Any:
    server = server_of(request)
    who = server.principal(request)
    only = who.scopes[0] if len(who.scopes) == 1 else ""
    base = scope_in(request.headers) or only or DEFAULT_SCOPE
    with server.memory(request, verb, Ids(base), operation, create=check) as memory:
        return call(Memory(memory))


def _problems(model: Any, *also: int) -> Responses:
    return may_answer(model, 200, *also)


@router.post("/memories", responses=_problems(Mem0Results, 409))
def add(request: Request, body: Mem0Add) -> Response:
    """Keep messages verbatim, for a user, agent or run."""
    given = body.model_dump(exclude_none=True)
    messages = given.pop("messages")

    def check() -> None:
        if not _given(body.user_id, body.agent_id, body.run_id):
            raise ParameterError("Nobody is named. Give at least one of user_id, agent_id and run_id.")
        drafts_from(messages, role=None, actor=None, session=None, occurred_at=None, metadata=None, id=None)

    return answer(_with_memory(request, "write", "add", lambda memory: memory.add(messages, **given), check))


@router.get("/memories", responses=_problems(Mem0Results))
def get_all(
    request: Request,
    user_id: Id = None,
    agent_id: Id = None,
    run_id: Id = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What is remembered of a user, agent or run."""
    ids = _given(user_id, agent_id, run_id)
    return answer(_with_memory(request, "read", "list", lambda memory: memory.get_all(filters=ids, top_k=limit)))


@router.delete("/memories", responses=_problems(Mem0Said))
def delete_all(request: Request, user_id: Id = None, agent_id: Id = None, run_id: Id = None) -> Response:
    """Forget everything of a user, agent or run."""
    ids = _given(user_id, agent_id, run_id)
    return answer(_with_memory(request, "forget", "forget", lambda memory: memory.delete_all(**ids)))


@router.get("/memories/{memory_id}", responses=_problems(None, 404) | {200: {"content": {"application/json": {}}}})
def get(request: Request, memory_id: str) -> Response:
    """One memory; null where there is none, as mem0 has it."""
    return answer(_with_memory(request, "read", "get", lambda memory: memory.get(memory_id)))


@router.put("/memories/{memory_id}", responses=_problems(Mem0Said, 404, 409))
def update(request: Request, memory_id: str, body: Mem0Update) -> Response:
    """Correct a memory; its id stays, and its past too."""
    text = body.text if body.text is not None else body.data
    return answer(
        _with_memory(request, "write", "update", lambda memory: memory.update(memory_id, text, metadata=body.metadata))
    )


@router.delete("/memories/{memory_id}", responses=_problems(Mem0Said, 404))
def delete(request: Request, memory_id: str) -> Response:
    """Forget a memory, with every version of it."""
    return answer(_with_memory(request, "forget", "forget", lambda memory: memory.delete(memory_id)))


@router.get(
    "/memories/{memory_id}/history", responses=_problems(None, 404) | {200: {"content": {"application/json": {}}}}
)
def history(request: Request, memory_id: str) -> Response:
    """Every text that a memory had."""
    return answer(_with_memory(request, "read", "history", lambda memory: memory.history(memory_id)))


@router.post("/search", responses=_problems(Mem0Results))
def search(request: Request, body: Mem0Search) -> Response:
    """Memories that answer a query."""
    given = body.model_dump(exclude_none=True)
    query = given.pop("query")
    return answer(_with_memory(request, "read", "search", lambda memory: memory.search(query, **given)))


def _given(user_id: str | None, agent_id: str | None, run_id: str | None) -> dict[str, str]:
    ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
    return {name: value for name, value in ids.items() if value is not None}
