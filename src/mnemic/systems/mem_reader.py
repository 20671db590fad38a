"""MemReader: what MemOS makes of a dialogue before it stores it, and how it judges two memories that are near each other.

The one idea: a memory is an item with a title (its key), a value that stands alone, tags and a type; two items contradict each
other, one is redundant, or they are independent. Without a model the items are a message's statements: the title of
"bird: emu" is "bird", that of other statements their foremost keyword, and the slots of an item are what can have but one
value at a time, by which what contradicts it is found however little the two look alike.

Card: memos. Source: MemOS, arXiv 2507.03724; the contracts of the calls as in its repository of mid-August 2025.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from mnemic.model import Episode, Record
from mnemic.models.prompt import Asks, Prompt, Shown, numbered, turns
from mnemic.ops.attributes import tags_of
from mnemic.ops.claims import claims_in, content
from mnemic.ops.extract import facts_in
from mnemic.ops.keywords import keywords
from mnemic.ops.update import relation

LONG_TERM, USER = "LongTermMemory", "UserMemory"
Judgement = Literal["contradictory", "redundant", "independent"]

READ = """
You keep a memory of dialogues. "turns" holds a part of one, each turn with a number, a time and a speaker. Write down what is
worth keeping, as items:
- key: a short title of the item. value: what it says, in the third person, complete in itself, with names in the place of
  pronouns and absolute dates in the place of "yesterday".
- memory_type: "UserMemory" for what a speaker is, likes, plans and does; "LongTermMemory" for all else.
- tags: two to five broad words under which it is found. turns: the numbers of the turns it came from.
Only what the turns say, in their language. Nothing for greetings, thanks and questions.
Answer with {"memory_list": [{"key", "memory_type", "value", "tags", "turns"}]}, an empty list for none.
"""
JUDGE = """
"old" is a stored memory, "new" one that was just written. Say what they are to each other:
"contradictory" if both cannot hold, "redundant" if they say the same, "independent" otherwise.
Answer with {"relation": one of the three}.
"""
RESOLVE = """
"memories" holds two notes that contradict or repeat each other, each with a key, the time it was last changed and how sure it
is. Fuse them to one text that keeps what both say, where they agree, and what is newer and surer, where they do not.
Answer with {"text": the fused text}, or {"text": "no"} where they cannot be fused.
"""


@dataclass(frozen=True, slots=True)
class Item:
    """A memory to be written."""

    text: str
    key: str  # its title
    memory_type: str
    tags: tuple[str, ...]
    episodes: tuple[Episode, ...]  # that it came from
    said_at: datetime
    by: str  # "llm" or "offline"
    slots: tuple[str, ...] = ()  # what can have but one value at a time


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """One item, as a model gives it."""

    key: str = ""
    memory_type: str = ""
    value: str = ""
    tags: list[str] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What a model answers to READ."""

    memory_list: list[ItemAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """What a model answers to JUDGE."""

    relation: str = ""


@dataclass(frozen=True, slots=True)
class ResolveAnswer:
    """What a model answers to RESOLVE."""

    text: str = ""


def read(unit: Sequence[Episode], ask: Asks) -> list[Item] | None:
    """The items that a model finds in a part of a dialogue; None where it gave no answer."""
    answer = ask("read", Prompt(READ, {"turns": turns(unit)}), ReadAnswer)
    if answer is None:
        return None
    found: list[Item] = []
    for given in answer.memory_list:
        text = " ".join(given.value.split())[:2000]
        behind = tuple(one for at, one in enumerate(unit, start=1) if at in given.turns)
        if not any(map(str.isalnum, text)) or (given.turns and not behind):
            continue
        behind = behind or tuple(unit)
        kind = USER if given.memory_type.strip() == USER else LONG_TERM
        key = " ".join(given.key.split())[:80] or title_of(text)
        tags = tuple(dict.fromkeys(tag.strip().casefold()[:40] for tag in given.tags if tag.strip()))[:5]
        said_at = max(one.occurred_at for one in behind)
        found.append(Item(text, key, kind, tags, behind, said_at, "llm", slots_of(text)))
    return found


def read_by_rule(episode: Episode, other: str | None = None) -> list[Item]:
    """The items that one message states. other: whom its "you" means."""
    found: list[Item] = []
    facts = facts_in(episode, other)
    if len(facts) == 1 and keyed(episode.text) is not None:
        facts = [replace(facts[0], text=" ".join(episode.text.split()))]  # a line of a table is no clause of somebody's
    for fact in facts:
        claims = claims_in(fact.text)
        kind = USER if any(one.is_single or one.attribute == "attitude" for one in claims) else LONG_TERM
        words = tuple(tags_of(fact.text)) + tuple(
            word.casefold() for word in keywords([fact.text], 3, (episode.speaker,))
        )
        slots = slots_of(fact.text)
        found.append(Item(fact.text, title_of(fact.text), kind, words, (episode,), fact.said_at, "offline", slots))
    return found


def title_of(text: str) -> str:
    """The key of a text: what stands before its colon, else its foremost keyword.

    >>> title_of("water body: lagoon"), title_of("Ann joined a pottery class.")
    ('water body', 'pottery class')
    """
    if (line := keyed(text)) is not None:
        return line[0]
    return next((word.casefold() for word in keywords([text], 1)), "")


def keyed(text: str) -> tuple[str, str] | None:
    """(key, value) of a line such as "bird: emu", in small letters; None for others, also where a sentence has a label.

    >>> keyed("Water body: lagoon"), keyed("Note: Bob is ill"), keyed("Ann has a dog.")
    (('water body', 'lagoon'), None, None)
    """
    match = _KEYED.fullmatch(text.strip())
    if match is None or len(match[2].split()) > _LONGEST_VALUE or _SENTENCE.search(match[2]):
        return None
    key = " ".join(match[1].split()).casefold()
    return None if key in _LABELS else (key, " ".join(match[2].rstrip(" .;,").split()).casefold())


def slots_of(text: str) -> tuple[str, ...]:
    """What the text gives a value to that can have but one at a time.

    >>> slots_of("Ann's sister moved to Rome."), slots_of("bird: emu"), slots_of("Ann has a dog.")
    (('ann/sister|home',), ('bird:',), ())
    """
    if (line := keyed(text)) is not None:
        return (line[0] + ":",)
    claims = [one for one in claims_in(_without_label(text)) if one.is_single]
    return tuple(dict.fromkeys(f"{'/'.join(one.subject)}|{one.attribute}" for one in claims))


def judged(old: Sequence[tuple[Record, float]], new: Record, ask: Asks) -> list[Judgement]:
    """What a new memory is to each of the old ones, which come with their cosines; by rule where the model does not say."""
    prompts = [Prompt(JUDGE, {"old": _one(one), "new": _one(new)}, 64) for one, _ in old]
    answers = ask.many("judge", prompts, JudgeAnswer)
    return [
        judged_by_rule(one.text, new.text, cosine) if answer is None else _judgement(answer.relation)
        for (one, cosine), answer in zip(old, answers, strict=True)
    ]


def judged_by_rule(old: str, new: str, cosine: float | None = None) -> Judgement:
    """What a new text is to an old one, by what they claim.

    >>> judged_by_rule("bird: emu", "bird: kea"), judged_by_rule("Ann has a dog.", "Ann has a cat.")
    ('contradictory', 'independent')
    """
    one, other = keyed(old), keyed(new)
    if one and other:
        if one[0] != other[0]:
            return "independent"
        return "redundant" if one == other else "contradictory"
    found = relation(_without_label(old), _without_label(new), similarity=cosine)
    if found in ("contradicts", "updates", "resolved"):
        return "contradictory"
    return "redundant" if found in ("same", "refines") else "independent"


def says_less(new: str, old: str) -> bool:
    """Whether all that the new text says stands in the old one, and that says more."""
    return content(new) < content(old)


def resolve(memories: Iterable[Record], ask: Asks) -> str | None:
    """The text that two memories are fused to; None where they cannot be."""
    both = list(memories)
    shown = [
        {
            "key": one.data.get("title", ""),
            "text": one.text,
            "background": one.data.get("background", ""),
            "confidence": one.data.get("confidence", 0),
            "updated_at": (one.valid_from or one.recorded_at).isoformat(),
        }
        for one in both
    ]
    sources = tuple(dict.fromkeys(source for one in both for source in one.sources))
    answer = ask("resolve", Prompt(RESOLVE, {"memories": Shown(shown, sources)}, 1024), ResolveAnswer)
    text = " ".join(answer.text.split())[:2000] if answer is not None else ""
    return text if any(map(str.isalnum, text)) and text.casefold().strip(".\"' ") != "no" else None


def _one(record: Record) -> Shown:
    shown = numbered([record])
    return Shown({"time": shown.value[0]["time"], "text": record.text}, shown.sources)


def _judgement(word: str) -> Judgement:
    word = word.strip().casefold()
    if word == "contradictory":
        return "contradictory"
    return "redundant" if word == "redundant" else "independent"


def _without_label(text: str) -> str:
    """The sentence behind "Note: …"; the text itself where it is a line of a table, or has none."""
    match = _KEYED.fullmatch(text.strip())
    return match[2] if match is not None and keyed(text) is None else text


_LONGEST_VALUE = 6  # words
_KEYED = re.compile(r"([^\W\d_][^:.!?\n]{0,58}?)\s*:\s+(\S.*)", re.DOTALL)
_SENTENCE = re.compile(
    r"(?i)\b(?:i|we|he|she|it|they|you|thanks|thank)\b|(?<=\w )(?:is|are|was|were|am|has|have|had)\b|[\w)][.!?]\s|[!?]$"
)
_LABELS = frozenset(
    "note notes update reminder warning question answer todo fyi edit ps re summary example tip system user assistant".split()
)
