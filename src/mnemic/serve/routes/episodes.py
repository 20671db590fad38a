"""The log over HTTP: adding, reading, correcting and forgetting episodes."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from mnemic.memory.ask import resolve
from mnemic.memory.intake import drafts_from
from mnemic.serve import answers, requests
from mnemic.serve.routes.answer import (
    Cursor,
    FilterText,
    Limit,
    QueryIds,
    answer,
    answer_once,
    cursor_of,
    filters_in,
    ids_of,
    in_one_tenant,
    may_answer,
    only_known_arguments,
    place_in,
    server_of,
    unless_changed,
)
from mnemic.serve.server import Ids
from mnemic.wire import added_json, episode_json, version_json

router = APIRouter(prefix="/v1", tags=["episodes"], dependencies=[Depends(only_known_arguments)])
_OF_THE_OLD = ("metadata", "parts", "actor", "session", "echo_of")  # what a correction keeps of what it corrects
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=200, description="makes a retry harmless: ids of what is written follow from it"),
]


@router.post("/episodes", status_code=201, responses=may_answer(answers.Added, 201, 404, 409))
def add(request: Request, body: requests.AddIn, idempotency_key: IdempotencyKey = None) -> Response:
    """Remember a string, a message or a list of messages; all or nothing, and durably once this answers."""
    server, ids = server_of(request), ids_of(body)
    messages: Any = body.model_dump(exclude_unset=True)["messages"]
    if idempotency_key is not None:
        messages = with_ids(messages, body.id, idempotency_key, ids)
    given: dict[str, Any] = {
        "role": body.role,
        "actor": body.actor,
        "session": body.session,
        "occurred_at": body.occurred_at if body.occurred_at is not None else body.timestamp,
        "metadata": body.metadata,
        "id": body.id,
    }
    with server.memory(request, "write", ids, "add", create=lambda: drafts_from(messages, **given)) as memory:
        added = memory.add(messages, **given, **ids.arguments)
    server.jobs.touch(added.episodes[0].scope if added.episodes else ids.scope)
    return answer(added_json(added), 201)


@router.get("/episodes", summary="List", responses=may_answer(answers.EpisodePage, 200, etag=True))
def list_(
    request: Request,
    ids: QueryIds,
    session: Annotated[str | None, Query(max_length=2000)] = None,
    since: str | None = None,
    until: str | None = None,
    filters: FilterText = None,
    newest_first: bool = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Episodes in the order of the log, a page at a time."""
    after = max(0, place_in(cursor, int) or 0)
    chosen = filters_in(filters)
    with server_of(request).memory(request, "read", ids, "list", filters=chosen) as memory:
        episodes = memory.list(
            limit=limit,
            after=after,
            newest_first=newest_first,
            session=session,
            since=since,
            until=until,
            filters=chosen,
            **ids.arguments,
        )
    more = cursor_of(episodes[-1].seq) if len(episodes) == limit else None
    return answer_once(request, {"episodes": [episode_json(one) for one in episodes], "next_cursor": more})


@router.get("/episodes/{id:path}", responses=may_answer(answers.Episode, 200, 404, etag=True))
def get(request: Request, id: str, ids: QueryIds) -> Response:
    """One episode."""
    with server_of(request).memory(request, "read", ids, "get") as memory:
        return answer_once(request, episode_json(memory.get(id, **without_run(ids))))


@router.patch("/episodes/{id:path}", responses=may_answer(answers.Episode, 200, 404, 409, 412))
def update(
    request: Request,
    id: str,
    body: requests.UpdateIn,
    idempotency_key: IdempotencyKey = None,
    if_match: Annotated[str | None, Header(description="the ETag of the episode as you read it")] = None,
) -> Response:
    """Correct an episode: a new one supersedes it. 409 when somebody else has corrected it since.

    A key that may not read must send the text anew, and is told nothing of what stood there.
    """
    server, ids = server_of(request), ids_of(body)
    who = server.principal(request)
    with server.memory(request, "write", ids, "update") as memory:
        scope = resolve(ids.scope, **ids.arguments).scope
        if body.text is None or if_match is not None:  # the answer would tell what stands there
            who.must("read", scope)
        if if_match is not None:
            changed = unless_changed(request, episode_json(memory.get(id, **without_run(ids))))
            if changed is not None:
                return changed
        fresh = body.new_id
        if fresh is None and idempotency_key is not None:
            fresh = derived_id(idempotency_key, ids, 0)
        episode = memory.update(
            id, body.text, metadata=body.metadata, occurred_at=body.occurred_at, new_id=fresh, **ids.arguments
        )
    server.jobs.touch(episode.scope)
    values = episode_json(episode)
    if not who.may("read", episode.scope):
        values = {name: value for name, value in values.items() if name not in _OF_THE_OLD}
    return answer(values)


@router.delete("/episodes/{id:path}", responses=may_answer(answers.Receipt, 200, 404))
def delete(request: Request, id: str, ids: QueryIds) -> Response:
    """Forget one memory: every version of it, and all that came from it."""
    server = server_of(request)
    with server.memory(request, "forget", ids, "forget") as memory:
        receipt = memory.delete(id, **ids.arguments)
    server.jobs.forget(receipt.scope)
    return answer(receipt.to_dict())


@router.get("/history", responses=may_answer(answers.History, 200, 404, etag=True))
def history(request: Request, ids: QueryIds, id: Annotated[str, Query(max_length=2000)]) -> Response:
    """Every text that a memory had, oldest first, from any of its ids."""
    with server_of(request).memory(request, "read", ids, "history") as memory:
        versions = memory.history(id, **without_run(ids))
        return answer_once(request, {"versions": [version_json(one) for one in versions]})


@router.get("/find", responses=may_answer(answers.EpisodeList, 200, etag=True))
def find(
    request: Request,
    id: Annotated[str, Query(max_length=2000)],
    scope: Annotated[str, Query(max_length=2000, description="a path such as acme/alice")] = "",
) -> Response:
    """The episodes of an id in a scope and those below it."""
    with server_of(request).memory(request, "read", Ids(scope), "get") as memory:
        return answer_once(request, {"episodes": [episode_json(one) for one in memory.find(id)]})


@router.post("/forget", responses=may_answer(answers.Receipt, 200, 404))
def forget(request: Request, body: requests.ForgetIn) -> Response:
    """Forget for good: by id, session, filters, time, or everything; `dry_run` says what would go."""
    server, ids = server_of(request), ids_of(body)
    with server.memory(request, "forget", ids, "forget", filters=body.filters) as memory:
        in_one_tenant(request, ids, body.include_children)
        receipt = memory.forget(
            body.id,
            session=body.session,
            filters=body.filters,
            since=body.since,
            until=body.until,
            everything=body.everything,
            include_children=body.include_children,
            dry_run=body.dry_run,
            **ids.arguments,
        )
    if not body.dry_run:
        server.jobs.forget(receipt.scope)  # an error may quote what it failed on
    return answer(receipt.to_dict())


def with_ids(messages: Any, id: str | None, key: str, ids: Ids) -> Any:
    """The messages with ids that follow from the key, where they have none."""
    if id is not None:
        return messages
    listed = messages if isinstance(messages, list) else [messages]
    named = [{"content": one} if isinstance(one, str) else dict(one) for one in listed]
    for place, message in enumerate(named):
        if message.get("id") is None:
            message["id"] = derived_id(key, ids, place)
    return named


def derived_id(key: str, ids: Ids, place: int) -> str:
    """An id that follows from an idempotency key; another one in each scope."""
    said = "\x1f".join([key, ids.scope, *map(str, ids.arguments.items()), str(place)])
    return f"idem-{hashlib.blake2b(said.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def without_run(ids: Ids) -> dict[str, Any]:
    """The ids that verbs take which read one memory by its id."""
    return {name: value for name, value in ids.arguments.items() if name != "run_id"}
