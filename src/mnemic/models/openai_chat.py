"""A chat model behind any endpoint that speaks OpenAI's `/chat/completions`: OpenAI, vLLM, Ollama, OpenRouter and others.

Endpoints differ in what they take, so a request begins with everything that is wanted and gives up what the endpoint
says it does not know, one thing at a time: a JSON schema for the answer, then JSON mode; `max_tokens`, which reasoning
models call `max_completion_tokens`; a temperature; a seed. What was given up is remembered once a request succeeds
without it.

The id is `openai:MODEL`, with the settings that change answers where they are not the default. The address is no part of
it: the same model moves between addresses, and its kept answers should move along. Two different models that
answer to one name are therefore not told apart; `label` names them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args

from mnemic.errors import ParameterError
from mnemic.models.endpoint import CONNECT_S, NO_KEY, Endpoint, Vendor, check_prices, named, sendable
from mnemic.models.llm import Completion
from mnemic.models.prompt import Message
from mnemic.models.retrying import Failure, Patience

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI = Vendor("openai", "https://api.openai.com/v1", example="gpt-4o-mini", hottest=2.0)
Structured = Literal["auto", "json_schema", "json_object", "none"]


@dataclass(frozen=True, slots=True)
class _Manner:
    """What an endpoint is asked in the way of; the defaults, until it objects."""

    structured: str
    limit_name: str = "max_tokens"
    dropped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, in our words."""

    messages: Sequence[Message]
    schema: Mapping[str, Any] | None
    max_tokens: int
    seed: int | None


class OpenAIChat:
    """A chat model at an address. Nothing is sent before the first question.

    base_url and api_key default to $OPENAI_BASE_URL (else OpenAI's own address) and $OPENAI_API_KEY, both read here and
    now. timeout_s is for one try; a pause between two is at most max_pause_s. At most `concurrency` requests run at a
    time. structured: how an answer's schema is told; "auto" finds out. extra_body: further fields of each request.
    price_in, price_out: US dollars for a million tokens; with them, the model is `Priced`. label: tells apart models of one
    name at different addresses.
    Raises DependencyMissing where openai is not installed, ParameterError without a key for OpenAI's own address.
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
        seed: int | None = None,
        timeout_s: float = 120.0,
        max_tries: int = 5,
        max_pause_s: float = 60.0,
        concurrency: int = 4,
        structured: Structured = "auto",
        extra_body: Mapping[str, Any] | None = None,
        price_in: float | None = None,
        price_out: float | None = None,
        label: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if structured not in get_args(Structured):
            raise ParameterError(f"structured is one of {', '.join(get_args(Structured))}; {structured!r} was given.")
        check_prices(price_in, price_out)
        self._address = OPENAI.address(model, base_url, api_key, temperature)
        self.model = model
        self.temperature = temperature
        self.seed = seed
        self.extra_body = dict(extra_body or {})
        if price_in is not None and price_out is not None:
            self.price_in, self.price_out = price_in, price_out
        self._is_auto = structured == "auto"
        self._manner = _Manner("json_schema" if self._is_auto else structured)
        changing = self._changing(label)
        self.spec = OPENAI.spec(model, changing, self._address)
        self._endpoint: Endpoint[AsyncOpenAI] = Endpoint(
            named("openai", model, changing),
            self._address,
            self._open,
            lambda: import_module("openai"),
            patience=Patience(max_tries=max_tries, max_pause_s=max_pause_s),
            timeout_s=timeout_s,
            concurrency=concurrency,
            sleep=sleep,
        )

    def __repr__(self) -> str:
        return f"OpenAIChat({self.id!r}, base_url={self.base_url!r})"

    @property
    def id(self) -> str:
        """The model and the settings that change its answers."""
        return self._endpoint.id

    @property
    def base_url(self) -> str:
        """The address, without what may be secret in it."""
        return self._address.shown

    def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 2048,
        seed: int | None = None,
    ) -> Completion:
        """As `LLM.complete`; a seed replaces the one given at the start."""
        return self._endpoint.checked(
            self.attempt(messages, schema=schema, max_tokens=max_tokens, seed=seed), OPENAI.key_name
        )

    async def acomplete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 2048,
        seed: int | None = None,
    ) -> Completion:
        """As `complete`, for coroutines."""
        asked = self._asked(messages, schema, max_tokens, seed)
        return self._endpoint.checked(
            await self._endpoint.aask(lambda client: self._once(client, asked)), OPENAI.key_name
        )

    def attempt(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        max_tokens: int = 2048,
        seed: int | None = None,
    ) -> Completion | Failure:
        """As `complete`, but what went wrong is the result, for callers that count it. Raises LLMClosed alone."""
        asked = self._asked(messages, schema, max_tokens, seed)
        return self._endpoint.ask(lambda client: self._once(client, asked))

    def close(self) -> None:
        """Give up what is under way, in all threads, and release connections."""
        self._endpoint.close()

    def _changing(self, label: str) -> dict[str, Any]:
        """The settings that change answers, where they are not the default."""
        settings = {"label": label, "seed": self.seed, "extra_body": _compact(self.extra_body)}
        given = {name: value for name, value in settings.items() if value not in ("", "{}", None)}
        return given | ({"temperature": self.temperature} if self.temperature else {})

    def _open(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI, Timeout

        timeout = Timeout(None, connect=min(CONNECT_S, self._endpoint.timeout_s))
        return AsyncOpenAI(
            base_url=self._address.url, api_key=self._address.key or NO_KEY, max_retries=0, timeout=timeout
        )

    def _asked(
        self, messages: Sequence[Message], schema: Mapping[str, Any] | None, max_tokens: int, seed: int | None
    ) -> _Asked:
        if max_tokens < 1:
            raise ParameterError(f"An answer of {max_tokens} tokens was asked for. Give max_tokens of 1 or more.")
        return _Asked(messages, schema, max_tokens, self.seed if seed is None else seed)

    async def _once(self, client: AsyncOpenAI, asked: _Asked) -> Completion | Failure:
        """One try, without what the endpoint objects to."""
        began = manner = self._manner
        is_lasting = True
        while True:
            body = self._body(asked, manner)
            posted = await self._endpoint.post(client.chat.completions.with_raw_response.create(**body))
            if isinstance(posted, Failure):
                other = _other_manner(manner, posted, asked.schema is not None and self._is_auto)
                if other is None:
                    return posted
                is_lasting = is_lasting and "invalid schema" not in posted.said.lower()  # of this schema, not of all
                manner = other
                continue
            if manner != began and is_lasting:
                self._manner = manner
            return self._read(posted.content)

    def _body(self, asked: _Asked, manner: _Manner) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": one.role, "content": sendable(one.content)} for one in asked.messages],
            manner.limit_name: asked.max_tokens,
        }
        if "temperature" not in manner.dropped:
            body["temperature"] = self.temperature
        if asked.seed is not None and "seed" not in manner.dropped:
            body["seed"] = asked.seed
        if asked.schema is not None and manner.structured != "none":
            body["response_format"] = response_format(asked.schema, manner.structured)
        if self.extra_body:
            body["extra_body"] = self.extra_body
        return body

    def _read(self, content: bytes) -> Completion | Failure:
        read = read_chat(content)
        if not isinstance(read, tuple):
            return read
        status, said = read
        return self._endpoint.refusal(status, said, {})


def read_chat(content: bytes) -> Completion | Failure | tuple[int, str]:
    """The body of an answer; a status and its text where an error came as an answer, as some gateways send it."""
    try:
        answer = json.loads(content)
        if isinstance(error := answer.get("error"), dict) and not answer.get("choices"):
            code = error.get("code")
            return (code if isinstance(code, int) and code >= 400 else 502), str(error.get("message"))
        choice = answer["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        text = _text(message.get("content"))
        usage = answer.get("usage") or {}
        tokens_in, tokens_out = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Failure(said=f"the answer is not in the format of /chat/completions ({type(error).__name__}: {error})")
    is_cut = finish == "length"
    if not text.strip() and not is_cut:  # one that is empty and cut spent all its tokens on thinking
        if message.get("refusal") or finish == "content_filter":
            said = "the model declines to answer this request"
            return Failure(said=said, passes=False, remedy="Change what it is asked, or ask another model")
        return Failure(said=f"the answer is empty (finish_reason {finish!r})")
    return Completion(text=text.strip(), tokens_in=tokens_in, tokens_out=tokens_out, is_cut=is_cut)


def response_format(schema: Mapping[str, Any], structured: str) -> dict[str, Any]:
    """The field of a request that asks for JSON, in the manner "json_schema" or "json_object"."""
    if structured == "json_object":
        return {"type": "json_object"}
    name = re.sub(r"[^A-Za-z0-9_-]", "_", str(schema.get("title") or "answer"))[:64]
    strict = strict_schema(schema)
    if strict is None:
        return {"type": "json_schema", "json_schema": {"name": name, "schema": dict(schema)}}
    return {"type": "json_schema", "json_schema": {"name": name, "schema": strict, "strict": True}}


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema as OpenAI's strict mode wants it, None where it cannot say the same.

    There an object has no other properties than its own and all of them are required, so what is optional is asked for;
    defaults are not told. Maps of any keys, and tuples, cannot be said.
    """
    strict = {name: value for name, value in schema.items() if name != "default"}
    if {"prefixItems", "patternProperties"} & strict.keys() or strict.get("additionalProperties"):
        return None
    for name in ("properties", "$defs"):
        if name in strict:
            inner = {key: strict_schema(value) for key, value in strict[name].items()}
            if None in inner.values():
                return None
            strict[name] = inner
    if "anyOf" in strict:
        strict["anyOf"] = [strict_schema(one) for one in strict["anyOf"]]
        if None in strict["anyOf"]:
            return None
    if isinstance(strict.get("items"), Mapping):
        strict["items"] = strict_schema(strict["items"])
        if strict["items"] is None:
            return None
    if strict.get("type") == "object":
        if "properties" not in strict:
            return None
        strict |= {"additionalProperties": False, "required": list(strict["properties"])}
    if "enum" in strict and "type" not in strict and all(isinstance(one, str) for one in strict["enum"]):
        strict["type"] = "string"
    return strict


_OBJECTS_TO_FORMAT = re.compile(r"response.?format|json.?(schema|object|mode)|structured|grammar|guided|schema", re.I)


def _other_manner(manner: _Manner, failure: Failure, may_change_format: bool) -> _Manner | None:
    """How to ask again after a refusal that names what it does not take; None where it names nothing of ours."""
    if failure.status not in (400, 415, 422):
        return None
    said = failure.said
    if manner.limit_name == "max_tokens" and "max_completion_tokens" in said:
        return replace(manner, limit_name="max_completion_tokens")
    for name in ("temperature", "seed"):
        if name not in manner.dropped and re.search(rf"['\"`]{name}['\"`]|\b{name}\b[^.]*\bsupport", said):
            return replace(manner, dropped=manner.dropped | {name})
    if may_change_format and manner.structured != "none" and _OBJECTS_TO_FORMAT.search(said):
        return replace(manner, structured="json_object" if manner.structured == "json_schema" else "none")
    return None


def _text(content: Any) -> str:
    """A message's text; some endpoints send it in parts."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type", "text") == "text")
    if content is None or isinstance(content, str):
        return content or ""
    raise TypeError(f"content is {type(content).__name__}")


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
