"""What a model was asked, as a rule sees it, and what a rule answers.

A prompt of the library has the task in its system message and one JSON object of data in its user message
(`mnemic.models.prompt`): a rule looks at both, and at the schema of the answer, to know which work is asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Literal

from mnemic.models.prompt import Message

Protocol = Literal["openai", "anthropic", "in-process"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    task: str  # the system messages
    data: Mapping[str, Any]  # the first user message that is one JSON object; {} where none is
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None  # of the answer: as sent, or else as it stands in the task
    protocol: Protocol = "in-process"
    model: str = ""
    max_tokens: int | None = None
    tool: str | None = None  # the name of the tool that the answer has to be the input of
    is_streamed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case; never a key or a cookie
    body: Mapping[str, Any] = field(default_factory=dict)  # the whole request as it came
    number: int = 0  # of the request, in order of arrival, from 1
    attempt: int = 0  # at this question, from 1: the same request again, or with an answer and a complaint behind it
    at_s: float = 0.0  # seconds from the making of the script

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the answer's top-level fields: of the schema, or else of the form that the task tells in its last line."""
        if self.schema is None:
            return tuple(_told_fields(self.task))
        named = self.schema.get("properties")
        return tuple(named) if isinstance(named, Mapping) else ()

    def asks_for(self, *fields: str) -> bool:
        """Whether the answer is to have all these top-level fields."""
        return set(fields) <= set(self.fields)

    def shows(self, *keys: str) -> bool:
        """Whether the data has all these top-level keys."""
        return set(keys) <= set(self.data)

    def says(self, pattern: str) -> bool:
        """Whether the regular expression is found in the task; letters of either case are alike."""
        return re.search(pattern, self.task, re.IGNORECASE) is not None

    @property
    def question(self) -> bytes:
        """A digest of what is asked, the same for each attempt at it."""
        asked = self.messages
        for place, message in enumerate(self.messages, start=1):
            if message.role == "user" and _object(message.content) is not None:
                asked = self.messages[:place]
                break
        said = [[message.role, message.content] for message in asked]
        return hashlib.blake2b(json.dumps(said).encode(), digest_size=16).digest()  # the form is told in words as well


def asked(messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, **more: Any) -> Asked:
    """The request with these messages; `more` are other fields of Asked."""
    task = "\n\n".join(message.content for message in messages if message.role in ("system", "developer"))
    objects = (_object(message.content) for message in messages if message.role == "user")
    data = next((found for found in objects if found is not None), {})
    return Asked(task=task, data=data, messages=tuple(messages), schema=schema or _schema_in(task), **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with all that can be said of how it comes.

    value: a text, which is sent as it is, or what JSON can hold. With a status of 400 or more it is the message of the error.
    malformed: one of MALFORMATIONS, done to the value.
    """

    value: Any = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0  # before anything is sent
    malformed: str | None = None
    is_cut: bool = False  # the endpoint says that it stopped at max_tokens
    drops: Literal["at once", "midway"] | None = None  # closes the connection: without an answer, or in its middle
    raw: bytes | None = None  # this instead of the protocol's form; a server alone can send it

    @property
    def text(self) -> str:
        """The value as a model would write it."""
        return as_text(self.value)


def fails(status: int, message: str = "scripted failure", *, retry_after_s: float | None = None) -> Reply:
    """An error of the endpoint: 400 or more; with `retry_after_s`, when it wants to be asked again."""
    headers = {} if retry_after_s is None else {"retry-after": f"{retry_after_s:g}"}
    return Reply(value=message, status=status, headers=headers)


Answer = Any  # str, dict, list, a dataclass, Reply; or a Rule that returns one of them
Rule = Callable[[Asked], Answer]
When = str | Callable[[Asked], bool]


def as_text(value: Any) -> str:
    """A text as it is; anything else as one line of JSON. Raises TypeError for what JSON cannot hold."""
    if isinstance(value, str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return json.dumps(value, ensure_ascii=False)


_FORM_PART = re.compile(r'"((?:[^"\\]|\\.)*)"(\??:)?|[{}\[\]]')


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _schema_in(task: str) -> dict[str, Any] | None:
    """The JSON schema that a task shows, for endpoints that are not sent one."""
    return next((found for found in _objects_in(task) if isinstance(found.get("properties"), dict)), None)


def _told_fields(task: str) -> Iterator[str]:
    """The names in `{"facts": [{"text": string}], "note"?: string}`, as the library tells the form of an answer."""
    depth = 0
    for found in _FORM_PART.finditer(task, task.rfind("\n{") + 1):
        if found[0] in ("{", "["):
            depth += 1
        elif found[0] in ("}", "]"):
            depth -= 1
            if depth <= 0:
                return
        elif depth == 1 and found[2]:
            yield found[1]


def _objects_in(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, start = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start += 1
        else:
            yield value
        start = text.find("{", start)
