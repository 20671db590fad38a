"""The session of the OpenAI Agents SDK: what its protocol promises, and a real run against a scripted model."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("agents")

from agents import Agent, ModelSettings, OpenAIResponsesModel, RunConfig, Runner, function_tool
from agents.memory import Session, SessionSettings
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI

from mnemic import Memory
from mnemic.errors import InvalidEpisode, ParameterError
from mnemic.integrations.openai_agents import MnemicSession

ITEMS = [
    {"role": "user", "content": "How warm is it in Porto?"},
    {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "look it up"}], "encrypted_content": None},
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"city": "Porto"}',
        "status": "completed",
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "21 degrees and a north wind"},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "It is 21 degrees in Porto.", "annotations": [], "logprobs": []}],
    },
    {"role": "user", "content": [{"type": "input_text", "text": "And here?"}, {"type": "input_image", "image_url": "data:,", "detail": "auto"}]},
    {"type": "item_reference", "id": "msg_0"},
]  # fmt: skip


@pytest.fixture
def session(memory):
    return MnemicSession("monday", memory.scope("acme/alice"))


def test_it_is_a_session_as_the_sdk_checks_it(session):
    assert isinstance(session, Session)
    assert session.session_id == "monday"


def test_items_come_back_as_they_were_in_the_order_they_came(session):
    async def go():
        await session.add_items(ITEMS[:3])
        await session.add_items(ITEMS[3:])
        return await session.get_items()

    found = asyncio.run(go())
    assert found == ITEMS
    assert [list(item) for item in found] == [list(item) for item in ITEMS]  # also the order of the fields


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    items=st.lists(st.dictionaries(st.sampled_from(["role", "type", "content", "output", "x", "text"]), json_values, max_size=5))
)  # fmt: skip
def test_any_item_that_json_can_hold_comes_back(items):
    with Memory.open(embedder="hashing") as memory:
        session = MnemicSession("s", memory)

        async def go():
            await session.add_items(items)
            return await session.get_items()

        try:
            found = asyncio.run(go())
        except InvalidEpisode:  # a role that cannot be one
            assert asyncio.run(session.get_items()) == []
        else:
            assert found == items


@pytest.mark.parametrize("limit", [None, -1, 0, 1, 3, 7, 100])
def test_a_limit_gives_the_newest_items_in_order(session, limit):
    asyncio.run(session.add_items(ITEMS))
    wanted = ITEMS if limit in (None, -1) else ITEMS[len(ITEMS) - min(limit, len(ITEMS)) :]
    assert asyncio.run(session.get_items(limit)) == wanted


def test_the_limit_of_the_settings_holds_where_none_is_given(memory):
    session = MnemicSession("s", memory, session_settings=SessionSettings(limit=2))
    asyncio.run(session.add_items(ITEMS))
    assert asyncio.run(session.get_items()) == ITEMS[-2:]
    assert asyncio.run(session.get_items(3)) == ITEMS[-3:]


def test_popping_takes_the_newest_until_nothing_is_left(session):
    async def go():
        await session.add_items(ITEMS)
        popped = [await session.pop_item() for _ in range(len(ITEMS) + 1)]
        return popped, await session.get_items()

    assert asyncio.run(go()) == ([*reversed(ITEMS), None], [])


def test_two_that_pop_at_once_never_get_the_same_item(session):
    async def go():
        await session.add_items([{"role": "user", "content": f"number {n}"} for n in range(6)])
        return await asyncio.gather(*(session.pop_item() for _ in range(6)))

    assert sorted(item["content"] for item in asyncio.run(go())) == [f"number {n}" for n in range(6)]


def test_clearing_forgets_this_session_and_no_other(memory):
    alice = memory.scope("alice")
    monday, tuesday = MnemicSession("monday", alice), MnemicSession("tuesday", alice)

    async def go():
        await monday.add_items(ITEMS)
        await tuesday.add_items(ITEMS[:1])
        await monday.clear_session()
        await monday.clear_session()  # again: nothing to do
        return await monday.get_items(), await tuesday.get_items()

    assert asyncio.run(go()) == ([], ITEMS[:1])
    assert alice.search("north wind").hits == ()


def test_the_same_session_name_in_two_scopes_is_two_sessions(memory):
    asyncio.run(MnemicSession("s", memory.scope("alice")).add_items(ITEMS))
    assert asyncio.run(MnemicSession("s", memory.scope("bob")).get_items()) == []


def test_what_was_said_can_be_searched_and_calls_are_not_recalled(memory):
    alice = memory.scope("alice")
    asyncio.run(MnemicSession("monday", alice).add_items(ITEMS))
    assert "It is 21 degrees in Porto." in [hit.text for hit in alice.search("Porto warm 21 degrees", limit=2)]
    assert alice.search("north wind")[0].episode.role == "tool"
    assert "" not in [hit.text for hit in alice.search("weather in Porto", limit=20)]


def test_what_was_added_to_the_session_otherwise_and_corrections_do_not_change_the_items(memory):
    session = MnemicSession("monday", memory)
    asyncio.run(session.add_items(ITEMS[:1]))
    memory.add("A note beside the talk.", session="monday")
    memory.update(memory.list(limit=1)[0].id, "How cold is it in Porto?")
    assert asyncio.run(session.get_items()) == ITEMS[:1]


def test_many_that_add_at_once_lose_nothing_and_keep_their_batches_together(open_memory, tmp_path):
    session = MnemicSession("s", open_memory(tmp_path / "m.db"))
    batches = [[{"role": "user", "content": f"{batch}.{n}"} for n in range(3)] for batch in range(20)]

    async def go():
        await asyncio.gather(*(session.add_items(batch) for batch in batches))
        return await session.get_items()

    found = asyncio.run(go())
    triples = [found[at : at + 3] for at in range(0, len(found), 3)]
    assert sorted(triples, key=str) == sorted(batches, key=str)


def test_a_cancelled_write_is_finished_before_the_cancellation_goes_on(open_memory, tmp_path):
    memory = open_memory(tmp_path / "m.db")
    session = MnemicSession("s", memory)

    async def go():
        adding = asyncio.create_task(session.add_items(ITEMS))
        await asyncio.sleep(0)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        return memory.list(session="s")  # no await in between: it is there now

    assert len(asyncio.run(go())) == len(ITEMS)


def test_what_cannot_be_kept_is_refused_and_nothing_of_it_is_written(session):
    for wrong in ({"role": "user", "content": "\ud800"}, {"role": "user", "x": float("nan")}, "text"):
        with pytest.raises(InvalidEpisode):
            asyncio.run(session.add_items([ITEMS[0], wrong]))
    assert asyncio.run(session.get_items()) == []


def test_a_session_without_a_name_is_refused(memory):
    with pytest.raises(ParameterError):
        MnemicSession(" ", memory)


# -- a real run ---------------------------------------------------------------------------------------------------


class Model(ThreadingHTTPServer):
    """A server that speaks the Responses protocol and answers with what it was given, in turn."""

    def __init__(self, outputs):
        super().__init__(("127.0.0.1", 0), Handler)
        self.outputs, self.asked = list(outputs), []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked["input"])
        number = len(self.server.asked)
        body = json.dumps({
            "id": f"resp_{number}", "object": "response", "created_at": 1, "model": "scripted", "status": "completed",
            "output": self.server.outputs[number - 1], "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
        }).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def said(text, id):
    return {
        "type": "message", "id": id, "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }  # fmt: skip


def test_a_runner_finds_the_whole_history_of_its_session_again_also_after_reopening(open_memory, tmp_path):
    reasoning = {"type": "reasoning", "id": "rs_7", "summary": []}
    call = {"type": "function_call", "id": "fc_7", "call_id": "call_7", "name": "keys_of", "arguments": '{"room": "lab"}', "status": "completed"}  # fmt: skip
    server = Model(
        [[reasoning, call], [said("Ana has the keys of the lab.", "msg_7")], [said("Ana, as I said.", "msg_8")]]
    )

    @function_tool
    def keys_of(room: str) -> str:
        return f"keys of {room}: Ana"

    async def ask(question, memory):
        async with AsyncOpenAI(base_url=server.url, api_key="none") as client:
            model = OpenAIResponsesModel("scripted", client)
            agent = Agent("helper", tools=[keys_of], model=model, model_settings=ModelSettings(store=False))
            session = MnemicSession("talk", memory.scope("alice"))
            run = await Runner.run(agent, question, session=session, run_config=RunConfig(tracing_disabled=True))
            return run.final_output, await session.get_items()

    try:
        first = open_memory(tmp_path / "m.db")
        answer, items = asyncio.run(ask("Who has the keys of the lab?", first))
        first.close()
        assert answer == "Ana has the keys of the lab."
        assert [item.get("type", item.get("role")) for item in items] == ["user", "reasoning", "function_call", "function_call_output", "message"]  # fmt: skip

        second = open_memory(tmp_path / "m.db")
        assert asyncio.run(ask("Who was it?", second))[0] == "Ana, as I said."
        assert server.asked[2] == [*items, {"content": "Who was it?", "role": "user"}]
        assert second.scope("alice").search("keys of the lab", limit=5)[0].text in ("Who has the keys of the lab?", "Ana has the keys of the lab.", "keys of lab: Ana")  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
