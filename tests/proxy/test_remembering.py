"""What a chat leaves in the memory: each turn once, however often it is sent."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
pytest.importorskip("openai")

import httpx
import openai

from mnemic.clock import ManualClock

from .conftest import Running, Start, assistant
from .scripted_llm import Reply, ScriptedLLM, call, event, gives, refuses, says, streams, streams_deltas


def test_a_question_and_its_answer_are_remembered(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(says("Porto is lovely."))
    answer = proxy.ask("I moved to Porto.")
    assert answer.choices[0].message.content == "Porto is lovely."
    asked, answered = proxy.log()
    assert [(one.role, one.text) for one in (asked, answered)] == [
        ("user", "I moved to Porto."),
        ("assistant", "Porto is lovely."),
    ]
    assert asked.session == answered.session
    assert asked.session.startswith("chat-")
    assert answered.metadata == {"model": "scripted-1"}


def test_a_streamed_answer_is_put_together(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(streams("Por", "to is ", "lovely."))
    stream = proxy.client().chat.completions.create(
        model="m", messages=[{"role": "user", "content": "I moved to Porto."}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Porto is lovely."
    assert proxy.said() == [("user", "I moved to Porto."), ("assistant", "Porto is lovely.")]
    assert "partial" not in proxy.log()[1].metadata


@pytest.mark.parametrize("headers", [{}, {"X-Mnemic-Session": "monday"}])
def test_a_history_that_grows_adds_only_what_is_new(proxy: Running, llm: ScriptedLLM, headers: dict[str, str]) -> None:
    llm.will(*(says(f"Answer {n}.") for n in range(6)))
    history: list[object] = [{"role": "system", "content": "Be kind."}]
    for n in range(6):
        history.append({"role": "user", "content": "Go on." if n % 2 else f"Question {n}?"})
        answer = proxy.ask(*history, headers=headers)
        history.append(answer.choices[0].message.model_dump())  # with all fields, as frameworks send it back
        history[0] = {"role": "system", "content": f"Be kind. It is {n} o'clock."}
    expected = [(one["role"], one["content"]) for one in history[1:]]  # type: ignore[index]
    assert proxy.said() == expected
    sessions = {one.session for one in proxy.log()}
    assert sessions == set(headers.values()) if headers else len(sessions) == 1


def test_a_retry_adds_nothing(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(refuses(429, "slow down"), says("Yes."), says("Yes."), says("No."))
    with pytest.raises(Exception, match="slow down"):
        proxy.ask("Is it raining?")
    assert proxy.said() == []  # what was refused is not remembered
    proxy.ask("Is it raining?")
    proxy.ask("Is it raining?")
    assert proxy.said() == [("user", "Is it raining?"), ("assistant", "Yes.")]
    proxy.ask("Is it raining?")  # asked for another answer, which is new
    assert proxy.said()[2:] == [("assistant", "No.")]


def test_the_same_words_on_another_day_are_said_again(proxy: Running, llm: ScriptedLLM, clock: ManualClock) -> None:
    llm.will(says("Well done."))
    proxy.ask("I took my pill.")
    proxy.settle()
    clock.advance(timedelta(days=1))
    proxy.ask("I took my pill.")
    assert [text for role, text in proxy.said() if role == "user"] == ["I took my pill."] * 2
    assert len({one.session for one in proxy.log()}) == 2


def test_the_same_words_later_in_a_conversation_are_said_again(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(says("One."), says("Two."))
    proxy.ask("More!")
    proxy.ask("More!", assistant("One."), "More!")
    assert proxy.said() == [("user", "More!"), ("assistant", "One."), ("user", "More!"), ("assistant", "Two.")]


def test_a_client_that_sends_only_the_last_message_is_remembered_too(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(says("A."), says("B."), says("C."))
    for text in ("yes", "what else?", "yes"):
        proxy.ask(text, headers={"X-Mnemic-Session": "s"})
    assert [text for role, text in proxy.said() if role == "user"] == ["yes", "what else?", "yes"]


def test_an_edited_turn_begins_a_branch_and_repeats_nothing(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(says("Hello."), says("Rain."), says("Snow."))
    proxy.ask("Hi, I am Ana.")
    proxy.ask("Hi, I am Ana.", assistant("Hello."), "The weather in Porto?")
    proxy.ask("Hi, I am Ana.", assistant("Hello."), "The weather in Oslo?")
    assert [text for _, text in proxy.said()] == [
        *("Hi, I am Ana.", "Hello.", "The weather in Porto?", "Rain.", "The weather in Oslo?", "Snow.")
    ]


@pytest.mark.parametrize("summary", [[], [{"role": "user", "content": "[Earlier talk, in short: they met.]"}]])
def test_a_history_that_was_cut_at_its_beginning_repeats_nothing(
    proxy: Running, llm: ScriptedLLM, summary: list[object]
) -> None:
    llm.will(*(says(f"Answer {n}.") for n in range(5)))
    history: list[object] = []
    for n in range(5):
        history.append({"role": "user", "content": f"Question {n}?"})
        proxy.ask(*[*summary, *history[-5:]] if len(history) > 5 else history)
        history.append(assistant(f"Answer {n}."))
    assert [text for _, text in proxy.said()] == [one["content"] for one in history]  # type: ignore[index]


def test_what_was_forgotten_does_not_come_back_with_the_history(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(says("Noted."), says("Sure."))
    proxy.ask("The code is 8264.")
    proxy.memory.forget(proxy.log()[0].id)
    proxy.ask("The code is 8264.", assistant("Noted."), "Now let us talk of tea.")
    assert [text for _, text in proxy.said()] == ["Noted.", "Now let us talk of tea.", "Sure."]
    assert not proxy.memory.find_traces("8264")


def test_a_conversation_that_began_elsewhere_is_taken_up_whole(proxy: Running) -> None:
    proxy.ask("I am Ana.", assistant("Hello Ana."), "Who am I?")
    assert [text for _, text in proxy.said()] == ["I am Ana.", "Hello Ana.", "Who am I?", "Yes."]


def test_tool_calls_are_kept_as_parts_and_their_results_as_turns(proxy: Running, llm: ScriptedLLM) -> None:
    weather = call("call-1", "weather", '{"city": "Porto"}')
    llm.will(says(None, calls=[weather]), says("It rains."))
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    first = proxy.ask("The weather?", tools=tools)
    said = first.choices[0].message
    assert said.tool_calls[0].function.name == "weather"
    again = {"role": "assistant", "tool_calls": [call("call-1", "weather", '{"city":"Porto"}')]}  # spelled otherwise
    proxy.ask("The weather?", again, {"role": "tool", "tool_call_id": "call-1", "content": "rain"}, tools=tools)
    user, called, result, answer = proxy.log()
    assert called.parts == ({"type": "message", "tool_calls": [weather]},)
    assert (result.role, result.text) == ("tool", "rain")
    assert result.parts == ({"type": "message", "tool_call_id": "call-1"},)
    assert (user.text, answer.text) == ("The weather?", "It rains.")
    assert proxy.upstream.body["tools"] == tools


def test_streamed_tool_calls_are_put_together(proxy: Running, llm: ScriptedLLM) -> None:
    def part(index: int, **function: str) -> dict[str, object]:
        first = {"id": f"call-{index}", "type": "function"} if "name" in function else {}
        return {"tool_calls": [{"index": index, **first, "function": function}]}

    llm.will(
        streams_deltas(
            {"role": "assistant", "content": None},
            part(0, name="weather", arguments=""),
            part(0, arguments='{"city": '),
            part(1, name="time", arguments="{}"),
            part(0, arguments='"Porto"}'),
            finish="tool_calls",
        )
    )
    stream = proxy.client().chat.completions.create(
        model="m", messages=[{"role": "user", "content": "And now?"}], stream=True
    )
    assert len(list(stream)) == 6
    assert proxy.log()[1].parts == (
        {
            "type": "message",
            "tool_calls": [call("call-0", "weather", '{"city": "Porto"}'), call("call-1", "time", "{}")],
        },
    )


def test_every_choice_is_remembered(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(says("One.", more=["Two.", "Two."]), says("Good."))
    proxy.ask("Name a number!", n=3)
    proxy.ask("Name a number!", assistant("Two."), "Thanks.")
    assert [text for _, text in proxy.said()] == ["Name a number!", "One.", "Two.", "Thanks.", "Good."]


def test_a_client_that_leaves_stops_the_model_and_what_came_is_kept_as_partial(
    proxy: Running, llm: ScriptedLLM
) -> None:
    llm.will(streams("Once ", "upon ", "a ", "time ", is_finished=False, goes_on=True), says("Yes, the end."))
    client = proxy.client()
    stream = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Tell me a story."}], stream=True
    )
    got = ""
    for chunk in stream:
        got += chunk.choices[0].delta.content or ""
        if "time" in got:
            break
    stream.close()
    assert llm.left.wait(10)
    asked, answered = eventually(proxy, 2)
    assert answered.text.startswith("Once upon a time ")
    assert answered.metadata == {"model": "scripted-1", "partial": True, "after": asked.id}
    proxy.ask("Tell me a story.", assistant(got.strip()), "Is that the end?")  # it sends what it had got
    assert [text for _, text in proxy.said()][2:] == ["Is that the end?", "Yes, the end."]


def test_an_answer_that_breaks_off_breaks_off_for_the_client_and_is_kept_as_partial(
    proxy: Running, llm: ScriptedLLM
) -> None:
    llm.will(streams("Once ", "upon", is_finished=False, breaks_off=True))
    with pytest.raises(openai.APIConnectionError):
        for _ in proxy.client().chat.completions.create(
            model="m", messages=[{"role": "user", "content": "A story!"}], stream=True
        ):
            pass
    answered = eventually(proxy, 2)[1]
    assert (answered.text, answered.metadata["partial"]) == ("Once upon", True)


def test_a_client_that_leaves_before_the_answer_begins_stops_the_model(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(streams("late", wait_s=0.4, goes_on=True))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{proxy.url}/v1/chat/completions",
            json={"messages": [{"role": "user", "content": "Quick!"}]},
            timeout=httpx.Timeout(5, read=0.2),
        )
    assert llm.left.wait(10)
    assert proxy.said() == []


def test_a_character_that_a_stream_cut_in_two_is_whole_in_the_memory(proxy: Running, llm: ScriptedLLM) -> None:
    chunk = b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\r\n\r\n'
    pieces = [chunk % b"A star \\ud83c", chunk % b"\\udf1f.", b"data: [DO", b"NE]\r\n\r\n"]
    llm.will(Reply(200, pieces, {"Content-Type": "text/event-stream"}))
    raw = httpx.post(f"{proxy.url}/v1/chat/completions", json={"messages": [{"role": "user", "content": "Sky?"}]})
    assert raw.content == b"".join(pieces)
    assert proxy.said()[1] == ("assistant", "A star 🌟.")
    assert "partial" not in proxy.log()[1].metadata


def test_an_error_within_a_stream_passes_and_marks_the_answer_as_partial(proxy: Running, llm: ScriptedLLM) -> None:
    broken = event({"error": {"message": "overloaded", "type": "server_error"}})
    begun = streams("Well", is_finished=False)
    llm.will(Reply(200, [*begun.pieces, broken, b": keep-alive\n\n"], begun.headers))
    with pytest.raises(Exception, match="overloaded"):
        list(
            proxy.client().chat.completions.create(
                model="m", messages=[{"role": "user", "content": "And?"}], stream=True
            )
        )
    assert eventually(proxy, 2)[1].metadata["partial"] is True


def test_nothing_in_a_message_can_choose_its_id_or_place(proxy: Running) -> None:
    sly = {
        "role": "user",
        "content": "Hi!",
        "id": "mine",
        "session": "other",
        "timestamp": "1999-01-01",
        "metadata": {},
    }
    raw = httpx.post(f"{proxy.url}/v1/chat/completions", json={"messages": [sly]})
    assert raw.status_code == 200
    (one, _) = proxy.log()
    assert one.id.startswith("turn-")
    assert one.session != "other"
    assert one.occurred_at.year == 2024


def test_one_message_that_cannot_be_kept_does_not_hold_back_the_others(
    proxy: Running, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.ask("Hello there.", assistant("Hi."), {"role": "user", "name": "\u200b", "content": "hidden name"})
    assert proxy.said() == [("user", "Hello there."), ("assistant", "Hi.")]
    assert "What was asked could not be remembered" in caplog.text
    assert "hidden name" not in caplog.text


def test_images_are_kept_as_parts_and_very_large_ones_as_their_hash(proxy: Running) -> None:
    def picture(n: int) -> dict[str, object]:
        return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * n}}

    parts = [{"type": "text", "text": "Look at this."}, picture(8), picture(2**20 + 1)]
    proxy.ask({"role": "user", "content": parts})
    one = proxy.log()[0]
    assert one.text == "Look at this."
    assert one.parts[0] == picture(8)
    assert "blake2b" in one.parts[1]["image_url"]["url"]
    assert proxy.upstream.messages[0]["content"] == parts


def test_remembering_can_be_switched_off(start: Start) -> None:
    proxy = start(is_remembering=False)
    proxy.ask("Hello!")
    assert proxy.said() == []


def test_an_answer_in_no_known_form_is_passed_and_the_question_kept(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(gives({"choices": [{"message": "no object"}, 7], "model": 3}))
    raw = httpx.post(f"{proxy.url}/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hm?"}]})
    assert raw.json()["model"] == 3
    assert proxy.said() == [("user", "Hm?")]


def eventually(proxy: Running, count: int) -> list[object]:
    """The log, once it has so many episodes: the proxy learns of a client that left when it left."""
    deadline = time.monotonic() + 10
    while len(found := proxy.log()) < count:
        assert time.monotonic() < deadline, f"{len(found)} episodes, not {count}"
        time.sleep(0.01)
    return found  # type: ignore[return-value]
