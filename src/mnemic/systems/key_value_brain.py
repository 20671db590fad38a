"""Key-value memory: what finds a memory is kept apart from what is remembered.

The one idea: a key serves to tell memories apart, a value to keep one faithfully, and they need not look alike. The values are
the episodes, untouched; each has several keys, written as the questions it answers, the cues that should bring it to mind and
its keywords. A cue is compared with keys alone, and keys compete by a separation function. What was helpful teaches the keys:
they move towards the cues that should find them and away from those of others, while the values stay.
Source: Gershman, Fiete and Irie, Key-value memory in the brain, arXiv 2501.02950: a review, whose formulas are `ops.keys`.

Departs, as the card of this file says in full: a value's score is its share of attention on the scale of cosines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, turns
from mnemic.ops.answers import is_question
from mnemic.ops.extract import facts_in
from mnemic.ops.keys import Separation, learned
from mnemic.ops.keywords import keywords
from mnemic.ops.triples import triples_in
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import Feedback, feedback_in, heard
from mnemic.systems.made import Scored
from mnemic.systems.nearest_first import CANDIDATES, hits_of_nearest
from mnemic.systems.units import episode_at
from mnemic.systems.view import View
from mnemic.text.terms import terms

ID = "key-value-brain"
KEYS = """
You write the keys under which a memory will be found; the memory itself is kept as it is and need not be repeated. "memory" is
one turn of a conversation; "before" is the turn before it, where there is one, so that you know what it answers.
- questions: up to three questions, each complete in itself with names in the place of pronouns, that this turn answers.
- cues: up to two situations or thoughts, in a few words each, in which it should come to mind.
- keywords: up to five words or names that tell it from other memories.
Answer with {"questions": […], "cues": […], "keywords": […]}.
"""
KEY, VALUE = "key", "value"
TEACHING = ("helpful", "used")  # verdicts that say what a cue should have found
_LONGEST = 300  # characters of a key
_QUESTIONS, _CUES, _KEYWORDS = 3, 2, 5


@dataclass(frozen=True, slots=True)
class Params:
    """What the key-value memory can be told. The source is a review and gives no figures: they are ours."""

    separation: Separation = "softmax"  # how keys compete: "linear", "softmax" or "max"
    beta: float = 20.0  # how sharply they do under "softmax"
    most_keys: int = 6  # of one value
    pattern_separation: float = 0.0  # the share that a new key loses of what it has in common with confusable ones
    learning_rate: float = 0.05  # of keys, from one teaching episode; 0 learns nothing
    learning_beta: float = 10.0  # how sharply keys compete while they learn
    confusable: int = 8  # nearest keys of other values from which a key is separated

    def __post_init__(self) -> None:
        if self.separation not in ("linear", "softmax", "max"):
            raise ParameterError(f"separation={self.separation!r}: it is 'linear', 'softmax' or 'max'.")
        if not self.beta > 0.0 or not self.learning_beta > 0.0 or not self.learning_rate >= 0.0:
            raise ParameterError(
                f"beta={self.beta}, learning_beta={self.learning_beta}, learning_rate={self.learning_rate}: "
                "give a beta above 0 and a rate of 0 or more."
            )
        if not 0.0 <= self.pattern_separation <= 1.0 or self.most_keys < 1 or self.confusable < 1:
            raise ParameterError(
                f"pattern_separation={self.pattern_separation}, most_keys={self.most_keys}, "
                f"confusable={self.confusable}: give a share between 0 and 1, and 1 or more of the others."
            )


@dataclass(frozen=True, slots=True)
class KeysAnswer:
    """What a model answers to KEYS."""

    questions: list[str] = field(default_factory=list)
    cues: list[str] = field(default_factory=list)
    keywords: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Key:
    """What finds a value, before it is a record."""

    form: str  # "question", "cue" or "keywords"
    text: str
    sources: tuple[str, ...]


class KeyValueBrain(MemorySystem):
    """Episodes found by keys of their own."""

    card = Card(
        id=ID,
        title="Key-value view of memory",
        year=2025,
        family="analysis",
        summary="Each episode is kept as it is and found by several keys: questions, cues and keywords, which learn from use.",
        source="Key-value memory in the brain, arXiv 2501.02950",
        needs=("embedder", "llm"),
        makes=(KEY, VALUE),
        cost="one call for each episode, which writes its keys; all of a batch side by side; none in a recall",
        flow="E[episode] --> V[value, untouched]\nE --> W[questions, cues, keywords]\nW --> K[keys]\nK -.-> V\n"
        "Q[cue] --> S[separation over keys]\nK --> S\nS --> H[values by their share]\nH --> F[feedback]\n"
        "F -->|towards the cue, others away| K",
        departures=(
            "Values come back one by one, ranked by the sum of their keys' weights, and not as a mixture: a sum of "
            "texts is none.",
            "Under softmax a value's score is log(sum of exp(beta·cosine) over its keys / most_keys) / beta: in the "
            "order of its share of the attention, on the scale of cosines, so that it does not shrink as other "
            "memories come in. Under linear it is the sum of its keys' cosines over most_keys; under max only the "
            "value of the best key is found, of those that the cue's filters let through.",
            "The projection of keys is the embedder's; what learns are the keys themselves, by one contrastive step "
            "for each feedback that says that memories were helpful or used. The cue of it is the feedback's note, "
            "else the last turn of a user before it.",
            "A key that has learned is another record, and the old one is retired, so that a recall as of an earlier "
            "time finds with the keys of that time.",
            "Without a model a turn's keys are its keywords, the question that it answers, and its statements with "
            "their subject or object left open. Only a turn that gives none of these is found by its own words.",
            "That linear keys have a small capacity and exponential ones a large one is shown on random vectors; "
            "embedded texts are far from random.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        said = heard(episodes)
        read = self._read(said, _before(said, draft.state.get("last"), view), view)
        asked: Episode | None = None
        for episode in episodes:
            feedback = feedback_in(episode)
            if feedback is not None and feedback.verdict in TEACHING and self.params.learning_rate > 0.0:
                self._learn(draft, feedback, asked or episode_at(draft.state.get("asked"), view), episode, view)
            elif episode.id in read:  # in the order of the log: what is taught moves the keys that there are
                self._write(draft, episode, read[episode.id])
                asked = episode if episode.role == "user" else asked
        if asked is not None:
            draft.state["asked"] = asked.seq
        if said:
            draft.state["last"] = said[-1].seq
        return draft.changes()

    def _read(
        self, said: Sequence[Episode], before: Sequence[Episode | None], view: View
    ) -> dict[str, tuple[list[Key], Sequence[NDArray[np.float32]], str]]:
        """Of each episode the keys that find it, their vectors, and which path made them."""
        prompts = [_prompt(one, other) for one, other in zip(said, before, strict=True)]
        answers = view.ask.many("keys", prompts, KeysAnswer)
        found: dict[str, tuple[list[Key], str]] = {}
        for one, other, answer in zip(said, before, answers, strict=True):
            keys = _given(answer, one, other) if answer is not None else []
            found[one.id] = (keys or keys_of(one, other))[: self.params.most_keys], "llm" if keys else "offline"
        vectors = iter(view.embed([key.text for keys, _ in found.values() for key in keys]))
        return {id: (keys, [next(vectors) for _ in keys], path) for id, (keys, path) in found.items()}

    def _write(
        self, draft: Draft, episode: Episode, read: tuple[list[Key], Sequence[NDArray[np.float32]], str]
    ) -> None:
        """A value for an episode, and the keys that find it."""
        keys, vectors, path = read
        value = _value(episode, len(keys), path, episode.scope)
        draft.put(value, embed=False)
        for number, (key, vector) in enumerate(zip(keys, vectors, strict=True)):
            draft.put(_key(value, number, key, path), vector=self._separated(draft, vector, value.id))

    def _separated(self, draft: Draft, vector: NDArray[np.float32], value: str) -> NDArray[np.float32]:
        if self.params.pattern_separation == 0.0:
            return vector
        near = draft.nearest(vector, self.params.confusable, kinds=(KEY,), where=lambda one: one.data["value"] != value)
        others = [found for one, _ in near if (found := draft.vector(one.id)) is not None]
        return separate(vector, others, self.params.pattern_separation)

    def _learn(self, draft: Draft, feedback: Feedback, asked: Episode | None, episode: Episode, view: View) -> None:
        """Move the keys of what was helpful towards its cue, and those that it could be confused with away."""
        text = feedback.note or (asked.text if asked is not None else "")
        named = [value.id for id in dict.fromkeys(feedback.ids) if (value := _value_named(draft, id)) is not None]
        if not text.strip() or not named:
            return
        cue = view.embed([text])[0]
        best = [_nearest_key(draft, value, cue) for value in named]
        others = draft.nearest(
            cue, self.params.confusable, kinds=(KEY,), where=lambda one: one.data["value"] not in named
        )
        keys = [one for one in best if one is not None] + [one for one, _ in others]
        vectors = np.stack([vector for one in keys if (vector := draft.vector(one.id)) is not None])
        hits = list(range(len(keys) - len(others)))
        told = learned(vectors, cue[None], [hits], rate=self.params.learning_rate, beta=self.params.learning_beta)
        behind = (episode.id,) if feedback.note or asked is None else (asked.id, episode.id)
        for one, old, new in zip(keys, vectors, told.astype(np.float32), strict=True):
            if float(np.abs(new - old).max()) > 1e-3:  # what the store's rounding would not keep is no change
                draft.retire(one.id, episode.recorded_at)
                draft.put(_next(one, behind, episode.recorded_at), vector=new)

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        wanted = replace(cue, limit=1) if self.params.separation == "max" else cue

        def hits_among(keys: Sequence[Scored]) -> list[Hit]:
            found = attended(keys, self.params)
            notes = {
                value: (Reason("key", score, 1.0, f"{best.data['form']}: {best.text}"),) for value, score, best in found
            }
            ranked = [(made.records[value], score) for value, score, _ in found if value in made.records]
            return view.record_hits(ranked, wanted, lambda record, _: notes[record.id])

        if vector is None:
            words = made.words(terms(cue.text), kinds=(KEY,), as_of=cue.as_of)
            return hits_among([(made.records[id], score) for id, score in words.items()])
        if self.params.separation == "linear":  # where each key adds to its value's score, however far it is
            return hits_among(made.scores(vector, kinds=(KEY,), as_of=cue.as_of))
        first = max(CANDIDATES, 20 * cue.limit)  # further keys of what these find would add next to nothing
        return hits_of_nearest(vector, wanted, view, (KEY,), hits_among, first=first)


# -- formulas -------------------------------------------------------------------------------------------------


def attended(keys: Sequence[tuple[Record, float]], params: Params) -> list[tuple[str, float, Record]]:
    """(value, its score in [0, 1], its best key) for keys with their cosines, in the order of the values' shares of attention."""
    of: dict[str, list[tuple[Record, float]]] = {}
    for record, similarity in sorted(keys, key=lambda one: (-one[1], one[0].id)):
        of.setdefault(record.data["value"], []).append((record, similarity))
    found = [
        (value, pooled([similarity for _, similarity in own], params), own[0][0], own[0][1])
        for value, own in of.items()
    ]
    found.sort(key=lambda one: (-one[1], -one[3], one[0]))
    return [(value, score, best) for value, score, best, _ in found]


def pooled(similarities: Sequence[float], params: Params) -> float:
    """What a value's keys say of it together, in [0, 1]; the best one alone under "max".

    >>> pooled([0.5], Params(most_keys=1)), pooled([0.4, 0.2], Params(separation="linear", most_keys=2))
    (0.5, 0.30000000000000004)
    """
    if params.separation == "max":
        score = max(similarities)
    elif params.separation == "linear":
        score = math.fsum(similarities) / params.most_keys
    else:
        best = max(similarities)
        total = math.fsum(math.exp(params.beta * (one - best)) for one in similarities)
        score = best + math.log(total / params.most_keys) / params.beta
    return min(max(score, 0.0), 1.0)


def separate(
    vector: NDArray[np.float32], others: Sequence[NDArray[np.float32]], strength: float
) -> NDArray[np.float32]:
    """[d] a unit vector without a share of what it has in common with others: along the direction of their mean.

    strength: 0 leaves it as it is, 1 makes it orthogonal to the mean.
    """
    if not others or strength == 0.0:
        return vector
    mean = np.mean(np.stack(others).astype(np.float64), axis=0)
    wide = vector.astype(np.float64)
    length = float(np.sqrt(np.einsum("d,d->", mean, mean)))
    if length < 1e-9:
        return vector
    along = mean / length
    apart = wide - strength * float(np.einsum("d,d->", wide, along)) * along
    size = float(np.sqrt(np.einsum("d,d->", apart, apart)))
    return vector if size < 1e-6 else (apart / size).astype(np.float32)


# -- keys -----------------------------------------------------------------------------------------------------


def keys_of(episode: Episode, before: Episode | None = None) -> list[Key]:
    """Without a model: the question that a turn answers, its keywords, and its statements with one end left open."""
    own = (episode.id,)
    found: list[Key] = []
    if _answers(episode, before) and before is not None:
        found.append(Key("question", before.text[:_LONGEST], (before.id, episode.id)))
    speakers = [episode.actor] if episode.actor else []
    if words := keywords([episode.text], _KEYWORDS, speakers):
        found.append(Key("keywords", ", ".join([*speakers, *words])[:_LONGEST], own))
    for triple in [one for fact in facts_in(episode) for one in triples_in(fact.text)]:
        found.append(Key("question", f"{triple.subject} {triple.relation} what?"[:_LONGEST], own))
        found.append(Key("question", f"who {triple.relation} {triple.object}?"[:_LONGEST], own))
    return _once(found) or [Key("cue", episode.text[:_LONGEST], own)]


def _given(answer: KeysAnswer, episode: Episode, before: Episode | None) -> list[Key]:
    """The keys that a model wrote, as far as they say anything."""
    behind = (episode.id,) if before is None else (before.id, episode.id)
    found = [Key("question", text, behind) for text in _clean(answer.questions)[:_QUESTIONS]]
    found += [Key("cue", text, behind) for text in _clean(answer.cues)[:_CUES]]
    words = _clean(answer.keywords)[:_KEYWORDS]
    found[1:1] = [Key("keywords", ", ".join(words)[:_LONGEST], behind)] if words else []
    return _once(found)


def _answers(episode: Episode, before: Episode | None) -> bool:
    if before is None or before.session != episode.session or before.speaker == episode.speaker:
        return False
    return is_question(before.text.strip().splitlines()[-1])


def _once(keys: Sequence[Key]) -> list[Key]:
    first = {key.text.casefold(): key for key in reversed(keys)}
    return [first[text] for text in dict.fromkeys(key.text.casefold() for key in keys)]


def _clean(texts: Sequence[str]) -> list[str]:
    tidy = (" ".join(text.split())[:_LONGEST] for text in texts)
    return [text for text in dict.fromkeys(tidy) if any(map(str.isalnum, text))]


def _prompt(episode: Episode, before: Episode | None) -> Prompt:
    data = {"memory": turns([episode])}
    return Prompt(KEYS, {**data, **({"before": turns([before])} if before is not None else {})}, max_tokens=512)


# -- records --------------------------------------------------------------------------------------------------


def value_id(episode: str) -> str:
    """The id of the value that an episode is."""
    return record_id(ID, VALUE, episode)


def _value(episode: Episode, n_keys: int, path: str, scope: str) -> Record:
    return Record(
        id=value_id(episode.id),
        system=ID,
        scope=scope,
        kind=VALUE,
        text=episode.text,
        sources=(episode.id,),
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data={"speaker": episode.speaker, "keys": n_keys, BY: path},
    )


def _key(value: Record, number: int, key: Key, path: str) -> Record:
    data: dict[str, Any] = {"value": value.id, "form": key.form, "number": number, "version": 0, BY: path}
    return Record(
        id=_key_id(value.id, number, 0),
        system=ID,
        scope=value.scope,
        kind=KEY,
        text=key.text,
        sources=key.sources,
        recorded_at=value.recorded_at,
        valid_from=value.valid_from,
        data=data,
    )


def _key_id(value: str, number: int, version: int) -> str:
    return record_id(ID, KEY, value, str(number), str(version))


def _next(key: Record, behind: Sequence[str], at: datetime) -> Record:
    """The key as it is after it has learned."""
    data: Mapping[str, Any] = key.data
    version = data["version"] + 1
    return replace(
        key,
        id=_key_id(data["value"], data["number"], version),
        sources=tuple(dict.fromkeys((*key.sources, *behind))),
        recorded_at=at,
        data={**data, "version": version, "previous": key.id},
    )


def _value_named(draft: Draft, id: str) -> Record | None:
    """The value that an id means: its own, its episode's, or a key's."""
    record = draft.get(id) or draft.get(value_id(id))
    return draft.get(record.data["value"]) if record is not None and record.kind == KEY else record


def _nearest_key(draft: Draft, value: str, cue: NDArray[np.float32]) -> Record | None:
    """The current key of a value that is most like the cue."""
    record = draft.get(value)
    best: tuple[float, Record] | None = None
    for number in range(record.data["keys"] if record is not None else 0):
        version = 0
        while (key := draft.get(_key_id(value, number, version))) is not None and key.retired_at is not None:
            version += 1
        vector = draft.vector(key.id) if key is not None else None
        if key is not None and vector is not None:
            cosine = float(products(vector[None], cue)[0])
            if best is None or cosine > best[0]:
                best = cosine, key
    return best[1] if best is not None else None


# -- the log --------------------------------------------------------------------------------------------------


def _before(said: Sequence[Episode], last: int | None, view: View) -> list[Episode | None]:
    """For each episode the one that was heard before it."""
    return [episode_at(last, view), *said[:-1]] if said else []
