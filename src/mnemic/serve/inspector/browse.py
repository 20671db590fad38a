"""Pages for looking around: scopes, the timeline, sessions, one episode with what is tied to it, and records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.memory import Memory
from mnemic.model import Episode, Record
from mnemic.serve.inspector import drawings, graph, looking
from mnemic.serve.inspector.frame import PREFIX, Asked, Frame

PAGE = 50
SCOPES = 200
_SIDE = 3  # neighbours on each side of an episode


@dataclass(frozen=True, slots=True)
class Window:
    """A page of the log, in log order, and whether there is more on either side."""

    episodes: Sequence[Episode]
    has_older: bool
    has_newer: bool


def add(router: APIRouter, frame: Frame) -> None:
    """Add the routes."""

    @router.get("/")
    def scopes(request: Request) -> Response:
        asked = Asked.of(request)
        principal = frame.desk.principal(request)
        prefix, after = asked.text("prefix") or "", asked.name("after") or ""
        found = frame.desk.scopes(request, prefix, after, SCOPES + 1)
        shown = found[:SCOPES]
        return frame.page(
            request,
            "scopes.html",
            principal=principal,
            title="Scopes",
            prefix=prefix,
            after=after,
            scopes=[(path, path.count("/") if path else 0, n) for path, n in shown],
            most=max((n for _, n in shown), default=0),
            total=sum(n for _, n in shown),
            next_after=shown[-1][0] if len(found) > SCOPES else None,
            unreadable=frame.desk.unreadable(request, prefix),  # after `scopes`, which looked into them
        )

    @router.get(f"{PREFIX}/timeline")
    def timeline(request: Request) -> Response:
        asked = Asked.of(request)
        session = asked.name("session")
        older, newer = asked.number("older", 0), asked.number("newer", 0)
        oldest_first = (asked.text("order") or ("oldest" if session else "newest")) == "oldest"
        with frame.desk.handle(request, asked.scope, "read") as memory:
            window = _window(memory, session, older, newer, PAGE, from_start=oldest_first)
            shown = list(window.episodes) if oldest_first else list(reversed(window.episodes))
            calendar = looking.calendar(memory)
            values: dict[str, Any] = {
                "episodes": shown,
                "corrected": looking.corrections(memory, shown),
                "strip": None if session else drawings.strip(calendar.months, _months_of(shown)),
                "calendar": calendar,
                "below": {} if shown else _below(memory),
            }
        return frame.page(
            request,
            "timeline.html",
            principal=frame.desk.principal(request),
            scope=asked.scope,
            title=f"Session {session}" if session else "Timeline",
            session=session,
            oldest_first=oldest_first,
            window=window,
            first=window.episodes[0].seq if window.episodes else 0,
            last=window.episodes[-1].seq if window.episodes else 0,
            **values,
        )

    @router.get(f"{PREFIX}/sessions")
    def sessions(request: Request) -> Response:
        asked = Asked.of(request)
        older = asked.number("older", 0)
        with frame.desk.handle(request, asked.scope, "read") as memory:
            found = memory.sessions(limit=PAGE + 1, after=older, newest_first=True)
            begins = looking.by_seqs(memory, [one.first_seq for one in found[:PAGE]])
            calendar = looking.calendar(memory)
        shown = found[:PAGE]
        return frame.page(
            request,
            "sessions.html",
            principal=frame.desk.principal(request),
            scope=asked.scope,
            title="Sessions",
            sessions=shown,
            begins=begins,
            calendar=calendar,
            most=max((one.episodes for one in shown), default=1),
            older=older,
            next_older=shown[-1].last_seq if len(found) > PAGE else None,
        )

    @router.get(f"{PREFIX}/episode")
    def episode(request: Request) -> Response:
        asked = Asked.of(request)
        principal = frame.desk.principal(request)
        with frame.desk.handle(request, asked.scope, "read") as memory:
            one = memory.get(asked.name("id") or "")
            found = graph.around(memory, one)
            values: dict[str, Any] = {
                "versions": memory.history(one.id),
                "current": looking.corrections(memory, [one]).get(one.id),
                "beside": looking.beside(memory, [one], reach=_SIDE).get((one.scope, one.id)),
                "echoed": looking.by_ids(memory, one.echo_of),
            }
        return frame.page(
            request,
            "episode.html",
            principal=principal,
            scope=asked.scope,
            title="Episode",
            one=one,
            found=found,
            drawing=None if found.is_alone else graph.draw(found),
            may_forget=principal.may("forget", asked.scope),
            **values,
        )

    @router.get(f"{PREFIX}/records")
    def records(request: Request) -> Response:
        asked = Asked.of(request)
        kind, after, state = asked.text("kind"), asked.name("after"), asked.text("state") or "all"
        if state not in ("all", "current"):
            raise ParameterError(f"state={state[:40]!r}: it is all or current.")
        with frame.desk.handle(request, asked.scope, "read") as memory:
            systems = looking.systems_with_records(memory)
            system = asked.text("system") or next(iter(systems), None)
            found: list[Record] = []
            if system is not None:
                found = memory.records(
                    system=system, kind=kind, include_retired=state == "all", after=after, limit=PAGE + 1
                )
            shown = found[:PAGE]
            sources = {
                one.id: one for one in looking.by_ids(memory, [id for record in shown for id in record.sources[:6]])
            }
        return frame.page(
            request,
            "records.html",
            principal=frame.desk.principal(request),
            scope=asked.scope,
            title="Records",
            systems=systems,
            system=system,
            kind=kind,
            state=state,
            after=after,
            kinds=sorted({record.kind for record in shown} | ({kind} if kind else set())),
            records=[(record, _valid(record)) for record in shown],
            lifelines=_lifelines(shown),
            sources=sources,
            next_after=shown[-1].id if len(found) > PAGE else None,
        )


def _window(memory: Memory, session: str | None, older: int, newer: int, n: int, *, from_start: bool) -> Window:
    """The page behind a position, in either direction; without one the newest, or the first of all."""
    if newer or (from_start and not older):
        found = memory.list(limit=n + 1, after=newer, session=session)
        shown = found[:n]
        has_older = bool(
            newer and shown and memory.list(limit=1, after=shown[0].seq, newest_first=True, session=session)
        )
        return Window(shown, has_older, len(found) > n)
    found = memory.list(limit=n + 1, after=older, newest_first=True, session=session)
    shown = found[:n][::-1]
    has_newer = bool(older and shown and memory.list(limit=1, after=shown[-1].seq, session=session))
    return Window(shown, len(found) > n, has_newer)


def _months_of(episodes: Sequence[Episode]) -> tuple[int, int] | None:
    months = [drawings.number_of(one.occurred_at.year, one.occurred_at.month) for one in episodes]
    return (min(months), max(months)) if months else None


def _below(memory: Memory) -> dict[str, int]:
    """Scopes below an empty one that hold something."""
    return {path: n for path, n in memory.scopes().items() if n and path != memory.scope_path}


def _valid(record: Record) -> str:
    """How a record stands: current, retired, or no longer valid."""
    if record.retired_at is not None:
        return "retired"
    return "ended" if record.valid_to is not None else "current"


def _lifelines(records: Sequence[Record]) -> dict[str, tuple[float, float, bool]]:
    """By record id, where in 1000 units its life begins and how long it is, and whether it goes on."""
    if not records:
        return {}
    begins = {one.id: to_microseconds(one.valid_from or one.recorded_at) for one in records}
    ends = {one.id: to_microseconds(end) for one in records if (end := one.valid_to or one.retired_at) is not None}
    first, last = min(begins.values()), max([*begins.values(), *ends.values()])
    scale = 940.0 / max(last - first, 1)
    lines: dict[str, tuple[float, float, bool]] = {}
    for one in records:
        x = (begins[one.id] - first) * scale
        until = (ends[one.id] - first) * scale if one.id in ends else 1000.0
        lines[one.id] = (round(x, 1), round(max(8.0, until - x), 1), one.id not in ends)
    return lines
