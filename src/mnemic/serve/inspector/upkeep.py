"""Pages for upkeep: the queue of background work, and what a scope holds, how it grew, and what failed."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from mnemic.errors import Forbidden, ParameterError
from mnemic.model import is_within
from mnemic.serve.inspector import drawings, looking
from mnemic.serve.inspector.frame import PREFIX, Asked, Frame

STATES = ("waiting", "running", "failed", "done", "cancelled")
REFRESH_S = 3.0  # between two looks at a queue that moves
_PAGE = 50
_SCOPES = 50


def add(router: APIRouter, frame: Frame) -> None:
    """Add the routes."""
    sent = Depends(frame.form)

    @router.get(f"{PREFIX}/queue")
    def queue(request: Request) -> Response:
        asked = Asked.of(request)
        principal = frame.desk.principal(request)
        state, after = asked.text("state"), asked.text("after") or ""
        if state is not None and state not in STATES:
            raise ParameterError(f"state={state[:40]!r}: it is one of {', '.join(STATES)}.")
        found = frame.desk.jobs(request, state, after, _PAGE + 1)
        shown = found[:_PAGE]
        return frame.page(
            request,
            "queue.html",
            principal=principal,
            scope=asked.scope,
            title="Queue",
            jobs=[(job, principal.may("write", job.scope)) for job in shown],
            states=STATES,
            state=state,
            after=after,
            next_after=shown[-1].id if len(found) > _PAGE else None,
            refresh_s=REFRESH_S if any(job.state in ("waiting", "running") for job in shown) else None,
            may_write=principal.may("write", asked.scope),
        )

    @router.post(f"{PREFIX}/queue")
    def work(request: Request, form: Asked = sent) -> Response:
        what, id = form.text("do"), form.text("job") or ""
        if what == "consolidate":
            if not frame.desk.principal(request).may("write", form.scope):
                raise Forbidden(f"This key may not write in the scope {form.scope!r}. Nothing was put into the queue.")
            frame.desk.submit_job(request, form.scope)
        elif what == "retry":
            frame.desk.retry_job(request, id)
        elif what == "cancel":
            frame.desk.cancel_job(request, id)
        else:
            raise ParameterError(f"do={what!r}: it is consolidate, retry or cancel. Nothing was done.")
        query = f"?scope={quote(form.scope, safe='')}" if form.scope else ""
        return RedirectResponse(f"{request.scope.get('root_path', '')}{PREFIX}/queue{query}", 303)

    @router.get(f"{PREFIX}/usage")
    def usage(request: Request) -> Response:
        asked = Asked.of(request)
        with frame.desk.handle(request, asked.scope, "read") as memory:
            stats = memory.stats()
            scopes = {path: n for path, n in memory.scopes().items() if is_within(path, asked.scope)}
            calendar, failures = looking.calendar(memory), looking.failures(memory)
        recallable = max(0, stats["episodes"] - stats["echoes"] - stats["superseded"])
        return frame.page(
            request,
            "usage.html",
            principal=frame.desk.principal(request),
            scope=asked.scope,
            title="Usage",
            stats=stats,
            recallable=recallable,
            never=max(0, recallable - stats["recalled"]),
            scopes=sorted(scopes.items(), key=lambda one: (-one[1], one[0]))[:_SCOPES],
            calendar=calendar,
            growth=drawings.growth(calendar.recorded),
            failures=failures,
        )
