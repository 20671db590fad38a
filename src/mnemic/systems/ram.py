"""RAM: a retrieval memory that learns from being corrected.

The one idea: what was said is kept as passages and found by steps: what a question's first passages name leads to the next ones
(recursive, reasoning-based retrieval). When somebody says that a passage was wrong and what is right, that is reflected into a
statement which takes the place of the passage, so that the same question, and a paraphrase of it, finds it the next time.

Card: ram. Source: Li et al., RAM: Towards an Ever-Improving Memory System by Learning from Communications, arXiv 2404.12045.
Departs: see `Ram.card.departures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, Shown, numbered
from mnemic.ops.answers import is_question
from mnemic.ops.extract import LONGEST_FACT, entities_of
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import Feedback, feedback_in, heard
from mnemic.systems.made import Made, Scored, Vector
from mnemic.systems.nearest_first import hits_of_nearest, nearest_first
from mnemic.systems.uses import USE, best_first, note_use
from mnemic.systems.view import HIDDEN_ROLES, View
from mnemic.text.terms import terms

ID = "ram"
PASSAGE, KNOWLEDGE = "passage", "knowledge"
KINDS = (PASSAGE, KNOWLEDGE)
REPLACED = "replaced"  # the kind of link from a version to the one that took its place
_RECENT = 20  # episodes in which the question and the answer of a feedback are looked for
_MANY = 60  # passages of a further step that are looked at

REFLECT_TASK = """
You keep a memory true. Somebody was given "answer" to "question", from the passages in "memory", and says "feedback" about it: a
hint, an explanation or the right answer, with a verdict. Work out what is true, as far as the feedback says it, and write it as
one or two plain sentences that can be understood alone and that answer the question. Name the passages that the feedback shows to
be wrong by their ids; one that it does not speak of is not wrong.
Answer with {"knowledge": the sentences, "" where the feedback teaches nothing, "wrong": [ids]}.
"""
REASON_TASK = """
You answer "question" from the passages in "evidence" alone, step by step. "reasoning" holds your thoughts so far. Think about
what is known and what is missing. If the passages answer the question, give the answer and the ids of the passages that it rests
on. If not, give a query that would find what is missing: name the people and things that the passages have led to.
Answer with {"thought": text, "answer": text or "", "evidence": [ids], "query": text or ""}.
"""
JUDGE_TASK = """
"question", "answer" and the passages in "evidence" belong together. Say whether the passages support the answer, and whether it
is an answer to the question.
Answer with {"is_supported": true or false}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """The paper names neither a number of steps nor a retriever: these are ours."""

    steps: int = 3  # that a recall may take; 1 searches once
    evidence: int = 8  # passages that a step reasons about
    step_discount: float = 0.8  # of the likeness of what a further step finds
    cited_weight: float = 0.3  # of resting on a passage, in a score, where a model answers the question
    bridges: int = 3  # names that the first passages lead to and that are looked up, without a model
    doubt: float = 0.5  # what each "wrong" or "unhelpful" that teaches nothing leaves of a passage's score

    def __post_init__(self) -> None:
        if self.steps < 1 or self.evidence < 1 or self.bridges < 0:
            raise ParameterError("steps and evidence: give 1 or more; bridges: 0 or more.")
        for name in ("step_discount", "cited_weight", "doubt"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ParameterError(f"{name}={getattr(self, name)}: give a share between 0 and 1.")


@dataclass(frozen=True, slots=True)
class ReflectAnswer:
    """What a model answers to REFLECT_TASK."""

    knowledge: str = ""
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What a model answers to REASON_TASK."""

    thought: str = ""
    answer: str = ""
    evidence: list[str] = field(default_factory=list)
    query: str = ""


@dataclass(frozen=True, slots=True)
class JudgeAnswer:
    """What a model answers to JUDGE_TASK."""

    is_supported: bool = False


class Ram(MemorySystem):
    """Passages, corrected by feedback, and found in steps."""

    card = Card(
        id=ID,
        title="RAM",
        year=2024,
        family="conversation",
        summary="Passages that feedback corrects, version by version, found by retrieval that reasons on from what it found.",
        source="RAM: Towards an Ever-Improving Memory System by Learning from Communications, arXiv 2404.12045",
        needs=("embedder", "llm"),
        makes=KINDS,
        cost="One call for each feedback that says something; up to two for each of three steps of a recall.",
        flow=(
            "E[episodes] --> P[passages]\nQ[cue] --> R[retrieve]\nP --> R\nR --> T[reason: answer, or next query]\n"
            "T -->|next query| R\nT -->|answer| J[does the evidence support it?]\nJ -->|no| R\nJ -->|yes| H[hits]\n"
            "F[feedback] --> X[reflect on question, answer, passages]\nX --> K[corrected knowledge, a new version]\nK --> P"
        ),
        departures=(
            "Feedback is an episode of the log that names memories; the question and the answer it is about are "
            "the last ones said "
            "before it, in its session where it has one.",
            "A recall gives passages, not the answer; what the answer rests on comes first. It writes nothing, so the reasoning "
            "behind an answer is not there to be reflected on.",
            "Without a model the note of a feedback is the knowledge (behind the question, where it is a few "
            "words), what the feedback "
            "names is replaced, and names that the first passages lead to are looked up in a second step.",
            "A passage that an answer was recalled from, and that the feedback does not name itself, is replaced "
            "only where a model "
            "says that it is wrong: replacement targets what is cited.",
            "A bare 'wrong' changes no text. It leaves doubt on a passage, and takes a correction back: the "
            "version before it stands "
            "again, as a new one. All versions are kept; forgetting the feedback undoes it altogether.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        for one in episodes:
            if (said := feedback_in(one)) is not None:
                note_use(draft, one, ID)
                _learn(said, one, view, draft)
            elif one.role not in HIDDEN_ROLES:
                for passage in heard([one]):
                    draft.put(_passage(passage))
                draft.state["recent"] = [*draft.state.get("recent", []), one.seq][-_RECENT:]
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        search = _Search(cue, view, self.params)
        search.look(cue.text, 0)
        if not search.reason():
            search.bridge()
        return best_first(search.hits(cue.limit), cue)


def _passage(episode: Episode) -> Record:
    id = record_id(ID, PASSAGE, episode.id)
    return Record(
        id=id,
        system=ID,
        scope=episode.scope,
        kind=PASSAGE,
        text=episode.text,
        sources=(episode.id,),
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data={"key": id, "version": 1, "speaker": episode.speaker, BY: "offline"},
    )


# -- learning -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What a feedback is about."""

    question: Episode | None
    answer: Episode | None
    named: list[Record]  # the passages that it names, as they stand
    behind: list[Record]  # others from which the answer was recalled


def _learn(said: Feedback, episode: Episode, view: View, draft: Draft) -> None:
    if not any(map(str.isalnum, said.note)):
        corrections = [one for one in _standing(said.ids, draft) if one.kind == KNOWLEDGE]
        for one in corrections if said.verdict == "wrong" else []:
            _roll_back(one, episode, draft)
        return
    lesson = _lesson(said, episode, view, draft)
    memory = [*lesson.named, *lesson.behind]
    answer = view.ask("reflect", _reflect_prompt(lesson, memory, said), ReflectAnswer)
    is_fault = said.verdict in ("wrong", "unhelpful")
    if answer is not None:
        text = " ".join(answer.knowledge.split())[:LONGEST_FACT]
        numbers = {one.strip() for one in answer.wrong}
        wrong = [one for at, one in enumerate(memory) if str(at) in numbers] if is_fault else []
        shown = memory
    else:
        text, wrong, shown = stated(lesson.question, said.note), lesson.named if is_fault else [], []
    if not any(map(str.isalnum, text)):
        return
    shown = shown or wrong
    said_by = [one.id for one in (lesson.question, lesson.answer) if one is not None]
    sources = tuple(dict.fromkeys([*(source for one in shown for source in one.sources), *said_by, episode.id]))
    id = record_id(ID, KNOWLEDGE, episode.id)
    data: dict[str, object] = {
        "key": wrong[0].data["key"] if wrong else id,
        "version": 1 + max((int(one.data["version"]) for one in wrong), default=0),
        "feedback": episode.id,
        BY: "offline" if answer is None else "llm",
    }
    if wrong:
        data |= {"previous": wrong[0].id, "replaces": [one.id for one in wrong]}
    record = Record(
        id=id,
        system=ID,
        scope=episode.scope,
        kind=KNOWLEDGE,
        text=text,
        sources=sources,
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data=data,
    )
    asked = lesson.question.text if lesson.question is not None else ""
    draft.put(record, embed=text if not asked or asked in text else f"{asked} {text}")
    for one in wrong:
        _replace(one, record, episode, draft)


def stated(question: Episode | None, note: str) -> str:
    """What a note teaches, without a model: the note, behind the question where it is too short to stand alone."""
    text = " ".join(note.split())[:LONGEST_FACT]
    is_short = len(text.split()) < 4
    return f"{' '.join(question.text.split())} {text}" if question is not None and is_short else text


def _lesson(said: Feedback, episode: Episode, view: View, draft: Draft) -> _Lesson:
    recent = draft.state.get("recent", [])
    log = view.since(recent[0] - 1) if recent else []
    log = [one for one in log if one.seq < episode.seq and one.role not in HIDDEN_ROLES]
    log = [one for one in log if episode.session is None or one.session == episode.session]
    named_episodes = [one for one in log if one.id in said.ids]
    answers = [one for one in log if one.role == "assistant"]
    answer = next((one for one in named_episodes if one.role == "assistant"), answers[-1] if answers else None)
    asked = [one for one in log if one.role != "assistant" and is_question(one.text)]
    asked = [one for one in asked if answer is None or one.seq < answer.seq] or asked
    question = asked[-1] if asked else None
    named = _standing(said.ids, draft)
    behind = _standing([id for one in named_episodes for id in one.echo_of], draft)
    known = {one.id for one in named}
    return _Lesson(question, answer, named, [one for one in behind if one.id not in known])


def _standing(ids: Sequence[str], draft: Draft) -> list[Record]:
    """The passages that go by these ids, of records or of episodes, as they stand now."""
    found: dict[str, Record] = {}
    for id in ids:
        waiting = [draft.get(id) or draft.get(record_id(ID, PASSAGE, id))]
        while waiting:
            record = waiting.pop(0)
            if record is not None and record.retired_at is None:
                found[record.id] = record
            elif record is not None:  # a correction that was taken back may have stood for several
                links = draft.links_of(record.id)
                waiting += [draft.get(one.to_id) for one in links if one.kind == REPLACED and one.from_id == record.id]
    return list(found.values())


def _reflect_prompt(lesson: _Lesson, memory: Sequence[Record], said: Feedback) -> Prompt:
    def text_of(one: Episode | None) -> Shown:
        return Shown("") if one is None else Shown(one.text, (one.id,))

    return Prompt(
        REFLECT_TASK,
        {
            "question": text_of(lesson.question),
            "memory": numbered(memory),
            "answer": text_of(lesson.answer),
            "feedback": Shown({"verdict": said.verdict, "note": said.note}, (said.source,)),
        },
    )


def _replace(old: Record, new: Record, episode: Episode, draft: Draft) -> None:
    draft.retire(old.id, episode.recorded_at, episode.occurred_at)
    draft.put_link(
        Link(
            id=record_id(ID, REPLACED, old.id, new.id),
            system=ID,
            scope=episode.scope,
            kind=REPLACED,
            from_id=old.id,
            to_id=new.id,
            sources=(episode.id,),
            recorded_at=episode.recorded_at,
        )
    )


def _roll_back(wrong: Record, episode: Episode, draft: Draft) -> None:
    """A correction was itself wrong: what it replaced stands again."""
    draft.retire(wrong.id, episode.recorded_at, episode.occurred_at)
    for id in wrong.data.get("replaces", []):
        if (old := draft.get(id)) is None:
            continue
        vector = draft.vector(id)
        record = replace(
            old,
            id=record_id(ID, "restored", old.id, episode.id),
            sources=tuple(dict.fromkeys([*old.sources, episode.id])),
            recorded_at=episode.recorded_at,
            retired_at=None,
            valid_to=None,
            data={**old.data, "previous": wrong.id, "version": int(wrong.data["version"]) + 1},
        )
        draft.put(record, vector=vector)
        _replace(wrong, record, episode, draft)


# -- recall ---------------------------------------------------------------------------------------------------


class _Search:
    """Retrieval in steps."""

    def __init__(self, cue: Cue, view: View, params: Params) -> None:
        self._cue, self._view, self._params = cue, view, params
        self._doubts = doubts_in(view.made, cue)
        self._found: dict[str, tuple[float, float, str]] = {}  # score of the best step: likeness, weight, query
        self._cited: set[str] | None = None  # what the answer rests on, where a model answered

    def look(self, query: str, step: int, bridge: frozenset[str] = frozenset()) -> None:
        """Search for a query; of the passages that a bridge leads to, those that have its words."""
        vector = self._view.query_vector(self._cue, query)
        made, as_of = self._view.made, self._cue.as_of
        if vector is None:
            words = made.words(terms(query), kinds=KINDS, as_of=as_of)
            scored = sorted(
                ((made.records[id], score) for id, score in words.items()), key=lambda one: (-one[1], one[0].id)
            )
        elif step:
            scored = list(islice(nearest_first(vector, self._cue, self._view, KINDS), _MANY))
        else:
            scored = self._near(vector)
        for record, score in scored[:_MANY] if step else scored:
            if score <= 0.0 or (bridge and not bridge <= set(terms(record.text))):
                continue
            likeness = min(score, 1.0)
            weight = self._params.step_discount**step * self._left(record)
            if likeness * weight > self._score(record.id):
                self._found[record.id] = likeness, weight, query if step else ""

    def _near(self, vector: Vector) -> list[Scored]:
        """The passages nearest to a vector, as many as it takes to know the best of those that the cue may see."""
        wide = replace(self._cue, limit=max(self._cue.limit, self._params.evidence), threshold=0.0)
        found: list[Scored] = []

        def hits_among(scored: Sequence[Scored]) -> list[Hit]:
            found[:] = scored
            ranked = [(record, score * self._left(record)) for record, score in scored]
            return self._view.record_hits(sorted(ranked, key=lambda one: (-one[1], one[0].id)), wide)

        hits_of_nearest(vector, wide, self._view, KINDS, hits_among)
        return found

    def reason(self) -> bool:
        """Have a model read the evidence, and search on as it says; False where it gave no answer at all."""
        reasoning: list[str] = []
        for step in range(1, self._params.steps + 1):
            evidence = self._evidence(self._params.evidence)
            if not evidence:
                return step > 1
            sources = tuple(source for one in evidence for source in one.sources)
            question, shown = Shown(self._cue.text), numbered(evidence)
            data = {"question": question, "evidence": shown, "reasoning": Shown(list(reasoning), sources)}
            answer = self._view.ask("reason", Prompt(REASON_TASK, data), StepAnswer)
            if answer is None:
                return step > 1
            if answer.answer.strip():
                cited = [one for at, one in enumerate(evidence) if str(at) in {id.strip() for id in answer.evidence}]
                data = {
                    "question": question,
                    "answer": Shown(answer.answer, sources),
                    "evidence": numbered(cited or evidence),
                }
                judged = self._view.ask("judge", Prompt(JUDGE_TASK, data), JudgeAnswer)
                if judged is not None and judged.is_supported:
                    self._cited = {one.id for one in cited}
                    return True
                reasoning.append(f"The passages do not support the answer {answer.answer!r}.")
            if answer.thought.strip():
                reasoning.append(answer.thought.strip())
            if not any(map(str.isalnum, answer.query)):
                return True
            if step < self._params.steps:
                self.look(answer.query, step)
        return True

    def bridge(self) -> None:
        """Without a model: look up the names that the first passages lead to."""
        if self._params.steps < 2:
            return
        asked = frozenset(terms(self._cue.text))
        is_speaker = self._view.speaker_test(self._cue)
        names: dict[frozenset[str], str] = {}
        answered = set[str]()
        for passage in self._evidence(self._params.evidence)[: self._params.bridges]:
            answered |= asked & set(terms(passage.text))
            for name in entities_of(passage.text):
                words = frozenset(terms(name))
                if words and not words <= asked and not any(is_speaker(word) for word in name.casefold().split()):
                    names.setdefault(words, name)
        missing = " ".join(word for word in dict.fromkeys(terms(self._cue.text)) if word not in answered)
        for words, name in list(names.items())[: self._params.bridges]:
            self.look(f"{name} {missing}", 1, words)

    def hits(self, limit: int) -> list[Hit]:
        """What was found, best first."""
        weight = 0.0 if self._cited is None else self._params.cited_weight

        def why(record: Record, _: float) -> tuple[Reason, ...]:
            likeness, step_weight, query = self._found[record.id]
            note = f"looked for {query!r}" if query else "doubted" if step_weight < 1.0 else ""
            meaning = Reason("meaning", likeness, step_weight * (1.0 - weight), note)
            is_cited = self._cited is not None and record.id in self._cited
            return (
                (meaning, Reason("cited", 1.0, weight, "the answer rests on it")) if is_cited and weight else (meaning,)
            )

        def score(id: str) -> float:
            return (1.0 - weight) * self._score(id) + (weight if self._cited and id in self._cited else 0.0)

        ranked = sorted(self._found, key=lambda id: (-score(id), id))
        records = self._view.made.records
        return self._view.record_hits(((records[id], score(id)) for id in ranked), replace(self._cue, limit=limit), why)

    def _evidence(self, n: int) -> list[Record]:
        ranked = sorted(self._found, key=lambda id: (-self._score(id), id))
        records = self._view.made.records
        wide = replace(self._cue, limit=n, threshold=0.0)
        hits = self._view.record_hits(((records[id], self._score(id)) for id in ranked), wide)
        return [hit.record for hit in hits if hit.record is not None]

    def _score(self, id: str) -> float:
        likeness, weight, _ = self._found.get(id, (0.0, 0.0, ""))
        return likeness * weight

    def _left(self, record: Record) -> float:
        """The share of its score that doubts leave a passage."""
        ids = [record.id, *record.sources] if record.kind == PASSAGE and len(record.sources) == 1 else [record.id]
        return self._params.doubt ** sum(self._doubts.get(id, 0) for id in ids)


def doubts_in(made: Made, cue: Cue) -> dict[str, int]:
    """How often each id was called wrong or unhelpful by what taught nothing, as far as that was known at the cue's time."""
    found: dict[str, int] = {}
    for link in made.links.values():
        if (
            link.kind == USE
            and link.data["verdict"] in ("wrong", "unhelpful")
            and (cue.as_of is None or link.recorded_at <= cue.as_of)
            and record_id(ID, KNOWLEDGE, link.to_id) not in made.records
        ):
            found[link.from_id] = found.get(link.from_id, 0) + 1
    return found
