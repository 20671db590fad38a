"""Decisions and descriptions by plain rules over the texts that a prompt shows: what no recording has.

Whether a new text ends, repeats or adds to an old one is told by `mnemic.ops.update.relation`; whether two texts are about one
thing, and whether a text bears on a question, by the terms that they share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from prompts import LIKE, Said, emptiest, likeness, sentences_in, shortened, text_of, triple, turns_of

from mnemic.ops.update import relation
from mnemic.testing import Asked
from mnemic.text.terms import terms

ENDING = ("updates", "contradicts")
DESCRIBED = ("keywords", "questions", "label", "domain", "personality", "importance", "context", "thought")


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
        text = text_of(new)
        event, id = "ADD", ""
        for old in asked.data["old"]:
            how = "unrelated" if old["id"] in touched else standing(text_of(old), text)
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
    new = text_of(asked.data["new"])
    return {
        "operations": [
            {"id": str(old["id"]), "operation": _OPERATIONS.get(standing(text_of(old), new), "APPEND")}
            for old in asked.data["old"]
        ]
    }


def slept(asked: Asked, said: Said) -> dict[str, Any]:
    """For stored entries with newer ones, which no longer hold and which are added to."""
    decisions = []
    for target in asked.data["targets"]:
        hows = [(standing(target["text"], newer["text"]), newer["text"]) for newer in target["newer"]]
        if any(how in ENDING for how, _ in hows):
            decisions.append({"target": target["target"], "action": "delete", "new_memory": ""})
        elif fuller := [text for how, text in hows if how == "refines"]:
            decisions.append({"target": target["target"], "action": "update", "new_memory": fuller[-1]})
    return {"decisions": decisions}


def related(asked: Asked, said: Said) -> dict[str, Any]:
    """How an earlier and a later memory are connected."""
    older, newer = text_of(asked.data["A"]), text_of(asked.data["B"])
    how = "Changed" if standing(older, newer) in ENDING else "SameTopic" if likeness(older, newer) >= LIKE else "None"
    return {"explanation": "", "relation": how}


def judged(asked: Asked, said: Said) -> dict[str, Any]:
    """What a stored and a new note are to each other."""
    how = standing(text_of(asked.data["old"]), text_of(asked.data["new"]))
    known = {**dict.fromkeys(ENDING, "contradictory"), **dict.fromkeys(("same", "refines"), "redundant")}
    return {"relation": known.get(how, "independent")}


def resolved(asked: Asked, said: Said) -> dict[str, Any]:
    """Of two notes that contradict or repeat each other, the last one."""
    return {"text": text_of(asked.data["memories"][-1])}


def scheduled(asked: Asked, said: Said) -> dict[str, Any]:
    """What is at hand is enough; notes in the order of the terms that they share with the questions; no groups."""
    wanted = text_of(asked.data.get("queries", ""))
    notes = [one for one in asked.data.get("memories", []) if isinstance(one, dict) and "id" in one]
    order = sorted(notes, key=lambda one: -likeness(text_of(one), wanted))
    known: dict[str, Any] = {"order": [str(one["id"]) for one in order]}
    return {name: known.get(name, value) for name, value in emptiest(asked.schema or {}).items()}


def evolved(asked: Asked, said: Said) -> dict[str, Any]:
    """Which neighbours a note is linked to; they are described as before."""
    text = text_of(asked.data["note"])
    linked = [str(one["id"]) for one in asked.data["neighbours"] if likeness(text, text_of(one)) >= LIKE]
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
            if any(standing(old["text"], newer["text"]) in ENDING for newer in known[at + 1 :])
        ]
    }


def retired(asked: Asked, said: Said) -> dict[str, Any]:
    """The edges that a recorded fact of the turns ends."""
    news = [fact["text"] for fact in said.facts(turns_of(asked.data))]
    edges = {str(one["id"]): text_of(one).replace(" -- ", " ") for one in asked.data["edges"]}
    return {"ids": [id for id, text in edges.items() if any(standing(text, new) in ENDING for new in news)]}


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


def described(asked: Asked, said: Said) -> dict[str, Any]:
    """Keywords, tags, a line of context, a heading, keys: from the words of what is shown, and its recorded facts."""
    turns = turns_of(asked.data)
    shown = " ".join(str(turn["text"]) for turn in turns) or text_of(dict(asked.data))
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
        text = text_of(one)
        left -= 2 * len(text.split())
        if left < 0:
            break
        number = one.get("note", at) if isinstance(one, Mapping) else at
        items.append({"section": section, "text": text, "notes": [number]})
    return {"items": items[::-1]}


def chosen(asked: Asked, said: Said) -> dict[str, Any]:
    """Which of the numbered texts bear on a question: those that share enough of its terms."""
    wanted = set(terms(text_of(asked.data["question"])))

    def share(text: str) -> float:
        return len(wanted & set(terms(text))) / len(wanted) if wanted else 0.0

    if "verdicts" in asked.fields:
        return {
            "verdicts": [
                {"chunk": one["chunk"], "is_relevant": share(text_of(one)) >= 0.34} for one in asked.data["chunks"]
            ]
        }
    if "scores" in asked.fields:
        listed = asked.data["documents"]
        return {
            "scores": [
                {"document": one["document"], "relevance_score": 1 + round(9 * share(text_of(one)))} for one in listed
            ]
        }
    parts = [
        {"session": one["session"], "parts": [line for line in sentences_in(text_of(one)) if share(line) >= 0.34]}
        for one in asked.data["sessions"]
    ]
    return {"relevant": [one for one in parts if one["parts"]]}


def refined(asked: Asked, said: Said) -> dict[str, Any]:
    """A timeline told step by step."""
    return {"text": " Then: ".join(text_of(one) for one in asked.data["timeline"])}


def as_asked(asked: Asked, said: Said) -> dict[str, Any]:
    """A question as it stands: about a matter, with nothing to rewrite and no operation to apply."""
    question = text_of(asked.data.get("question", ""))
    known: dict[str, Any] = {"question": question, "rephrased_query": question, "kind": "semantic", "op": "end"}
    words = terms(question)
    known |= {"keywords": words, "keys": words, "tags": words}
    return {name: known.get(name, value) for name, value in emptiest(asked.schema or {}).items()}
