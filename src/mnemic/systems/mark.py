"""MARK: three agents refine what was said into memories, and feedback says which of them to trust.

The one idea: a conversation holds three kinds of things that the next one needs: insights about the field that stay when the
talk is over (residual), what the user stated or meant by a term, and the key elements of answers. Each is taken out by an agent
of its own; near copies are merged, what is contradicted goes; and a question gets the best of each, by likeness, by how lately
and how often they were used, and by trust.

Card: mark. Source: Ganguli et al., MARK: Memory Augmented Refinement of Knowledge, arXiv 2505.05177.
Departs: see `Mark.card.departures`; the paper gives no formulas, so all numbers are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.ops.claims import Claim, claims_in, verdict
from mnemic.ops.decay import days, persistence
from mnemic.ops.extract import entities_of
from mnemic.ops.repeats import content_hash, has_number
from mnemic.ops.repeats import turns as turns_round
from mnemic.ops.update import superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Made, Scored, Vector, holds
from mnemic.systems.mark_agents import (
    QUESTION,
    RESIDUAL,
    RESPONSE,
    TYPES,
    MemoriesAnswer,
    Refined,
    by_rule,
    checked,
    prompt_of,
)
from mnemic.systems.nearest_first import hits_of_nearest
from mnemic.systems.open_units import Ledger
from mnemic.systems.units import closed_units, is_new_session, open_session_after, open_unit
from mnemic.systems.uses import USE, Use, best_first, note_use, uses_of
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import normalised, terms

ID = "mark"
CONFIRMED = "confirmed"  # the kind of link from a memory to an episode that says it again
PRIOR = {QUESTION: 0.7, RESIDUAL: 0.5, RESPONSE: 0.2}  # trust before anybody said anything of a memory
_PRIOR_WEIGHT = 2.0  # as many verdicts as the prior counts for
_GOOD = {"helpful": 1.0, "used": 0.5}
_BAD = {"unhelpful": 1.0, "wrong": 4.0}
_ENDING = ("contradicts", "updates", "resolved")
_NEAR = 4  # memories that a new one is compared with
_AFTERWARDS = timedelta(microseconds=1)  # what is made of an open conversation is known after its last message


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
            "time can be asked about, and its turn stands among the sources of a hit.",
            "A conversation ends with a silence or another session; until then it is recalled as it was said. In consolidate "
            "it is refined for now, which is taken back when more is observed; as of an earlier time it is always shown as "
            "it was said.",
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
                draft.state["open"] = {**noted, "seq": unit[-1].seq}
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        explained = _explained(cue, view)
        text = " ".join([cue.text, *(one.text for one in explained)])
        vector = view.query_vector(cue, text)
        hits: list[Hit] = []
        for kind in self.params.types:
            own = [one for one in explained if one.kind == kind]
            hits += self._of_type(kind, own, vector, text, replace(cue, limit=min(cue.limit, self.params.top_k)), view)
        for_now = view.made.state.get("open", {}) if cue.as_of is None else {}
        after = int(for_now["seq"]) if "seq" in for_now else open_session_after(view, cue, self._gap)
        return best_first([*hits, *view.tail_hits(cue, after=after)], cue)

    def _of_type(
        self, kind: str, explained: Sequence[Record], vector: Vector | None, text: str, cue: Cue, view: View
    ) -> list[Hit]:
        """The hits of one type; the explanations of the cue's own terms count as fully alike."""

        def hits_among(scored: Iterable[Scored]) -> list[Hit]:
            likeness = {
                record.id: (record, min(cosine, 1.0))
                for record, cosine in scored
                if cosine > 0.0 and (cue.as_of is None or not record.data.get("provisional"))
            }
            likeness |= {one.id: (one, 1.0) for one in explained}
            known = [_Judged.of(record, near, cue, view.made, self.params) for record, near in likeness.values()]
            judged = {one.record.id: one for one in known if one.is_recalled(self.params)}
            ranked = sorted(judged.values(), key=lambda one: (-one.score(self.params), one.record.id))
            terms_of = {one.id for one in explained}

            def why(record: Record, _: float) -> tuple[Reason, ...]:
                return judged[record.id].reasons(self.params, "term" if record.id in terms_of else "meaning")

            return view.record_hits(((one.record, one.score(self.params)) for one in ranked), cue, why)

        made = view.made
        if vector is None:
            words = made.words(terms(text), kinds=[kind], as_of=cue.as_of)
            return hits_among((made.records[id], score) for id, score in words.items())
        if kind == RESPONSE and self.params.require_feedback:  # of which few may be recalled at all
            return hits_among(
                (one, float(products(found[None], vector)[0]))
                for one in _spoken_for(kind, cue, made)
                if (found := made.vector(one.id)) is not None
            )
        return hits_of_nearest(vector, cue, view, [kind], hits_among)


# -- scores ---------------------------------------------------------------------------------------------------


def trust_of(record: Record, uses: Sequence[Use]) -> float:
    """In [0, 1]: the share of good verdicts on a memory, with its type's prior for two."""
    good = sum(_GOOD.get(use.verdict, 0.0) for use in uses)
    bad = sum(_BAD.get(use.verdict, 0.0) for use in uses)
    return (PRIOR[record.kind] * _PRIOR_WEIGHT + good) / (_PRIOR_WEIGHT + good + bad)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A memory as a cue finds it: with every turn that confirmed it, and what is thought of it."""

    record: Record
    likeness: float
    persistence: float  # in [0, 1)
    trust: float
    uses: Sequence[Use]

    @classmethod
    def of(cls, record: Record, likeness: float, cue: Cue, made: Made, params: Params) -> _Judged:
        uses = uses_of(made, [record.id, *record.sources], cue)
        confirmed = [
            link
            for link in made.links_of(record.id)
            if link.kind == CONFIRMED and (cue.as_of is None or link.recorded_at <= cue.as_of)
        ]
        said_again = [datetime.fromisoformat(link.data["at"]) for link in confirmed]
        moments = [use.at for use in uses if use.is_recall] + [at for at in said_again if at <= cue.asked_at]
        latest = max([record.valid_from or record.recorded_at, *moments])
        lasting = persistence(
            max(days(cue.asked_at) - days(latest), 0.0),
            len(moments),
            stability_days=params.stability_days,
            recency_weight=params.recency_weight,
            use_weight=params.use_weight,
        )
        sources = tuple(dict.fromkeys((*record.sources, *(link.to_id for link in confirmed))))
        as_known = replace(record, sources=sources) if confirmed else record
        return cls(as_known, likeness, lasting / (1.0 + lasting), trust_of(record, uses), uses)

    def is_recalled(self, params: Params) -> bool:
        """Not an answer that no feedback speaks for, nor what feedback took all trust from."""
        verdicts = {use.verdict for use in self.uses}
        if self.record.kind == RESPONSE and params.require_feedback and verdicts.isdisjoint(_GOOD):
            return False
        return self.trust >= params.archive_below or verdicts.isdisjoint(_BAD)

    def score(self, params: Params) -> float:
        return self.likeness * (params.meaning + params.persistence * self.persistence + params.trust * self.trust)

    def reasons(self, params: Params, signal: str) -> tuple[Reason, ...]:
        near = self.likeness
        return (
            Reason(signal, near, params.meaning),
            Reason("persistence", self.persistence, near * params.persistence),
            Reason("trust", self.trust, near * params.trust),
        )


# -- recall ---------------------------------------------------------------------------------------------------


def _explained(cue: Cue, view: View) -> list[Record]:
    """The explanations of terms that stand in the cue, in the order of their ids."""
    asked = f" {normalised(cue.text)} "
    found = [
        one
        for one in view.made.records.values()
        if (term := one.data.get("term"))
        and one.kind == QUESTION
        and holds(one, cue.as_of)
        and f" {normalised(str(term))} " in asked
    ]
    return sorted(
        (one for one, is_seen in zip(found, view.sees(found, cue), strict=True) if is_seen), key=lambda one: one.id
    )


def _spoken_for(kind: str, cue: Cue, made: Made) -> list[Record]:
    """The memories of a type for which, or for a turn behind which, feedback speaks."""
    named = {link.from_id for link in made.links.values() if link.kind == USE and link.data["verdict"] in _GOOD}
    if not named:
        return []
    return [
        one
        for one in made.records.values()
        if one.kind == kind and holds(one, cue.as_of) and not named.isdisjoint((one.id, *one.sources))
    ]


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
            known = {kind: draft.nearest(vector, self._params.top_k, kinds=[kind]) for kind in TYPES}
            prompts = [prompt_of(kind, piece, [one for one, _ in known[kind]]) for kind in TYPES]
            answers = self._view.ask.many("refine", prompts, MemoriesAnswer)
        found: dict[tuple[str, int], Refined] = {}
        for kind, answer in zip(TYPES, answers, strict=True):
            for one in by_rule(kind, piece) if answer is None else checked(kind, answer, piece):
                found.pop(key := (one.kind, content_hash(one.text)), None)
                found[key] = one  # said again, it is the newest
        return list(found.values())

    def _add(self, new: Refined, vector: Vector, at: datetime, ledger: Ledger, is_provisional: bool) -> None:
        """Keep a memory, merge it with its copy, or settle whom to believe."""
        draft, sources = ledger.draft, tuple(one.id for one in new.said)
        said_at = max(one.occurred_at for one in new.said)
        is_correction = any(one.supersedes for one in new.said)
        at_seq = max(one.seq for one in new.said)
        near = draft.nearest(vector, _NEAR, kinds=TYPES, floor=self._params.near_cosine, standing_at=at_seq)
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
