"""A Claude model through Anthropic's messages API.

An answer that must follow a schema is asked for as the input of a tool that the model has to call; where the endpoint
refuses that (some models and settings do), as plain text, since the prompt tells the form as well. The tool's input
comes as JSON text. One that was cut comes as nothing, because what the endpoint made of its half cannot be told from
what the model meant.

The id is `anthropic:MODEL`, with the settings that change answers where they are not the default; the address is no
part of it, since the same model moves between addresses.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnemic.errors import ParameterError
from mnemic.models.endpoint import CONNECT_S, NO_KEY, Endpoint, Vendor, check_prices, named, sendable
from mnemic.models.llm import Completion
from mnemic.models.prompt import Message
from mnemic.models.retrying import Failure, Patience

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

ANTHROPIC = Vendor("anthropic", "https://api.anthropic.com", example="claude-haiku-4-5", hottest=1.0)
TOOL = "answer"


@dataclass(frozen=True, slots=True)
class _Manner:
    """What an endpoint takes; the defaults, until it objects."""

    with_tool: bool = True
    with_temperature: bool = True


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, in our words."""

    messages: Sequence[Message]
    schema: Mapping[str, Any] | None
    max_tokens: int


class AnthropicChat:
    """A Claude model. Nothing is sent before the first question.

    base_url and api_key default to $ANTHROPIC_BASE_URL (else Anthropic's own address) and $ANTHROPIC_API_KEY, both read
    here and now. The other settings are those of `OpenAIChat`.
    Raises DependencyMissing where anthropic is not installed, ParameterError without a key for Anthropic's own address.
    """

    spec: str  # what `open_llm` opens it with again: the id and the address, or what it was opened with
    price_in: float  # both are there only where they were given
    price_out: float

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float = 0.0,
        timeout_s: float = 120.0,
        max_tries: int = 5,
        max_pause_s: float = 60.0,
        concurrency: int = 4,
        price_in: float | None = None,
        price_out: float | None = None,
        label: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        check_prices(price_in, price_out)
        self._address = ANTHROPIC.address(model, base_url, api_key, temperature)
        self.model = model
        self.temperature = temperature
        if price_in is not None and price_out is not None:
            self.price_in, self.price_out = price_in, price_out
        changing = ({"label": label} if label else {}) | ({"temperature": str(temperature)} if temperature else {})
        self._manner = _Manner()
        self.spec = ANTHROPIC.spec(model, changing, self._address)
        self._endpoint: Endpoint[AsyncAnthropic] = Endpoint(
            named("anthropic", model, changing),
            self._address,
            self._open,
            lambda: import_module("anthropic"),
            patience=Patience(max_tries=max_tries, max_pause_s=max_pause_s),
            timeout_s=timeout_s,
            concurrency=concurrency,
            sleep=sleep,
        )

    def __repr__(self) -> str:
        return f"AnthropicChat({self.id!r}, base_url={self.base_url!r})"

    @property
    def id(self) -> str:
        """The model and the settings that change its answers."""
        return self._endpoint.id

    @property
    def base_url(self) -> str:
        """The address, without what may be secret in it."""
        return self._address.shown

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        """As `LLM.complete`."""
        asked = _checked(messages, schema, max_tokens)
        return self._endpoint.checked(self._endpoint.ask(lambda client: self._once(client, asked)), ANTHROPIC.key_name)

    async def acomplete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        """As `complete`, for coroutines."""
        asked = _checked(messages, schema, max_tokens)
        return self._endpoint.checked(
            await self._endpoint.aask(lambda client: self._once(client, asked)), ANTHROPIC.key_name
        )

    def close(self) -> None:
        """Give up what is under way, in all threads, and release connections."""
        self._endpoint.close()

    def _open(self) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic, Timeout

        timeout = Timeout(None, connect=min(CONNECT_S, self._endpoint.timeout_s))
        return AsyncAnthropic(
            base_url=self._address.url, api_key=self._address.key or NO_KEY, max_retries=0, timeout=timeout
        )

    async def _once(self, client: AsyncAnthropic, asked: _Asked) -> Completion | Failure:
        """One try, without what the endpoint objects to."""
        began = manner = self._manner
        while True:
            body = self._body(asked, manner)
            posted = await self._endpoint.post(client.messages.with_raw_response.create(**body))
            if not isinstance(posted, Failure):
                if manner != began:
                    self._manner = manner
                return read_message(posted.content)
            other = _other_manner(manner, posted, asked.schema is not None)
            if other is None:
                return posted
            manner = other

    def _body(self, asked: _Asked, manner: _Manner) -> dict[str, Any]:
        told = [sendable(one.content) for one in asked.messages if one.role == "system"]
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": asked.max_tokens,
            "messages": [
                {"role": one.role, "content": sendable(one.content)} for one in asked.messages if one.role != "system"
            ],
        }
        if told:
            body["system"] = "\n\n".join(told)
        if manner.with_temperature:
            body["extra_body"] = {
                "temperature": self.temperature
            }  # newer clients warn of it; models that refuse it say so
        if asked.schema is not None and manner.with_tool:
            described = "Give the answer that you were asked for."
            body["tools"] = [{"name": TOOL, "description": described, "input_schema": dict(asked.schema)}]
            body["tool_choice"] = {"type": "tool", "name": TOOL}
        return body


def read_message(content: bytes) -> Completion | Failure:
    """The body of an answer: the input of the tool where it was called, else the text."""
    try:
        answer = json.loads(content)
        blocks, stop = answer["content"], answer.get("stop_reason")
        inputs = [block["input"] for block in blocks if block["type"] == "tool_use"]
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        usage = answer.get("usage") or {}
        kinds = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        tokens_in = sum(int(usage.get(kind) or 0) for kind in kinds)
        tokens_out = int(usage.get("output_tokens") or 0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Failure(said=f"the answer is not in the format of /v1/messages ({type(error).__name__}: {error})")
    is_cut = stop == "max_tokens"
    if inputs:
        text = "" if is_cut else json.dumps(inputs[0], ensure_ascii=False)
    if not text.strip() and not is_cut:
        if stop == "refusal":
            said = "the model declines to answer this request"
            return Failure(said=said, passes=False, remedy="Change what it is asked, or ask another model")
        return Failure(said=f"the answer is empty (stop_reason {stop!r})")
    return Completion(text=text.strip(), tokens_in=tokens_in, tokens_out=tokens_out, is_cut=is_cut)


_OBJECTS_TO_TOOL = re.compile(r"tool|input_schema", re.I)


def _other_manner(manner: _Manner, failure: Failure, has_schema: bool) -> _Manner | None:
    """How to ask again after a refusal that names what it does not take; None where it names nothing of ours."""
    if failure.status not in (400, 422):
        return None
    if manner.with_temperature and "temperature" in failure.said:
        return replace(manner, with_temperature=False)
    if has_schema and manner.with_tool and _OBJECTS_TO_TOOL.search(failure.said):
        return replace(manner, with_tool=False)
    return None


def _checked(messages: Sequence[Message], schema: Mapping[str, Any] | None, max_tokens: int) -> _Asked:
    if max_tokens < 1:
        raise ParameterError(f"An answer of {max_tokens} tokens was asked for. Give max_tokens of 1 or more.")
    return _Asked(messages, schema, max_tokens)
