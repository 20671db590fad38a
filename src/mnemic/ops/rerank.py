"""Asking a model which of the ranked candidates answer a question, and doing without one.

Reranking: the candidates, ten at a time, and the question; the model scores each from 1 to 10. Source: the reranking
retrieval of the structural memory study, arXiv 2412.15266. Relevance: chunks of a text and the question; the model says of
each whether it bears on the question. Source: LIGHT, arXiv 2510.27246, which asks for each chunk alone.

Departs: a candidate whose score is missing or out of range keeps its place, and the others are sorted around it, so that an
answer that says nothing leaves the order as it was; the chunks are asked about together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnemic.errors import ParameterError
from mnemic.models.prompt import Asks, Prompt, Shown
from mnemic.ops.fuse import reciprocal_rank_fusion
from mnemic.ops.repeats import containment
from mnemic.text.terms import terms

BATCH = 10
LOWEST, HIGHEST = 1, 10

_RERANK = """
You judge how well documents answer a question. `documents` is a list of {"document": number, "text": ...}, `question` is the
question. Give every document a relevance_score, a whole number from 1 (has nothing to do with the question) to 10 (answers it
directly and completely). Judge each document by what it says, not by its place in the list. Name every document once.
"""
_RELEVANT = """
You judge which parts of some notes bear on a question. `chunks` is a list of {"chunk": number, "text": ...}, `question` is the
question. A chunk is relevant when it holds something that is needed, or helps, to answer the question, such as a fact, a
preference or an instruction that applies. Name every chunk once.
"""


@dataclass(frozen=True, slots=True)
class DocumentScore:
    """A model's score for one document of a batch, both numbered from 1."""

    document: int
    relevance_score: float


@dataclass(frozen=True, slots=True)
class DocumentScores:
    """A model's answer about a batch."""

    scores: list[DocumentScore]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one chunk, numbered from 1, bears on the question."""

    chunk: int
    is_relevant: bool


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A model's answer about chunks."""

    verdicts: list[Verdict]


@dataclass(frozen=True, slots=True)
class Reranked:
    """Candidates in their new order.

    order: positions of the candidates, best first. scores: the model's, by position; none on the offline path.
    path: "llm" when a model answered about at least one batch, else "offline".
    """

    order: tuple[int, ...]
    scores: dict[int, float]
    path: str


def rerank(
    question: str,
    candidates: Sequence[Shown],
    ask: Asks,
    *,
    offline: Sequence[int] | None = None,
    batch: int = BATCH,
    step: str = "rerank",
) -> Reranked:
    """The candidates by a model's score from 1 to 10, of equal scores in the order given.

    candidates: best first; the value of each is its text. offline: the order to take where no model answers, such as that of
    `fused`; None for the order given. Batches are asked side by side, and which come first changes nothing.
    """
    if batch < 1:
        raise ParameterError(f"batch={batch}: ask about at least 1 candidate at a time.")
    groups = [candidates[at : at + batch] for at in range(0, len(candidates), batch)]
    prompts = [_prompt(_RERANK, "documents", "document", group, question) for group in groups]
    answers = ask.many(step, prompts, DocumentScores) if prompts else []
    if all(answer is None for answer in answers):
        return Reranked(tuple(range(len(candidates)) if offline is None else offline), {}, "offline")
    found: dict[int, float] = {}
    for number, (group, answer) in enumerate(zip(groups, answers, strict=True)):
        for one in answer.scores if answer else ():
            if 1 <= one.document <= len(group) and LOWEST <= one.relevance_score <= HIGHEST:
                found.setdefault(number * batch + one.document - 1, float(one.relevance_score))
    return Reranked(tuple(sorted_around(len(candidates), found)), found, "llm")


def sorted_around(n: int, scores: dict[int, float]) -> list[int]:
    """The positions 0 … n-1 with those that have a score sorted by it, best first, and the others where they were.

    >>> sorted_around(4, {0: 2.0, 2: 9.0, 3: 5.0})
    [2, 1, 3, 0]
    """
    ranked = iter(sorted(sorted(scores), key=lambda at: -scores[at]))
    return [next(ranked) if at in scores else at for at in range(n)]


def fused(lexical: Sequence[float], dense: Sequence[float]) -> list[int]:
    """The positions by reciprocal rank fusion of their ranks by words and by meaning, best first.

    lexical, dense: [n] a score for each candidate; 0 or less by words is no rank by words. Of equal positions the one given
    first comes first.
    """
    if len(lexical) != len(dense):
        raise ParameterError(f"{len(lexical)} scores by words, {len(dense)} by meaning: give each candidate both.")
    rankings = [
        [at for at in sorted(range(len(lexical)), key=lambda at: -lexical[at]) if lexical[at] > 0.0],
        sorted(range(len(dense)), key=lambda at: -dense[at]),
    ]
    together = reciprocal_rank_fusion(rankings)
    return sorted(range(len(dense)), key=lambda at: -together[at])


def relevant(
    chunks: Sequence[Shown], question: str, ask: Asks, offline: Sequence[bool] | None = None, *, step: str = "filter"
) -> list[bool]:
    """[n] whether each chunk bears on the question, by one call; by `offline` where no model answers, or not about it.

    chunks: the value of each is its text. offline: [n] the verdicts without a model; those of `overlapping`, by terms alone,
    where None. Of several verdicts on a chunk the first counts.
    """
    found = list(overlapping([str(one.value) for one in chunks], question) if offline is None else offline)
    if len(found) != len(chunks):
        raise ParameterError(f"{len(chunks)} chunks, {len(found)} offline verdicts: give one for each chunk.")
    if not chunks:
        return found
    prompt = _prompt(_RELEVANT, "chunks", "chunk", chunks, question, max_tokens=max(2048, 40 * len(chunks)))
    answer = ask(step, prompt, Verdicts)
    for one in reversed(answer.verdicts if answer else ()):
        if 1 <= one.chunk <= len(chunks):
            found[one.chunk - 1] = one.is_relevant
    return found


def overlapping(
    texts: Sequence[str],
    question: str,
    *,
    share: float = 0.34,
    cosines: Sequence[float] | None = None,
    cosine: float = 0.35,
) -> list[bool]:
    """[n] whether each text has such a share of the question's terms, or its cosine with the question is so high.

    cosines: [n] of the texts with the question, or None to go by terms. A question without terms is met by cosine alone.

    >>> overlapping(["Ada plays the cello.", "It rained."], "Which instrument does Ada play?")
    [True, False]
    """
    wanted = frozenset(terms(question))
    close = [False] * len(texts) if cosines is None else [float(one) >= cosine for one in np.asarray(cosines)]
    return [
        is_close or (bool(wanted) and containment(wanted, frozenset(terms(text))) >= share)
        for text, is_close in zip(texts, close, strict=True)
    ]


def _prompt(task: str, name: str, number: str, shown: Sequence[Shown], question: str, max_tokens: int = 2048) -> Prompt:
    """The task with its numbered texts and the question as data."""
    listed = [{number: at, "text": one.value} for at, one in enumerate(shown, start=1)]
    sources = tuple(dict.fromkeys(source for one in shown for source in one.sources))
    return Prompt(task, {name: Shown(listed, sources), "question": Shown(question)}, max_tokens)
