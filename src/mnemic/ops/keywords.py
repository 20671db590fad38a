"""What texts are about, in their own words: the words and short phrases that carry most of them.

The one idea is RAKE's (Rose et al., 2010): stop words and marks cut a text into candidate phrases. Departs: a word weighs by
how often and how early it stands rather than by degree over frequency, which in chat favours the longest phrase; common verbs
and the words of small talk weigh little; names of the speakers and times are left out.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence

from mnemic.text.names import name_keys
from mnemic.text.terms import terms
from mnemic.text.time_words import has_time_words
from mnemic.text.verbs import ADVERBS, COMMON, base_form, is_past

_LONGEST = 3  # words of a phrase
_WORD = re.compile(r"(?P<word>[^\W_][\w]*(?:['’-]\w+)*)|(?P<gap>[^\w\s]|\n)|\s")
_FAINT = frozenset(
    """
    thank thanks great good nice awesome amazing cool wow hey hello hi yeah sure right really look sound thing things lot way
    glad happy bye soon mean guess wait fun best wonderful lovely fantastic incredible well luck agree definitely absolutely
    totally exactly time day week month year today yesterday tomorrow going got kind bit little big new old many people
    something anything everything someone always never user assistant like want need know think get make take go say
    different own sounds looks super pretty last next first it's i'm that's i've you're don't one two three
    """.split()
)

_IN_NAMES = frozenset("New Old Big Little Great Good".split())  # "New York"


def keywords(texts: Sequence[str], k: int = 5, without: Collection[str] = ()) -> list[str]:
    """The k foremost words and phrases of the texts, best first, in small letters but for names.

    without: names that say nothing here, such as the speakers'.

    >>> keywords(["I joined a pottery class.", "The pottery class made a clay bowl."], 2)
    ['pottery class', 'clay bowl']
    """
    hidden = name_keys(without)
    phrases: list[tuple[tuple[str, ...], str, int]] = []  # (terms, as written, position)
    position = 0
    for text in texts:
        for words in _runs(text, hidden):
            key = tuple(term for word in words for term in terms(word)[:1])
            if key and any(word.casefold() not in _FAINT for word in words):
                phrases.append((key, " ".join(words), position))
            position += len(words)
    weights = _weights(phrases)
    often = Counter(key for key, _, _ in phrases)
    first: dict[tuple[str, ...], tuple[str, int]] = {}
    for key, phrase, at in phrases:
        first.setdefault(key, (phrase, at))
    scored = sorted(
        first, key=lambda key: (-round(_score(key, weights) * (1 + math.log(often[key])), 9), first[key][1], key)
    )
    chosen: list[tuple[str, ...]] = []
    covered: set[str] = set()
    for key in scored:
        if len(chosen) >= k:
            break
        if not covered.issuperset(key):
            chosen.append(key)
            covered.update(key)
    return [_as_written(first[key][0]) for key in chosen]


def _runs(text: str, hidden: frozenset[str]) -> list[list[str]]:
    """Maximal runs of content words, cut to phrases of at most three."""
    runs: list[list[str]] = []
    run: list[str] = []
    for match in _WORD.finditer(text + "\n"):
        word = match["word"]
        if word is None:
            if match["gap"] is not None:
                runs.append(run)
                run = []
            continue
        bare = re.sub(r"['’]s?$", "", word)
        low = bare.casefold()
        if (
            low in hidden
            or not terms(bare)
            or low in ADVERBS
            or low.isdigit()
            or has_time_words(low)
            or _is_verb(bare, low)
        ):
            runs.append(run)
            run = []
            if terms(bare) and _is_verb(bare, low) and low not in _FAINT:
                runs.append([bare])
            continue
        run.append(bare)
    trimmed = map(_trimmed, runs)
    return [run[at : at + _LONGEST] for run in trimmed for at in range(0, len(run), _LONGEST)]


def _trimmed(run: list[str]) -> list[str]:
    """A run without the words at its ends that carry little; of one that has no others, the first word."""
    telling = [at for at, word in enumerate(run) if word.casefold() not in _FAINT or word in _IN_NAMES]
    return run[telling[0] : telling[-1] + 1] if telling else run[:1]


def _is_verb(word: str, low: str) -> bool:
    """Whether it is written as a form that is hardly a noun."""
    return word[0].islower() and (
        is_past(low) or (base_form(low) in COMMON and low.endswith("s") and low not in COMMON)
    )


def _weights(phrases: Sequence[tuple[tuple[str, ...], str, int]]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    worth: dict[str, float] = {}
    for key, words, position in phrases:
        for term, word in zip(key, words.split(" "), strict=False):
            counts[term] += 1
            first.setdefault(term, position)
            worth[term] = max(worth.get(term, 0.0), _worth(word))
    return {
        term: (1 + math.log(count)) * (1 + 0.5 / (1 + first[term] / 20)) * worth[term] for term, count in counts.items()
    }


def _worth(word: str) -> float:
    low = word.casefold()
    if low in _FAINT:
        return 0.15
    if low in COMMON or base_form(low) in COMMON:
        return 0.45 if not low.endswith("ing") else 0.7
    if word[0].isupper() and not word.isupper():
        return 1.1
    return 1.0 if len(word) > 3 or not word.isascii() or word.isupper() else 0.6


def _score(key: tuple[str, ...], weights: dict[str, float]) -> float:
    return sum(weights[term] for term in key) / math.sqrt(len(key))


def _as_written(phrase: str) -> str:
    words = phrase.split(" ")
    if len(words) > 1 and words[0][:1].isupper() and words[1][:1].islower():
        words[0] = words[0].lower() if words[0][1:].islower() else words[0]
    return " ".join(words)
