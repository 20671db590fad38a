"""MARK: three agents refine what was said into memories, and feedback says which of them to trust.

The one idea: a conversation holds three kinds of things that the next one needs: insights about the field that stay when the
talk is over (residual), what the user stated or meant by a term, and the key elements of answers. Each is taken out by an agent
of its own; near copies are merged, what is contradicted goes; and a question gets the best of each, by likeness, by how lately
and how often they were used, and by trust.

Card: mark. Source: Ganguli et al., MARK: Memory Augmented Refinement of Knowledge, arXiv 2505.05177.
Departs: see `Mark.card.departures`; the paper gives no formulas, so all numbers are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, numbered, turns
from mnemic.ops.claims import Claim, claims_in, verdict
from mnemic.ops.decay import days, persistence
from mnemic.ops.extract import LONGEST_FACT, entities_of, facts_in
from mnemic.ops.repeats import content_hash, has_number
from mnemic.ops.repeats import turns as turns_round
from mnemic.ops.summarise import central
from mnemic.ops.update import superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Made, Vector
from mnemic.systems.open_units import Ledger
from mnemic.systems.units import closed_units, is_new_session, open_session_after, open_unit
from mnemic.systems.uses import Use, best_first, note_use, uses_of
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import normalised, terms

ID = "mark"
RESIDUAL, QUESTION, RESPONSE = "residual", "user_question", "llm_response"
TYPES = (RESIDUAL, QUESTION, RESPONSE)
CONFIRMED = "confirmed"  # the kind of link from a memory to an episode that says it again
PRIOR = {QUESTION: 0.7, RESIDUAL: 0.5, RESPONSE: 0.2}  # trust before anybody said anything of a memory
_PRIOR_WEIGHT = 2.0  # as many verdicts as the prior counts for
_GOOD = {"helpful": 1.0, "used": 0.5}
_BAD = {"unhelpful": 1.0, "wrong": 4.0}
_ENDING = ("contradicts", "updates", "resolved")
_NEAR = 4  # memories that a new one is compared with
_AFTERWARDS = timedelta(microseconds=1)  # what is made of an open conversation is known after its last message

_FRAME = """
"turns" holds a conversation; each turn has a number, a time, a speaker and a text. "memories" holds what is remembered of this
kind already, so that you need not say it again. %s
Each memory is one sentence that can be understood alone, with names, numbers and dates as they were given. Conclude nothing, and
give none where there is nothing. "turns" of a memory are the numbers of the turns that it comes from; "term" is the abbreviation
or term that it explains, "" for none.
Answer with {"memories": [{"text": the sentence, "turns": [numbers], "term": text}]}.
"""
TASKS = {
    RESIDUAL: _FRAME
    % "Write down insights about the field that hold beyond this conversation: rules, causes, how things are done.",
    QUESTION: _FRAME
    % "Write down what the user stated: facts, needs, corrections, and what terms and abbreviations mean to them.",
    RESPONSE: _FRAME % "Write down the key elements of the assistant's answers, on which a later answer could build.",
}


@dataclass(frozen=True, slots=True)
class Params:
    """The paper names no values: all of these are ours."""

    gap_minutes: float = 30.0  # silence that ends a conversation
    max_turns: int = 40  # that an agent reads at once
    top_k: int = 10  # memories of each type that are recalled
    types: tuple[str, ...] = TYPES  # that are recalled
    meaning: float = 0.6  # weights of likeness alone, of persistence, and of trust, which sum to 1
    persistence: float = 0.2
    trust: float = 0.2
    recency_weight: float = 1.0  # w_r and w_f of persistence = w_r·exp(-age / h) + w_f·ln(1 + uses)
    use_weight: float = 1.0
    stability_days: float = 30.0  # h
    near_cosine: float = 0.2  # from which a memory is near enough to a new one to be compared with it
    merge_cosine: float = 0.95  # from which two memories of a type are one
    trust_margin: float = 0.25  # by which an older memory must be trusted more to stand against a newer one
    archive_below: float = 0.25  # trust under which a memory that feedback speaks against is recalled no more
    require_feedback: bool = True  # whether key elements of answers are recalled only where feedback speaks for them

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", tuple(self.types))
        for name in ("gap_minutes", "max_turns", "top_k", "stability_days"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name}={getattr(self, name)}: give more than 0.")
        if unknown := [one for one in self.types if one not in TYPES]:
            raise ParameterError(f"types={unknown}: there are {', '.join(TYPES)}.")
        weights = (self.meaning, self.persistence, self.trust)
        if min(weights) < 0.0 or abs(sum(weights) - 1.0) > 1e-6:
            raise ParameterError(
                f"meaning, persistence and trust are {weights}: give weights of 0 or more that sum to 1."
            )
        if min(self.recency_weight, self.use_weight) < 0.0:
            raise ParameterError("recency_weight and use_weight: give 0 or more.")


@dataclass(frozen=True, slots=True)
class MemoryAnswer:
    """A memory, as an agent gives it."""

    text: str = ""
    turns: list[int] = field(default_factory=list)
    term: str = ""


@dataclass(frozen=True, slots=True)
class MemoriesAnswer:
    """What an agent answers."""

    memories: list[MemoryAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refined:
    """A memory before it is compared with others."""

    kind: str
    text: str
    said: tuple[Episode, ...]  # the turns that it comes from
    path: str
    term: str = ""


class Mark(MemorySystem):
    """Refined memories of three types, with persistence and trust."""

    card = Card(
        id=ID,
        title="MARK",
        year=2025,
        family="conversation",
        summary="Three agents refine talk into insights, user statements and key elements of answers; feedback earns trust.",
        source="MARK: Memory Augmented Refinement of Knowledge, arXiv 2505.05177",
        needs=("embedder", "llm"),
        makes=TYPES,
        cost="Three calls for each conversation, or for each 40 turns of a longer one; none in a recall.",
        flow=(
            "E[conversation ends] --> R[agent: residual insights]\nE --> U[agent: what the user stated]\n"
            "E --> L[agent: key elements of answers]\nR --> M[merge copies, settle contradictions]\nU --> M\nL --> M\n"
            "M --> S[refined memories]\nF[feedback] --> T[trust and persistence]\nT --> S\n"
            "Q[cue, terms resolved] --> K[top k of each type: likeness x scores]\nS --> K"
        ),
        departures=(
            "The paper gives no formulas. Persistence is w_r·exp(-age/h) + w_f·ln(1 + uses), squashed by p/(1 + "
            "p); trust is a share "
            "of good verdicts with a prior by type: what the user said 0.7, insights 0.5, answers 0.2.",
            "A memory made of the assistant's turns alone is one of answers, whichever agent gave it; it needs "
            "the turns that it came "
            "from, and it is recalled only where feedback on it or on that turn speaks for it, so that no "
            "invention feeds itself.",
            "A contradicted memory is retired, unless it is trusted more by a margin: then the newer one is not kept. Nothing is "
            "dropped for age; what feedback speaks against is recalled no more.",
            "A copy is a dated link to the memory that it confirms; it changes no record, so that an earlier "
            "time can be asked about.",
            "A conversation ends with a silence or another session; in consolidate the open one is refined for "
            "now, and taken back "
            "when more is observed.",
            "A term that the cue uses is resolved before the search, by the explanation that was remembered.",
            "A memory's user is its scope; its uses, trust and persistence are counted from feedback when it is recalled.",
            "A memory names the turns that it comes from, not all that its agent saw in the same call.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()
        self._gap = timedelta(minutes=self.params.gap_minutes)

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        _taken_back(draft)
        closed = closed_units(view, draft, episodes, is_new_session(self._gap))
        builder, ledger = _Builder(view, self.params), Ledger(draft)
        closings = {closing.seq: (unit, closing) for unit, closing in closed}
        for one in episodes:  # feedback counts for what closes after it
            note_use(draft, one, ID)
            if one.seq in closings:
                unit, closing = closings[one.seq]
                builder.refine(unit, closing.recorded_at, ledger)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        draft = view.draft()
        _taken_back(draft)
        if unit := open_unit(view, draft):
            ledger = Ledger(draft)
            _Builder(view, self.params).refine(unit, unit[-1].recorded_at + _AFTERWARDS, ledger, is_provisional=True)
            if noted := ledger.noted():
                draft.state["open"] = noted
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        explained = _explained(cue, view)
        text = " ".join([cue.text, *(one.text for one in explained)])
        vector = view.query_vector(cue, text)
        likeness = _likeness(cue, view, vector, text)
        likeness |= {one.id: 1.0 for one in explained}
        scores: dict[str, tuple[float, float]] = {}  # persistence and trust
        for id in likeness:
            record = view.made.records[id]
            uses = uses_of(view.made, [record.id, *record.sources], cue)
            scores[id] = _squashed(_persistence(record, uses, view.made, cue, self.params)), trust_of(record, uses)
            is_spoken_for = any(use.verdict in _GOOD for use in uses)
            if (record.kind == RESPONSE and self.params.require_feedback and not is_spoken_for) or (
                scores[id][1] < self.params.archive_below and any(use.verdict in _BAD for use in uses)
            ):
                del scores[id]
        p, terms_of = self.params, {one.id for one in explained}

        def score(id: str) -> float:
            lasting, trust = scores[id]
            return likeness[id] * (p.meaning + p.persistence * lasting + p.trust * trust)

        def why(record: Record, _: float) -> tuple[Reason, ...]:
            near, (lasting, trust) = likeness[record.id], scores[record.id]
            signal = "term" if record.id in terms_of else "meaning"
            return (
                Reason(signal, near, p.meaning),
                Reason("persistence", lasting, near * p.persistence),
                Reason("trust", trust, near * p.trust),
            )

        hits: list[Hit] = []
        for kind in p.types:
            ranked = sorted(
                (id for id in scores if view.made.records[id].kind == kind), key=lambda id: (-score(id), id)
            )
            wanted = replace(cue, limit=min(cue.limit, p.top_k))
            hits += view.record_hits(((view.made.records[id], score(id)) for id in ranked), wanted, why)
        return best_first([*hits, *view.tail_hits(cue, after=open_session_after(view, cue, self._gap))], cue)


# -- scores ---------------------------------------------------------------------------------------------------


def trust_of(record: Record, uses: Sequence[Use]) -> float:
    """In [0, 1]: the share of good verdicts on a memory, with its type's prior for two."""
    good = sum(_GOOD.get(use.verdict, 0.0) for use in uses)
    bad = sum(_BAD.get(use.verdict, 0.0) for use in uses)
    return (PRIOR[record.kind] * _PRIOR_WEIGHT + good) / (_PRIOR_WEIGHT + good + bad)


def _persistence(record: Record, uses: Sequence[Use], made: Made, cue: Cue, params: Params) -> float:
    confirmed = [
        link
        for link in made.links_of(record.id)
        if link.kind == CONFIRMED and (cue.as_of is None or link.recorded_at <= cue.as_of)
    ]
    moments = [use.at for use in uses if use.is_recall]
    said_again = [datetime.fromisoformat(link.data["at"]) for link in confirmed]
    moments += [at for at in said_again if at <= cue.asked_at]
    latest = max([record.valid_from or record.recorded_at, *moments])
    return persistence(
        max(days(cue.asked_at) - days(latest), 0.0),
        len(moments),
        stability_days=params.stability_days,
        recency_weight=params.recency_weight,
        use_weight=params.use_weight,
    )


def _squashed(value: float) -> float:
    return value / (1.0 + value)


# -- recall ---------------------------------------------------------------------------------------------------


def _explained(cue: Cue, view: View) -> list[Record]:
    """The explanations of terms that stand in the cue, in the order of their ids."""
    asked = f" {normalised(cue.text)} "
    found = [
        one
        for one in view.made.current([QUESTION], cue.as_of)
        if (term := one.data.get("term")) and f" {normalised(str(term))} " in asked
    ]
    return sorted(
        (one for one, is_seen in zip(found, view.sees(found, cue), strict=True) if is_seen), key=lambda one: one.id
    )


def _likeness(cue: Cue, view: View, vector: Vector | None, text: str) -> dict[str, float]:
    if vector is None:
        return view.made.words(terms(text), kinds=TYPES, as_of=cue.as_of)
    scored = view.made.scores(vector, kinds=TYPES, as_of=cue.as_of)
    return {record.id: min(cosine, 1.0) for record, cosine in scored if cosine > 0.0}


# -- building -------------------------------------------------------------------------------------------------


def _taken_back(draft: Draft) -> None:
    """Undo what was made of a conversation that may still go on."""
    if noted := draft.state.pop("open", None):
        Ledger.of(draft, noted).take_back()


class _Builder:
    """Makes memories of conversations."""

    def __init__(self, view: View, params: Params) -> None:
        self._view, self._params = view, params
        self._claims: dict[str, list[Claim]] = {}  # by text, for as long as this observation lasts

    def refine(self, unit: Sequence[Episode], at: datetime, ledger: Ledger, *, is_provisional: bool = False) -> None:
        """Take in a conversation, which becomes known at that moment."""
        size = self._params.max_turns
        for piece in (unit[start : start + size] for start in range(0, len(unit), size)):
            found = self._refined(piece, ledger.draft)
            vectors = self._view.embed([one.text for one in found])
            for one, vector in zip(found, vectors, strict=True):
                self._add(one, vector, at, ledger, is_provisional)

    def _refined(self, piece: Sequence[Episode], draft: Draft) -> list[Refined]:
        answers: list[MemoriesAnswer | None] = [None] * len(TYPES)
        if not isinstance(self._view.ask, NoModel):
            vector = self._view.embed([" ".join(one.text for one in piece)])[0]
            prompts = [
                Prompt(
                    TASKS[kind],
                    {
                        "turns": turns(piece),
                        "memories": numbered(one for one, _ in draft.nearest(vector, self._params.top_k, kinds=[kind])),
                    },
                )
                for kind in TYPES
            ]
            answers = self._view.ask.many("refine", prompts, MemoriesAnswer)
        found: dict[tuple[str, int], Refined] = {}
        for kind, answer in zip(TYPES, answers, strict=True):
            for one in by_rule(kind, piece) if answer is None else _checked(kind, answer, piece):
                found.setdefault((one.kind, content_hash(one.text)), one)
        return list(found.values())

    def _add(self, new: Refined, vector: Vector, at: datetime, ledger: Ledger, is_provisional: bool) -> None:
        """Keep a memory, merge it with its copy, or settle whom to believe."""
        draft, sources = ledger.draft, tuple(one.id for one in new.said)
        said_at = max(one.occurred_at for one in new.said)
        is_correction = any(one.supersedes for one in new.said)
        near = draft.nearest(vector, _NEAR, kinds=TYPES, floor=self._params.near_cosine)
        ended = [old for old, cosine in near if self._is_ended(old.text, new.text, cosine)]
        if any(_believes(draft, old) - PRIOR[new.kind] > self._params.trust_margin for old in ended):
            return
        copies = [
            old for old, cosine in near if old not in ended and old.kind == new.kind and self._is_copy(old, new, cosine)
        ]
        if is_correction:  # what it corrects may be all that stands behind its copy
            ended, copies = [*ended, *copies], []
        for old in ended:
            ledger.retire(old.id, at, superseded(old, said_at).valid_to)
        if copies:
            self._confirm(copies[0], new, at, ledger)
            return
        id = record_id(ID, new.kind, new.text, *sources)
        if draft.get(id) is not None:
            return
        data: dict[str, object] = {"key": ended[0].data["key"] if ended else id, BY: new.path}
        data |= {"previous": ended[0].id} if ended else {}
        data |= {"term": new.term} if new.term else {}
        data |= {"provisional": True} if is_provisional else {}
        record = Record(
            id=id,
            system=ID,
            scope=self._view.scope,
            kind=new.kind,
            text=new.text,
            sources=sources,
            recorded_at=at,
            valid_from=said_at,
            data=data,
        )
        ledger.put(record, vector=vector)

    def _is_ended(self, old: str, new: str, cosine: float) -> bool:
        """Whether what the new text claims ends what the old one does."""
        for text in (old, new):
            if text not in self._claims:
                self._claims[text] = claims_in(text)
        pairs = ((one, other) for one in self._claims[old] for other in self._claims[new])
        return any(verdict(one, other, cosine) in _ENDING for one, other in pairs)

    def _is_copy(self, old: Record, new: Refined, cosine: float) -> bool:
        """Whether they say the same: in the same words, or very nearly so in meaning."""
        is_same = content_hash(old.text) == content_hash(new.text)
        return is_same or (cosine >= self._params.merge_cosine and _alike(old, new))

    def _confirm(self, old: Record, new: Refined, at: datetime, ledger: Ledger) -> None:
        for one in new.said:
            if one.id not in old.sources:
                ledger.put_link(
                    Link(
                        id=record_id(ID, CONFIRMED, old.id, one.id),
                        system=ID,
                        scope=self._view.scope,
                        kind=CONFIRMED,
                        from_id=old.id,
                        to_id=one.id,
                        sources=(one.id,),
                        recorded_at=at,
                        data={"at": one.occurred_at.isoformat()},
                    )
                )


def _believes(draft: Draft, record: Record) -> float:
    return trust_of(record, uses_of(draft, [record.id, *record.sources]))


def _alike(old: Record, new: Refined) -> bool:
    """Whether nothing in which two texts differ, such as a name or a number, makes them two statements."""
    if set(entities_of(old.text)) != set(entities_of(new.text)):
        return False
    differing = frozenset(normalised(old.text).split()) ^ frozenset(normalised(new.text).split())
    return not has_number(differing) and not turns_round(differing)


def _checked(kind: str, answer: MemoriesAnswer, piece: Sequence[Episode]) -> Iterator[Refined]:
    """The memories that say something; one of an answer that names no turn of it has no source, and is none."""
    for one in answer.memories:
        text = " ".join(one.text.split())[:LONGEST_FACT]
        numbers = sorted({number for number in one.turns if 1 <= number <= len(piece)})
        said = tuple(piece[number - 1] for number in numbers)
        if not any(map(str.isalnum, text)) or not said:
            continue
        of = RESPONSE if all(turn.role == "assistant" for turn in said) else kind
        if of == RESPONSE and not any(turn.role == "assistant" for turn in said):
            of = QUESTION
        yield Refined(of, text, said, "llm", " ".join(one.term.split())[:80] if of == QUESTION else "")


# -- without a model ------------------------------------------------------------------------------------------

_GENERAL = re.compile(
    r"\b(?:always|never|usually|generally|typically|must|should|requires?|needs? to|causes?|leads? to|depends? on|tends? to|"
    r"because|whenever|every)\b",
    re.IGNORECASE,
)
_PERSONAL = re.compile(r"\b(?:I|I'\w+|me|my|mine|we|us|our|you|your|the user)\b", re.IGNORECASE)
_TERM = r"(?P<term>[A-Z][A-Za-z0-9&/.-]{0,11}[A-Z0-9])"
_MEANS = re.compile(
    rf"\b(?:by\s+)?[\"'“]?{_TERM}[\"'”]?,?\s+(?:stands for|means|is short for|"
    r"is (?:an )?(?:abbreviation|acronym) (?:of|for)|I mean)\s+[\"'“]?(?P<meaning>[^.;!?\"”]{2,120})"
)
_BEHIND = re.compile(rf"(?P<meaning>(?:[\w'-]+\s+){{1,7}}[\w'-]+)\s+\((?:or\s+|the\s+)?{_TERM}\)")
_BEFORE = re.compile(rf"\b{_TERM}\s+\((?P<meaning>[^)]{{3,80}})\)")
_KEY_ELEMENTS = 3  # statements of an answer that are kept


def by_rule(kind: str, piece: Sequence[Episode]) -> Iterator[Refined]:
    """The memories of a type that rules find."""
    speakers = list(dict.fromkeys(one.speaker for one in piece))
    for one in piece:
        is_answer = one.role == "assistant"
        other = next((name for name in speakers if name != one.speaker), None) if len(speakers) == 2 else None
        if is_answer != (kind == RESPONSE):
            continue
        if kind == QUESTION:
            for term, meaning in terms_in(one.text):
                yield Refined(kind, f"{term} stands for {meaning}.", (one,), "offline", term)
        texts = [fact.text for fact in facts_in(one, other)]
        if is_answer and len(texts) > _KEY_ELEMENTS:
            order = np.argsort(-central(texts), kind="stable")[:_KEY_ELEMENTS]
            texts = [texts[at] for at in sorted(order.tolist())]
        for text in texts:
            is_insight = bool(_GENERAL.search(text)) and not _PERSONAL.search(text)
            if is_answer or is_insight == (kind == RESIDUAL):
                yield Refined(kind, text, (one,), "offline")


def terms_in(text: str) -> list[tuple[str, str]]:
    """The abbreviations that a text explains, with what they mean.

    >>> terms_in("By CKD I mean chronic kidney disease. The intensive care unit (ICU) is full.")
    [('CKD', 'chronic kidney disease'), ('ICU', 'intensive care unit')]
    """
    found = {match["term"]: match["meaning"].strip(" ,'") for match in _MEANS.finditer(text)}
    for pattern in (_BEHIND, _BEFORE):
        for match in pattern.finditer(text):
            meaning = _spelled_out(match["term"], match["meaning"])
            if meaning:
                found.setdefault(match["term"], meaning)
    return [(term, meaning) for term, meaning in found.items() if meaning]


def _spelled_out(term: str, text: str) -> str:
    """The words at the end of the text, or all of it, whose initials are the term; "" for none."""
    letters = [letter.casefold() for letter in term if letter.isalnum()]
    words = re.findall(r"[\w']+", text)
    last = words[-len(letters) :]
    return " ".join(last) if [word[0].casefold() for word in last] == letters else ""
