"""The default system: hybrid recall of episodes, with no LLM and nothing to learn at run time.

Every episode that a cue may see gets signals in [0, 1], and its score is their weighted sum (the weights sum to 1):

  meaning    cosine of its vector with the cue's, asked in the words of who is asked about (`text/speakers.py`)
  context    the mean cosine of it and its neighbours in the session: an answer stands beside what was asked
  words      BM25 of it together with the episode before it, as a share of what an ideal pair would reach
  session    the best cosine in its session: what a conversation was about
  topic      BM25 of its whole session
  speaker    1 when who said it is named in the cue
  substance  how much is said at all, up to a dozen terms: "Thanks!" answers nothing
  kind       whether it has what the cue wants: a time for "when", a number for "how many", a name for "who" (`ops/answers.py`)
  statement  1 unless it is a question itself
  association  how strongly the best by meaning and own words point to it, by names that the cue lacks (`ops/spread.py`)
  names      the share of the people, places and things named in the cue that it mentions or is said by
  time       whether it happened in a time or session the cue names ("last March", resolved against when the cue was asked);
             the stricter the cue means it, the more of the whole weight it has (`ops/when.py`)
  recency    halves with every half_life_days between it and the cue
  newest     for a cue that asks for the newest of something ("current", "latest") or the oldest: 1 for the newest episode
             that has all its words, 1/2 for the one before it, …
  strength   how often the same thing was said; echoes of recalled text never count

Where a user speaks with an assistant, evidence lies otherwise: long answers say the user's words again, and stand between
them. There an episode's own words count instead of its pair's and its session's, and two signals come in:

  own        BM25 of the episode alone
  role       1 for what the user said, unless the cue asks what the assistant said (`ops/asking.py`)
  standing   how surely it is an instruction, for the few that bear most on a cue that asks for help (`ops/standing.py`)

In a large scope only candidates are scored: the best by meaning and by words, those in the cue's time, their
neighbours, and what the best of these point to. The same thing said several times is one hit. Nothing is written, so
there is nothing to rebuild.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.index.scope_index import Mask, ScopeIndex
from mnemic.index.vectors import best
from mnemic.model import Cue, Episode, Hit
from mnemic.ops.answers import has_kind, is_question, wanted_kind
from mnemic.ops.asking import looks_back, subject, whose
from mnemic.ops.confidence import confidence
from mnemic.ops.fuse import reasons, weighted_sum
from mnemic.ops.neighbours import Beside, around, beside, best_of_session, smoothed
from mnemic.ops.passages import Norms, PassageScores, passage_scores
from mnemic.ops.repeats import fold_repeats
from mnemic.ops.signals import in_order, mentions, of_another, recency, said_by, strength
from mnemic.ops.spread import Found, Names, Sight, associate, names_in
from mnemic.ops.standing import INSTRUCTION_TERMS, LONGEST_TERMS, instruction, most_relevant
from mnemic.ops.timely import all_in, asked_when, told, weights_when
from mnemic.ops.when import When
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View
from mnemic.text.speakers import named_speakers
from mnemic.text.terms import normalised, terms, words_matching
from mnemic.text.time_order import wants_newest, without_order

Rows = NDArray[np.int64]
Signal = NDArray[np.float32]
_ENOUGH_TERMS = 12  # more of them say no more


@dataclass(frozen=True, slots=True)
class Params:
    """Weights of the signals, and how far they reach."""

    meaning: float = 0.09
    context: float = 0.30
    words: float = 0.13
    session: float = 0.12
    topic: float = 0.12
    speaker: float = 0.09
    substance: float = 0.03
    kind: float = 0.06
    statement: float = 0.02
    association: float = 0.30
    names: float = 0.01
    time: float = 0.03
    recency: float = 0.01
    newest: float = 0.30
    strength: float = 0.01
    own: float = 0.0
    role: float = 0.0
    standing: float = 0.0
    half_life_days: float = 30.0
    neighbours: int = 2  # on each side, within the session
    instructions: int = 2  # standing instructions that may come along with other hits
    candidates: int = 200  # rows of which all signals are computed

    def __post_init__(self) -> None:
        for field in fields(self):
            value, is_count = getattr(self, field.name), field.name in ("neighbours", "candidates", "instructions")
            kinds = int if is_count else int | float
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < float("inf"):
                raise ParameterError(
                    f"{field.name}={value!r}: give a {'whole ' if is_count else ''}number of 0 or more."
                )
        if not (self.meaning + self.words and self.half_life_days):
            raise ParameterError(
                "meaning and words are both 0, or half_life_days is: nothing could be found or compared."
            )

    def weights(self) -> dict[str, float]:
        """The weights by signal, scaled to sum to 1."""
        named = {field.name: getattr(self, field.name) for field in fields(self)[:18]}
        total = sum(named.values()) or 1.0
        return {name: weight / total for name, weight in named.items()}


WITH_ASSISTANT = Params(
    meaning=0.28, own=0.22, context=0.25, session=0.08, speaker=0.08, names=0.03, time=0.06, recency=0.01, strength=0.02,
    role=0.2, standing=0.3, words=0.0, topic=0.0, substance=0.0, kind=0.0, statement=0.0,
    association=0.0, newest=0.1,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """The rows of a scope that may answer a cue, ascending, with all signals of each but strength."""

    rows: Rows
    signals: dict[str, Signal]
    is_found: Mask  # [n] whether a row has anything of the cue at all
    wanted: tuple[str, ...]  # the cue's terms
    when: When  # the time it names
    through: Mapping[int, str]  # by row, the name by which others point to it
    has_assistant: bool  # whether a user speaks with an assistant here


class Hybrid(MemorySystem):
    """Signals, weighted and summed."""

    params_type = Params
    card = Card(
        id="hybrid",
        title="Hybrid episodic recall",
        year=2026,
        family="baseline",
        summary="Meaning, words, neighbours, session, speaker, names, time, recency and repetition, in one explained score.",
        source="Mnemic's default",
        needs=("embedder",),
    )

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()
        self._between_people = self.params.weights()
        # what was set holds there too, and only that: an ablation must not change all other weights
        changed = {
            field.name: value
            for field in fields(Params)
            if (value := getattr(self.params, field.name)) != field.default
        }
        self._with_assistant = replace(WITH_ASSISTANT, **changed).weights()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        if not len(view.index):
            return []
        index, allowed = view.index, view.allowed(cue)
        measured = self.measure(cue, view, allowed)
        weights = self._with_assistant if measured.has_assistant else self._between_people
        rows, signals = measured.rows, measured.signals
        if not len(rows):
            return []
        weights = weights_when(measured.when, weights)
        if measured.when.is_all:
            may_be = None if allowed is None else allowed[rows]
            signals["told"] = told(index, rows, signals["time"], signals["speaker"], may_be)
        partial = weighted_sum(signals, weights)
        keep = measured.is_found if allowed is None else measured.is_found & allowed[rows]
        chosen = best(partial, max(self.params.candidates, 4 * cue.limit), keep)
        chosen = chosen[np.argsort(-partial[chosen], kind="stable")]
        rows, signals = rows[chosen], {name: values[chosen] for name, values in signals.items()}
        signals["strength"] = strength(index.hashes[rows] ^ index.actors[rows])
        episodes = view.episodes(rows[: max(_READ, 2 * cue.limit)])
        signals |= read(cue, rows, episodes)
        if signals["newest"].any():
            texts = [episodes[row].text if row in episodes else "" for row in rows.tolist()]
            signals["newest"] *= of_another(texts, measured.wanted)
        return self._hits(cue, view, rows, weighted_sum(signals, weights), signals, measured, weights, episodes)

    def confidence(self, cue: Cue, hits: Sequence[Hit], view: View, embedder: str) -> float:
        """How surely what was asked is stored: see `mnemic.ops.confidence`."""
        return confidence(cue, hits, view.index, view.visible(cue), embedder)

    def measure(self, cue: Cue, view: View, allowed: Mask | None = None) -> Measured:
        """All signals of the rows that may answer a cue; `tools/fit_weights.py` learns their weights from this."""
        index, visible = view.index, view.visible(cue)
        neighbours = beside(index, visible)
        speakers = named_speakers(cue.text, view.speaker_test(cue))
        when, timely = asked_when(cue, index, speakers, neighbours[0], visible, allowed)
        text = when.rest or cue.text
        newest = 0.0 if when.is_all else wants_newest(cue.text)
        asked = terms(subject(without_order(text) if newest else text)) or terms(text)
        called = {term for word in speakers for term in terms(word)}
        wanted = tuple(term for term in asked if term not in called) or tuple(asked)
        vector = view.query_vector(cue, text)
        sessions = index.session_numbers
        norms = (
            index.once("norms", lambda: Norms.of(index.lexical, neighbours[0], sessions)) if visible is None else None
        )
        found = passage_scores(index.lexical, wanted, *neighbours, sessions, visible, norms)
        sums, ideal = index.lexical.scores(wanted, visible)
        own = np.minimum(sums / np.float32(ideal or 1.0), 1.0)
        ranked = None
        if newest:
            share = index.lexical.covered(wanted, _both_or(visible, allowed))
            ranked = in_order(index.occurred_at, share, newest)
        rows = self._rows(index, vector, own, found, when, timely, ranked, neighbours, allowed)
        meaning = _meaning(index, vector, rows, own, visible)
        has_assistant = _has_assistant(index, visible)
        weights = self._with_assistant if has_assistant else self._between_people
        pointed = Found(np.zeros(len(index), np.float32), {})
        if weights["association"]:
            pointed = _pointed(view, rows, np.float32(0.5) * (meaning + own[rows]), cue.text, visible)
        if len(rows) < len(index):
            rows = np.union1d(rows, best(pointed.values, self.params.candidates, pointed.values > 0.0))
            meaning = _meaning(index, vector, rows, own, visible)
        signals: dict[str, Signal] = {
            "meaning": meaning,
            "context": smoothed(rows, meaning, neighbours, self.params.neighbours),
            "words": found.pair[rows],
            "session": best_of_session(index.session_numbers[rows], meaning),
            "topic": found.session[rows],
            "speaker": said_by(index.actors[rows], index.speakers(speakers)),
            "substance": np.minimum(index.lexical.lengths.values[rows] / np.float32(_ENOUGH_TERMS), 1.0),
            "association": pointed.values[rows],
            "names": mentions(index, rows, cue.text),
            "time": timely[rows],
            "recency": recency(index.occurred_at[rows], to_microseconds(cue.asked_at), self.params.half_life_days),
        }
        signals["newest"] = np.zeros(len(rows), np.float32) if ranked is None else ranked[rows]
        signals["own"] = own[rows]
        is_user = (index.roles == index.number("user"))[rows] & has_assistant
        signals["role"] = (is_user & (whose(cue.text) == "user")).astype(np.float32)
        relevance = np.float32(0.5) * (meaning + signals["own"])
        signals["standing"] = self._standing(
            cue, view, rows, relevance, _both(is_user, allowed if allowed is None else allowed[rows])
        )
        is_found = (meaning > 0.0) | (own[rows] > 0.0) | (signals["association"] > 0.0) | (signals["standing"] > 0.0)
        is_found = timely[rows] > 0.0 if when.is_all else is_found
        return Measured(rows, signals, is_found, wanted, when, pointed.through, has_assistant)

    def _standing(self, cue: Cue, view: View, rows: Rows, relevance: Signal, may_be: Mask) -> Signal:
        """[n] how surely an episode is a standing instruction, for the few that bear most on the cue; else 0."""
        index, found = view.index, np.zeros(len(rows), np.float32)
        if not self.params.instructions or looks_back(cue.text):
            return found
        may_be = may_be & (index.lexical.lengths.values[rows] <= LONGEST_TERMS)
        if not may_be.any():
            return found
        likely = np.zeros(len(index), np.float32)
        for term in INSTRUCTION_TERMS:
            likely[index.lexical.rows_of(term)] = 1.0
        places = best(relevance + likely[rows], _READ, may_be)
        episodes = view.episodes(rows[places])
        for at in places.tolist():
            episode = episodes.get(int(rows[at]))
            found[at] = instruction(episode.text) if episode else 0.0
        kept = most_relevant(relevance, found, self.params.instructions)
        chosen = np.zeros(len(rows), np.float32)
        chosen[kept] = found[kept]
        return chosen

    def _rows(
        self,
        index: ScopeIndex,
        vector: Signal | None,
        own: Signal,
        found: PassageScores,
        when: When,
        timely: Signal,
        ranked: Signal | None,
        neighbours: Beside,
        allowed: Mask | None,
    ) -> Rows:
        """The rows to score, ascending: all of them, or in a large scope the candidates and their neighbours."""
        index.vectors.settle()
        if vector is None or index.vectors.is_exact:
            return np.arange(len(index))
        many = self.params.candidates
        chosen = [index.vectors.top(vector, many, allowed)[0]]
        for scores in (own, found.pair + found.session):
            chosen.append(best(scores, many, _both(scores > 0, allowed)))
        if when:
            chosen.append(all_in(timely, allowed) if when.is_all else best(own, many, _both(timely > 0, allowed)))
        if ranked is not None:
            chosen.append(best(ranked, many, ranked > 0))
        return around(np.unique(np.concatenate(chosen)), neighbours, self.params.neighbours)

    def _hits(
        self,
        cue: Cue,
        view: View,
        rows: Rows,
        scores: Signal,
        signals: dict[str, Signal],
        measured: Measured,
        weights: Mapping[str, float],
        episodes: dict[int, Episode],
    ) -> list[Hit]:
        index = view.index
        order = np.lexsort((rows, -scores))
        order = order[(scores[order] > 0.0) & (scores[order] >= cue.threshold)]
        reach, folded = cue.limit + 6, list[tuple[int, list[int]]]()
        while True:  # a few more than asked for, since the same thing said again takes no place of its own
            episodes |= view.episodes([row for row in rows[order[:reach]].tolist() if row not in episodes])
            shown = np.array([at for at in order[:reach] if int(rows[at]) in episodes], np.int64)
            said = [_words_said(episodes[int(rows[at])]) for at in shown]
            # the same words from another mouth are another statement
            folded = fold_repeats((index.hashes[rows[shown]] ^ index.actors[rows[shown]]).tolist(), said, cue.limit)
            if len(folded) == cue.limit or reach >= len(order):
                break
            reach *= 2
        order = shown
        hits, stems = [], frozenset(measured.wanted)
        for place, repeats in folded:
            at = int(order[place])
            episode = episodes[int(rows[at])]
            hits.append(
                Hit(
                    score=float(scores[at]),
                    episode=episode,
                    reasons=reasons(signals, weights, at, _notes(episode, stems, measured, int(rows[at]))),
                    duplicates=tuple(episodes[int(rows[order[other]])].id for other in repeats),
                )
            )
        return hits


_POINTED = 0.5  # what being pointed to is worth beside meaning and words, for where the second hop starts
_READ = 60  # candidates whose texts are read, the likeliest first


def read(cue: Cue, rows: Rows, episodes: Mapping[int, Episode]) -> dict[str, Signal]:
    """The signals for which the episodes' texts must be read; 0 for those that were not."""
    kind = wanted_kind(cue.text)
    texts = [episodes[row].text if row in episodes else None for row in rows.tolist()]
    return {
        "kind": np.array(
            [kind is not None and text is not None and has_kind(text, kind) for text in texts], np.float32
        ),
        "statement": np.array([text is not None and not is_question(text) for text in texts], np.float32),
    }


def _both_or(mask: Mask | None, other: Mask | None) -> Mask | None:
    return other if mask is None else _both(mask, other)


def _meaning(index: ScopeIndex, vector: Signal | None, rows: Rows, own: Signal, visible: Mask | None) -> Signal:
    """[n] cosines with the cue's vector, 0 out of sight; what waits for its vector is known by its words until then."""
    if vector is None:
        return np.zeros(len(rows), np.float32)
    cosines = index.vectors.all_scores(vector) if len(rows) == len(index) else None
    if cosines is None:
        cosines = index.vectors.scores(vector, rows)
    known = np.where(cosines == 0.0, own[rows], np.clip(cosines, 0.0, 1.0))
    return known if visible is None else np.where(visible[rows], known, np.float32(0.0))


def _has_assistant(index: ScopeIndex, visible: Mask | None) -> bool:
    """Whether a user speaks with an assistant here, as far as is in sight; else roles tell nothing."""
    number = index.number("assistant")
    return number >= 0 and bool(_both(index.roles == number, visible).any())


def _words_said(episode: Episode) -> frozenset[str]:
    """The words, and whose they are: the same words from another mouth are another statement."""
    return frozenset([*normalised(episode.text).split(), f"by {episode.actor}"])


def _pointed(view: View, rows: Rows, scores: Signal, asked: str, visible: Mask | None) -> Found:
    """What the rows in sight with the highest scores point to."""
    dense = np.zeros(len(view.index), np.float32)
    dense[rows] = scores if visible is None else scores * visible[rows]

    def names_of(some: Rows) -> dict[int, Names]:
        return {row: names_in(episode.text) for row, episode in view.episodes(some).items()}

    return associate(dense, terms(asked), names_of, Sight.of(view.index.lexical, visible), weight=_POINTED)


def _notes(episode: Episode, wanted: Collection[str], measured: Measured, row: int) -> dict[str, str]:
    """The signals in words."""
    when = measured.when
    notes = {"words": ", ".join(words_matching(episode.text, wanted)[:6]), "speaker": episode.actor or ""}
    moment = episode.occurred_at
    named = [one.text for one in when.spans if one.start <= moment < one.end]
    return notes | {"time": named[0] if named else when.note, "association": measured.through.get(row, "")}


def _both(mask: Mask, other: Mask | None) -> Mask:
    return mask if other is None else mask & other
