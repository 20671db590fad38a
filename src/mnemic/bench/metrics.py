"""What a ranking is worth, as pure functions of it: no store, no model, no clock.

A ranking is what a system returned, best first; each hit stands on one turn or several, and an item of evidence is
found at the first hit that stands on it. `score` gives every figure of one question under the name by which it is
kept. Figures for a second answer key have the prefix "corrected:".

  recall@k any@k all@k ndcg@k mrr       of the evidence turns among the first k hits
  ndcg_official@k                       the same by LongMemEval's own formula, in which ranks 1 and 2 weigh the same
  session_recall@k …                    of the evidence's sessions; read on until k different sessions are seen
  recall@500t …                         among the hits that fit in so many tokens: the fair axis where hits differ in size
  block_recall                          in the context block that would really be handed over
  newest, lag                           does the newest value come first; else, how many updates old is what does
  order, order_found                    was it known which of two came first; were both found
  contains@k, vote@k                    does a hit hold the answer's words; do the labels of the hits elect it
  in_time@k                             hits on a day of the evidence, for questions that name a time
  sources@k                             turns that a hit stands on, on average: who cites everything finds everything
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from mnemic.bench.dataset import Key, Question
from mnemic.bench.results import Asked, Found
from mnemic.bench.statistics import auroc as _auroc
from mnemic.text.terms import normalised

Ranking = Sequence[Collection[str]]  # of each hit, the turns (or sessions) that it stands on
BUDGETS = (500, 1000, 2000, 4000, 8000)
CORRECTED = "corrected:"
EVIDENCE_TASKS = ("recall", "newest", "order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one system gave for one question, and what must be known of the sample to score it."""

    found: Sequence[Found]  # as deep as was asked for
    is_all: bool  # the system had no more to give, so a budget that is not filled is not for want of asking
    texts: Sequence[str]  # of the hits, in their order
    context_turns: Collection[str]
    sessions: Mapping[str, str | None] = field(default_factory=dict)  # of the sample's turns
    labels: Mapping[str, str | None] = field(default_factory=dict)
    days: Mapping[str, date] = field(default_factory=dict)
    names_a_time: bool = False  # the question does
    earlier: int | None = None  # of the two options of an `order` question, the one that the system puts first
    located: tuple[bool, ...] = ()  # of each option, whether the system found it
    depth: int | None = None  # hits below it fill budgets and sessions, and have no rank; None: all have one


def score(question: Question, outcome: Outcome, ks: Sequence[int]) -> dict[str, float]:
    """Every figure of one question, by name; what its task or key does not allow is left out."""
    figures = {f"sources@{k}": mean_sources(outcome.found[:k]) for k in ks if outcome.found}
    if question.task in EVIDENCE_TASKS:
        figures |= _of_key(question.key, outcome, ks)
        if question.corrected is not None:
            figures |= {CORRECTED + name: value for name, value in _of_key(question.corrected, outcome, ks).items()}
    ranking = [hit.turns for hit in outcome.found[: outcome.depth]]
    if question.task == "newest" and len(question.key.evidence) == 1:
        figures |= newest(ranking, question.key.evidence[0], question.stale)
    if question.task == "order":
        figures["order"] = order(outcome.earlier, question.key.answers)
        figures["order_found"] = float(len(outcome.located) == 2 and all(outcome.located))
    if question.task == "contains":
        figures |= {f"contains@{k}": contains(outcome.texts[:k], question.key.answers) for k in ks}
    if question.task == "vote":
        labels = [outcome.labels.get(turn) for hit in outcome.found for turn in hit.turns[:1]]
        figures |= {f"vote@{k}": float(vote(labels[:k]) in question.key.answers) for k in ks}
    return figures


def _of_key(key: Key, outcome: Outcome, ks: Sequence[int]) -> dict[str, float]:
    evidence = dict.fromkeys(key.evidence)
    if not evidence:
        return {}
    ranking = [hit.turns for hit in outcome.found]
    figures = _of_ranking(ranking[: outcome.depth], evidence, ks)
    sessions = outcome.sessions
    wanted = {session for turn in evidence if (session := sessions.get(turn)) is not None}
    if wanted and len(set(sessions.values()) - {None}) > 1:
        seen = first_seen([[name for turn in hit if (name := sessions.get(turn)) is not None] for hit in ranking])
        figures |= {
            f"session_{name}": value for name, value in _of_ranking([[one] for one in seen], wanted, ks).items()
        }
    for budget in BUDGETS:
        fitting = within_budget([hit.tokens for hit in outcome.found], budget)
        if outcome.is_all or fitting < len(ranking):
            figures[f"recall@{budget}t"] = recall(ranking[:fitting], evidence)
    figures["block_recall"] = recall([outcome.context_turns], evidence)
    evidence_days = {outcome.days[turn] for turn in evidence if turn in outcome.days}
    if outcome.names_a_time and evidence_days and ranking:
        dated = [any(outcome.days.get(turn) in evidence_days for turn in hit) for hit in ranking]
        figures |= {f"in_time@{k}": sum(dated[:k]) / len(dated[:k]) for k in ks}
    return figures


def _of_ranking(ranking: Ranking, evidence: Collection[str], ks: Sequence[int]) -> dict[str, float]:
    figures = {"mrr": reciprocal_rank(ranking, evidence)}
    for k in ks:
        share = recall(ranking[:k], evidence)
        figures[f"recall@{k}"], figures[f"any@{k}"], figures[f"all@{k}"] = share, float(share > 0), float(share == 1)
        figures[f"ndcg@{k}"] = ndcg(ranking, evidence, k)
        figures[f"ndcg_official@{k}"] = ndcg(ranking, evidence, k, is_official=True)
    return figures


# -- of a ranking ---------------------------------------------------------------------------------------------


def recall(ranking: Ranking, evidence: Collection[str]) -> float:
    """The share of the evidence that the hits stand on. There must be some.

    >>> recall([{"a"}, {"x"}, {"b", "y"}], ["a", "b", "c", "d"])
    0.5
    """
    there = {turn for hit in ranking for turn in hit}
    return sum(one in there for one in evidence) / len(evidence)


def ranks(ranking: Ranking, evidence: Iterable[str]) -> dict[str, int]:
    """The rank, from 1, at which each item of evidence is found; without those that are not.

    >>> ranks([{"x"}, {"a", "b"}, {"a"}], ["a", "b", "c"])
    {'a': 2, 'b': 2}
    """
    wanted, at = dict.fromkeys(evidence), dict[str, int]()
    for rank, hit in enumerate(ranking, start=1):
        for turn in hit:
            if turn in wanted:
                at.setdefault(turn, rank)
    return {one: at[one] for one in wanted if one in at}


def reciprocal_rank(ranking: Ranking, evidence: Iterable[str]) -> float:
    """1 / rank of the first evidence; 0 where there is none.

    >>> reciprocal_rank([{"x"}, {"a"}], ["a", "b"])
    0.5
    """
    found = ranks(ranking, evidence)
    return 1.0 / min(found.values()) if found else 0.0


def ndcg(ranking: Ranking, evidence: Collection[str], k: int, *, is_official: bool = False) -> float:
    """Discounted gain of the first k hits as a share of the ideal: one item of evidence a hit, from the top.

    Each item counts once, where it is first found: with 1 / log2(rank + 1), or, as LongMemEval's own code has it, with 1
    at rank 1 and 1 / log2(rank) below. A hit that stands on several items cannot make the whole exceed 1.

    >>> round(ndcg([{"a"}, {"x"}, {"b"}], ["a", "b"], 3), 4)
    0.9197
    >>> ndcg([{"x"}, {"a"}], ["a"], 2, is_official=True)
    1.0
    """
    gain = dcg(ranks(ranking[:k], evidence).values(), is_official=is_official)
    ideal = dcg(range(1, min(len(set(evidence)), k) + 1), is_official=is_official)
    return min(gain / ideal, 1.0)


def dcg(found_at: Iterable[int], *, is_official: bool = False) -> float:
    """The discounted gain of relevant hits at these ranks, from 1.

    >>> dcg([1, 2], is_official=True), round(dcg([1, 2]), 2)
    (2.0, 1.63)
    """
    if is_official:
        return math.fsum(1.0 if rank == 1 else 1.0 / math.log2(rank) for rank in found_at)
    return math.fsum(1.0 / math.log2(rank + 1) for rank in found_at)


def first_seen(ranking: Ranking) -> list[str]:
    """Everything that the hits stand on, each once, in the order in which it comes up.

    >>> first_seen([["s2"], ["s1", "s2"], ["s3"]])
    ['s2', 's1', 's3']
    """
    return list(dict.fromkeys(one for hit in ranking for one in hit))


def within_budget(tokens: Iterable[int], budget: int) -> int:
    """How many of the first hits have no more tokens together than the budget.

    >>> within_budget([200, 200, 200], 500)
    2
    """
    fitting, total = 0, 0
    for cost in tokens:
        total += cost
        if total > budget:
            break
        fitting += 1
    return fitting


def mean_sources(found: Sequence[Found]) -> float:
    """Turns that a hit stands on, on average."""
    return sum(len(hit.turns) for hit in found) / len(found)


# -- of a task ------------------------------------------------------------------------------------------------


def newest(ranking: Ranking, current: str, stale: Sequence[str]) -> dict[str, float]:
    """`newest`: 1 when the turn with the current value is found, before every one with an earlier value.

    `lag`: of the one that comes first among them all, how many updates ago it was true, 0 for the current one; left out
    where none is found. stale: oldest first.

    >>> newest([{"v2"}, {"v3"}], "v3", ["v1", "v2"])
    {'newest': 0.0, 'lag': 1.0}
    """
    values = [*stale, current]
    found = ranks(ranking, values)
    if not found:
        return {"newest": 0.0}
    best = min(found.values())
    first = [value for value in values if found.get(value) == best]
    # a hit that stands on the current value and an earlier one at once does not tell them apart
    lag = len(values) - 1 - values.index(first[0])
    return {"newest": float(first == [current]), "lag": float(lag)}


def order(earlier: int | None, answers: Sequence[str]) -> float:
    """1 when the option that came first was told, 0 when the other was, and one half for no decision: a coin's worth."""
    return 0.5 if earlier is None else float(str(earlier) in answers)


def contains(texts: Sequence[str], answers: Sequence[str]) -> float:
    """1 when one of the texts has one of the answers in it, as whole words, whatever their case and punctuation.

    >>> contains(["It was the Red Lion, I think."], ["red lion"]), contains(["a party"], ["art"])
    (1.0, 0.0)
    """
    wanted = [re.escape(plain) for answer in answers if (plain := normalised(answer))]
    if not wanted:
        return 0.0
    # between characters of a script without spaces there is no word boundary to ask for
    pattern = re.compile("|".join(rf"(?<![a-z0-9]){one}(?![a-z0-9])" for one in wanted))
    return float(any(pattern.search(normalised(text)) for text in texts))


def vote(labels: Iterable[str | None]) -> str | None:
    """The most frequent label; of several, the one that came up first; None without any.

    >>> vote(["b", "a", None, "a", "b"])
    'b'
    """
    counts = Counter(label for label in labels if label is not None)
    return max(counts, key=lambda label: counts[label]) if counts else None


# -- of many questions ----------------------------------------------------------------------------------------


def average(asked: Iterable[Asked], metric: str, apart: Collection[str] = ()) -> tuple[float, int]:
    """The mean of a figure and the number of questions it is over; what is counted apart, and what lacks it, left out.

    NaN over none.
    """
    values = [one.scores[metric] for one in asked if one.category not in apart and metric in one.scores]
    return (math.fsum(values) / len(values) if values else math.nan, len(values))


def abstention_auroc(asked: Sequence[Asked], apart: Collection[str] = ()) -> float:
    """The chance that a question with an answer was recalled with more confidence than one without; NaN without both.

    Without an answer are those of the task `absent` and of the categories that are counted apart.
    """
    sure = [one for one in asked if one.confidence is not None]
    has_answer = np.array([one.task != "absent" and one.category not in apart for one in sure], np.bool_)
    return _auroc(np.array([one.confidence for one in sure], np.float64), has_answer).value
