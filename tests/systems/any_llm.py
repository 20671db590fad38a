"""A model that answers anything that fits the schema: whatever a system is told, its contracts must hold.

The answer follows from the request alone: strings come from the data that is shown, or are made up; lists have none to
three items; numbers are small, so that some name a turn or a record that is there and some do not.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnemic.errors import LLMUnavailable
from mnemic.models.llm import Completion
from mnemic.models.prompt import Message

MADE_UP = ["tea", "Anna likes coffee", "Porto", "7", "", "none", "0", "1", "nobody said this"]


class AnyLLM:
    """down: requests, counted from 0, at which it cannot be reached. broken: the share of answers that are no JSON.

    copies: a word that it says wherever it is shown it.
    """

    id = "any:1"

    def __init__(self, *, down: Sequence[int] = (), broken: float = 0.0, copies: str = "") -> None:
        self._copies = copies
        self.calls = 0
        self.seen: list[str] = []
        self._down = set(down)
        self._broken = broken
        self._lock = threading.Lock()

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        assert schema is not None
        with self._lock:
            number, self.calls = self.calls, self.calls + 1
            self.seen.append(messages[1].content)
        if number in self._down:
            raise LLMUnavailable("The model is down. Try again later.")
        asked = json.dumps([[one.role, one.content] for one in messages[:2]])
        dice = random.Random(hashlib.sha256(asked.encode()).hexdigest())
        tries = random.Random(hashlib.sha256(f"{asked} {number}".encode()).hexdigest())
        if tries.random() < self._broken:
            return Completion(
                text=tries.choice(["{", "Sorry, I cannot.", '{"x": ', "", "null"]), tokens_in=10, tokens_out=2
            )
        texts = [text for text in _strings(json.loads(messages[1].content)) if text]
        if self._copies and self._copies in messages[1].content:
            texts = [self._copies]
        value = _value(schema, schema.get("$defs", {}), dice, texts or MADE_UP, 0)
        return Completion(text=json.dumps(value), tokens_in=len(asked) // 4, tokens_out=20)

    def close(self) -> None:
        pass


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _value(
    schema: Mapping[str, Any], defs: Mapping[str, Any], dice: random.Random, texts: list[str], depth: int
) -> Any:
    if "$ref" in schema:
        return _value(defs[schema["$ref"].rpartition("/")[2]], defs, dice, texts, depth)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _value(dice.choice(schema[key]), defs, dice, texts, depth)
    if "enum" in schema:
        return dice.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        kind = dice.choice(kind)
    if kind == "object":
        required = set(schema.get("required", ()))
        return {
            name: _value(one, defs, dice, texts, depth + 1)
            for name, one in schema.get("properties", {}).items()
            if name in required or dice.random() < 0.8
        }
    if kind == "array":
        n = 0 if depth > 5 else dice.randint(0, 3)
        return [_value(schema.get("items", {}), defs, dice, texts, depth + 1) for _ in range(n)]
    if kind == "integer":
        return dice.randint(0, 4)
    if kind == "number":
        return round(dice.random() * 2, 2)
    if kind == "boolean":
        return dice.random() < 0.5
    if kind == "null":
        return None
    return dice.choice(texts) if dice.random() < 0.75 else dice.choice(MADE_UP)
