"""What a model answered, put together from the bytes that pass by: a JSON body, or a stream of server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_BYTES = 64 * 2**20  # of an answer that is kept in mind; a longer one passes, and is not remembered


@dataclass(frozen=True, slots=True)
class Answers:
    """The assistant's messages, one for each choice, in the form of the protocol."""

    messages: tuple[dict[str, Any], ...] = ()
    is_complete: bool = False
    model: str | None = None


@dataclass(slots=True)
class _Choice:
    texts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    function: dict[str, str] = field(default_factory=dict)
    is_finished: bool = False

    def message(self) -> dict[str, Any]:
        made: dict[str, Any] = {"role": "assistant", "content": joined(self.texts) or None}
        if self.refusals:
            made["refusal"] = joined(self.refusals)
        if self.calls:
            made["tool_calls"] = [call for _, call in sorted(self.calls.items())]
        if self.function:
            made["function_call"] = self.function
        return made


class Assembly:
    """Takes the bytes of one answer as they come. What is no JSON, or none of the protocol, is passed over."""

    def __init__(self, content_type: str) -> None:
        self._is_stream = content_type.split(";")[0].strip().lower() == "text/event-stream"
        self._bytes = bytearray()  # the whole body, or the line of a stream that is not yet at its end
        self._data: list[bytes] = []
        self._choices: dict[int, _Choice] = {}
        self._model: str | None = None
        self._is_done = False
        self._n_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self._n_bytes += len(chunk)
        if self._n_bytes > MOST_BYTES:
            self._bytes.clear()
            return
        self._bytes += chunk
        if self._is_stream:
            self._read_lines()

    def answers(self) -> Answers:
        """What was answered so far."""
        if self._n_bytes > MOST_BYTES:
            return Answers()
        if not self._is_stream:
            return _whole(bytes(self._bytes))
        choices = [choice for _, choice in sorted(self._choices.items())]
        is_complete = bool(choices) and (self._is_done or all(choice.is_finished for choice in choices))
        return Answers(tuple(choice.message() for choice in choices), is_complete, self._model)

    def _read_lines(self) -> None:
        *lines, rest = self._bytes.split(b"\n")
        self._bytes = bytearray(rest)
        for line in lines:
            line = line.rstrip(b"\r")
            if line.startswith(b"data:"):
                self._data.append(bytes(line[5:].removeprefix(b" ")))
            elif not line and self._data:
                self._event(b"\n".join(self._data))
                self._data.clear()

    def _event(self, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            self._is_done = True
            return
        chunk = _object(data)
        self._model = self._model or _text(chunk.get("model")) or None
        for given in _objects(chunk.get("choices")):
            choice = self._choices.setdefault(_index(given), _Choice())
            choice.is_finished = choice.is_finished or given.get("finish_reason") is not None
            delta = given.get("delta")
            if isinstance(delta, Mapping):
                _take(choice, delta)


def joined(texts: Iterable[str]) -> str:
    """One text; where a stream cut a character in two, its halves come together again, and a lone half is replaced."""
    text = "".join(texts)
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _take(choice: _Choice, delta: Mapping[str, Any]) -> None:
    choice.texts.append(_text(delta.get("content")))
    if refusal := _text(delta.get("refusal")):
        choice.refusals.append(refusal)
    for part in _objects(delta.get("tool_calls")):
        call = choice.calls.setdefault(
            _index(part), {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = call["id"] or part.get("id")
        function = part.get("function")
        if isinstance(function, Mapping):
            call["function"]["name"] += _text(function.get("name"))
            call["function"]["arguments"] += _text(function.get("arguments"))
    function = delta.get("function_call")
    if isinstance(function, Mapping):
        for name in ("name", "arguments"):
            choice.function[name] = choice.function.get(name, "") + _text(function.get(name))


def _whole(body: bytes) -> Answers:
    found = _object(body)
    messages = [given.get("message") for given in _objects(found.get("choices"))]
    return Answers(
        tuple(dict(message) for message in messages if isinstance(message, Mapping)),
        is_complete=bool(found),
        model=_text(found.get("model")) or None,
    )


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _index(given: Mapping[str, Any]) -> int:
    index = given.get("index")
    return index if isinstance(index, int) else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
