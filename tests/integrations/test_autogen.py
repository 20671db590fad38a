"""AutoGen's memory protocol over a scope."""

import asyncio
import io

import pytest

pytest.importorskip("autogen_core")

from autogen_core import CancellationToken, Image
from autogen_core.memory import Memory as AutoGenMemory
from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import AssistantMessage, SystemMessage, UserMessage

from mnemic.errors import InvalidEpisode, ParameterError
from mnemic.integrations.autogen import MnemicMemory


@pytest.fixture
def alice(memory):
    return memory.scope("alice")


def run(*calls):
    async def go():
        return [await call for call in calls]

    return asyncio.run(go())


def found_metadata(content):
    return {key: value for key, value in content.metadata.items() if key not in ("score", "id", "occurred_at")}


def test_it_is_a_memory_as_autogen_checks_it(alice):
    assert isinstance(MnemicMemory(alice), AutoGenMemory)


def test_text_json_and_markdown_come_back_as_they_were_with_their_metadata(alice):
    kept = MnemicMemory(alice)
    contents = [
        MemoryContent(content="The dog is called Biscuit.", mime_type=MemoryMimeType.TEXT, metadata={"topic": "dog"}),
        MemoryContent(content={"ferry": "at ten", "quay": [1, None]}, mime_type=MemoryMimeType.JSON),
        MemoryContent(content="# Recipe\n\nTwo eggs.", mime_type="text/markdown", metadata={}),
        MemoryContent(content="hors type", mime_type="text/x-note"),
    ]
    run(*map(kept.add, contents))
    for content, question in zip(contents, ["Biscuit the dog", "ferry quay", "recipe eggs", "hors type"], strict=True):
        (found,) = run(kept.query(question, limit=1))[0].results
        assert found.content == content.content
        assert found.model_dump()["mime_type"] == content.model_dump()["mime_type"]
        assert found_metadata(found) == (content.metadata or {})
        assert 0.0 < found.metadata["score"] <= 1.0


def test_bytes_and_images_come_back_as_they_were(alice):
    pillow = pytest.importorskip("PIL.Image")
    picture = Image.from_pil(pillow.new("RGB", (2, 2), "red"))
    kept = MnemicMemory(alice)
    run(
        kept.add(MemoryContent(content=b"\x00\xff", mime_type=MemoryMimeType.BINARY)),
        kept.add(MemoryContent(content=picture, mime_type=MemoryMimeType.IMAGE)),
    )
    from mnemic.integrations.autogen import _value

    (bytes_, binary), (image, mime) = map(_value, alice.list())
    assert (bytes_, binary, mime) == (b"\x00\xff", MemoryMimeType.BINARY, MemoryMimeType.IMAGE)
    stream = io.BytesIO()
    image.image.save(stream, "PNG")
    assert image.image.tobytes() == picture.image.tobytes()


def test_a_query_takes_what_search_takes_and_refuses_the_rest(alice):
    kept = MnemicMemory(alice, limit=1)
    run(
        *(
            kept.add(MemoryContent(content=f"tea number {n}", mime_type="text/plain", metadata={"n": n}))
            for n in range(3)
        )
    )
    assert [len(result.results) for result in run(kept.query("tea"), kept.query("tea", limit=3))] == [1, 3]
    assert run(kept.query("tea", filters={"n": 2}))[0].results[0].content == "tea number 2"
    assert run(kept.query(MemoryContent(content="tea", mime_type="text/plain")))[0].results
    assert run(kept.query(""))[0].results == []
    with pytest.raises(ParameterError, match="depth"):
        run(kept.query("tea", depth=3))


def test_the_context_gets_one_message_that_answers_the_newest_one(alice):
    kept = MnemicMemory(alice)
    run(
        kept.add(MemoryContent(content="The dog is called Biscuit.", mime_type="text/plain")),
        kept.add(MemoryContent(content="The ferry leaves at ten.", mime_type="text/plain")),
    )
    context = BufferedChatCompletionContext(buffer_size=10)

    async def go():
        await context.add_message(UserMessage(content="When does the ferry leave?", source="user"))
        return await kept.update_context(context), await context.get_messages()

    updated, messages = asyncio.run(go())
    assert isinstance(messages[1], SystemMessage)
    assert "The ferry leaves at ten." in messages[1].content
    assert len(messages) == 2
    assert "The ferry leaves at ten." in [found.content for found in updated.memories.results]


def test_a_context_is_left_as_it_is_where_there_is_nothing_to_say(alice):
    kept = MnemicMemory(alice)

    async def go(*messages):
        context = BufferedChatCompletionContext(buffer_size=10, initial_messages=list(messages))
        return (await kept.update_context(context)).memories.results, await context.get_messages()

    assert asyncio.run(go()) == ([], [])
    asked = [AssistantMessage(content="Hello", source="bot"), UserMessage(content=["And", "now?"], source="user")]
    assert asyncio.run(go(*asked)) == ([], asked)


def test_clearing_forgets_the_scope_and_no_other(memory, alice):
    memory.scope("bob").add("Bob's tea")
    kept = MnemicMemory(alice)
    run(
        kept.add(MemoryContent(content="Alice's tea", mime_type="text/plain")), kept.clear(), kept.clear(), kept.close()
    )
    assert run(kept.query("tea"))[0].results == []
    assert memory.scope("bob").search("tea")[0].text == "Bob's tea"


def test_a_correction_is_what_a_query_gives(alice):
    kept = MnemicMemory(alice)
    run(kept.add(MemoryContent(content={"ferry": "ten"}, mime_type="application/json")))
    alice.update(alice.list()[0].id, "The ferry leaves at eleven.")
    assert run(kept.query("ferry"))[0].results[0].content == "The ferry leaves at eleven."


def test_what_is_cancelled_before_it_begins_is_not_done(alice):
    token = CancellationToken()
    token.cancel()
    kept = MnemicMemory(alice)
    for call in (kept.add(MemoryContent(content="x", mime_type="text/plain"), token), kept.query("x", token)):
        with pytest.raises(asyncio.CancelledError):
            run(call)
    assert alice.list() == []


def test_what_cannot_be_kept_is_refused(alice):
    with pytest.raises(InvalidEpisode):
        run(MnemicMemory(alice).add(MemoryContent(content="\ud800", mime_type="text/plain")))
