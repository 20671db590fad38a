"""Summaries: of what was said, of records, or of summaries; at once, or rolling on from the last one.

With a model: it reads the pieces, and the previous summary where there is one, and writes a paragraph. Without one: the
sentences that are most like all the others, without those that say the same again, in their order. Central is told by
LexRank: the stationary distribution of a walk from sentence to sentence along their cosines over tf-idf terms, damping 0.85
(Erkan and Radev, 2004, its continuous form); chosen by maximal marginal relevance (Carbonell and Goldstein, 1998).

A summary's sources are those of everything it was made from: also what was not chosen had a say in what was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.model import Episode, Record
from mnemic.models.prompt import Asks, Prompt, Shown
from mnemic.ops.extract import NOT_MINED, Fact, facts_in
from mnemic.ops.keywords import keywords
from mnemic.ops.repeats import content_hash
from mnemic.text.sentences import sentences
from mnemic.text.terms import terms

__all__ = [
    "LABEL",
    "SUMMARISE",
    "Piece",
    "Summary",
    "central",
    "keywords",
    "merge",
    "piece",
    "summarise",
    "topic_label",
]

SUMMARISE = """
You keep the summary of a conversation. "pieces" holds what is new, in order, with time and speaker where they are known;
"previous", where it is there, is the summary so far. Write one summary of both together, as plain prose in the third person:
who said, did, wants and plans what, with names, numbers and dates as they are given. What is newer counts where two things
disagree. Add nothing of your own. "max_words" is the most words that it may have.
Answer with {"summary": the text}.
"""
LABEL = """
"pieces" holds parts of one conversation. Name what they are about in two to six words, as a heading would, in the language
of the pieces. Answer with {"label": the words}.
"""
DAMPING = 0.85
RELEVANCE = 0.7  # lambda of maximal marginal relevance: what being central weighs against being new
SAME = 0.9  # cosine from which a sentence says nothing beside another
MOST_SENTENCES = 400  # compared with each other; of more, those nearest to the middle


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to be summarised."""

    text: str
    sources: tuple[str, ...] = ()
    speaker: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary, with the episodes behind everything it was made from."""

    text: str
    sources: tuple[str, ...] = ()
    path: str = "offline"  # "llm" or "offline"


@dataclass(frozen=True, slots=True)
class SummaryAnswer:
    """What a model answers to SUMMARISE."""

    summary: str = ""


@dataclass(frozen=True, slots=True)
class LabelAnswer:
    """What a model answers to LABEL."""

    label: str = ""


Said = Episode | Record | Fact | Summary | Piece


def summarise(
    said: Sequence[Said],
    ask: Asks,
    *,
    step: str = "summarise",
    task: str = SUMMARISE,
    max_words: int = 120,
    previous: Summary | None = None,
) -> Summary:
    """A summary of at most `max_words` words; of `previous` and what is new together, where there is a previous one.

    With nothing new the previous one comes back. Raises ParameterError when max_words is below 1.
    """
    if max_words < 1:
        raise ParameterError(f"A summary was to have {max_words} words. Give 1 or more.")
    pieces = [one for one in map(piece, said) if one.text.strip()]
    if not pieces:
        return previous or Summary("")
    before = [Piece(previous.text, previous.sources)] if previous is not None and previous.text.strip() else []
    sources = tuple(dict.fromkeys(source for one in [*before, *pieces] for source in one.sources))
    data = {"pieces": shown(pieces), "max_words": Shown(max_words)}
    if before and previous is not None:
        data = {"previous": Shown(previous.text, previous.sources), **data}
    answer = ask(step, Prompt(task, data), SummaryAnswer)
    text = " ".join(answer.summary.split()) if answer is not None else ""
    if text:
        return Summary(_within([text] if _words(text) <= max_words else sentences(text), max_words), sources, "llm")
    stated = [sentence for one in before for sentence in sentences(one.text)]
    stated += [sentence for one in said for sentence in _stated(one)]
    return Summary(_extract(stated or [one.text for one in [*before, *pieces]], max_words), sources)


def merge(
    summaries: Sequence[Summary], ask: Asks, *, step: str = "merge", task: str = SUMMARISE, max_words: int = 200
) -> Summary:
    """One summary of several, oldest first."""
    return summarise(summaries, ask, step=step, task=task, max_words=max_words)


def topic_label(said: Sequence[Said], ask: Asks | None = None, *, step: str = "topic", task: str = LABEL) -> str:
    """What the pieces are about, in a few words; without a model, their three foremost keywords; "" for nothing."""
    pieces = [one for one in map(piece, said) if one.text.strip()]
    if not pieces:
        return ""
    answer = (
        ask(step, Prompt(task, {"pieces": shown(pieces)}, max_tokens=128), LabelAnswer) if ask is not None else None
    )
    label = " ".join(answer.label.split()[:12]).strip(" .\"'") if answer is not None else ""
    speakers = [one.speaker for one in pieces if one.speaker]
    return label or ", ".join(keywords([one.text for one in pieces], 3, speakers))


def piece(one: Said) -> Piece:
    """An episode, record, fact or summary as a piece."""
    if isinstance(one, Episode):
        return Piece(one.text if one.role not in NOT_MINED else "", (one.id,), one.speaker, one.occurred_at)
    if isinstance(one, Record):
        return Piece(one.text, one.sources, "", one.valid_from or one.recorded_at)
    if isinstance(one, Fact):
        return Piece(one.text, one.episode_ids, one.speaker, one.said_at)
    return Piece(one.text, one.sources) if isinstance(one, Summary) else one


def shown(pieces: Iterable[Piece]) -> Shown:
    """Pieces as a model sees them: a list of {"time", "speaker", "text"}, what is not known left out."""
    listed = list(pieces)
    values: list[dict[str, Any]] = []
    for one in listed:
        value = {"time": one.at.isoformat()} if one.at is not None else {}
        values.append({**value, **({"speaker": one.speaker} if one.speaker else {}), "text": one.text})
    return Shown(values, tuple(dict.fromkeys(source for one in listed for source in one.sources)))


# -- without a model --------------------------------------------------------------------------------------


def central(texts: Sequence[str]) -> NDArray[np.float64]:
    """[n] how central each text is among all, summing to 1: LexRank over the cosines of tf-idf term vectors."""
    if not texts:
        return np.zeros(0)
    return _ranked(_cosines(texts))


def _ranked(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    n = len(cosines)
    total = cosines.sum(axis=1, keepdims=True)
    walk = np.divide(cosines, total, out=np.full_like(cosines, 1.0 / n), where=total > 0)
    rank = np.full(n, 1.0 / n)
    for _ in range(100):
        following: NDArray[np.float64] = (1 - DAMPING) / n + DAMPING * np.einsum("ij,i->j", walk, rank)
        if float(np.abs(following - rank).sum()) < 1e-9:
            break
        rank = following
    return rank


def _cosines(texts: Sequence[str]) -> NDArray[np.float64]:
    """[n, n] the cosines of the texts' tf-idf term vectors, one with itself 0, summed term by term in a fixed order."""
    counts = [Counter(terms(text)) for text in texts]
    n = len(texts)
    places: dict[str, list[int]] = {}
    for at, count in enumerate(counts):
        for term in count:
            places.setdefault(term, []).append(at)
    found = np.zeros((n, n))
    squares = np.zeros(n)
    for term, those in places.items():
        idf = math.log(1 + n / len(those))
        weights = np.array([(1 + math.log(counts[one][term])) * idf for one in those])
        squares[those] += weights**2
        found[np.ix_(those, those)] += np.outer(weights, weights)
    norms = np.sqrt(squares)
    norms[norms == 0] = 1.0
    found /= norms[:, None]
    found /= norms[None, :]
    np.fill_diagonal(found, 0.0)
    return found


def _stated(one: Said) -> list[str]:
    """Its sentences, in the third person where it was spoken."""
    if isinstance(one, Episode):
        return [fact.text for fact in facts_in(one)] if one.role not in NOT_MINED else []
    return sentences(piece(one).text)


def _extract(stated: Sequence[str], max_words: int) -> str:
    """The most central and least repeating sentences within the words allowed, in their order."""
    once: dict[int, str] = {}
    for sentence in stated:
        once.setdefault(content_hash(sentence), " ".join(sentence.split()))
    stated = list(once.values())
    if len(stated) > MOST_SENTENCES:
        stated = _nearest_to_the_middle(stated)
    sizes = list(map(_words, stated))
    if sum(sizes) <= max_words:
        return " ".join(map(_ended, stated))
    cosines = _cosines(stated)
    rank = _ranked(cosines)
    rank = rank / rank.max()
    likest = np.zeros(len(stated))
    chosen: list[int] = []
    left, room = list(range(len(stated))), max_words
    while left := [at for at in left if sizes[at] <= room and likest[at] < SAME]:
        worth = np.round(RELEVANCE * rank[left] - (1 - RELEVANCE) * likest[left], 9)
        best = left[int(np.argmax(worth))]
        chosen.append(best)
        left.remove(best)
        room -= sizes[best]
        likest = np.maximum(likest, cosines[best])
    if not chosen:
        return _within([stated[int(np.argmax(rank))]], max_words)
    return " ".join(_ended(stated[at]) for at in sorted(chosen))


def _nearest_to_the_middle(stated: list[str]) -> list[str]:
    """Those whose terms are the most frequent ones, in their order."""
    spread = Counter(term for sentence in stated for term in dict.fromkeys(terms(sentence)))
    scores = []
    for sentence in stated:
        own = list(dict.fromkeys(terms(sentence)))
        scores.append(sum(math.log(1 + spread[term]) for term in own) / math.sqrt(len(own) + 3))
    best = sorted(range(len(stated)), key=lambda at: (-scores[at], at))[:MOST_SENTENCES]
    return [stated[at] for at in sorted(best)]


def _within(parts: Sequence[str], max_words: int) -> str:
    """As many of the parts as fit; the first one cut when even that does not."""
    kept: list[str] = []
    room = max_words
    for part in parts:
        if _words(part) > room:
            break
        kept.append(part)
        room -= _words(part)
    return " ".join(kept) if kept else " ".join(parts[0].split()[:max_words]) if parts else ""


def _words(text: str) -> int:
    """How many words; a script without spaces counts four letters as one."""
    return sum(
        1 if part.isascii() else max(1, len(part) // 4) if ord(max(part)) >= 0x0E00 else 1 for part in text.split()
    )


def _ended(sentence: str) -> str:
    return sentence if sentence[-1:] in ".!?…。！？:;" or not sentence[-1:].isascii() else sentence + "."
