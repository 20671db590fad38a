"""LangChain's chat message history over a session: messages round-trip, and are remembered."""

import asyncio

import pytest

pytest.importorskip("langchain_core")

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

from mnemic.errors import InvalidEpisode
from mnemic.integrations.langchain import MnemicChatMessageHistory

MESSAGES = [
    SystemMessage("Be brief.", id="s1"),
    HumanMessage([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}], name="Alice"),
    AIMessage(
        "",
        id="a1",
        tool_calls=[{"name": "look", "args": {"at": "it", "n": 2}, "id": "call_1", "type": "tool_call"}],
        usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        response_metadata={"model_name": "m"},
    ),
    ToolMessage("A bridge over the Douro.", tool_call_id="call_1", artifact={"raw": [1, 2]}, status="success"),
    AIMessage("It is a bridge.", additional_kwargs={"x": {"y": None}}),
    ChatMessage("Said by a critic.", role="critic"),
    FunctionMessage("42", name="answer"),
    AIMessageChunk(content="half a thou", id="c1"),
    HumanMessageChunk(content="ght"),
    RemoveMessage(id="a1"),
]  # fmt: skip


@pytest.fixture
def history(memory):
    return MnemicChatMessageHistory(memory.scope("alice"), "monday")


def test_messages_of_every_kind_come_back_as_they_were(history):
    assert isinstance(history, BaseChatMessageHistory)
    history.add_messages(MESSAGES[:4])
    history.add_messages(MESSAGES[4:])
    assert history.messages == MESSAGES
    assert [type(message) for message in history.messages] == [type(message) for message in MESSAGES]
    assert history.newest(2) == MESSAGES[-2:]


def test_the_async_verbs_do_the_same(history):
    async def go():
        await history.aadd_messages(MESSAGES)
        before = await history.aget_messages()
        await history.aclear()
        return before, await history.aget_messages()

    assert asyncio.run(go()) == (MESSAGES, [])


def test_the_short_verbs_add_a_user_and_an_ai_message(history):
    history.add_user_message("hello")
    history.add_ai_message("good morning")
    assert history.messages == [HumanMessage("hello"), AIMessage("good morning")]
    assert str(history) == "Human: hello\nAI: good morning"


def test_setting_the_messages_replaces_them(history):
    history.add_messages(MESSAGES)
    history.messages = MESSAGES[3:5]
    assert history.messages == MESSAGES[3:5]
    history.messages = []
    assert history.messages == []


def test_what_was_said_can_be_searched_with_its_role(memory, history):
    history.add_messages(MESSAGES)
    hit = memory.scope("alice").search("bridge over the Douro")[0]
    assert (hit.text, hit.episode.role) == ("A bridge over the Douro.", "tool")
    assert memory.scope("alice").search("what is this")[0].episode.actor == "Alice"
    assert memory.scope("bob").search("bridge").hits == ()


def test_clearing_forgets_the_session_and_no_other(memory, history):
    other = MnemicChatMessageHistory(memory.scope("alice"), "tuesday")
    history.add_messages(MESSAGES)
    other.add_user_message("The ferry leaves at ten.")
    history.clear()
    assert history.messages == []
    assert other.messages == [HumanMessage("The ferry leaves at ten.")]
    assert [hit.text for hit in memory.scope("alice").search("bridge ferry")] == ["The ferry leaves at ten."]


def test_what_json_cannot_hold_is_refused_and_nothing_of_the_call_is_written(history):
    with pytest.raises(InvalidEpisode):
        history.add_messages([HumanMessage("fine"), HumanMessage("not", additional_kwargs={"x": object()})])
    assert history.messages == []


@pytest.mark.filterwarnings("ignore:.*RunnableWithMessageHistory.*")
def test_a_runnable_with_message_history_goes_on_where_it_was(memory):
    model = RunnableLambda(lambda messages: AIMessage(f"{len(messages)} messages so far"))
    chat = RunnableWithMessageHistory(
        model, lambda session_id: MnemicChatMessageHistory(memory.scope("alice"), session_id)
    )
    config = {"configurable": {"session_id": "monday"}}
    chat.invoke([HumanMessage("one")], config)
    assert chat.invoke([HumanMessage("two")], config) == AIMessage("3 messages so far")
    assert len(MnemicChatMessageHistory(memory.scope("alice"), "monday").messages) == 4
