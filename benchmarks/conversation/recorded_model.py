"""A model that answers from what was recorded of LoCoMo, and by plain rules where nothing was.

LoCoMo's files hold facts of each session, each with the turns that say so, and a summary (`mnemic.testing.recorded_locomo`).
What a prompt asks to be read out of turns is answered with these, put into the form that its schema asks for. Decisions
(what a new fact does to an old one, which notes belong together, what bears on a question) are made by rules over the texts
that the prompt shows: `mnemic.ops.update.relation`, and shared terms. `counts` says how many answers came which way.

A prompt that nothing here fits gets the emptiest answer that its form allows, and is counted as "empty": the figure of a
system that has such answers says little.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.ops.update import relation
from mnemic.testing import Asked, RecordedSessions, RuleLLM, Script, recorded_locomo
from mnemic.text.terms import terms

LOCOMO = "locomo/locomo5.json"
RECORDED, RULED, EMPTY = "recorded", "ruled", "empty"
LIKE = 0.25  # share of terms in common from which two texts are about one thing
_ENDING = ("updates", "contradicts")
Form = Mapping[str, Any]  # a JSON schema


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer: for which prompts, with what, and where that comes from."""

    name: str
    origin: str
    fits: Callable[[Asked], bool]
    answer: Callable[[Asked, Said], Any]


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
        words = frozenset(_words(text))
        for word in words:
            self._by_word.setdefault((str(turn["speaker"]), word), []).append((words, text))

    def as_said(self, turn: Mapping[str, Any]) -> dict[str, Any]:
        """The turn with the text that it had before words were left out of it; as it is where that cannot be told."""
        text, speaker = str(turn.get("text", "")), str(turn.get("speaker", ""))
        words = frozenset(_words(text))
        if " ".join(text.split()) in self._texts or not words:
            return dict(turn)
        rarest = min((self._by_word.get((speaker, word), []) for word in words), key=len)
        whole = [(len(all_words), full) for all_words, full in rarest if words <= all_words]
        return {**turn, "text": min(whole)[1]} if whole else dict(turn)

    def facts(self, turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """As `RecordedSessions.facts_of`."""
        return self.recorded.facts_of([self.as_said(turn) for turn in turns])


class RecordedModel:
    """The ways as rules of a scripted model, and how often each answered."""

    def __init__(self, samples: Sequence[Mapping[str, Any]], ways: Sequence[Way] | None = None) -> None:
        self.said = Said(samples)
        self.counts: Counter[tuple[str, str]] = Counter()  # of (origin, name)
        self._ways = WAYS if ways is None else ways
        self._lock = threading.Lock()

    @classmethod
    def of(cls, data: Path) -> RecordedModel:
        """With what was recorded in LoCoMo's file below the folder of data sets."""
        return cls(json.loads((data / LOCOMO).read_text("utf-8")))

    def llm(self, id: str = "benchmark:recorded") -> RuleLLM:
        """A model in this process."""
        made = RuleLLM(id)
        self.teach(made)
        return made

    def teach(self, script: Script) -> None:
        """Let a scripted model answer so."""
        script.answers(self.answer)

    def answer(self, asked: Asked) -> Any:
        """The answer to a prompt, by the first way that fits."""
        way = next((way for way in self._ways if way.fits(asked)), None)
        origin, name = (way.origin, way.name) if way else (EMPTY, ", ".join(asked.fields))
        with self._lock:
            self.counts[origin, name] += 1
        return way.answer(asked, self.said) if way else emptiest(asked.schema or {})

    def shares(self) -> dict[str, int]:
        """How many answers came which way, by "origin: name"."""
        return {f"{origin}: {name}": n for (origin, name), n in sorted(self.counts.items())}


# -- reading prompts ------------------------------------------------------------------------------------------


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
    return _resolved(schema, schema.get("properties", {}).get(field, {}))


def items_of(schema: Form, field: str) -> Mapping[str, Form]:
    """The fields of the objects in a list; none where they are no objects."""
    items = _resolved(schema, form_of(schema, field).get("items", {}))
    return {name: _resolved(schema, form) for name, form in items.get("properties", {}).items()}


def emptiest(schema: Form) -> Any:
    """The least that a schema takes: empty texts and lists, zeros, the first of a choice.

    >>> emptiest({"type": "object", "properties": {"facts": {"type": "array"}, "kind": {"enum": ["a", "b"]}}})
    {'facts': [], 'kind': 'a'}
    """

    def least(form: Form) -> Any:
        form = _resolved(schema, form)
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


def _resolved(schema: Form, form: Form) -> Form:
    name = str(form.get("$ref", "")).removeprefix("#/$defs/")
    found: Form = schema.get("$defs", {}).get(name, form) if name else form
    return found


# -- what was recorded ----------------------------------------------------------------------------------------

_TEXT = ("text", "fact", "sentence", "memory", "value", "content", "note", "statement", "proposition", "observation")


def listed(asked: Asked) -> str | None:
    """The field of the answer that is a list of things read out of turns: objects that have a text, or plain texts."""
    schema = asked.schema or {}
    for field in asked.fields:
        inside = items_of(schema, field)
        if any(name in inside for name in _TEXT) or {"subject", "object"} <= set(inside):
            return field
        if field in ("notes", "facts", "observations", "memories", "sentences"):
            return field
    return None


def read_out(asked: Asked, said: Said) -> dict[str, Any]:
    """The recorded facts of the prompt's turns, in the form that is asked for."""
    field, schema = listed(asked), asked.schema or {}
    assert field is not None, "the way fits"
    inside = items_of(schema, field)
    facts = said.facts(turns_of(asked.data))
    made = [_item(fact, inside, asked) for fact in facts]
    rest = {name: value for name, value in emptiest(schema).items() if name != field}
    if "summary" in rest:
        rest["summary"] = " ".join(fact["text"] for fact in facts)
    return {field: made, **rest}


def _item(fact: Mapping[str, Any], inside: Mapping[str, Form], asked: Asked) -> Any:
    text, speaker = str(fact["text"]), str(fact["speaker"])
    if not inside:
        return text
    subject, link, thing = triple(text, speaker)
    known: dict[str, Any] = {
        **dict.fromkeys(_TEXT, text),
        "turns": [fact["turn"]],
        "source_id": fact["turn"],
        "sources": [fact["turn"]],
        **dict.fromkeys(
            ("attributed_to", "speaker", "about", "person", "head", "subject", "actor"), speaker or subject
        ),
        **dict.fromkeys(("relation", "predicate"), link),
        **dict.fromkeys(("tail", "object"), thing),
        "key": " ".join(terms(thing)[:3]) or link,
        "title": " ".join(terms(thing)[:3]) or link,
        "tags": terms(text)[:3],
        "keywords": terms(text)[:5],
        "linked_memory_ids": like_ids(text, asked.data.get("stored", [])),
        "recalled": like_ids(text, asked.data.get("thoughts", [])),
    }
    if "value" in inside and "text" not in inside and "key" in inside:
        known["value"] = text
    return {
        name: known[name] if name in known else emptiest({"properties": {name: form}})[name]
        for name, form in inside.items()
    }


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


def summarised(asked: Asked, said: Said) -> dict[str, Any]:
    """The recorded summary of a whole session; of a part of one its facts, behind what was summed up before."""
    data = asked.data
    turns = [said.as_said(turn) for turn in turns_of(data)]
    previous = _text_of(data.get("previous") or data.get("summary") or "")
    whole = said.recorded.summary_of(turns) if len(turns) >= 8 else None
    told = whole or " ".join(fact["text"] for fact in said.recorded.facts_of(turns))
    if not told and not whole:
        told = " ".join(str(turn["text"]) for turn in turns)
    most = data.get("max_words", 120)
    text = shortened(f"{previous} {told}", int(most) if isinstance(most, int) else 120)
    return {
        **emptiest(asked.schema or {}),
        **{name: text for name in ("summary", "text", "digest") if name in asked.fields},
    }


# -- decisions ------------------------------------------------------------------------------------------------


def likeness(one: str, other: str) -> float:
    """The share of terms that two texts have in common.

    >>> likeness("Ada plays the cello", "Ada plays chess")
    0.5
    """
    first, second = set(terms(one)), set(terms(other))
    return len(first & second) / len(first | second) if first | second else 0.0


def like_ids(text: str, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of the records whose texts are like a text."""
    return [str(one["id"]) for one in records if likeness(text, _text_of(one)) >= LIKE]


def standing(old: str, new: str) -> str:
    """What a new text is to an old one: "key: value" lines of one key by their values, all others by `relation`."""
    key, colon, value = new.partition(": ")
    before, other_colon, past = old.partition(": ")
    if colon and other_colon and key == before and len(key.split()) < 5:
        return "same" if value == past else "updates"
    return relation(old, new)


def decided(asked: Asked, said: Said) -> dict[str, Any]:
    """For new statements, what each does to the stored ones."""
    memory, touched = [], set[str]()
    for at, new in enumerate(asked.data["new"]):
        text = _text_of(new)
        event, id = "ADD", ""
        for old in asked.data["old"]:
            how = "unrelated" if old["id"] in touched else standing(_text_of(old), text)
            if how != "unrelated":
                id = str(old["id"])
                event = {"same": "NONE", "contradicts": "DELETE"}.get(how, "UPDATE")
                break
        touched.add(id)
        memory.append({"event": event, "id": id, "text": text, "fact": at})
        if event == "DELETE":
            memory.append({"event": "ADD", "id": "", "text": text, "fact": at})
    return {"memory": memory}


_OPERATIONS = {
    "same": "PASS",
    "refines": "REPLACE",
    "updates": "REPLACE",
    "contradicts": "REPLACE",
    "resolves": "DELETE",
}


def compared(asked: Asked, said: Said) -> dict[str, Any]:
    """For a new sentence, what becomes of each old one."""
    new = _text_of(asked.data["new"])
    return {
        "operations": [
            {"id": str(old["id"]), "operation": _OPERATIONS.get(standing(_text_of(old), new), "APPEND")}
            for old in asked.data["old"]
        ]
    }


def slept(asked: Asked, said: Said) -> dict[str, Any]:
    """For stored entries with newer ones, which no longer hold and which are added to."""
    decisions = []
    for target in asked.data["targets"]:
        hows = [(standing(target["text"], newer["text"]), newer["text"]) for newer in target["newer"]]
        if any(how in _ENDING for how, _ in hows):
            decisions.append({"target": target["target"], "action": "delete", "new_memory": ""})
        elif fuller := [text for how, text in hows if how == "refines"]:
            decisions.append({"target": target["target"], "action": "update", "new_memory": fuller[-1]})
    return {"decisions": decisions}


def related(asked: Asked, said: Said) -> dict[str, Any]:
    """How an earlier and a later memory are connected."""
    older, newer = _text_of(asked.data["A"]), _text_of(asked.data["B"])
    how = "Changed" if standing(older, newer) in _ENDING else "SameTopic" if likeness(older, newer) >= LIKE else "None"
    return {"explanation": "", "relation": how}


def evolved(asked: Asked, said: Said) -> dict[str, Any]:
    """Which neighbours a note is linked to; they are described as before."""
    text = _text_of(asked.data["note"])
    linked = [str(one["id"]) for one in asked.data["neighbours"] if likeness(text, _text_of(one)) >= LIKE]
    return {
        "should_evolve": bool(linked),
        "actions": ["strengthen"] if linked else [],
        "suggested_connections": linked,
        "tags_to_update": list(asked.data["note"].get("tags", [])),
        "new_context_neighborhood": [],
        "new_tags_neighborhood": [],
    }


def forgotten(asked: Asked, said: Said) -> dict[str, Any]:
    """The thoughts that a newer one ends."""
    known = asked.data["thoughts"]
    return {
        "remove": [
            str(old["id"])
            for at, old in enumerate(known)
            if any(standing(old["text"], newer["text"]) in _ENDING for newer in known[at + 1 :])
        ]
    }


def joined(asked: Asked, said: Said) -> dict[str, Any]:
    """Of thoughts that say the same, the fuller one in the place of both."""
    merged, gone = [], set[str]()
    known = asked.data["thoughts"]
    for at, old in enumerate(known):
        for newer in known[at + 1 :]:
            if gone.isdisjoint((old["id"], newer["id"])) and standing(old["text"], newer["text"]) in (
                "same",
                "refines",
            ):
                _, link, thing = triple(newer["text"], "")
                ids = [str(old["id"]), str(newer["id"])]
                merged.append({"text": newer["text"], "relation": link, "tail": thing, "replaces": ids})
                gone.update(ids)
    return {"merged": merged}


# -- describing and choosing ----------------------------------------------------------------------------------


def described(asked: Asked, said: Said) -> dict[str, Any]:
    """Keywords, tags, a line of context, a heading, keys: from the words of what is shown, and its recorded facts."""
    turns = turns_of(asked.data)
    shown = " ".join(str(turn["text"]) for turn in turns) or _text_of(dict(asked.data))
    facts = " ".join(fact["text"] for fact in said.facts(turns)) if turns else ""
    frequent = [word for word, _ in Counter(terms(shown)).most_common(8)]
    told = facts or shortened(" ".join(f"{turn['speaker']}: {turn['text']}" for turn in turns) or shown, 40)
    known: dict[str, Any] = {
        "keywords": frequent,
        "tags": frequent[:3],
        "cues": frequent[:2],
        "memory_trace": frequent[:4],
        "questions": [f"What about {word}?" for word in frequent[:2]],
        "context": told,
        "episode": told,
        "summary": told,
        "label": " ".join(frequent[:3]) or "talk",
        "domain": "life",
        "category": frequent[0] if frequent else "talk",
        "personality": told,
        "strategy": "Be friendly.",
        "importance": 5,
    }
    return {name: known.get(name, value) for name, value in emptiest(asked.schema or {}).items()}


def condensed(asked: Asked, said: Said) -> dict[str, Any]:
    """Each note as a fact of its own."""
    return {
        "facts": [
            {
                "key": " ".join(terms(one["text"])[:3]),
                "value": one["text"],
                "type": one.get("type", ""),
                "notes": [str(one["id"])],
            }
            for one in asked.data["notes"]
        ]
    }


def compressed(asked: Asked, said: Said) -> dict[str, Any]:
    """The latest notes that fit, each as it is."""
    section = str(next(iter(asked.data.get("sections") or ["critical context"])))
    left, items = int(asked.data.get("max_tokens", 1000)), []
    for at, one in reversed(list(enumerate(asked.data["notes"]))):
        text = _text_of(one)
        left -= 2 * len(text.split())
        if left < 0:
            break
        number = one.get("note", at) if isinstance(one, Mapping) else at
        items.append({"section": section, "text": text, "notes": [number]})
    return {"items": items[::-1]}


def chosen(asked: Asked, said: Said) -> dict[str, Any]:
    """Which of the numbered texts bear on a question: those that share enough of its terms."""
    wanted = set(terms(_text_of(asked.data["question"])))

    def share(text: str) -> float:
        return len(wanted & set(terms(text))) / len(wanted) if wanted else 0.0

    if "verdicts" in asked.fields:
        return {
            "verdicts": [
                {"chunk": one["chunk"], "is_relevant": share(_text_of(one)) >= 0.34} for one in asked.data["chunks"]
            ]
        }
    if "scores" in asked.fields:
        listed = asked.data["documents"]
        return {
            "scores": [
                {"document": one["document"], "relevance_score": 1 + round(9 * share(_text_of(one)))} for one in listed
            ]
        }
    parts = [
        {"session": one["session"], "parts": [line for line in _sentences(_text_of(one)) if share(line) >= 0.34]}
        for one in asked.data["sessions"]
    ]
    return {"relevant": [one for one in parts if one["parts"]]}


def refined(asked: Asked, said: Said) -> dict[str, Any]:
    """A timeline told step by step."""
    return {"text": " Then: ".join(_text_of(one) for one in asked.data["timeline"])}


def as_asked(asked: Asked, said: Said) -> dict[str, Any]:
    """A question as it stands: about a matter, with nothing to rewrite and no operation to apply."""
    known = {"question": _text_of(asked.data.get("question", "")), "kind": "semantic", "op": "end"}
    known["keywords"] = terms(known["question"])  # type: ignore[assignment]
    return {name: known.get(name, value) for name, value in emptiest(asked.schema or {}).items()}


# -- texts ----------------------------------------------------------------------------------------------------


def shortened(text: str, most: int) -> str:
    """The last sentences of a text that have at most so many words together; of one that is longer, its first words."""
    kept: list[str] = []
    for sentence in reversed(_sentences(text)):
        if kept and sum(len(one.split()) for one in [sentence, *kept]) > most:
            break
        kept.insert(0, sentence)
    return " ".join(" ".join(kept).split()[:most])


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+|\n+", text.strip()) if part]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _text_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value["text"]) if "text" in value else " ".join(map(_text_of, value.values()))
    return " ".join(map(_text_of, value)) if isinstance(value, list) else str(value)


def _asks(*fields: str, shows: Sequence[str] = ()) -> Callable[[Asked], bool]:
    return lambda asked: asked.asks_for(*fields) and asked.shows(*shows)


WAYS: tuple[Way, ...] = (
    Way("update of stored facts", RULED, _asks("memory", shows=("old", "new")), decided),
    Way("operations on old sentences", RULED, _asks("operations", shows=("old", "new")), compared),
    Way("sleep of entries", RULED, _asks("decisions", shows=("targets",)), slept),
    Way("relation of two memories", RULED, _asks("relation", shows=("A", "B")), related),
    Way("links of a note", RULED, _asks("should_evolve", shows=("note", "neighbours")), evolved),
    Way("thoughts to forget", RULED, _asks("remove", shows=("thoughts",)), forgotten),
    Way("thoughts to merge", RULED, _asks("merged", shows=("thoughts",)), joined),
    Way("timeline told", RULED, _asks("text", shows=("timeline",)), refined),
    Way("notes condensed", RULED, _asks("facts", shows=("notes",)), condensed),
    Way("notes compressed", RULED, _asks("items", shows=("notes",)), compressed),
    Way("what bears on a question", RULED, lambda asked: asked.shows("question") and any(asked.asks_for(one) for one in ("verdicts", "scores", "relevant")), chosen),
    Way("question", RULED, lambda asked: asked.shows("question"), as_asked),
    Way("facts of turns", RECORDED, lambda asked: listed(asked) is not None and bool(turns_of(asked.data)), read_out),
    Way("summary of turns", RECORDED, lambda asked: asked.fields in (("summary",), ("text",), ("digest",)) and bool(turns_of(asked.data)), summarised),
    Way("summary of summaries", RULED, lambda asked: asked.fields in (("summary",), ("text",)), summarised),
    Way("description", RULED, lambda asked: any(asked.asks_for(one) for one in ("keywords", "label", "domain", "personality", "importance", "context")), described),
)  # fmt: skip
