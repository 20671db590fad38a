"""LlamaIndex: the chat store, the memory, and the block in LlamaIndex's own Memory."""

import asyncio

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import BaseMemory, BaseMemoryBlock, ChatMemoryBuffer, Memory
from llama_index.core.storage.chat_store import BaseChatStore, SimpleChatStore

from mnemic.errors import InvalidEpisode, ParameterError
from mnemic.integrations.llama_index import MnemicChatStore, MnemicMemory, MnemicMemoryBlock
from mnemic.integrations.transcript import Transcript

MESSAGES = [
    ChatMessage(role="system", content="Be brief."),
    ChatMessage(role="user", blocks=[TextBlock(text="What is this?"), ImageBlock(image=b"\x89PNG\x00"), AudioBlock(audio=b"\x00\x01", format="wav")]),
    ChatMessage(role="assistant", blocks=[ThinkingBlock(content="hmm"), ToolCallBlock(tool_call_id="c1", tool_name="look", tool_kwargs={"at": ["it"]})]),
    ChatMessage(role="tool", content="A bridge over the Douro.", additional_kwargs={"tool_call_id": "c1", "n": None}),
    ChatMessage(role="assistant", content="It is a bridge."),
    ChatMessage(role="user", blocks=[TextBlock(text="first"), TextBlock(text="second"), DocumentBlock(data=b"%PDF", document_mimetype="application/pdf")]),
    ChatMessage(role="assistant", content=""),
]  # fmt: skip


def user(text):
    return ChatMessage(role="user", content=text)


def said(text):
    return ChatMessage(role="assistant", content=text)


def dumped(messages):
    return [message.model_dump(mode="json") for message in messages]


@pytest.fixture
def alice(memory):
    return memory.scope("alice")


@pytest.fixture
def store(alice):
    return MnemicChatStore(alice)


# -- the chat store -----------------------------------------------------------------------------------------------


def test_messages_with_blocks_of_every_kind_come_back_as_they_were(store):
    assert isinstance(store, BaseChatStore)
    for message in MESSAGES:
        store.add_message("k", message)
    assert dumped(store.get_messages("k")) == dumped(MESSAGES)


@pytest.mark.parametrize("kind", ["mnemic", "simple"])
def test_the_chat_store_does_what_the_simple_one_does(kind, alice):
    store = MnemicChatStore(alice) if kind == "mnemic" else SimpleChatStore()
    assert store.get_messages("nobody") == []
    assert store.delete_messages("nobody") is None
    assert store.delete_message("nobody", 0) is None
    assert store.delete_last_message("nobody") is None
    store.set_messages("a", [user("one"), said("two"), user("three"), said("four")])
    store.add_message("b", user("other"))
    assert store.get_keys() == ["a", "b"]
    assert store.delete_message("a", 9) is None
    assert store.delete_message("a", 0) == user("one")
    assert store.delete_message("a", 1) == user("three")
    assert store.get_messages("a") == [said("two"), said("four")]
    assert store.delete_last_message("a") == said("four")
    store.set_messages("a", [said("two"), user("five")])
    assert store.get_messages("a") == [said("two"), user("five")]
    assert store.delete_messages("a") == [said("two"), user("five")]
    assert store.get_keys() == ["b"]
    assert store.get_messages("b") == [user("other")]


def test_the_async_verbs_do_the_same(store):
    async def go():
        await store.aset_messages("k", [user("one")])
        await store.async_add_message("k", said("two"))
        removed = await store.adelete_message("k", 0)
        return removed, await store.aget_messages("k"), await store.aget_keys()

    assert asyncio.run(go()) == (user("one"), [said("two")], ["k"])


def test_what_was_replaced_is_forgotten(alice, store):
    store.set_messages("k", [user("The dentist is on Monday."), said("Noted.")])
    store.set_messages("k", [user("The ferry leaves at ten.")])
    assert alice.search("dentist").hits == () or "dentist" not in alice.search("dentist")[0].text
    assert alice.find_traces("dentist") == []
    assert [episode.text for episode in alice.list()] == ["The ferry leaves at ten."]


def test_a_message_that_repeats_what_was_recalled_survives_a_replacement(alice, store):
    store.set_messages("k", [user("The ferry to the island leaves at ten."), said("Noted.")])
    alice.context("When does the ferry leave?")
    again = [user("The ferry to the island leaves at ten."), said("So it is.")]
    store.set_messages("k", again)
    assert store.get_messages("k") == again
    assert alice.search("ferry island")[0].text == "The ferry to the island leaves at ten."
    store.delete_message("k", 0)
    assert store.get_messages("k") == [said("So it is.")]
    assert store.delete_last_message("k") == said("So it is.")
    assert store.get_messages("k") == []


def test_what_was_replaced_stays_hidden_when_the_replacement_is_taken_back(alice, store, monkeypatch):
    store.set_messages("k", [user("old")])
    with monkeypatch.context() as patched:  # as if the process had died between the two steps
        patched.setattr(Transcript, "_forget", lambda self, ids: None)
        store.set_messages("k", [user("new"), said("newer")])
    assert store.get_messages("k") == [user("new"), said("newer")]
    assert store.delete_message("k", 0) == user("new")
    assert store.get_messages("k") == [said("newer")]
    assert store.delete_last_message("k") == said("newer")
    assert store.get_messages("k") == []


def test_it_serves_a_memory_buffer_of_llama_index(store):
    buffer = ChatMemoryBuffer.from_defaults(
        chat_store=store, chat_store_key="k", token_limit=1000, tokenizer_fn=str.split
    )
    buffer.put(user("hello"))
    buffer.put(said("good morning"))
    assert buffer.get() == [user("hello"), said("good morning")]
    buffer.reset()
    assert store.get_keys() == []


def test_what_cannot_be_kept_is_refused_and_nothing_is_lost(store):
    store.set_messages("k", MESSAGES)
    with pytest.raises(InvalidEpisode):
        store.set_messages("k", [user("fine"), user("\ud800")])
    assert dumped(store.get_messages("k")) == dumped(MESSAGES)


# -- the memory ---------------------------------------------------------------------------------------------------


def test_the_memory_keeps_sets_and_resets_its_session(alice):
    memory = MnemicMemory.from_defaults(alice, session_id="monday", chat_history=[user("one")])
    assert isinstance(memory, BaseMemory)
    memory.put(said("two"))
    memory.put_messages([user("three"), said("four")])
    assert memory.get_all() == [user("one"), said("two"), user("three"), said("four")]
    memory.set([user("five")])
    assert memory.get_all() == [user("five")]
    other = MnemicMemory.from_defaults(alice, session_id="tuesday", chat_history=[user("six")])
    memory.reset()
    assert (memory.get_all(), other.get_all()) == ([], [user("six")])


def test_the_async_verbs_of_the_memory_do_the_same(alice):
    memory = MnemicMemory.from_defaults(alice)

    async def go():
        await memory.aput(user("one"))
        await memory.aput_messages([said("two")])
        first = await memory.aget_all()
        await memory.aset([user("three")])
        got = await memory.aget()
        await memory.areset()
        return first, got, await memory.aget_all()

    assert asyncio.run(go()) == ([user("one"), said("two")], [user("three")], [])


def test_what_other_sessions_know_is_put_before_the_messages(alice):
    MnemicMemory.from_defaults(alice, session_id="monday", chat_history=[user("The dentist is on 14 May at nine.")])
    memory = MnemicMemory.from_defaults(
        alice, session_id="friday", chat_history=[user("Hello."), said("Good morning.")]
    )
    messages = memory.get("When is the dentist?")
    assert messages[0].role == MessageRole.SYSTEM
    assert "The dentist is on 14 May at nine." in messages[0].content
    assert "Good morning" not in messages[0].content  # it is shown already
    assert messages[1:] == [user("Hello."), said("Good morning.")]
    assert memory.get_all() == [user("Hello."), said("Good morning.")]  # nothing of it is kept as a message
    assert memory.get(user("When is the dentist?")) == messages


def test_the_newest_question_is_what_is_asked_where_there_is_no_input(alice):
    alice.add("The dentist is on 14 May at nine.")
    memory = MnemicMemory.from_defaults(alice, chat_history=[user("When is the dentist?")])
    assert "14 May" in memory.get()[0].content


def test_the_block_goes_into_the_system_message_that_is_there(alice):
    alice.add("The dentist is on 14 May at nine.")
    memory = MnemicMemory.from_defaults(
        alice, chat_history=[ChatMessage(role="system", content="Be brief."), user("Hello.")]
    )
    first, *rest = memory.get("When is the dentist?")
    assert [block.text.splitlines()[-1] for block in first.blocks][-1] == "Be brief."
    assert "14 May" in first.blocks[0].text
    assert rest == [user("Hello.")]


def test_messages_that_do_not_fit_are_recalled_instead_of_shown_and_turns_stay_whole(alice):
    memory = MnemicMemory.from_defaults(alice, token_limit=160, recall_tokens=120)
    memory.put_messages(
        [user("The dentist is on 14 May at nine in the morning."), said("I have noted the dentist, anything else?")]
    )
    call = ChatMessage(role="assistant", blocks=[ToolCallBlock(tool_call_id="c", tool_name="t", tool_kwargs={})])
    turn = [
        user("How warm is it now?"),
        call,
        ChatMessage(role="tool", content="21 degrees " * 12),
        said("It is 21 degrees."),
    ]
    memory.put_messages(turn)
    first, *shown = memory.get("When is the dentist?")
    assert dumped(shown) == dumped(turn)  # longer than its share, but the newest turn is never cut
    assert "14 May" in first.content
    assert len(memory.get_all()) == 6


def test_nothing_is_recalled_where_that_is_asked_for(alice):
    alice.add("The dentist is on 14 May at nine.")
    memory = MnemicMemory.from_defaults(alice, recall_tokens=0, chat_history=[user("When is the dentist?")])
    assert memory.get("When is the dentist?") == [user("When is the dentist?")]


def test_a_memory_without_a_handle_or_with_impossible_limits_is_refused(alice):
    with pytest.raises(ParameterError, match="handle"):
        MnemicMemory.from_defaults()
    with pytest.raises(ParameterError, match="recall_tokens"):
        MnemicMemory.from_defaults(alice, token_limit=10, recall_tokens=11)


def test_a_chat_engine_of_llama_index_talks_over_it(alice):
    alice.add("The dentist is on 14 May at nine.")
    engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=MnemicMemory.from_defaults(alice, session_id="talk"))
    answer = engine.chat("When is the dentist?")
    assert "14 May" in str(answer)  # the mock answers with its whole prompt
    kept = MnemicMemory.from_defaults(alice, session_id="talk").get_all()
    assert [message.role.value for message in kept] == ["user", "assistant"]


# -- the block ----------------------------------------------------------------------------------------------------


def long_memory(alice, **settings):
    block = MnemicMemoryBlock(alice, **{"priority": 1} | settings)
    return Memory.from_defaults(
        session_id="talk", memory_blocks=[block], token_limit=200, token_flush_size=20, tokenizer_fn=str.split
    )


def test_what_falls_out_of_the_queue_is_remembered_in_its_session_and_comes_back(alice):
    memory = long_memory(alice)
    assert isinstance(memory.memory_blocks[0], BaseMemoryBlock)

    async def go():
        await memory.aput_messages([user("The dentist is on 14 May at nine."), said("Noted.")])
        for n in range(12):
            await memory.aput_messages([user(f"Tell me something about {n} " + "and so on " * 5), said("Well. " * 3)])
        await memory.aput(user("When is the dentist?"))
        messages = await memory.aget()
        await memory.sql_store._async_engine.dispose()
        return messages

    messages = asyncio.run(go())
    kept = alice.list(session="talk", limit=1000)
    assert kept[0].text == "The dentist is on 14 May at nine."
    assert [episode.role for episode in kept[:2]] == ["user", "assistant"]
    assert all("session_id" not in episode.metadata for episode in kept)
    assert "The dentist is on 14 May at nine." in messages[0].content
    assert "<long_term_memory>" in messages[0].content


def test_a_block_keeps_what_is_not_text_and_leaves_out_what_is_nothing(alice):
    block = MnemicMemoryBlock(alice)
    messages = [MESSAGES[2].model_copy(deep=True), said(""), user("tea")]
    asyncio.run(block.aput(messages, from_short_term_memory=True, session_id="talk"))
    call, tea = alice.list()
    assert call.parts[0]["item"] == MESSAGES[2].model_dump(mode="json")
    assert (tea.text, tea.parts, tea.session) == ("tea", (), "talk")


def test_a_block_that_does_not_accept_short_term_memory_gets_none(alice):
    block = MnemicMemoryBlock(alice, accept_short_term_memory=False)
    asyncio.run(block.aput([user("tea")], from_short_term_memory=True))
    assert alice.list() == []
    asyncio.run(block.aput([user("tea")]))
    assert len(alice.list()) == 1


def test_a_block_without_a_question_or_memories_is_empty(alice):
    block = MnemicMemoryBlock(alice)
    assert asyncio.run(block.aget([said("Hello")])) == ""
    assert asyncio.run(block.aget([user("Hello")])) == ""


def test_a_block_is_shortened_to_its_best_memories(alice):
    alice.add("The dentist is on 14 May at nine.")
    for n in range(20):
        alice.add(f"Remark number {n} about the weather of that day.")
    block = MnemicMemoryBlock(alice, priority=1)

    async def go():
        whole = await block.aget([user("When is the dentist?")])
        half = await block.atruncate(whole, whole.tokens // 2)
        return whole, half, await block.atruncate(whole, whole.tokens), await block.atruncate("plain", 3)

    whole, half, nothing, plain = asyncio.run(go())
    assert half.tokens <= whole.tokens - whole.tokens // 2
    assert "14 May" in half
    assert (nothing, plain) == (None, None)
