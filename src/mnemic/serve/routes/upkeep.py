"""Background work, and pasts on their way in and out."""

from __future__ import annotations

import errno
import hashlib
import secrets
import shutil
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from anyio import CancelScope
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mnemic.errors import FormatError, NotFound, ParameterError, StoreFull, StoreReadOnly
from mnemic.formats.registry import FORMATS
from mnemic.serve import answers, requests
from mnemic.serve.job_queue import kind_of
from mnemic.serve.jobs import Job
from mnemic.serve.problems import problem
from mnemic.serve.routes.answer import (
    PROBLEM,
    Cursor,
    answer,
    cursor_of,
    in_one_tenant,
    may_answer,
    only_known_arguments,
    place_in,
    server_of,
)
from mnemic.serve.server import Ids, Server

router = APIRouter(prefix="/v1", tags=["upkeep"], dependencies=[Depends(only_known_arguments)])
InPath = Annotated[str, Query(max_length=2000, description="a path such as acme/alice")]
State = Annotated[str | None, Query(pattern="^(waiting|running|done|failed|cancelled)$")]


@router.post("/consolidate", status_code=202, responses=may_answer(answers.Job, 202))
def consolidate(request: Request, body: requests.ConsolidateIn) -> Response:
    """Queue a scope: attached systems observe what they have not seen and do their offline work. Answers with the job."""
    server = server_of(request)
    who = server.principal(request)
    who.must("write", body.scope)
    kind = kind_of(include_children=body.include_children, retry_failed=body.retry_failed)
    job = server.jobs.submit(body.scope, kind, by=who.key_id)
    return answer(job.to_dict(), 202, {"Location": f"/v1/jobs/{job.id}"})


@router.get("/jobs", responses=may_answer(answers.JobPage))
def jobs(
    request: Request,
    scope: Annotated[str | None, Query(max_length=2000)] = None,
    state: State = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Cursor = None,
) -> Response:
    """Jobs of the scopes that the key may read, newest first."""
    server = server_of(request)
    who = server.principal(request)
    prefixes = who.scopes if scope is None else (scope,)
    for prefix in prefixes:
        who.must("read", prefix)
    found = server.jobs.list(prefixes, state=state, after=place_in(cursor, str), limit=limit)
    more = cursor_of(found[-1].id) if len(found) == limit else None
    return answer({"jobs": [one.to_dict() for one in found], "next_cursor": more})


@router.get("/jobs/{id}", responses=may_answer(answers.Job, 200, 404))
def job(request: Request, id: str) -> Response:
    """One job: its state, progress, and error."""
    return answer(job_of(request, id, "read").to_dict())


@router.post("/jobs/{id}/retry", responses=may_answer(answers.Job, 200, 404, 409))
def retry(request: Request, id: str) -> Response:
    """Try a job again that failed or was cancelled."""
    job_of(request, id, "write")
    return answer(server_of(request).jobs.retry(id).to_dict())


@router.delete("/jobs/{id}", responses=may_answer(answers.Job, 200, 404, 409))
def cancel(request: Request, id: str) -> Response:
    """Cancel a job that waits, or stop one that runs after the scope it is at."""
    job_of(request, id, "write")
    return answer(server_of(request).jobs.cancel(id).to_dict())


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses=may_answer() | {200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def export(request: Request, scope: InPath = "", include_children: bool = True) -> Response:
    """A scope, and those below it, as JSON Lines: a header, then one episode a line."""
    server = server_of(request)
    server.principal(request).must("read", scope)
    in_one_tenant(request, Ids(scope), include_children)
    stack = ExitStack()
    memory = stack.enter_context(server.memory(request, "read", Ids(scope), "export"))

    def lines() -> Iterator[str]:
        batch: list[str] = []
        for line in memory.export_lines(include_children=include_children):
            batch.append(line)
            if len(batch) >= 100:
                yield "".join(batch)
                batch = []
        yield "".join(batch)

    return _Lines(lines(), stack)


class _Lines(StreamingResponse):
    """Lines as they are made; what they are read from is given back at the end, however that comes."""

    def __init__(self, lines: Iterator[str], leased: ExitStack) -> None:
        headers = {"Content-Disposition": 'attachment; filename="mnemic.jsonl"'}
        super().__init__(lines, media_type="application/x-ndjson", headers=headers)
        self._leased = leased

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(self._leased.close)


@router.post(
    "/import",
    summary="Import",
    responses=may_answer(answers.Imported) | {415: {**PROBLEM, "description": "sent as a form"}},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
    },
)
async def import_(
    request: Request,
    scope: InPath = "",
    format: Annotated[str | None, Query(max_length=40, description="told from the content when it is left out")] = None,
    name: Annotated[
        str, Query(max_length=200, description="of the file: some formats are told by it, and make their ids from it")
    ] = "",
) -> Response:
    """Read a past from the request's body, a file of any known format, into a scope. Importing it again changes nothing."""
    server = server_of(request)
    if request.headers.get("content-type", "").startswith("multipart/"):
        says = (
            "The file came in a form. Send it as the body itself: curl --data-binary @file, with the scope in ?scope=."
        )
        return problem(415, "NotInThisForm", says)
    if format is not None and format not in FORMATS:
        raise FormatError(f"{format[:40]!r} is no format. Name one of these: {', '.join(FORMATS)}.")
    who = await run_in_threadpool(server.principal, request)
    who.must("write", scope)  # before anything is taken in
    folder = server.uploads / secrets.token_hex(16)
    try:
        path = await _keep(request.stream(), folder, plain_name(name))
        shown = path.name if name else "upload"
        return await run_in_threadpool(_read, server, request, scope, path, format, shown)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def plain_name(name: str) -> str:
    """The last part of a path, fit to name a file anywhere; "" where nothing is left.

    >>> plain_name("../../etc/notes.md"), plain_name("a:b.md"), plain_name("..")
    ('notes.md', 'a_b.md', '')
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join("_" if unicodedata.category(one)[0] == "C" or one in '<>:"|?*' else one for one in last).strip(" .")
    return kept.encode("utf-8", "replace")[-120:].decode("utf-8", "ignore")


async def _keep(stream: AsyncIterator[bytes], folder: Path, name: str) -> Path:
    """The body as a file of that name; without one, named by what it holds: some formats make ids from a file's name, and
    the same file must give the same ones, another file others."""
    path, digest = folder / "upload", hashlib.blake2b(digest_size=16)
    try:
        folder.mkdir()
        with path.open("xb") as out:
            async for piece in stream:
                digest.update(piece)
                await run_in_threadpool(out.write, piece)
        if not path.stat().st_size:
            raise ParameterError("The upload is empty. Send the file as the body: curl --data-binary @file.")
        return path.rename(folder / (name or digest.hexdigest()))
    except OSError as error:
        full = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
        kind = StoreFull if error.errno in full else StoreReadOnly
        raise kind(f"{path} cannot be written ({error.strerror}). Nothing was imported.") from error


def _read(server: Server, request: Request, scope: str, path: Path, format: str | None, shown: str) -> Response:
    with server.memory(request, "write", Ids(scope), "import", create=lambda: None) as memory:
        try:
            done = memory.import_(path, format)
        except FormatError as error:
            raise FormatError(_without(path, str(error), shown)) from error
    server.jobs.touch(scope)
    values = done.to_dict()
    for one in values["problems"]:
        one["location"] = _without(path, one["location"], shown)
        one["reason"] = _without(path, one["reason"], shown)
    return answer(values)


def _without(path: Path, said: str, shown: str) -> str:
    """The text without where an upload was kept."""
    return said.replace(str(path), shown).replace(path.name, shown)


def job_of(request: Request, id: str, verb: str) -> Job:
    """The job, for a caller who may do that in its scope. Raises NotFound, also for a job that the caller may not see."""
    server = server_of(request)
    who = server.principal(request)
    try:
        found = server.jobs.get(id)
    except NotFound:
        found = None
    if found is None or not who.may("read", found.scope):  # the same words: they must not tell of others' jobs
        raise NotFound(f"There is no job {id[:60]!r}. GET /v1/jobs lists those that this key may see.")
    who.must(verb, found.scope)
    return found
