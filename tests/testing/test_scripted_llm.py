"""The scripted model: both protocols as the vendors' own clients speak them, the rules, and each way to misbehave."""

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import LLMClosed, LLMRefused, LLMUnavailable, ParameterError
from mnemic.models.llm import LLM
from mnemic.models.prompt import Message, Prompt, Shown
from mnemic.testing import MALFORMATIONS, Asked, Reply, RuleLLM, ScriptedLLM, fails, malform

SCHEMA = {
    "type": "object",
    "properties": {"facts": {"type": "array", "items": {"type": "object"}}},
    "required": ["facts"],
}
TURNS = [{"turn": 1, "speaker": "Ada", "text": "I moved to Porto."}, {"turn": 2, "speaker": "Ben", "text": "Nice."}]
PROMPT = Prompt(task="Extract facts from `turns`.", data={"turns": Shown(TURNS)})
CHAT = [{"role": message.role, "content": message.content} for message in PROMPT.messages()]
FACTS = {"facts": [{"text": "Ada moved to Porto.", "turn": 1}]}


@pytest.fixture
def llm() -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as started:
        yield started


@pytest.fixture
def gpt(llm: ScriptedLLM) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=llm.base_url, api_key="sk-secret", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(llm: ScriptedLLM) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=llm.anthropic_base_url, api_key="sk-secret", max_retries=0) as client:
        yield client


def ask(gpt: openai.OpenAI, messages: Any = CHAT, **more: Any) -> str:
    said = gpt.chat.completions.create(model="any", messages=messages, **more)
    return said.choices[0].message.content or ""


def post(llm: ScriptedLLM, body: Any, path: str = "/v1/chat/completions", **more: Any) -> httpx.Response:
    return httpx.post(llm.anthropic_base_url + path, json=body, trust_env=False, **more)


# OpenAI's protocol.


def test_openai_gets_an_answer_and_the_rule_sees_task_data_and_schema(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    seen: list[Asked] = []
    llm.rule("facts", lambda asked: seen.append(asked) or {"facts": [t["text"] for t in asked.data["turns"]]})
    form: Any = {"type": "json_schema", "json_schema": {"name": "facts", "schema": SCHEMA}}
    said = gpt.chat.completions.create(model="gpt-x", messages=CHAT, response_format=form, max_completion_tokens=50)  # type: ignore[arg-type]
    assert json.loads(said.choices[0].message.content or "") == {"facts": ["I moved to Porto.", "Nice."]}
    assert (said.model, said.choices[0].finish_reason) == ("gpt-x", "stop")
    assert said.usage is not None
    assert said.usage.prompt_tokens > said.usage.completion_tokens > 0
    [asked] = seen
    assert asked.task.startswith("Extract facts from `turns`.")
    assert asked.data == {"turns": TURNS}
    assert (asked.schema, asked.fields, asked.max_tokens) == (SCHEMA, ("facts",), 50)
    assert (asked.protocol, asked.model, asked.number, asked.attempt) == ("openai", "gpt-x", 1, 1)
    assert asked == llm.requests[0]


def test_a_forced_function_of_openai_gets_the_answer_as_its_arguments(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.rule("facts", FACTS)
    tool: Any = {"type": "function", "function": {"name": "answer", "parameters": SCHEMA}}
    choice: Any = {"type": "function", "function": {"name": "answer"}}
    said = gpt.chat.completions.create(model="any", messages=CHAT, tools=[tool], tool_choice=choice)  # type: ignore[arg-type]
    [call] = said.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("answer", FACTS)
    assert (said.choices[0].finish_reason, llm.requests[0].tool) == ("tool_calls", "answer")


def test_openai_streams_the_same_text_and_counts_it(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.answers("A rather long answer, in more pieces than one: ñ, 語, 🎈.")
    options: Any = {"include_usage": True}
    chunks = list(gpt.chat.completions.create(model="any", messages=CHAT, stream=True, stream_options=options))  # type: ignore[arg-type]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "A rather long answer, in more pieces than one: ñ, 語, 🎈."
    assert len(chunks) > 4
    assert chunks[-1].usage is not None


def test_the_models_are_listed_for_both_vendors(
    llm: ScriptedLLM, gpt: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    assert [one.id for one in gpt.models.list()] == ["scripted"]
    assert [one.id for one in claude.models.list()] == ["scripted"]
    assert gpt.models.retrieve("scripted").owned_by == "mnemic"
    assert claude.models.retrieve("scripted").display_name == "scripted"
    with pytest.raises(openai.NotFoundError):
        gpt.models.retrieve("other")


# Anthropic's protocol.


def test_anthropic_gets_an_answer_and_the_rule_sees_the_system_as_the_task(
    llm: ScriptedLLM, claude: anthropic.Anthropic
) -> None:
    llm.rule(lambda asked: asked.shows("turns") and asked.says("extract FACTS"), "Porto.")
    parts: Any = [{"type": "text", "text": CHAT[0]["content"]}]
    said = claude.messages.create(model="c", max_tokens=9, system=parts, messages=[CHAT[1]])  # type: ignore[list-item]
    assert [(block.type, getattr(block, "text", None)) for block in said.content] == [("text", "Porto.")]
    assert (said.stop_reason, llm.requests[0].protocol, llm.requests[0].data) == (
        "end_turn",
        "anthropic",
        {"turns": TURNS},
    )


def use_tool(claude: anthropic.Anthropic, **more: Any) -> anthropic.types.Message:
    tool: Any = {"name": "answer", "description": "The answer.", "input_schema": SCHEMA}
    choice: Any = {"type": "tool", "name": "answer"}
    return claude.messages.create(
        model="c",
        max_tokens=999,
        system=CHAT[0]["content"],
        messages=[CHAT[1]],  # type: ignore[list-item]
        tools=[tool],
        tool_choice=choice,
        **more,
    )


def test_a_forced_tool_of_anthropic_gets_the_answer_as_its_input(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.rule("facts", FACTS)
    said = use_tool(claude)
    [block] = said.content
    assert block.type == "tool_use"
    assert (block.name, block.input, said.stop_reason) == ("answer", FACTS, "tool_use")


def test_an_answer_that_is_no_object_cannot_be_a_tools_input_and_comes_as_text(
    llm: ScriptedLLM, claude: anthropic.Anthropic
) -> None:
    llm.say(Reply(value=FACTS, malformed="cut"), Reply(value=FACTS, malformed="list_for_object"))
    cut, listed = use_tool(claude), use_tool(claude)
    assert [block.type for said in (cut, listed) for block in said.content] == ["text", "text"]
    assert (cut.stop_reason, listed.stop_reason) == ("max_tokens", "end_turn")


def test_anthropic_streams_texts_and_tools_inputs(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.rule("facts", FACTS)
    llm.answers("A rather long answer, in several pieces.")
    with claude.messages.stream(model="c", max_tokens=99, messages=[CHAT[1]]) as stream:  # type: ignore[list-item]
        assert "".join(stream.text_stream) == "A rather long answer, in several pieces."
    tool: Any = {"name": "answer", "input_schema": SCHEMA}
    choice: Any = {"type": "any"}
    with claude.messages.stream(
        model="c",
        max_tokens=99,
        messages=[CHAT[1]],  # type: ignore[list-item]
        tools=[tool],
        tool_choice=choice,
    ) as stream:
        [block] = stream.get_final_message().content
    assert block.type == "tool_use"
    assert block.input == FACTS


def test_anthropics_output_format_carries_the_schema(llm: ScriptedLLM, claude: anthropic.Anthropic) -> None:
    llm.rule("facts", FACTS)
    config: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
    said = claude.messages.create(model="c", max_tokens=99, messages=[CHAT[1]], output_config=config)  # type: ignore[list-item]
    assert json.loads(getattr(said.content[0], "text", "")) == FACTS


def test_what_anthropic_would_refuse_is_refused(llm: ScriptedLLM) -> None:
    good = {"model": "c", "max_tokens": 9, "messages": [CHAT[1]]}
    version = {"anthropic-version": "2023-06-01"}
    for body, headers in (
        (good, {}),
        (good | {"max_tokens": None}, version),
        (good | {"messages": CHAT}, version),  # "system" is no role here
        (good | {"messages": []}, version),
        (good | {"tool_choice": {"type": "tool", "name": "none"}}, version),
        ({"max_tokens": 9, "messages": [CHAT[1]]}, version),
    ):
        refused = post(llm, body, "/v1/messages", headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    assert llm.requests == []


# Rules.


def test_the_newest_rule_that_fits_answers_after_what_is_said_and_before_the_fallback() -> None:
    llm = RuleLLM("rules:order")
    llm.answers("fallback")
    llm.rule("facts", "old")
    llm.rule(lambda asked: asked.shows("turns"), "new")
    llm.say("first", "second")
    said = [llm.complete(PROMPT.messages(), schema=SCHEMA).text for _ in range(3)]
    other = [Message(role="user", content="Hello?")]
    assert said == ["first", "second", "new"]
    assert llm.complete(other, schema=SCHEMA).text == "old"
    assert llm.complete(other).text == "fallback"


def test_a_schema_that_stands_in_the_task_alone_is_seen() -> None:
    llm = RuleLLM("rules:task")
    llm.rule("facts", FACTS)
    task = f'Extract. An example: {{"a": 1}}. Answer by this schema: {json.dumps(SCHEMA)}'
    said = llm.complete(Prompt(task=task, data={"turns": Shown(TURNS)}).messages())
    assert json.loads(said.text) == FACTS


def test_the_fields_of_a_form_told_in_words_are_seen() -> None:
    llm = RuleLLM("rules:words")
    llm.answers("yes")
    form = 'Its form:\n{"facts": [{"text": string, "turn": integer}, …], "note"?: "a" | "b", "by": {"id": string}}'
    llm.complete([Message(role="system", content=f"Extract.\n{form}")])
    assert llm.requests[0].fields == ("facts", "note", "by")
    assert llm.requests[0].asks_for("note", "by")
    assert not llm.requests[0].asks_for("text")


def test_dataclasses_lists_and_texts_are_sent_as_a_model_would_write_them() -> None:
    @dataclass
    class Facts:
        facts: list[str]

    llm = RuleLLM("rules:kinds")
    llm.say(Facts(["Zoë"]), [1, None], '{"as": it is', lambda asked: asked.data["turns"][0]["text"])
    said = [llm.complete(PROMPT.messages()).text for _ in range(4)]
    assert said == ['{"facts": ["Zoë"]}', "[1, null]", '{"as": it is', "I moved to Porto."]


def test_a_rule_that_breaks_is_a_500_and_fails_the_test() -> None:
    def answering() -> None:
        with (
            ScriptedLLM() as llm,
            openai.OpenAI(base_url=llm.base_url, api_key="-") as gpt,
        ):
            llm.answers(lambda asked: asked.data["no such key"])
            with pytest.raises(openai.InternalServerError, match="no such key"):
                ask(gpt)
            assert len(llm.requests) == 1  # the client was told not to try again

    with pytest.raises(AssertionError, match="A rule broke with KeyError: 'no such key'"):
        answering()


def test_a_request_that_no_rule_fits_is_a_404_that_tells_the_task_and_fails_the_test() -> None:
    def answering() -> None:
        with RuleLLM("rules:none") as llm:
            llm.rule("other", "x")
            with pytest.raises(LLMRefused, match="Extract facts"):
                llm.complete(PROMPT.messages(), schema=SCHEMA)

    with pytest.raises(
        AssertionError, match=r"No rule fits \(asked: 'Extract facts from `turns`.'; fields \['facts'\]"
    ):
        answering()


def test_a_test_that_fails_anyway_is_told_the_problems_and_keeps_its_own_error() -> None:
    def answering() -> None:
        with RuleLLM("rules:note") as llm:
            llm.answers(lambda asked: {1, 2})
            llm.complete(PROMPT.messages())

    with pytest.raises(LLMRefused) as raised:
        answering()
    assert "set is not JSON serializable" in raised.value.__notes__[0]


def test_reset_makes_it_as_new() -> None:
    llm = RuleLLM("rules:reset")
    llm.rule("facts", "x")
    llm.down()
    with pytest.raises(LLMUnavailable):
        llm.complete(PROMPT.messages())
    llm.reset()
    llm.answers("new")
    assert llm.complete(PROMPT.messages(), schema=SCHEMA).text == "new"
    assert llm.calls == 1


def test_an_answer_longer_than_max_tokens_is_cut_and_says_so(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.answers("one two three four five six")
    said = gpt.chat.completions.create(model="any", messages=CHAT, max_tokens=3)  # type: ignore[arg-type]
    assert said.choices[0].finish_reason == "length"
    assert (said.choices[0].message.content or "").strip() == "one two three"


# Misbehaving.


@pytest.mark.parametrize("kind", MALFORMATIONS)
@given(draw=st.integers(0, 2**64))
def test_a_malformed_answer_is_another_text_and_the_same_each_time(kind: str, draw: int) -> None:
    text = json.dumps(
        {"facts": [{"text": "Ada moved to Porto last spring.", "turn": 3, "is_sure": True}], "note": None}
    )
    spoilt = malform(kind, text, draw)
    assert spoilt != text
    assert spoilt == malform(kind, text, draw)


UNREADABLE = ("cut", "fenced", "prose_around", "trailing_comma", "single_quotes", "empty", "refusal", "html")


@pytest.mark.parametrize("kind", UNREADABLE)
@given(draw=st.integers(0, 2**64))
def test_these_malformations_leave_no_json(kind: str, draw: int) -> None:
    with pytest.raises(ValueError):
        json.loads(malform(kind, json.dumps(FACTS), draw))


@given(draw=st.integers(0, 2**64))
def test_these_malformations_leave_json_of_another_shape_or_sense(draw: int) -> None:
    def spoilt(kind: str) -> Any:
        return json.loads(malform(kind, json.dumps(FACTS), draw))

    assert list(spoilt("other_keys")) == ["the_facts"]
    assert spoilt("list_for_object") == [FACTS]
    assert spoilt("wrong_types") != FACTS
    elsewhere = spoilt("other_language")["facts"][0]
    assert elsewhere["turn"] == 1
    assert elsewhere["text"] != FACTS["facts"][0]["text"]
    assert spoilt("unknown_ids")["facts"][0]["turn"] >= 100_000


@given(text=st.text(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
).map(json.dumps), draw=st.integers(0, 2**64))  # fmt: skip
def test_any_text_at_all_can_be_malformed(text: str, draw: int) -> None:
    for kind in MALFORMATIONS:
        malform(kind, text, draw)


def test_a_malformation_with_nothing_to_spoil_is_a_problem_of_the_script_and_an_unknown_one_is_refused() -> None:
    llm = RuleLLM("rules:nothing")
    llm.say(Reply(value={"answer": "yes"}, malformed="unknown_ids"))
    with pytest.raises(LLMRefused, match="nothing to spoil"):
        llm.complete(PROMPT.messages())
    assert len(llm.problems) == 1
    with pytest.raises(ParameterError, match="'sideways' is no malformation"):
        llm.misbehave(0.5, kinds=["sideways"])
    with pytest.raises(ParameterError, match="at most 1"):
        llm.misbehave(0.5, failing=0.6)
    with pytest.raises(ParameterError, match="in no way"):
        llm.misbehave(0.5, kinds=[])


def test_a_page_and_bytes_that_are_no_text_come_in_the_answers_place(llm: ScriptedLLM) -> None:
    llm.say(Reply(value=FACTS, malformed="html"), Reply(value="Porto", malformed="invalid_utf8"))
    page, broken = post(llm, {"model": "m", "messages": CHAT}), post(llm, {"model": "m", "messages": CHAT})
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!DOCTYPE html>")
    assert b"\xff\xc3" in broken.content
    with pytest.raises(UnicodeDecodeError):
        broken.content.decode()


def outcomes(seed: int, order: list[int]) -> dict[int, str]:
    """What 40 questions get, asked by eight threads in this order."""
    with ScriptedLLM() as llm, httpx.Client(base_url=llm.base_url, trust_env=False) as client:
        llm.answers(lambda asked: {"facts": [{"text": asked.data["q"], "id": "1"}]})
        llm.misbehave(0.4, failing=0.1, dropped=0.1, seed=seed)

        def one(number: int) -> tuple[int, str]:
            prompt = Prompt(task="Answer.", data={"q": Shown(f"question {number}")})
            messages = [{"role": one.role, "content": one.content} for one in prompt.messages()]
            try:
                said = client.post("/chat/completions", json={"model": "m", "messages": messages})
            except httpx.TransportError:
                return number, "dropped"
            content = said.content.decode(errors="replace")
            if said.status_code == 200 and content.startswith("{"):
                return number, repr(json.loads(content)["choices"])
            return number, f"{said.status_code} {content}"

        with ThreadPoolExecutor(8) as threads:
            return dict(threads.map(one, order))


def test_what_is_spoilt_depends_on_the_seed_and_the_question_not_on_the_order() -> None:
    order = list(range(40))
    first = outcomes(7, order)
    assert outcomes(7, order[::-1]) == first
    assert outcomes(8, order) != first
    right = {number: json.dumps({"facts": [{"text": f"question {number}", "id": "1"}]}) for number in order}
    good = sum(f"'content': {right[number]!r}" in text for number, text in first.items())
    assert 8 <= good <= 28  # 16 are expected
    assert sum(text == "dropped" for text in first.values()) >= 1


def test_an_attempt_is_counted_when_the_same_is_asked_again_also_with_a_complaint_behind_it() -> None:
    llm = RuleLLM("rules:attempts")
    llm.rule("facts", FACTS)
    llm.misbehave(1.0, kinds=["cut"], attempts=2)
    messages = PROMPT.messages()
    first = llm.complete(messages, schema=SCHEMA)
    complaint = [Message(role="assistant", content=first.text), Message(role="user", content="That is no JSON.")]
    second = llm.complete([*messages, *complaint], schema=SCHEMA)
    third = llm.complete([*messages, *complaint], schema=SCHEMA)
    assert (first.is_cut, second.is_cut, third.is_cut) == (True, True, False)
    assert [asked.attempt for asked in llm.requests] == [1, 2, 3]
    assert json.loads(third.text) == FACTS
    llm.misbehave()
    assert json.loads(llm.complete([Message(role="user", content="{}")], schema=SCHEMA).text) == FACTS


def test_while_it_is_down_connections_close_and_then_it_answers_again(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.answers("up")
    llm.down(for_requests=2)
    for _ in range(2):
        with pytest.raises(openai.APIConnectionError):
            ask(gpt)
    assert ask(gpt) == "up"
    llm.down(status=503)
    with pytest.raises(openai.InternalServerError):
        ask(gpt)
    llm.up()
    assert ask(gpt) == "up"
    llm.down()
    with pytest.raises(openai.APIConnectionError):
        gpt.models.list()
    assert llm.is_down
    assert len(llm.requests) == 5


def test_every_third_request_is_over_the_rate_limit_and_a_client_that_waits_gets_through(llm: ScriptedLLM) -> None:
    llm.answers("yes")
    llm.rate_limit(every=3, retry_after_s=0.01)
    codes = [post(llm, {"model": "m", "messages": CHAT}) for _ in range(6)]
    assert [one.status_code for one in codes] == [200, 200, 429, 200, 200, 429]
    assert codes[2].headers["retry-after"] == "0.01"
    with openai.OpenAI(base_url=llm.base_url, api_key="-", max_retries=1) as gpt:
        assert [ask(gpt) for _ in range(4)] == ["yes"] * 4
    llm.rate_limit(every=None)
    assert post(llm, {"model": "m", "messages": CHAT}).status_code == 200


def test_an_error_carries_its_status_its_headers_and_the_protocols_form(
    llm: ScriptedLLM, gpt: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    llm.say(fails(429, "slow down", retry_after_s=3), fails(529, "busy"))
    with pytest.raises(openai.RateLimitError) as refused:
        ask(gpt)
    assert refused.value.response.headers["retry-after"] == "3"
    with pytest.raises(anthropic.APIStatusError) as busy:
        claude.messages.create(model="c", max_tokens=9, messages=[CHAT[1]])  # type: ignore[list-item]
    assert busy.value.body["error"] == {"type": "overloaded_error", "message": "busy"}  # type: ignore[index]


def test_an_answer_that_breaks_off_in_the_middle_is_a_lost_connection(llm: ScriptedLLM, gpt: openai.OpenAI) -> None:
    llm.answers(Reply(value="x" * 200, drops="midway"))
    with pytest.raises(openai.APIConnectionError):
        ask(gpt)
    with pytest.raises(httpx.RemoteProtocolError):
        post(llm, {"model": "m", "messages": CHAT, "stream": True})


def test_closing_ends_an_answer_that_is_slow_to_come() -> None:
    with ScriptedLLM() as llm:
        llm.slow(60)
        llm.answers("late")
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(post, llm, {"model": "m", "messages": CHAT}, timeout=30)
            while not llm.requests:
                time.sleep(0.001)
            began = time.monotonic()
            llm.close()
            with pytest.raises(httpx.TransportError):
                waiting.result()
    assert time.monotonic() - began < 5


def test_a_slow_answer_takes_its_time(llm: ScriptedLLM) -> None:
    llm.slow(0.05)
    llm.answers(Reply(value="late", delay_s=0.05))
    began = time.monotonic()
    post(llm, {"model": "m", "messages": CHAT})
    assert time.monotonic() - began >= 0.1


# The server.


def test_started_again_it_has_the_same_port_and_in_between_refuses_connections(llm: ScriptedLLM) -> None:
    llm.answers("yes")
    url = llm.base_url
    llm.close()
    with pytest.raises(httpx.ConnectError):
        post(llm, {"model": "m", "messages": CHAT})
    llm.start()
    assert (llm.base_url, post(llm, {"model": "m", "messages": CHAT}).status_code) == (url, 200)


def test_it_has_no_address_before_it_is_started() -> None:
    with pytest.raises(ParameterError, match="start"):
        _ = ScriptedLLM().base_url


def test_a_wrong_key_is_refused_and_no_key_is_kept() -> None:
    with ScriptedLLM(api_key="sk-right") as llm:
        llm.answers("yes")
        body = {"model": "m", "messages": CHAT}
        assert post(llm, body, headers={"authorization": "Bearer sk-wrong"}).status_code == 401
        assert post(llm, body).status_code == 401
        assert post(llm, body, headers={"authorization": "Bearer sk-right", "x-team": "a"}).status_code == 200
        assert post(llm, body, headers={"x-api-key": "sk-right"}).status_code == 200
        assert httpx.get(f"{llm.base_url}/models", trust_env=False).status_code == 401
        assert "sk-right" not in repr(llm.requests)
        assert llm.requests[0].headers["x-team"] == "a"


def test_one_connection_serves_many_requests_and_bodies_in_chunks(llm: ScriptedLLM) -> None:
    llm.answers(lambda asked: f"{asked.number}")
    connection = http.client.HTTPConnection("127.0.0.1", llm.port, timeout=5)
    body = json.dumps({"model": "m", "messages": CHAT}).encode()
    ports = set()
    for number in range(1, 6):
        halves = iter([body[:50], body[50:]])
        connection.request(
            "POST", "/v1/chat/completions", halves, encode_chunked=True, headers={"transfer-encoding": "chunked"}
        )
        answer = connection.getresponse()
        assert json.loads(answer.read())["choices"][0]["message"]["content"] == str(number)
        ports.add(connection.sock.getsockname()[1])
    connection.close()
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{nope", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n[]", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}", 404),
        (b"GET /v1/other HTTP/1.1\r\nhost: x\r\n\r\n", 404),
        (b"DELETE /v1/models HTTP/1.1\r\nhost: x\r\n\r\n", 501),
    ],
    ids=[
        "no-json",
        "no-object",
        "negative",
        "no-length",
        "bad-chunk",
        "other-path",
        "other-get",
        "other-verb",
    ],
)
def test_what_is_no_request_is_told_so(llm: ScriptedLLM, request_: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", llm.port), timeout=5) as raw:
        raw.sendall(request_)
        assert b" %d " % status in raw.recv(4096).splitlines()[0]
    assert (llm.requests, llm.problems) == ([], [])


def test_a_client_that_leaves_early_is_no_noise(llm: ScriptedLLM, capfd: pytest.CaptureFixture[str]) -> None:
    arrived = threading.Event()
    llm.answers(lambda asked: Reply(value="x" * 2_000_000, delay_s=arrived.set() or 0.02))
    body = json.dumps({"model": "m", "messages": CHAT, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    for sent in (head + body, head + body[:20]):
        with socket.create_connection(("127.0.0.1", llm.port), timeout=5) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves with a reset
            raw.sendall(sent)
            if sent == head + body:
                assert arrived.wait(5)
    llm.close()
    assert (llm.problems, capfd.readouterr()) == ([], ("", ""))


def test_many_connections_at_once_get_each_its_own_answer(llm: ScriptedLLM) -> None:
    llm.answers(lambda asked: asked.data["n"])
    llm.slow(0.01)

    def one(number: int) -> str:
        content = json.dumps({"n": str(number)})
        body = {"model": "m", "messages": [{"role": "user", "content": content}]}
        answer = client.post("/chat/completions", json=body)
        return str(answer.json()["choices"][0]["message"]["content"])

    with httpx.Client(base_url=llm.base_url, trust_env=False) as client, ThreadPoolExecutor(16) as threads:
        assert list(threads.map(one, range(64))) == [str(number) for number in range(64)]
    assert sorted(asked.number for asked in llm.requests) == list(range(1, 65))


def test_a_raw_reply_is_sent_as_it_is(llm: ScriptedLLM) -> None:
    llm.answers(Reply(raw=b'{"choices": []}', headers={"x-odd": "1"}))
    answer = post(llm, {"model": "m", "messages": CHAT})
    assert (answer.json(), answer.headers["x-odd"]) == ({"choices": []}, "1")


# In process.


def test_a_rule_llm_is_an_llm_that_counts_tokens_and_calls() -> None:
    llm: LLM = RuleLLM("rules:facts")
    assert isinstance(llm, RuleLLM)
    llm.rule("facts", FACTS)
    said = llm.complete(PROMPT.messages(), schema=SCHEMA)
    assert (llm.id, llm.calls, json.loads(said.text)) == ("rules:facts", 1, FACTS)
    assert said.tokens_in > said.tokens_out > 0


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (fails(429), LLMUnavailable),
        (fails(503), LLMUnavailable),
        (Reply(drops="at once"), LLMUnavailable),
        (Reply(value="x", malformed="html"), LLMUnavailable),
        (Reply(value="x", malformed="invalid_utf8"), LLMUnavailable),
        (fails(400), LLMRefused),
        (fails(401), LLMRefused),
    ],
    ids=["429", "503", "drops", "page", "bytes", "400", "401"],
)
def test_in_process_failures_are_the_errors_of_an_endpoints_client(reply: Reply, error: type[Exception]) -> None:
    llm = RuleLLM("rules:errors")
    llm.say(reply)
    with pytest.raises(error):
        llm.complete(PROMPT.messages())


def test_closed_it_refuses_and_gives_up_what_is_under_way() -> None:
    llm = RuleLLM("rules:closed")
    llm.answers("late")
    llm.slow(60)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(llm.complete, PROMPT.messages())
        while not llm.calls:
            time.sleep(0.001)
        llm.close()
        with pytest.raises(LLMClosed):
            waiting.result(5)
    with pytest.raises(LLMClosed, match="Make another"):
        llm.complete(PROMPT.messages())


def test_the_server_and_the_object_give_the_same_answers_by_the_same_script(
    llm: ScriptedLLM, gpt: openai.OpenAI
) -> None:
    inner = RuleLLM("rules:same")
    for script in (llm, inner):
        script.rule("turns", FACTS)
        script.answers(lambda asked: {"facts": [turn["text"] for turn in asked.data["turns"]]})
        script.misbehave(1.0, kinds=[kind for kind in MALFORMATIONS if kind not in ("html", "invalid_utf8")], seed=3)
    assert [ask(gpt) for _ in range(10)] == [inner.complete(PROMPT.messages()).text for _ in range(10)]
