"""The memory tool under the SDK's own tool runner, against a real server on the loopback that speaks its protocol."""

import asyncio
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

anthropic = pytest.importorskip("anthropic")

from anthropic.lib.tools import BetaAbstractMemoryTool, BetaAsyncAbstractMemoryTool, ToolError  # noqa: E402
from anthropic.types.beta import BetaMemoryTool20250818CreateCommand, BetaMemoryTool20250818ViewCommand  # noqa: E402

from mnemic.integrations.anthropic import MnemicAsyncMemoryTool, MnemicMemoryTool  # noqa: E402
from mnemic.memory_files import MemoryFiles  # noqa: E402


class ScriptedModel(ThreadingHTTPServer):
    """Answers each request with the next turn: the inputs of memory calls, or a text at the end."""

    daemon_threads = True

    def __init__(self, turns):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.turns = list(turns)
        self.requests = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def results(self):
        """The tool results that the client sent, in order: (is it an error, its text)."""
        found = {}
        for request in self.requests:
            for message in request["messages"]:
                for block in message["content"] if isinstance(message["content"], list) else ():
                    if block["type"] == "tool_result":  # sent once, or with every request that follows
                        found[block["tool_use_id"]] = (block.get("is_error", False), block["content"])
        return list(found.values())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        turn = self.server.turns.pop(0)
        number = len(self.server.requests)
        if isinstance(turn, str):
            content, stop = [{"type": "text", "text": turn}], "end_turn"
        else:
            content = [
                {"type": "tool_use", "id": f"toolu_{number}_{place}", "name": "memory", "input": command}
                for place, command in enumerate(turn)
            ]
            stop = "tool_use"
        answer = json.dumps(
            {
                "id": f"msg_{number}",
                "type": "message",
                "role": "assistant",
                "model": "claude-scripted",
                "content": content,
                "stop_reason": stop,
                "stop_sequence": None,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


@contextmanager
def scripted(*turns):
    with ScriptedModel(turns) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


ASKED = {"model": "claude-scripted", "max_tokens": 64, "messages": [{"role": "user", "content": "I like green tea."}]}
TURNS = (
    [{"command": "view", "path": "/memories"}],
    [
        {"command": "create", "path": "/memories/tastes.md", "file_text": "tea: black\n"},
        {"command": "create", "path": "/memories/tastes.md", "file_text": "again"},
    ],
    [{"command": "str_replace", "path": "/memories/tastes.md", "old_str": "black", "new_str": "green"}],
    [{"command": "insert", "path": "/memories/tastes.md", "insert_line": 1, "insert_text": "coffee: none"}],
    [{"command": "rename", "old_path": "/memories/tastes.md", "new_path": "/memories/alice/tastes.md"}],
    [{"command": "view", "path": "/memories/alice/tastes.md", "view_range": [2, 2]}],
    [
        {"command": "delete", "path": "/memories/../etc"},
        {"command": "create", "path": "/memories/x"},
        {"command": "format"},
    ],
    [{"command": "delete", "path": "/memories/alice"}],
    "Noted.",
)
ANSWERS = [
    (False, "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items and node_modules:\n0B\t/memories"),
    (False, "File created successfully at: /memories/tastes.md"),
    (True, "File /memories/tastes.md already exists."),
    (False, "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n     1\ttea: green\n     2\t"),
    (False, "The file /memories/tastes.md has been edited."),
    (False, "Successfully renamed /memories/tastes.md to /memories/alice/tastes.md"),
    (False, "Here's the content of /memories/alice/tastes.md with line numbers:\n     2\tcoffee: none"),
    (True, "The path '/memories/../etc' has the segment '..'. Use plain names joined by '/'."),
    (True, "create needs `file_text`. Give it and try again."),
    (True, "Unknown command: 'format'. Commands are view, create, str_replace, insert, delete, rename."),
    (False, "Successfully deleted /memories/alice"),
]  # fmt: skip
KEPT = [("created", "tea: black\n"), ("modified", "tea: green\n"), *[("modified", "tea: green\ncoffee: none\n")] * 2]


def kept(files):
    told = [(one.operation, one.text) for one in files.versions("/memories/alice/tastes.md")]
    return told[:-1] if told[-1] == ("deleted", None) else told


def test_the_tool_runner_runs_every_command_and_shows_the_model_what_was_refused(memory):
    tool = MnemicMemoryTool(memory.scope("acme/alice"), actor="tutor")
    with scripted(*TURNS) as server, anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        last = client.beta.messages.tool_runner(**ASKED, tools=[tool]).until_done()
    assert last.content[0].text == "Noted."
    assert server.requests[0]["tools"] == [{"type": "memory_20250818", "name": "memory"}]
    assert server.results() == ANSWERS
    assert kept(tool.files) == KEPT
    assert {one.actor for one in tool.files.versions("/memories/alice/tastes.md")} == {"tutor"}


def test_the_async_tool_runner_does_the_same(memory):
    tool = MnemicAsyncMemoryTool(memory.scope("acme/alice"), actor="tutor")

    async def main(server):
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="none", max_retries=0) as client:
            runner = client.beta.messages.tool_runner(**ASKED, tools=[tool])
            return await runner.until_done()

    with scripted(*TURNS) as server:
        last = asyncio.run(main(server))
    assert last.content[0].text == "Noted."
    assert server.results() == ANSWERS
    assert kept(tool.files) == KEPT


def test_what_the_agent_noted_is_there_in_the_next_conversation(open_memory, tmp_path):
    first = [{"command": "create", "path": "/memories/f.md", "file_text": "green tea"}]
    for turns in ((first, "Noted."), ([{"command": "view", "path": "/memories/f.md"}], "Green tea.")):
        memory = open_memory(tmp_path / "a.db")
        with scripted(*turns) as server, anthropic.Anthropic(base_url=server.url, api_key="none") as client:
            client.beta.messages.tool_runner(**ASKED, tools=[MnemicMemoryTool(memory)]).until_done()
        memory.close()
    assert server.results() == [(False, "Here's the content of /memories/f.md with line numbers:\n     1\tgreen tea")]


def test_the_tools_are_the_sdks_own_kind(memory):
    tool = MnemicMemoryTool(memory, cache_control={"type": "ephemeral"})
    assert isinstance(tool, BetaAbstractMemoryTool)
    assert isinstance(MnemicAsyncMemoryTool(memory), BetaAsyncAbstractMemoryTool)
    assert tool.to_dict() == {"type": "memory_20250818", "name": "memory", "cache_control": {"type": "ephemeral"}}


def test_commands_can_be_given_as_the_sdks_objects(memory):
    tool = MnemicMemoryTool(memory)
    tool.create(BetaMemoryTool20250818CreateCommand(command="create", path="/memories/f", file_text="tea"))
    view = BetaMemoryTool20250818ViewCommand(command="view", path="/memories/f")
    assert tool.view(view) == asyncio.run(MnemicAsyncMemoryTool(memory).view(view))
    with pytest.raises(ToolError, match="does not exist"):
        tool.view(BetaMemoryTool20250818ViewCommand(command="view", path="/memories/g"))


def test_clearing_leaves_the_versions(memory):
    tool = MnemicMemoryTool(memory)
    tool.files.create("/memories/f", "tea")
    assert tool.clear_all_memory() == "All memory cleared"
    assert asyncio.run(MnemicAsyncMemoryTool(memory).clear_all_memory()) == "All memory cleared"
    assert tool.files.paths() == []
    assert [one.text for one in tool.files.versions("/memories/f")] == ["tea", None]


def test_the_files_are_the_same_without_the_sdk(memory):
    MnemicMemoryTool(memory, max_bytes=3).files.create("/memories/f", "tea")
    assert MemoryFiles(memory).read("/memories/f").text == "tea"
    with pytest.raises(ToolError, match="3 is the most"):
        MnemicMemoryTool(memory, max_bytes=3).call({"command": "create", "path": "/memories/g", "file_text": "milk"})
