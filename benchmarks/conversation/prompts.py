"""How a prompt is read by a model made of rules: its turns, the form of its answer, what was recorded of the turns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mnemic.testing import RecordedSessions, recorded_locomo
from mnemic.text.terms import terms

LIKE = 0.25  # share of terms in common from which two texts are about one thing
Form = Mapping[str, Any]  # a JSON schema


class Said:
    """What was recorded, and how prompts' turns are found in it, also where their texts were shortened."""

    def __init__(self, samples: Sequence[Mapping[str, Any]]) -> None:
        self.recorded: RecordedSessions = recorded_locomo(samples)
        self._by_word: dict[tuple[str, str], list[tuple[frozenset[str], str]]] = {}
        self._texts: set[str] = set()
        for sample in samples:
            for key, turns in sample["conversation"].items():
                if key.startswith("session_") and isinstance(turns, list):
                    for turn in turns:
                        self._note(turn)

    def _note(self, turn: Mapping[str, Any]) -> None:
        caption = turn.get("blip_caption")
        text = f"{turn['text']} [shares a photo: {caption}]" if caption else str(turn["text"])
        self._texts.update((" ".join(text.split()), " ".join(str(turn["text"]).split())))
        words = frozenset(words_in(text))
        for word in words:
            self._by_word.setdefault((str(turn["speaker"]), word), []).append((words, text))

    def as_said(self, turn: Mapping[str, Any]) -> dict[str, Any]:
        """The turn with the text that it had before words were left out of it; as it is where that cannot be told."""
        text, speaker = str(turn.get("text", "")), str(turn.get("speaker", ""))
        words = frozenset(words_in(text))
        if " ".join(text.split()) in self._texts or not words:
            return dict(turn)
        rarest = min((self._by_word.get((speaker, word), []) for word in words), key=len)
        whole = [(len(all_words), full) for all_words, full in rarest if words <= all_words]
        return {**turn, "text": min(whole)[1]} if whole else dict(turn)

    def facts(self, turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """As `RecordedSessions.facts_of`; of turns that are not LoCoMo's, each turn as it stands."""
        restored = [self.as_said(turn) for turn in turns]
        if any(" ".join(str(turn.get("text", "")).split()) in self._texts for turn in restored):
            return self.recorded.facts_of(restored)
        return [
            {"text": turn.get("text", ""), "turn": turn.get("turn", at), "speaker": turn.get("speaker", "")}
            for at, turn in enumerate(restored, start=1)
        ]


# -- prompts and forms ----------------------------------------------------------------------------------------------


def turns_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The turns that a prompt is about: those under "turns", else the first that are said by somebody, nested or not."""
    for name in ("turns", "exchange", "pair", "dialogue", "trajectory", "interaction", "new", "memory", "pieces"):
        if found := list(_spoken(data.get(name))):
            return found
    context = ("recent", "before", "history", "earlier", "later", "previous")
    return next((found for name, value in data.items() if name not in context and (found := list(_spoken(value)))), [])


def _spoken(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, Mapping):
        if "speaker" in value and "text" in value:
            yield dict(value) if "turn" in value or "id" not in value else {**value, "turn": value["id"]}
        else:
            for one in value.values():
                yield from _spoken(one)
    elif isinstance(value, list):
        for one in value:
            yield from _spoken(one)


def form_of(schema: Form, field: str) -> Form:
    """The schema of a field, or of the items of a list, with references resolved."""
    return resolved(schema, schema.get("properties", {}).get(field, {}))


def items_of(schema: Form, field: str) -> Mapping[str, Form]:
    """The fields of the objects in a list; none where they are no objects."""
    items = resolved(schema, form_of(schema, field).get("items", {}))
    return {name: resolved(schema, form) for name, form in items.get("properties", {}).items()}


def emptiest(schema: Form) -> Any:
    """The least that a schema takes: empty texts and lists, zeros, the first of a choice.

    >>> emptiest({"type": "object", "properties": {"facts": {"type": "array"}, "kind": {"enum": ["a", "b"]}}})
    {'facts': [], 'kind': 'a'}
    """

    def least(form: Form) -> Any:
        form = resolved(schema, form)
        if "default" in form:
            return form["default"]
        if "enum" in form:
            return form["enum"][0]
        if "anyOf" in form:
            return None if any(one.get("type") == "null" for one in form["anyOf"]) else least(form["anyOf"][0])
        if form.get("type") == "object" or "properties" in form:
            return {name: least(one) for name, one in form.get("properties", {}).items()}
        return {"string": "", "integer": 0, "number": 0.0, "boolean": False, "array": []}.get(str(form.get("type")))

    return least(schema)


def resolved(schema: Form, form: Form) -> Form:
    name = str(form.get("$ref", "")).removeprefix("#/$defs/")
    found: Form = schema.get("$defs", {}).get(name, form) if name else form
    return found


# -- texts ---------------------------------------------------------------------------------------------------------


def shortened(text: str, most: int) -> str:
    """The last sentences of a text that have at most so many words together; of one that is longer, its first words."""
    kept: list[str] = []
    for sentence in reversed(sentences_in(text)):
        if kept and sum(len(one.split()) for one in [sentence, *kept]) > most:
            break
        kept.insert(0, sentence)
    return " ".join(" ".join(kept).split()[:most])


def sentences_in(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if part]


def words_in(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def text_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value["text"]) if "text" in value else " ".join(map(text_of, value.values()))
    return " ".join(map(text_of, value)) if isinstance(value, list) else str(value)


def likeness(one: str, other: str) -> float:
    """The share of terms that two texts have in common.

    >>> likeness("Ada plays the cello", "Ada plays chess")
    0.5
    """
    first, second = set(terms(one)), set(terms(other))
    return len(first & second) / len(first | second) if first | second else 0.0


def like_ids(text: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of the records whose texts are like a text."""
    return [str(one["id"]) for one in records if likeness(text, text_of(one)) >= LIKE]


def triple(text: str, speaker: str) -> tuple[str, str, str]:
    """A sentence about somebody cut into subject, relation and object by the place of its words.

    >>> triple("Ada is planning a trip to Porto.", "Ada")
    ('Ada', 'is planning', 'a trip to Porto')
    """
    words = text.rstrip(".").split()
    if speaker and words[: len(speaker.split())] == speaker.split():
        words = words[len(speaker.split()) :]
    at = 2 if words[:1] and words[0].lower() in ("is", "was", "has", "had", "will", "are", "have", "would") else 1
    return speaker or "somebody", " ".join(words[:at]) or "is", " ".join(words[at:]) or text
