"""Traces of what a memory does, in OpenTelemetry's words, for whoever has set up OpenTelemetry.

    with span("search_memory", "acme/alice", query=text) as traced:
        recall = memory.search(text)
        traced.note(hits=len(recall))

Spans are named and described as the GenAI conventions for memory have it: `search_memory acme/alice`, with
`gen_ai.operation.name`, `gen_ai.memory.store.id` (the scope) and `gen_ai.memory.record.id`; what they have no word for
goes under `mnemic.`. Without `opentelemetry-api` a span is one shared object that does nothing; with it, spans go where
the user's own SDK sends them, and nowhere without one. What was asked and recalled is left out unless it is asked for,
by `capture_content(True)` or `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`; the message of an error always is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mnemic._version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from mnemic.model import Hit

Operation = Literal[
    "create_memory_store", "create_memory", "search_memory", "update_memory", "delete_memory", "delete_memory_store"
]
Value = str | bool | int | float | None
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CAPTURING = {"true", "1", "span_only", "span_and_event"}
_STANDARD = {
    "server_address": "server.address",
    "server_port": "server.port",
    "conversation_id": "gen_ai.conversation.id",
    "agent_id": "gen_ai.agent.id",
}
_is_captured: bool | None = None  # None: the environment decides


class Traced(Protocol):
    """A span that is being made; used with `with`."""

    def __enter__(self) -> Traced:
        """Begin, as a child of the span that is current."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, with `error.type` when an error passes through."""
        ...

    def note(self, **attributes: Value) -> None:
        """Add attributes: the standard name where there is one, else under `mnemic.`; None is left out."""
        ...

    def recalled(self, hits: Iterable[Hit]) -> None:
        """Add what was recalled, where content is captured; the id alone where there is one hit."""
        ...


def span(
    operation: Operation,
    store: str = "",
    *,
    record_id: str | None = None,
    query: str | None = None,
    **attributes: Value,
) -> Traced:
    """A span named `{operation} {store}`, to be used with `with`; it does nothing without OpenTelemetry.

    store: the scope, which is the memory's store in these conventions. query: kept only where content is captured.
    """
    tracer = _tracer()
    if tracer is None:
        return _NOTHING
    given: dict[str, Any] = {
        "gen_ai.operation.name": operation,
        "gen_ai.memory.store.id": store or None,
        "gen_ai.memory.record.id": record_id,
        "gen_ai.memory.query.text": query if captures_content() else None,
        **_named(attributes),
    }
    return _Recording(tracer, f"{operation} {store}".rstrip(), _present(given))


def stage(name: str, **attributes: Value) -> Traced:
    """A span for one step of an operation, such as "embed" or "rank", below the operation's own."""
    tracer = _tracer()
    return _NOTHING if tracer is None else _Recording(tracer, name, _present(_named(attributes)))


def capture_content(is_captured: bool | None) -> None:
    """Whether spans hold what was asked and recalled, which may be private; None leaves it to the environment."""
    global _is_captured
    _is_captured = is_captured


def captures_content() -> bool:
    """Whether spans hold what was asked and recalled."""
    if _is_captured is not None:
        return _is_captured
    return os.environ.get(CAPTURE, "").strip().lower() in _CAPTURING


class _Nothing:
    __slots__ = ()

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def note(self, **attributes: Value) -> None:
        pass

    def recalled(self, hits: Iterable[Hit]) -> None:
        pass


class _Recording:
    __slots__ = ("_attributes", "_current", "_name", "_span", "_tracer")

    def __init__(self, tracer: Tracer, name: str, attributes: dict[str, Any]) -> None:
        self._tracer, self._name, self._attributes = tracer, name, attributes
        self._current: Any = None
        self._span: Span | None = None

    def __enter__(self) -> _Recording:
        from opentelemetry.trace import use_span

        self._span = self._tracer.start_span(self._name, attributes=self._attributes)
        # the text of an error may quote what is remembered, so this class notes its type, and nothing else does
        self._current = use_span(self._span, record_exception=False, set_status_on_exception=False)
        self._current.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._span is not None, "a span ends after it began"
        if kind is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute("error.type", kind.__qualname__)
            self._span.set_status(StatusCode.ERROR)
        self._current.__exit__(kind, error, trace)
        self._span.end()

    def note(self, **attributes: Value) -> None:
        assert self._span is not None, "a span is noted on after it began"
        self._span.set_attributes(_present(_named(attributes)))

    def recalled(self, hits: Iterable[Hit]) -> None:
        assert self._span is not None, "a span is noted on after it began"
        shown = list(hits)
        if len(shown) == 1:
            self._span.set_attribute("gen_ai.memory.record.id", shown[0].id)
        if captures_content():
            records = [{"id": hit.id, "score": round(hit.score, 6), "content": hit.text} for hit in shown]
            self._span.set_attribute("gen_ai.memory.records", json.dumps(records, ensure_ascii=False))


_NOTHING = _Nothing()


def _tracer() -> Tracer | None:
    # asked for each time: the user's SDK may be set up after the first span; without the package, failing is remembered
    global _is_missing
    if _is_missing:
        return None
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:
        _is_missing = True
        return None
    return get_tracer("mnemic", __version__)


_is_missing = False


def _named(attributes: dict[str, Value]) -> dict[str, Any]:
    return {_STANDARD.get(name, f"mnemic.{name}"): value for name, value in attributes.items()}


def _present(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}
