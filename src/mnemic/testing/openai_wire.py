"""OpenAI's chat completions as they go over the wire: requests read, answers written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mnemic.models.llm import Completion
from mnemic.models.prompt import Message
from mnemic.testing.asked import Asked, asked
from mnemic.testing.wire import BadRequest, Event, pieces, text_of


def read(body: Mapping[str, Any], headers: Mapping[str, str]) -> Asked:
    """The request. Raises BadRequest where it is none."""
    listed = body.get("messages")
    if not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise BadRequest("'messages' has to be a list of at least one message")
    messages = [Message(role=str(one.get("role")), content=text_of(one.get("content"))) for one in listed]
    tool = _forced(body)
    form = body.get("response_format")
    form = form.get("json_schema") if isinstance(form, dict) else None
    longest = body.get("max_completion_tokens", body.get("max_tokens"))
    return asked(
        messages,
        schema=tool.get("parameters") if tool else form.get("schema") if isinstance(form, dict) else None,
        protocol="openai",
        model=body["model"],
        max_tokens=longest if isinstance(longest, int) else None,
        tool=str(tool.get("name")) if tool else None,
        is_streamed=bool(body.get("stream")),
        headers=headers,
        body=body,
    )


def whole(asked: Asked, said: Completion) -> dict[str, Any]:
    """The answer in one piece."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": None}
    if asked.tool is not None:
        message |= {"content": None, "tool_calls": [_call(asked, said.text)]}
    choice = {"index": 0, "message": message, "finish_reason": _finish(asked, said), "logprobs": None}
    return _frame(asked, "chat.completion") | {"choices": [choice], "usage": _usage(said)}


def stream(asked: Asked, said: Completion) -> Iterator[Event]:
    """The answer as events."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None if asked.tool else ""}]
    if asked.tool is None:
        deltas += [{"content": piece} for piece in pieces(said.text)]
    else:
        deltas.append({"tool_calls": [{"index": 0, **_call(asked, "")}]})
        deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces(said.text)]
    frame = _frame(asked, "chat.completion.chunk")
    for delta in deltas:
        yield Event(frame | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield Event(frame | {"choices": [{"index": 0, "delta": {}, "finish_reason": _finish(asked, said)}]})
    options = asked.body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        yield Event(frame | {"choices": [], "usage": _usage(said)})
    yield Event("[DONE]")


def error(kind: str, message: str) -> dict[str, Any]:
    """An error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _forced(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The function that has to be called, if one has to be."""
    listed = body.get("tools")
    functions = [one.get("function") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    known = [one for one in functions if isinstance(one, dict)]
    choice = body.get("tool_choice")
    if choice == "required":
        return known[0] if known else None
    named = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(named, dict):
        return None
    found = next((one for one in known if one.get("name") == named.get("name")), None)
    if found is None:
        raise BadRequest(f"tool_choice names {named.get('name')!r}, and 'tools' has no such function")
    return found


def _call(asked: Asked, arguments: str) -> dict[str, Any]:
    function = {"name": asked.tool, "arguments": arguments}
    return {"id": f"call_{asked.number}", "type": "function", "function": function}


def _finish(asked: Asked, said: Completion) -> str:
    return "length" if said.is_cut else "stop" if asked.tool is None else "tool_calls"


def _frame(asked: Asked, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{asked.number}", "object": kind, "created": asked.number, "model": asked.model}


def _usage(said: Completion) -> dict[str, int]:
    return {
        "prompt_tokens": said.tokens_in,
        "completion_tokens": said.tokens_out,
        "total_tokens": said.tokens_in + said.tokens_out,
    }
