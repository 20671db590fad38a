"""Spans in OpenTelemetry's words: their names, what they hold, and what they never do."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator
from typing import Any

import pytest

from mnemic import Memory, telemetry

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """Where this process's spans go; OpenTelemetry lets a provider be set once."""
    kept = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return kept


@pytest.fixture
def spans(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The spans that the test has made, in the order in which they ended."""
    exporter.clear()
    monkeypatch.delenv(telemetry.CAPTURE, raising=False)
    yield exporter.get_finished_spans
    telemetry.capture_content(None)


def test_a_span_is_named_by_operation_and_store_and_says_no_more_than_that(spans: Any) -> None:
    with telemetry.span("search_memory", "acme/alice", query="where does she live?") as traced:
        traced.note(hits=3, confidence=0.5, server_address="127.0.0.1", server_port=8000, system=None)
    (made,) = spans()
    assert made.name == "search_memory acme/alice"
    assert dict(made.attributes) == {
        "gen_ai.operation.name": "search_memory",
        "gen_ai.memory.store.id": "acme/alice",
        "mnemic.hits": 3,
        "mnemic.confidence": 0.5,
        "server.address": "127.0.0.1",
        "server.port": 8000,
    }
    assert made.status.status_code is StatusCode.UNSET


def test_the_root_has_no_store_in_its_spans(spans: Any) -> None:
    with telemetry.span("delete_memory", record_id="m1", user_given=True):
        pass
    (made,) = spans()
    assert made.name == "delete_memory"
    assert dict(made.attributes) == {
        "gen_ai.operation.name": "delete_memory",
        "gen_ai.memory.record.id": "m1",
        "mnemic.user_given": True,
    }


def test_what_is_asked_and_recalled_is_held_only_when_it_is_asked_for(
    spans: Any, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.add("The door code is 8264.", id="code")

    def search() -> dict[str, Any]:
        with telemetry.span("search_memory", "home", query="door code") as traced:
            traced.recalled(memory.search("door code"))
        return dict(spans()[-1].attributes)

    assert "8264" not in str(search())
    assert "door" not in str(search())
    assert search()["gen_ai.memory.record.id"] == "code"
    monkeypatch.setenv(telemetry.CAPTURE, "True")
    held = search()
    assert held["gen_ai.memory.query.text"] == "door code"
    (record,) = json.loads(held["gen_ai.memory.records"])
    assert (record["id"], record["content"]) == ("code", "The door code is 8264.")
    telemetry.capture_content(False)  # the setting goes before the environment
    assert "8264" not in str(search())
    monkeypatch.setenv(telemetry.CAPTURE, "false")
    telemetry.capture_content(True)
    assert "8264" in str(search())


def test_an_error_leaves_its_type_and_not_its_message(spans: Any) -> None:
    with pytest.raises(LookupError, match="8264"), telemetry.span("update_memory", "home"):
        raise LookupError("no 8264 here")
    (made,) = spans()
    assert made.attributes["error.type"] == "LookupError"
    assert made.status.status_code is StatusCode.ERROR
    assert "8264" not in made.to_json()
    assert made.events == ()


def test_stages_are_children_of_their_operation(spans: Any) -> None:
    with telemetry.span("search_memory", "home"), telemetry.stage("rank", hits=2):
        pass
    inner, outer = spans()
    assert (inner.name, dict(inner.attributes)) == ("rank", {"mnemic.hits": 2})
    assert inner.parent.span_id == outer.context.span_id


def test_without_opentelemetry_a_span_does_nothing_and_the_import_is_tried_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []
    load = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("opentelemetry"):
            tried.append(name)
            raise ImportError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(telemetry, "_is_missing", False)
    monkeypatch.setattr(builtins, "__import__", without)
    for _ in range(3):
        with telemetry.span("search_memory", "home", query="tea") as traced:
            traced.note(hits=1)
            traced.recalled([])
        assert telemetry.stage("rank") is telemetry.span("update_memory")  # one object, made once
    assert len(tried) == 1
