"""What an agent with grep and nothing else would find: the words of the question, tried one search after another.

The rule, fixed so that two runs agree. The question's content words are taken as they are written, without case; a word
that stands nowhere in the log is tried without its ending. Each is searched for as part of the line "speaker: text".
First come the searches for two words at once, then those for one; among each, the search that finds the fewest lines
comes first, as a person would narrow down. A search prints its lines in the order of the log, the newest last, and a
line that an earlier search has printed is not printed again. The score is the share of the question's words that the
search asked for, two at most; so hits of one search score alike.

Departs from a real agent: no model reads the lines and thinks of better words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from mnemic.model import Cue, Hit, Reason
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View
from mnemic.text.terms import as_said, terms

_WORDS_TRIED = 12  # the rarest: pairs of more would be searches that nobody types
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


class Grep(MemorySystem):
    """Substring search by the words of the cue: pairs of words, then single ones, rarest first."""

    card = Card(
        id="grep",
        title="An agent's grep over episodes",
        year=1973,
        family="baseline",
        summary="The cue's words as substrings: two at once, then one, the rarest search first, lines in the log's order.",
        source="the usual control: keyword search over the raw log",
    )

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        allowed = view.allowed(cue)
        rows = np.arange(len(view.index)) if allowed is None else np.flatnonzero(allowed)
        episodes = view.episodes(rows)
        lines = {row: as_said(one.speaker, one.text).casefold() for row, one in episodes.items()}
        words = content_words(cue.text)
        found = {word: matching for word in words if (matching := _matching(word, lines))}
        hits: dict[int, Reason] = {}
        for searched, matching in searches(found):
            value = min(len(searched), len(words)) / len(words)
            for row in matching:
                hits.setdefault(row, Reason("words", value, 1.0, ", ".join(searched)))
            if len(hits) >= cue.limit:
                break
        shown = list(hits)[: cue.limit]
        return view.hits(shown, [hits[row].value for row in shown], lambda row: (hits[row],))


def content_words(text: str) -> list[str]:
    """The words of a text that are not merely grammar, in lower case, each once, in its order.

    A script without spaces gives pairs of characters.

    >>> content_words("When did Caroline's sister go to the sea-side?"), content_words("東京に")
    (['caroline', 'sister', 'go', 'sea-side'], ['東京', '京に'])
    """
    found: list[str] = []
    for written in _WORD.findall(text.casefold()):
        word = written.removesuffix("'s").removesuffix("’s")
        parts = terms(word)
        found += parts if len(parts) > 1 and word.isalnum() else [word] if parts else []
    return list(dict.fromkeys(found))


def searches(found: dict[str, list[int]]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """What is searched for and the rows that it finds, in the order in which the searches are made.

    found: the rows of each word, ascending.

    >>> list(searches({"tea": [1, 2, 4], "mug": [2, 3]}))
    [(('mug', 'tea'), [2]), (('mug',), [2, 3]), (('tea',), [1, 2, 4])]
    """
    rarest = sorted(found, key=lambda word: len(found[word]))[:_WORDS_TRIED]
    pairs = [(pair, _both(found[pair[0]], found[pair[1]])) for pair in combinations(rarest, 2)]
    yield from sorted((each for each in pairs if each[1]), key=lambda each: len(each[1]))
    for word in rarest:
        yield (word,), found[word]


def _both(first: Sequence[int], second: Sequence[int]) -> list[int]:
    there = set(second)
    return [row for row in first if row in there]


def _matching(word: str, lines: dict[int, str]) -> list[int]:
    """The rows whose line holds the word; where none does, those that hold it without its ending."""
    matching = [row for row, line in lines.items() if word in line]
    if matching or not (stem := _stem(word)):
        return matching
    return [row for row, line in lines.items() if stem in line]


def _stem(word: str) -> str | None:
    """What the word and its stem begin with alike, if that is shorter and long enough to search for."""
    (stem,) = found if len(found := terms(word)) == 1 else ("",)
    length = next((at for at, (one, other) in enumerate(zip(word, stem, strict=False)) if one != other), len(stem))
    return word[:length] if 3 <= length < len(word) else None
