"""Whether the server lives, whether it is ready, and its metrics."""

from __future__ import annotations

import os

from fastapi import APIRouter, Request, Response

from mnemic.errors import MnemicError
from mnemic.serve import answers
from mnemic.serve.prometheus import CONTENT_TYPE
from mnemic.serve.routes.answer import answer, may_answer, server_of

router = APIRouter(tags=["health"])


@router.get("/healthz", responses={200: {"model": answers.Health}})
async def healthz() -> Response:
    """Whether the process answers. Touches no file, so that a slow disk restarts nothing."""
    return answer({"status": "ok", "checks": {}})


@router.get("/readyz", responses={200: {"model": answers.Health}, 503: {"model": answers.Health}})
def readyz(request: Request) -> Response:
    """Whether requests can be served: the control file can be read, the data folder written, the embedder is there."""
    server = server_of(request)
    checks = {}
    try:
        server.control.rows("SELECT 1")
        checks["control"] = "ok"
    except MnemicError as error:
        checks["control"] = type(error).__name__
    checks["data"] = "ok" if os.access(server.settings.data, os.W_OK) else "cannot be written"
    try:
        checks["embedder"] = "ok" if server.embedder.dim else "has no dimension"
    except MnemicError as error:
        checks["embedder"] = type(error).__name__
    is_ready = all(one == "ok" for one in checks.values())
    return answer({"status": "ok" if is_ready else "failing", "checks": checks}, 200 if is_ready else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses=may_answer() | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Counts and times in Prometheus' text format. Names no scope and no memory. Needs admin over everything."""
    server = server_of(request)
    server.principal(request).must("admin", "")
    for state, count in server.jobs.counts().items():
        server.job_counts.set(count, state=state)
    return Response(server.metrics.render(), media_type=CONTENT_TYPE)
