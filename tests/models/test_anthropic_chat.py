"""Claude is asked, adapted to and given up, over real HTTP on the loopback."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mnemic.errors import DependencyMissing, LLMClosed, LLMRefused, LLMUnavailable, ParameterError
from mnemic.models.anthropic_chat import AnthropicChat
from mnemic.models.llm import Completion, Priced
from mnemic.models.prompt import Message
from mnemic.models.structured import ask_structured, schema_of
from mnemic.testing import Asked, Reply, ScriptedLLM, fails

pytest.importorskip("anthropic", reason="anthropic, of the extra 'anthropic', is not installed")
KEY = "sk-ant-very-secret-0123456789"
HI = [Message(role="system", content="Answer."), Message(role="user", content="Where does Mara live?")]


@dataclass
class Place:
    city: str
    notes: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    running = ScriptedLLM(api_key=KEY)
    running.answers("Porto")
    running.start()
    yield running
    running.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def chat(server: ScriptedLLM, pauses: list[float]) -> Iterator[Callable[..., AnthropicChat]]:
    """Opens models over the server; their pauses are noted and not slept."""
    opened: list[AnthropicChat] = []

    async def noted(pause_s: float) -> None:
        pauses.append(pause_s)

    def open_(model: str = "claude", **settings: Any) -> AnthropicChat:
        given = {"base_url": server.anthropic_base_url, "api_key": KEY, "sleep": noted} | settings
        opened.append(AnthropicChat(model, **given))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def message(*blocks: dict[str, Any], stop: str = "end_turn") -> Reply:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 2, "cache_creation_input_tokens": None, "output_tokens": 3}
    return Reply(raw=json.dumps({"content": blocks, "stop_reason": stop, "usage": usage}).encode())


# -- asking ---------------------------------------------------------------------------------------------------


def test_it_answers_with_the_task_apart_from_the_messages(chat, server):
    said = chat().complete([*HI, Message(role="system", content="Be brief.")], max_tokens=50)
    assert (said.text, said.tokens_out, said.is_cut) == ("Porto", 1, False)
    assert server.requests[0].body == {
        "model": "claude",
        "max_tokens": 50,
        "temperature": 0.0,
        "system": "Answer.\n\nBe brief.",
        "messages": [{"role": "user", "content": "Where does Mara live?"}],
    }


def test_coroutines_ask_too(chat):
    mine = chat()
    assert asyncio.run(mine.acomplete(HI)).text == mine.complete(HI).text == "Porto"


def test_a_schema_is_the_input_of_a_tool_that_must_be_called(chat, server):
    server.answers({"city": "Porto"})
    got = ask_structured(chat(), HI, Place)
    assert (got.value, got.raw, got.calls) == (Place("Porto"), '{"city": "Porto"}', 1)
    body = server.requests[0].body
    assert body["tools"][0]["input_schema"] == schema_of(Place)
    assert body["tool_choice"] == {"type": "tool", "name": body["tools"][0]["name"]}


def test_a_tool_input_that_was_cut_counts_as_nothing(chat, server):
    half = message({"type": "tool_use", "id": "1", "name": "answer", "input": {"city": "Por"}}, stop="max_tokens")
    server.say(half, message({"type": "tool_use", "id": "1", "name": "answer", "input": {"city": "Porto"}}))
    got = ask_structured(chat(), HI, Place, max_tokens=10)
    assert (got.value, got.calls, got.tokens_in, got.tokens_out) == (Place("Porto"), 2, 14, 6)
    assert [one.max_tokens for one in server.requests] == [10, 20]


def test_text_that_stops_at_the_limit_is_cut_and_thoughts_are_no_text(chat, server):
    server.say(message({"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Por"}, stop="max_tokens"))
    assert chat().complete(HI) == Completion(text="Por", tokens_in=7, tokens_out=3, is_cut=True)


def test_what_changes_answers_stands_in_the_id(chat):
    assert (chat().id, chat(temperature=0.5, label="eu").id) == (
        "anthropic:claude",
        "anthropic:claude?label=eu&temperature=0.5",
    )
    assert isinstance(chat(price_in=1.0, price_out=5.0), Priced)
    assert not isinstance(chat(), Priced)


# -- refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": ""}, "has no name"),
        ({"base_url": "api.anthropic.com"}, "is no address"),
        ({"temperature": 1.5}, "from 0 to 1"),
        ({"concurrency": 0}, "concurrency"),
        ({"price_out": 1.0}, "belong together"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_settings_out_of_range_are_refused(chat, settings, said):
    with pytest.raises(ParameterError, match=said):
        chat(**settings)


def test_without_a_key_or_the_client_it_says_what_to_do(server, monkeypatch):
    with pytest.raises(ParameterError, match="Set ANTHROPIC_API_KEY"):
        AnthropicChat("claude")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.anthropic_base_url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    mine = AnthropicChat("claude")
    assert mine.complete(HI).text == "Porto"
    mine.close()
    monkeypatch.setattr("mnemic.models.endpoint.find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match=r"pip install 'mnemic\[anthropic\]'"):
        AnthropicChat("claude")


def test_no_key_is_looked_for_elsewhere_for_another_endpoint(server, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    mine = AnthropicChat("claude", base_url=server.anthropic_base_url)
    with pytest.raises(LLMRefused, match="401"):
        mine.complete(HI)
    mine.close()


def test_a_refusal_is_not_repeated_and_shows_no_key(chat, server, pauses):
    server.say(fails(400, f"prompt is too long for {KEY}"))
    with pytest.raises(
        LLMRefused, match=r"anthropic:claude was asked at http.* HTTP 400: .*too long for \*\*\*"
    ) as raised:
        chat().complete(HI)
    assert raised.value.is_of_request
    assert pauses == []


def test_a_model_that_declines_has_refused_this_request(chat, server):
    server.say(message(stop="refusal"))
    with pytest.raises(LLMRefused, match="declines"):
        chat().complete(HI)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Reply(drops="at once"), id="a broken connection"),
        pytest.param(fails(529), id="overloaded"),
        pytest.param(fails(429, retry_after_s=9), id="rate-limited"),
        pytest.param(Reply(raw=b"<html>proxy</html>"), id="a proxy's page"),
        pytest.param(message(), id="an empty answer"),
        pytest.param(Reply(raw=b'{"content": ["x"]}'), id="another form"),
    ],
)
def test_trouble_that_passes_is_tried_again(chat, server, pauses, trouble):
    server.say(trouble)
    assert chat().complete(HI).text == "Porto"
    assert len(pauses) == 1


def test_after_all_tries_it_is_unavailable(chat, server):
    server.down(status=529)
    with pytest.raises(LLMUnavailable, match="after 2 tries: HTTP 529"):
        chat(max_tries=2).complete(HI)


# -- what an endpoint does not know -----------------------------------------------------------------------------


def test_a_model_without_forced_tools_or_temperature_is_asked_in_its_way_from_then_on(chat, server):
    def answer(asked: Asked) -> Any:
        if "temperature" in asked.body:
            return fails(400, "`temperature` is not supported for this model.")
        if asked.tool:
            return fails(400, "tool_choice: forcing a tool is not possible while thinking")
        return 'Here: {"city": "Porto"}'

    server.answers(answer)
    mine = chat()
    assert [ask_structured(mine, HI, Place).value for _ in range(2)] == [Place("Porto"), Place("Porto")]
    assert len(server.requests) == 4
    assert set(server.requests[-1].body) == {"model", "messages", "max_tokens", "system"}


# -- giving up ------------------------------------------------------------------------------------------------


def test_closing_ends_a_request_of_another_thread_at_once(chat, server):
    server.slow(30.0)
    mine, ended = chat(), []

    def ask() -> None:
        with pytest.raises(LLMClosed):
            mine.complete(HI)
        ended.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(500):
        if server.requests:
            break
        time.sleep(0.01)
    mine.close()
    thread.join(5)
    assert ended == [True]
