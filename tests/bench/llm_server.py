"""A real server on the loopback that speaks OpenAI's chat protocol, answers by rules, and misbehaves when told to.

`answer` makes a text from the messages of a request. `script` holds what to do instead with the next requests, one entry
each: "drop" the connection, "slow" (until the server is closed), or (status, headers, bytes or JSON).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Messages = list[dict[str, str]]


class LlmServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Callable[[Messages], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.script: list[Any] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LlmServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.headers_seen.append({name.lower(): value for name, value in self.headers.items()})
        act = self.server.script.pop(0) if self.server.script else None
        if act in ("drop", "slow"):
            if act == "slow":
                self.server.release.wait(5)
            self.close_connection = True
            return
        status, headers, answer = act or (200, {}, completion(self.server.answer(body["messages"])))
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if self.path != "/v1/chat/completions":
            status, content = 404, b"no such path"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(answer: Callable[[Messages], str]) -> Iterator[LlmServer]:
    """A server that runs until the block is left."""
    with LlmServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()


def completion(text: str | None) -> dict[str, Any]:
    """The body of a proper answer."""
    return {
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3},
    }


def copies_the_gold(gold: Mapping[str, str]) -> Callable[[Messages], str]:
    """A reader that gives the right answer where the memories hold its words, and else says that they do not."""

    def answer(messages: Messages) -> str:
        text = messages[-1]["content"]
        memories, _, question = text.rpartition("Question: ")
        right = gold.get(question.strip(), "")
        return right if right and right.lower() in memories.lower() else "Not mentioned."

    return answer


_GRADED = re.compile(r"Right answer: (?P<right>.*)\nAnswer to grade: (?P<given>.*)\nEND ", re.DOTALL)


def grades(accepts: Callable[[str, str], bool]) -> Callable[[Messages], str]:
    """A judge that accepts an answer where accepts(right, given) holds."""

    def answer(messages: Messages) -> str:
        found = _GRADED.search(messages[-1]["content"])
        assert found is not None
        return "CORRECT" if accepts(found["right"], found["given"]) else "WRONG"

    return answer
