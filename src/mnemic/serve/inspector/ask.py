"""Pages for asking: search with the reasons of every hit, why something was missed, and two systems side by side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mnemic.clock import parse_time
from mnemic.errors import InvalidInput, InvalidTime
from mnemic.memory import Memory
from mnemic.memory.why_not import LEAST_LACK, SHOWN_LACKS, WhyNot
from mnemic.model import Recall
from mnemic.serve.inspector import drawings, looking, words
from mnemic.serve.inspector.frame import PREFIX, Asked, Frame
from mnemic.serve.inspector.question import Question
from mnemic.systems.registry import DEFAULT, cards

_COMPARED = 10
BESIDE = "bm25"  # what the default is compared with, unless another is chosen


def add(router: APIRouter, frame: Frame) -> None:
    """Add the routes."""

    @router.get(f"{PREFIX}/search")
    def search(request: Request) -> Response:
        asked = Asked.of(request)
        question = Question.of(asked)
        missed = asked.text("missed")
        recall: Recall | None = None
        why: WhyNot | None = None
        problem = None
        beside: dict[tuple[str, str], looking.Beside] = {}
        with frame.desk.handle(request, question.scope, "read") as handle:
            memory = handle.system(question.system)
            try:
                if question.q is not None:
                    recall = looking.search(memory, question.q, question.arguments)
                    episodes = [hit.episode for hit in recall.hits if hit.episode and not hit.record]
                    beside = looking.beside(memory, episodes, include_children=question.children)
                    if missed is not None:
                        why = memory.why_not(question.q, missed, **question.arguments)
            except InvalidInput as error:
                problem = str(error)
            shared = _around(memory, question)
        longest = max((hit.score for hit in recall.hits), default=0.0) if recall else 0.0
        principal = frame.desk.principal(request)
        return frame.page(
            request,
            "search.html",
            principal=principal,
            scope=question.scope,
            status=200 if problem is None else 422,
            title=f"“{words.excerpt(question.q, 40)}”" if question.q else "Search",
            question=question,
            recall=recall,
            pieces=[drawings.stack(hit, longest) for hit in recall.hits] if recall else [],
            families=words.FAMILIES,
            beside=beside,
            missed=missed,
            why=why,
            lacks=[one for one in why.lacks[:SHOWN_LACKS] if one.deficit >= LEAST_LACK] if why else [],
            remedy=question.with_remedy(why.remedy) if why and why.remedy else None,
            problem=problem,
            may_forget=principal.may("forget", question.scope),
            **shared,
        )

    @router.get(f"{PREFIX}/compare")
    def compare(request: Request) -> Response:
        asked = Asked.of(request)
        question = Question.of(asked, _COMPARED)
        names = (asked.text("a") or DEFAULT, asked.text("b") or BESIDE)
        recalls: list[Recall] = []
        problem = None
        with frame.desk.handle(request, question.scope, "read") as handle:
            memories = [handle.system(name) for name in names]
            try:
                if question.q is not None:
                    recalls = [looking.search(one, question.q, question.arguments) for one in memories]
            except InvalidInput as error:
                problem = str(error)
            shared = _around(handle, question)
        lines = drawings.crossings(recalls[0].hits, recalls[1].hits) if recalls else []
        left, right = drawings.partners(lines)
        return frame.page(
            request,
            "compare.html",
            principal=frame.desk.principal(request),
            scope=question.scope,
            status=200 if problem is None else 422,
            title="Compare",
            question=question,
            names=names,
            recalls=recalls,
            lines=lines,
            partners=(left, right),
            rows=max((len(one.hits) for one in recalls), default=0),
            problem=problem,
            **shared,
        )


def _around(memory: Memory, question: Question) -> dict[str, Any]:
    """What the form needs besides the question: systems, sessions, and the stops of the slider."""
    calendar = looking.calendar(memory, include_children=question.children)
    stops = calendar.stops
    return {
        "stored": calendar.episodes,
        "has_below": not calendar.episodes and any(memory.scopes().values()),
        "systems": [(card.id, card.summary) for card in cards()],
        "known_sessions": [one.session for one in memory.sessions(limit=100, newest_first=True)],
        "stops": stops if len(stops) > 1 else (),
        "stop": _stop(stops, question.as_of),
        "as_of": _shown_time(question.as_of),
    }


def _stop(stops: Sequence[datetime], as_of: str | None) -> int:
    """Where the slider stands: the last stop that is not behind the moment; the end is "now"."""
    moment = _moment(as_of)
    return len(stops) if moment is None else max(0, sum(one <= moment for one in stops) - 1)


def _shown_time(as_of: str | None) -> str:
    moment = _moment(as_of)
    return "" if moment is None else words.local(moment)


def _moment(text: str | None) -> datetime | None:
    """The time, or None for one that cannot be read: the search itself says so."""
    if text is None:
        return None
    try:
        return parse_time(text, end_of_day=True).astimezone(UTC)
    except InvalidTime:
        return None
