"""What there is: sessions, scopes, systems and what they made, numbers, and who the caller is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from mnemic.errors import EmbedderError, ParameterError, StoreClosed, StoreError
from mnemic.memory import Memory
from mnemic.model import is_within
from mnemic.serve import answers, requests
from mnemic.serve.access import Principal
from mnemic.serve.routes.answer import (
    Cursor,
    Limit,
    QueryIds,
    answer,
    answer_once,
    cursor_of,
    in_one_tenant,
    may_answer,
    only_known_arguments,
    place_in,
    server_of,
)
from mnemic.serve.server import Ids, Server
from mnemic.serve.tenants import tenant_of
from mnemic.systems.registry import cards, create, system_class

router = APIRouter(prefix="/v1", tags=["what there is"], dependencies=[Depends(only_known_arguments)])
System = Annotated[str | None, Query(max_length=100, description="only what this system made")]
InPath = Annotated[str, Query(max_length=2000, description="a path such as acme/alice")]


@router.get("/sessions", responses=may_answer(answers.SessionPage, 200, etag=True))
def sessions(
    request: Request, ids: QueryIds, newest_first: bool = False, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The sessions of a scope by when they began in the log, or the latest first."""
    after = max(0, place_in(cursor, int) or 0)
    with server_of(request).memory(request, "read", ids, "sessions") as memory:
        found = memory.sessions(limit=limit, after=after, newest_first=newest_first, **ids.arguments)
    last = found[-1] if len(found) == limit else None
    more = None if last is None else cursor_of(last.last_seq if newest_first else last.first_seq)
    return answer_once(request, {"sessions": [one.to_dict() for one in found], "next_cursor": more})


@router.get("/records", responses=may_answer(answers.RecordPage, 200, 404, etag=True))
def records(
    request: Request,
    scope: InPath = "",
    system: System = None,
    kind: Annotated[str | None, Query(max_length=100)] = None,
    id: Annotated[list[str] | None, Query(max_length=100)] = None,
    include_retired: bool = True,
    include_children: bool = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """What systems made of a scope's episodes, oldest first. Pages are of one system: without it, all comes at once."""
    after = place_in(cursor, str)
    with server_of(request).memory(request, "read", Ids(scope), "records") as memory:
        in_one_tenant(request, Ids(scope), include_children)
        found = memory.records(
            system=system,
            kind=kind,
            ids=id,
            include_retired=include_retired,
            include_children=include_children,
            after=after,
            limit=limit,
        )
    pages = system is not None and not include_children
    more = cursor_of(found[-1].id) if pages and len(found) == limit else None
    return answer_once(request, {"records": [one.to_dict() for one in found], "next_cursor": more})


@router.get("/links", responses=may_answer(answers.LinkList, 200, 404, etag=True))
def links(
    request: Request,
    scope: InPath = "",
    system: System = None,
    include_children: bool = False,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
) -> Response:
    """Edges that systems made between records or episodes of a scope."""
    with server_of(request).memory(request, "read", Ids(scope), "links") as memory:
        in_one_tenant(request, Ids(scope), include_children)
        found = memory.links(system=system, include_children=include_children, limit=limit)
    return answer_once(request, {"links": [one.to_dict() for one in found]})


@router.get("/scopes", responses=may_answer(answers.ScopePage, 200, etag=True))
def scopes(
    request: Request,
    prefix: Annotated[str, Query(max_length=2000)] = "",
    scope: Annotated[str, Query(max_length=2000, description="another name for prefix")] = "",
    limit: Annotated[int, Query(ge=1, le=1000, description="tenants looked into for one page")] = 100,
    cursor: Cursor = None,
) -> Response:
    """Scopes that hold anything and that the key may read, with their number of episodes, tenant by tenant.

    A tenant that cannot be read now does not stop the others; it stands under `problems`.
    """
    server = server_of(request)
    who = server.principal(request)
    found = readable_scopes(server, who, prefix or scope, place_in(cursor, str), limit)
    more = None if found.last is None else cursor_of(found.last)
    listed = [{"scope": scope, "episodes": n} for scope, n in found.counts.items()]
    problems = [{"tenant": tenant, "code": code} for tenant, code in found.problems.items()]
    return answer_once(request, {"scopes": listed, "problems": problems, "next_cursor": more})


@dataclass(frozen=True, slots=True)
class Readable:
    """Scopes that may be read."""

    counts: dict[str, int]  # episodes by scope, in order
    problems: dict[str, str]  # by tenant, the name of the error for which it could not be read
    last: str | None  # the tenant after which the next page begins, if there is one


def readable_scopes(server: Server, who: Principal, prefix: str, after: str | None, limit: int) -> Readable:
    """Scopes under the prefix that may be read. What is wrong with one tenant is said, and does not hide the others."""
    tenant = tenant_of(prefix)
    names = [tenant] if prefix else server.tenants.names(after=after, limit=limit)
    last = names[-1] if not prefix and len(names) == limit else None
    found: dict[str, int] = {}
    problems: dict[str, str] = {}
    for name in names:
        if not may_look_into(who, name) or (name == "" and prefix):
            continue
        try:
            with server.timed("scopes", name), server.tenants.lease(name) as memory:
                counts = memory.scopes()
        except StoreClosed:
            raise
        except (StoreError, EmbedderError) as error:
            problems[name] = type(error).__name__
            continue
        found |= {path: n for path, n in counts.items() if is_within(path, prefix) and who.may("read", path)}
    return Readable(dict(sorted(found.items())), problems, last)


def may_look_into(who: Principal, tenant: str) -> bool:
    """Whether the key may read anything that the tenant could hold. The root's holds the root scope alone."""
    if not tenant:
        return who.may("read", "")
    return "read" in who.verbs and any(is_within(tenant, one) or is_within(one, tenant) for one in who.scopes)


@router.get("/systems", responses=may_answer(answers.Systems, 200, etag=True))
def systems(request: Request, scope: InPath = "") -> Response:
    """All systems; those attached to the scope's tenant keep records of its log."""
    with server_of(request).memory(request, "read", Ids(scope), "stats") as memory:
        return answer_once(request, {"systems": _listed(memory)})


def _listed(memory: Memory) -> list[dict[str, Any]]:
    attached = memory.attached()
    return [
        {
            "id": card.id,
            "title": card.title,
            "year": card.year,
            "family": card.family,
            "summary": card.summary,
            "source": card.source,
            "needs": list(card.needs),
            "makes": list(card.makes),
            "cost": card.cost,
            "attached": card.id in attached,
            "parameters": attached.get(card.id),
        }
        for card in cards()
    ]


@router.put("/systems/{id}", responses=may_answer(answers.Systems, 200, 404))
def attach(request: Request, id: str, body: requests.AttachIn, scope: InPath = "") -> Response:
    """Let a system observe the log of the scope's tenant from its beginning, and go on. Needs admin on the tenant."""
    server, tenant = server_of(request), tenant_of(scope)
    with server.memory(request, "admin", Ids(tenant), "attach", create=lambda: create(id, body.parameters)) as memory:
        memory.attach(id, llm=body.llm, **_parameters(body.parameters))
        listed = _listed(memory)
    server.jobs.touch(tenant)
    return answer({"systems": listed})


@router.delete("/systems/{id}", responses=may_answer(answers.Systems, 200, 404))
def detach(request: Request, id: str, scope: InPath = "") -> Response:
    """Drop a system and everything it made for the scope's tenant; the log is not touched. Needs admin on the tenant."""
    with server_of(request).memory(request, "admin", Ids(tenant_of(scope)), "detach") as memory:
        system_class(id)
        memory.detach(id)
        return answer({"systems": _listed(memory)})


@router.get("/stats", responses=may_answer(answers.Stats, 200, etag=True))
def stats(request: Request, scope: InPath = "") -> Response:
    """What a scope holds."""
    with server_of(request).memory(request, "read", Ids(scope), "stats") as memory:
        return answer_once(request, memory.stats())


@router.get("/me", responses=may_answer(answers.Me))
def me(request: Request) -> Response:
    """Who the key is, and what it may."""
    who = server_of(request).principal(request)
    values = {"key_id": who.key_id, "name": who.name, "scopes": list(who.scopes), "verbs": sorted(who.verbs)}
    return answer(values)


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    for name in ("self", "system", "llm"):  # the names of attach's own arguments
        if name in given:
            raise ParameterError(
                f"No system has a parameter named {name!r}. `mnemic systems` tells of those there are."
            )
    return given
