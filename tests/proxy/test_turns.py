"""Lining a conversation up with the log, as a property: whatever clients do, nothing is taken twice and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.proxy.answers import Answers, Assembly
from mnemic.proxy.chat import line_up_with_log, remember_answers, remember_asked
from mnemic.proxy.turns import turn_of, turns_of

from .scripted_llm import call, streams

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
WORDS = st.sampled_from(["yes", "no", "go on", "I like green tea.", "Tell me more about the lake in the mountains."])


def chat(
    memory: Memory, clock: ManualClock, messages: list[dict[str, Any]], answer: str, session: str | None = None
) -> None:
    """What the proxy does with one chat."""
    lined = line_up_with_log(memory, messages, session, clock)
    assert lined is not None
    after = remember_asked(memory, lined, session)
    remember_answers(memory, lined, session, after, Answers(({"role": "assistant", "content": answer},), True, "m"))


@given(
    st.lists(st.tuples(WORDS, WORDS, st.integers(1, 2), st.integers(0, 1)), min_size=1, max_size=8),
    st.sampled_from([None, "monday"]),
)
@settings(max_examples=30)
def test_growing_and_repeated_and_reworded_histories_leave_each_turn_once(
    talk: list[tuple[str, str, int, int]], session: str | None
) -> None:
    clock = ManualClock(START)
    with Memory.open(None, embedder="hashing", clock=clock) as memory:
        history: list[dict[str, Any]] = []
        for said, answered, times, style in talk:
            history.append({"role": "user", "content": said if style else [{"type": "text", "text": f"{said} "}]})
            for _ in range(times):  # a retry gets the same answer here
                chat(memory, clock, history, answered, session)
            clock.advance(timedelta(hours=1))
            history.append({"role": "assistant", "content": answered, "refusal": None, "tool_calls": []})
        expected = [
            ("user" if n % 2 == 0 else "assistant", each)
            for n, each in enumerate(each for turn in talk for each in turn[:2])
        ]
        assert [(one.role, one.text.strip()) for one in memory.list(limit=1000)] == expected
        assert len({one.session for one in memory.list()}) == 1


@given(st.integers(2, 6), st.integers(8, 14))
@settings(max_examples=10)
def test_a_window_on_a_long_talk_leaves_each_turn_once(width: int, length: int) -> None:
    clock = ManualClock(START)
    with Memory.open(None, embedder="hashing", clock=clock) as memory:
        history: list[dict[str, Any]] = []
        for n in range(length):
            history.append({"role": "user", "content": f"Question {n} of many?"})
            chat(memory, clock, history[-2 * width + 1 :], f"Answer {n}.", "monday")
            history.append({"role": "assistant", "content": f"Answer {n}."})
        assert [one.text for one in memory.list(limit=1000)] == [one["content"] for one in history]


def test_two_that_line_up_at_once_write_the_same(memory: Memory, clock: ManualClock) -> None:
    messages = [{"role": "user", "content": "Hello there."}]
    one, other = (line_up_with_log(memory, messages, None, clock) for _ in range(2))
    assert one is not None
    assert one == other
    assert remember_asked(memory, one, None) == remember_asked(memory, one, None)
    answer = ({"role": "assistant", "content": "Hi."},)
    after = remember_asked(memory, one, None)
    remember_answers(memory, one, None, after, Answers(answer, True, "m"))
    remember_answers(memory, one, None, after, Answers(answer, True, "another name of the model"))
    assert [one.text for one in memory.list()] == ["Hello there.", "Hi."]


def test_conversations_with_the_same_greeting_are_two(memory: Memory, clock: ManualClock) -> None:
    greeting = {"role": "assistant", "content": "Hello! How can I help you on this fine day?"}
    for text in ("Tea, please.", "Coffee, please."):
        chat(memory, clock, [greeting, {"role": "user", "content": text}], "Here.")
    assert len({one.session for one in memory.list()}) == 2


def test_instructions_and_empty_messages_are_no_turns() -> None:
    assert (
        turns_of([{"role": "system", "content": "x"}, {"role": "user", "content": ""}, {"role": "user"}, None, 7]) == []
    )


def test_a_turn_is_known_in_whatever_form_it_is_sent() -> None:
    def digest(message: dict[str, Any]) -> str:
        turn = turn_of({"role": "assistant", **message})
        assert turn is not None
        return turn.digest

    plain = digest({"content": "Hello  there.\n"})
    assert plain == digest({"content": [{"type": "output_text", "text": "Hello there."}], "annotations": []})
    called = digest({"content": None, "tool_calls": [call("1", "f", '{"a": 1, "b": 2}')]})
    assert called == digest({"content": "", "tool_calls": [{**call("1", "f", '{"b":2,"a":1}'), "index": 0}]})
    assert called != digest({"tool_calls": [call("1", "f", '{"a": 1, "b": 3}')]})
    assert digest({"content": "", "refusal": "No."}) != plain


@given(st.lists(st.text(), max_size=6), st.data())
@settings(max_examples=30)
def test_a_stream_is_the_same_however_it_is_cut_into_bytes(texts: list[str], data: st.DataObject) -> None:
    raw = b"".join(streams(*texts).pieces)
    assembly = Assembly("text/event-stream")
    at = 0
    while at < len(raw):
        size = data.draw(st.integers(1, max(1, len(raw) // 3)))
        assembly.feed(raw[at : at + size])
        at += size
    (message,) = assembly.answers().messages
    assert (message["content"] or "") == "".join(texts)
    assert assembly.answers().is_complete


@given(st.binary(max_size=200), st.sampled_from(["text/event-stream", "application/json", ""]))
def test_no_answer_can_break_the_assembly(raw: bytes, content_type: str) -> None:
    assembly = Assembly(content_type)
    assembly.feed(raw)
    assembly.feed(
        b'\n\ndata: {"choices": [{"delta": []}, 3, {"index": "x", "delta": {"tool_calls": [{"function": 3}]}}]}\n\n'
    )
    assembly.answers()
