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
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ruled
from prompts import Form, Said, emptiest, items_of, like_ids, sentences_in, shortened, text_of, triple, turns_of

from mnemic.systems.draft_shelf import with_line
from mnemic.systems.mem_alpha import is_event
from mnemic.systems.mem_reader import slots_of
from mnemic.testing import Asked, RuleLLM, Script
from mnemic.text.terms import terms

LOCOMO = "locomo/locomo5.json"
RECORDED, RULED, EMPTY = "recorded", "ruled", "empty"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer: for which prompts, with what, and where that comes from."""

    name: str
    origin: str
    fits: Callable[[Asked], bool]
    answer: Callable[[Asked, Said], Any]


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


# -- what was recorded ----------------------------------------------------------------------------------------------

_TEXT = (
    "text",
    "description",
    "fact",
    "sentence",
    "memory",
    "value",
    "content",
    "note",
    "statement",
    "proposition",
    "observation",
)


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
        "entity": speaker or subject,
        "entity_type": "thing",
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


def summarised(asked: Asked, said: Said) -> dict[str, Any]:
    """The recorded summary of a whole session; of a part of one its facts, behind what was summed up before."""
    data = asked.data
    turns = [said.as_said(turn) for turn in turns_of(data)]
    previous = text_of(data.get("previous") or data.get("summary") or "")
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


def entities(asked: Asked, said: Said) -> dict[str, Any]:
    """Who and what the recorded facts are about: subjects and objects as `triple` cuts them."""
    cut = [triple(fact["text"], fact["speaker"]) for fact in said.facts(turns_of(asked.data))]
    names = dict.fromkeys(name for subject, _, thing in cut for name in (subject, thing))
    return {"entities": [{"entity": name, "entity_type": "thing"} for name in names]}


def written(asked: Asked, said: Said) -> dict[str, Any]:
    """The calls that keep the recorded facts of the prompt's turns: what happened is an event, what holds a fact.

    A fact that ends one that is shown takes its place; the core has the facts of which one holds at a time.
    """
    turns = turns_of(asked.data)
    when = {str(turn.get("turn", at)): str(turn.get("time", ""))[:10] for at, turn in enumerate(turns, start=1)}
    calls: list[dict[str, Any]] = []
    touched = set[str]()
    facts = said.facts(turns)
    for fact in facts:
        text = str(fact["text"])
        event = is_event(text)
        kind = "episodic_memory" if event else "semantic_memory"
        known = asked.data.get("semantic", {}).get("items", [])
        ended = next(
            (
                str(one["id"])
                for one in known
                if not event and one["id"] not in touched and ruled.standing(text_of(one), text) in ruled.ENDING
            ),
            None,
        )
        if ended is None:
            day = when.get(str(fact["turn"]), "")
            content = f"{day}: {text}" if event and day else text
            call = {"tool": "new_memory_insert", "memory_type": kind, "content": content}
        else:
            touched.add(ended)
            call = {"tool": "memory_update", "memory_type": kind, "memory_id": ended, "new_content": text}
        calls.append({**call, "turns": [fact["turn"]]})
    core = sentences_in(text_of(asked.data.get("core", "")))
    lasting = [fact for fact in facts if slots_of(str(fact["text"]))]
    for fact in lasting:
        core = with_line(core, str(fact["text"]))
    if lasting:
        told = {"tool": "memory_update", "memory_type": "core_memory", "new_content": " ".join(core)}
        calls.append({**told, "turns": [fact["turn"] for fact in lasting]})
    return {"calls": calls}


def _asks(*fields: str, shows: Sequence[str] = ()) -> Callable[[Asked], bool]:
    return lambda asked: asked.asks_for(*fields) and asked.shows(*shows)


def _asks_any(*fields: str, shows: Sequence[str] = ()) -> Callable[[Asked], bool]:
    return lambda asked: not set(fields).isdisjoint(asked.fields) and asked.shows(*shows)


def _lists(asked: Asked) -> bool:
    return listed(asked) is not None and bool(turns_of(asked.data))


def _tells(asked: Asked) -> bool:
    return asked.fields in (("summary",), ("text",))


WAYS: tuple[Way, ...] = (  # the first that fits answers
    Way("update of stored facts", RULED, _asks("memory", shows=("old", "new")), ruled.decided),
    Way("operations on old sentences", RULED, _asks("operations", shows=("old", "new")), ruled.compared),
    Way("sleep of entries", RULED, _asks("decisions", shows=("targets",)), ruled.slept),
    Way("relation of two memories", RULED, _asks("relation", shows=("A", "B")), ruled.related),
    Way("judgement of two notes", RULED, _asks("relation", shows=("old", "new")), ruled.judged),
    Way("two notes as one", RULED, _asks("text", shows=("memories",)), ruled.resolved),
    Way("scheduling", RULED, _asks_any("trigger_retrieval", "order", "groups"), ruled.scheduled),
    Way("links of a note", RULED, _asks("should_evolve", shows=("note", "neighbours")), ruled.evolved),
    Way("thoughts to forget", RULED, _asks("remove", shows=("thoughts",)), ruled.forgotten),
    Way("thoughts to merge", RULED, _asks("merged", shows=("thoughts",)), ruled.joined),
    Way("entities of facts", RECORDED, _asks("entities", shows=("turns",)), entities),
    Way("edges to retire", RULED, _asks("ids", shows=("edges", "turns")), ruled.retired),
    Way("timeline told", RULED, _asks("text", shows=("timeline",)), ruled.refined),
    Way("notes condensed", RULED, _asks("facts", shows=("notes",)), ruled.condensed),
    Way("notes compressed", RULED, _asks("items", shows=("notes",)), ruled.compressed),
    Way("what bears", RULED, _asks_any("verdicts", "scores", "relevant", shows=("question",)), ruled.chosen),
    Way("question", RULED, lambda asked: asked.shows("question"), ruled.as_asked),
    Way("calls of tools", RECORDED, _asks("calls", shows=("core", "semantic", "turns")), written),
    Way("facts of turns", RECORDED, _lists, read_out),
    Way("summary of turns", RECORDED, lambda asked: _tells(asked) and bool(turns_of(asked.data)), summarised),
    Way("summary of summaries", RULED, _tells, summarised),
    Way("description", RULED, _asks_any(*ruled.DESCRIBED), ruled.described),
)
