"""A chat endpoint is asked, waited for, adapted to and given up, over real HTTP on the loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from mnemic.errors import DependencyMissing, LLMClosed, LLMError, LLMRefused, LLMUnavailable, ParameterError
from mnemic.models.endpoint import Address
from mnemic.models.llm import Completion, Priced
from mnemic.models.openai_chat import OpenAIChat, response_format, strict_schema
from mnemic.models.prompt import Message
from mnemic.models.structured import ask_structured, schema_of
from mnemic.testing import MALFORMATIONS, Asked, Reply, ScriptedLLM, fails

pytest.importorskip("openai", reason="openai, of the extra 'openai', is not installed")
KEY = "sk-very-secret-0123456789"
HI = [Message(role="system", content="Answer."), Message(role="user", content="Where does Mara live?")]


@dataclass
class Place:
    city: str
    notes: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
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
def chat(server: ScriptedLLM, pauses: list[float]) -> Iterator[Callable[..., OpenAIChat]]:
    """Opens models over the server; their pauses are noted and not slept."""
    opened: list[OpenAIChat] = []

    async def noted(pause_s: float) -> None:
        pauses.append(pause_s)

    def open_(model: str = "small", **settings: Any) -> OpenAIChat:
        opened.append(OpenAIChat(model, **{"base_url": server.base_url, "api_key": KEY, "sleep": noted} | settings))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def in_threads(*calls: Callable[[], object]) -> list[object]:
    """Their results or errors, once all have ended."""
    results: list[object] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            results[place] = calls[place]()
        except LLMError as error:
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return results


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


# -- asking ---------------------------------------------------------------------------------------------------


def test_it_answers_and_says_what_it_took(chat, server):
    said = chat().complete(HI, max_tokens=50)
    assert said.text == "Porto"
    assert said.tokens_in > 5
    assert said.tokens_out == 1
    body = server.requests[0].body
    assert body == {
        "model": "small",
        "temperature": 0.0,
        "max_tokens": 50,
        "messages": [{"role": one.role, "content": one.content} for one in HI],
    }


def test_coroutines_of_any_loop_and_threads_share_one_model(chat):
    mine = chat()

    async def both() -> list[Completion]:
        return await asyncio.gather(mine.acomplete(HI), mine.acomplete(HI))

    assert [one.text for one in asyncio.run(both()) + asyncio.run(both()) + [mine.complete(HI)]] == ["Porto"] * 5


def test_what_changes_answers_is_sent_and_stands_in_the_id(chat, server):
    mine = chat(temperature=0.7, seed=7, extra_body={"reasoning_effort": "low"}, label="home")
    mine.complete(HI)
    body = server.requests[0].body
    assert (body["temperature"], body["seed"], body["reasoning_effort"]) == (0.7, 7, "low")
    assert mine.id == (
        "openai:small?extra_body=%7B%22reasoning_effort%22%3A%22low%22%7D&label=home&seed=7&temperature=0.7"
    )
    assert chat().id == "openai:small"


def test_text_that_is_no_unicode_is_sent_nevertheless(chat, server):
    chat().complete([Message(role="user", content="a \ud800 lone half")])
    assert server.requests[0].messages[0].content == "a ? lone half"


def test_at_most_so_many_requests_run_at_a_time(chat, server):
    now, most, lock = [0], [0], threading.Lock()

    def answer(asked: Asked) -> str:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return "Porto"

    server.answers(answer)
    mine = chat(concurrency=2)
    assert [one.text for one in in_threads(*[lambda: mine.complete(HI)] * 8)] == ["Porto"] * 8
    assert most[0] == 2


def test_a_price_is_known_where_it_was_given(chat):
    priced = chat(price_in=0.15, price_out=0.6)
    assert isinstance(priced, Priced)
    assert (priced.price_in, priced.price_out) == (0.15, 0.6)
    assert not isinstance(chat(), Priced)


# -- refused at the door ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": " "}, "has no name"),
        ({"base_url": "localhost:8000/v1"}, "is no address"),
        ({"base_url": "http://"}, "is no address"),
        ({"api_key": "sk-1\nsk-2"}, "Copy it again"),
        ({"api_key": "clé"}, "Copy it again"),
        ({"temperature": 3.0}, "from 0 to 2"),
        ({"temperature": float("nan")}, "from 0 to 2"),
        ({"max_tries": 0}, "max_tries"),
        ({"max_pause_s": -1.0}, "max_pause_s"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"concurrency": 0}, "concurrency"),
        ({"structured": "yes"}, "json_object"),
        ({"price_in": 1.0}, "belong together"),
        ({"price_in": -1.0, "price_out": 1.0}, "0 or more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_settings_out_of_range_are_refused_and_show_no_key(chat, settings, said):
    with pytest.raises(ParameterError, match=said) as raised:
        chat(**settings)
    assert "sk-" not in str(raised.value)


def test_openai_itself_is_not_asked_without_a_key(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ParameterError, match="Set OPENAI_API_KEY"):
        OpenAIChat("gpt-4o-mini")


def test_address_and_key_come_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    mine = OpenAIChat("small")
    assert mine.complete(HI).text == "Porto"
    mine.close()


def test_without_the_client_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("mnemic.models.endpoint.find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match=r"pip install 'mnemic\[openai\]'"):
        OpenAIChat("small", base_url="http://localhost:1/v1")


def test_an_answer_of_no_tokens_is_not_asked_for(chat, server):
    with pytest.raises(ParameterError, match="max_tokens"):
        chat().complete(HI, max_tokens=0)
    assert server.requests == []


# -- when the endpoint misbehaves -----------------------------------------------------------------------------


def body_of(**choice: Any) -> bytes:
    whole = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Porto"}} | choice
    return json.dumps({"choices": [whole]}).encode()


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(Reply(drops="at once"), id="a broken connection"),
        pytest.param(Reply(value="Porto", drops="midway"), id="half an answer"),
        *[pytest.param(fails(status), id=str(status)) for status in (408, 409, 425, 429, 500, 502, 503, 520, 529)],
        pytest.param(Reply(raw=b"<html>proxy</html>"), id="a proxy's page"),
        pytest.param(Reply(raw=b"[]"), id="a list"),
        pytest.param(Reply(raw=b'{"choices": []}'), id="no choice"),
        pytest.param(Reply(raw=body_of(message={"content": None})), id="no content"),
        pytest.param(Reply(raw=body_of(message={"content": {"a": 1}})), id="no text"),
        pytest.param(Reply(value="  "), id="an empty answer"),
        pytest.param(Reply(raw=b'{"error": {"message": "overloaded", "code": 503}}'), id="an error as an answer"),
    ],
)
def test_trouble_that_passes_is_tried_again(chat, server, pauses, trouble):
    server.say(trouble, trouble)
    assert chat().complete(HI).text == "Porto"
    assert len(server.requests) == 3
    assert [0 <= pause <= most for pause, most in zip(pauses, (0.5, 1.0), strict=True)] == [True, True]


def test_it_waits_as_long_as_it_is_asked_to_and_no_longer_than_allowed(chat, server, pauses):
    in_ms = Reply(value="busy", status=429, headers={"retry-after-ms": "8000"})
    server.say(fails(429, retry_after_s=7), in_ms, fails(503, retry_after_s=3600))
    assert chat(max_pause_s=30.0).complete(HI).text == "Porto"
    assert pauses == [7.0, 8.0, 30.0]


def test_after_all_tries_it_is_unavailable(chat, server, pauses):
    server.down(status=503)
    with pytest.raises(
        LLMUnavailable, match=r"openai:small was asked at http://127.* after 3 tries: HTTP 503.* do it again"
    ):
        chat(max_tries=3).complete(HI)
    assert (len(server.requests), len(pauses)) == (3, 2)


def test_an_endpoint_that_is_not_there_is_unavailable(chat, server):
    server.close()
    with pytest.raises(LLMUnavailable, match="ConnectError"):
        chat(max_tries=1).complete(HI)


def test_a_slow_endpoint_is_unavailable(chat, server):
    server.slow(5.0)
    with pytest.raises(LLMUnavailable, match=r"after 2 tries: no answer within 0\.05 s"):
        chat(timeout_s=0.05, max_tries=2).complete(HI)


@pytest.mark.parametrize(
    ("status", "is_of_request", "remedy"),
    [
        (400, True, "made shorter"),
        (401, False, "Check OPENAI_API_KEY"),
        (403, False, "Check OPENAI_API_KEY"),
        (404, False, "model's name"),
        (413, True, "made shorter"),
        (501, False, "settings"),
    ],
)
def test_a_refusal_is_not_repeated_and_shows_no_key(chat, server, pauses, caplog, status, is_of_request, remedy):
    caplog.set_level(logging.DEBUG)
    server.say(fails(status, "x" * 230 + f" for {KEY}"))
    mine = chat()
    with pytest.raises(LLMRefused, match=f"HTTP {status}.*{remedy}") as raised:
        mine.complete(HI)
    assert raised.value.is_of_request == is_of_request
    assert pauses == []
    assert KEY[:8] not in str(raised.value) + repr(mine) + repr(vars(mine)) + caplog.text


def test_a_password_in_the_address_is_not_shown(chat, server):
    mine = chat(base_url=server.base_url.replace("//", "//me:hidden-word@"), max_tries=1)
    server.down(status=503)
    with pytest.raises(LLMError) as raised:
        mine.complete(HI)
    assert "hidden-word" not in str(raised.value) + repr(mine) + mine.id + mine.base_url


def test_an_account_without_credit_is_not_asked_again_and_again(chat, server, pauses):
    server.say(fails(429, "You exceeded your current quota: insufficient_quota"))
    with pytest.raises(LLMUnavailable, match="Check the account's credit"):
        chat().complete(HI)
    assert pauses == []


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": None, "refusal": "I will not."}},
        {"message": {"content": ""}, "finish_reason": "content_filter"},
    ],
    ids=["refusal", "filter"],
)
def test_a_model_that_declines_has_refused_this_request(chat, server, choice):
    server.say(Reply(raw=body_of(**choice)))
    with pytest.raises(LLMRefused, match="declines") as raised:
        chat().complete(HI)
    assert raised.value.is_of_request


def test_an_answer_that_stops_at_the_limit_is_cut(chat, server):
    thought = Reply(raw=body_of(message={"content": None}, finish_reason="length"))
    server.say(Reply(value="Por", is_cut=True), thought)
    mine = chat()
    assert (mine.complete(HI), mine.complete(HI)) == (
        Completion(text="Por", tokens_in=mine.complete(HI).tokens_in, tokens_out=1, is_cut=True),
        Completion(text="", is_cut=True),
    )


def test_an_answer_in_parts_is_one_text(chat, server):
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Por"}, {"type": "text", "text": "to"}]
    server.say(Reply(raw=body_of(message={"content": parts})))
    assert chat().complete(HI).text == "Porto"


# -- what an endpoint does not know -----------------------------------------------------------------------------


def knows(*formats: str) -> Callable[[Asked], Any]:
    """Refuses other response formats than these, as endpoints do."""

    def answer(asked: Asked) -> Any:
        kind = asked.body.get("response_format", {}).get("type", "none")
        if kind not in formats:
            return fails(
                400, f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model."
            )
        return '{"city": "Porto"}'

    return answer


def formats(server: ScriptedLLM) -> list[str]:
    return [one.body.get("response_format", {}).get("type", "none") for one in server.requests]


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        (("json_schema",), ["json_schema", "json_schema"]),
        (("json_object", "none"), ["json_schema", "json_object", "json_object"]),
        (("none",), ["json_schema", "json_object", "none", "none"]),
    ],
    ids=["schema", "object", "none"],
)
def test_the_best_format_that_an_endpoint_knows_is_found_once(chat, server, known, asked):
    server.answers(knows(*known))
    mine = chat()
    for _ in range(2):
        assert ask_structured(mine, HI, Place).value == Place("Porto")
    assert formats(server) == asked
    assert len({one.task for one in server.requests}) == 1


def test_a_format_that_was_chosen_is_kept(chat, server):
    server.answers(knows("json_schema"))
    with pytest.raises(LLMRefused, match="response_format"):
        chat(structured="json_object").complete(HI, schema=schema_of(Place))
    server.answers(knows("none"))
    assert chat(structured="none").complete(HI, schema=schema_of(Place)).text == '{"city": "Porto"}'
    assert formats(server) == ["json_object", "none"]


def test_a_refusal_for_another_reason_changes_no_format(chat, server):
    server.say(fails(400, "maximum context length is 4096 tokens"))
    mine = chat()
    with pytest.raises(LLMRefused):
        mine.complete(HI, schema=schema_of(Place))
    server.say(fails(400, "the schema is bad"), fails(400, "the context is too long"))
    with pytest.raises(LLMRefused):
        mine.complete(HI, schema=schema_of(Place))
    mine.complete(HI, schema=schema_of(Place))
    assert formats(server)[-1] == "json_schema"


def test_one_schema_that_is_not_taken_does_not_stop_others(chat, server):
    server.say(fails(400, "Invalid schema for response_format 'Place'"))
    mine = chat()
    for _ in range(2):
        mine.complete(HI, schema=schema_of(Place))
    assert formats(server) == ["json_schema", "json_object", "json_schema"]


def test_a_reasoning_model_is_asked_in_its_way_from_then_on(chat, server):
    def answer(asked: Asked) -> Any:
        if "max_tokens" in asked.body:
            use = "Use 'max_completion_tokens' instead."
            return fails(400, f"Unsupported parameter: 'max_tokens' is not supported with this model. {use}")
        for name in ("temperature", "seed"):
            if name in asked.body:
                return fails(400, f"Unsupported value: '{name}' does not support {asked.body[name]} with this model.")
        return "Porto"

    server.answers(answer)
    mine = chat(seed=1)
    assert [mine.complete(HI, max_tokens=9).text for _ in range(2)] == ["Porto", "Porto"]
    assert len(server.requests) == 5
    assert set(server.requests[-1].body) == {"model", "messages", "max_completion_tokens"}


def test_strict_mode_is_told_what_it_wants():
    strict = response_format(schema_of(Place), "json_schema")["json_schema"]
    assert (strict["name"], strict["strict"]) == ("Place", True)
    assert strict["schema"]["required"] == ["city", "notes"]
    assert strict["schema"]["additionalProperties"] is False
    a_map = {"type": "object", "title": "A map!", "properties": {"by": {"type": "object", "additionalProperties": {}}}}
    assert strict_schema(a_map | {"properties": {"by": {"type": "array", "items": {"prefixItems": []}}}}) is None
    assert response_format(a_map, "json_schema")["json_schema"] == {"name": "A_map_", "schema": a_map}


@dataclass
class Places:
    places: list[Place]


@pytest.mark.parametrize("kind", [kind for kind in MALFORMATIONS if kind != "other_language"])
def test_however_an_answer_is_spoilt_what_comes_of_it_was_said(chat, server, kind):
    right = Places([Place("Porto", ["by the sea"]), Place("Faro"), Place("Lisbon", ["and its hills", "and trams"])])
    server.answers(right)
    server.misbehave(1.0, kinds=[kind], attempts=1)
    got = ask_structured(chat(), [HI[0], Message(role="user", content='{"turns": ["Where?"]}')], Places)
    assert got.value.places == right.places[: len(got.value.places)]
    assert got.is_cut or got.value == right


# -- giving up ------------------------------------------------------------------------------------------------


def test_closing_ends_requests_waits_and_turns_of_all_threads_at_once(chat, server):
    server.slow(30.0)
    mine, began = chat(concurrency=1), time.monotonic()

    def close() -> None:
        until(lambda: len(server.requests) == 1)
        mine.close()

    closed, *others = in_threads(close, lambda: mine.complete(HI), lambda: mine.complete(HI))
    assert closed is None
    assert [type(one) for one in others] == [LLMClosed, LLMClosed]
    assert time.monotonic() - began < 5
    with pytest.raises(LLMClosed, match="openai:small was closed"):
        mine.complete(HI)


def test_closing_ends_a_pause(chat, server):
    server.down(status=503)
    mine = chat(sleep=asyncio.sleep)
    server.say()
    server.rate_limit(every=1, retry_after_s=50)
    server.up()

    def close() -> None:
        until(lambda: len(server.requests) == 1)
        mine.close()
        mine.close()

    _, given_up = in_threads(close, lambda: mine.complete(HI))
    assert isinstance(given_up, LLMClosed)


def test_closing_ends_a_coroutine_and_cancelling_it_ends_its_request(chat, server):
    server.slow(30.0)
    mine = chat(concurrency=1)

    async def cancelled() -> None:
        task = asyncio.create_task(mine.acomplete(HI))
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    server.slow(0.0)
    assert mine.complete(HI).text == "Porto"  # its place is free again

    async def closed() -> None:
        server.slow(30.0)
        task = asyncio.create_task(mine.acomplete(HI))
        while len(server.requests) < 3:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(mine.close)
        with pytest.raises(LLMClosed):
            await task

    asyncio.run(closed())


def test_an_address_with_brackets_is_the_same_when_it_is_opened_again() -> None:
    shown = Address("http://[::1]:11434/v1", "key").shown
    assert shown == "http://[::1]:11434/v1"
    assert Address(shown).shown == shown
