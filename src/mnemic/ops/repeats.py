"""The same thing said again: exactly, and nearly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

NEARLY = 0.9  # share of distinct terms in common from which two texts are nearly the same


def content_hash(text: str) -> int:
    """Signed 64 bits, equal for texts that differ only in case, white space and the punctuation at their ends.

    Cheap, since it is taken of every episode; what differs inside is for `fold_repeats` to recognise.

    >>> content_hash("I like tea!") == content_hash("i  like tea")
    True
    """
    said = " ".join((text.lower() if text.isascii() else text.casefold()).split()).strip(_ENDS)
    return int.from_bytes(hashlib.blake2b(said.encode(), digest_size=8).digest(), "little", signed=True)


_ENDS = " .!?,;:…\"'“”‘’()[]*_~-–—。！？、"


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of the terms of either that both have; 0 when neither has any."""
    union = len(one | other)
    return len(one & other) / union if union else 0.0


def containment(part: frozenset[str], whole: frozenset[str]) -> float:
    """Share of `part`'s terms that stand in `whole` too; 0 when it has none."""
    return len(part & whole) / len(part) if part else 0.0


def fold_repeats(hashes: Sequence[int], terms: Sequence[frozenset[str]], limit: int) -> list[tuple[int, list[int]]]:
    """(position, positions of its repeats) for the first `limit` different items, in the order given.

    Two items are repeats when their hashes are equal, or when both have at least four distinct terms of which nine in
    ten are common and the others are one's alone. Numbers and negations are terms like others here, so that "at 7" and
    "at 8" stay two things: pass sets of words, not of stems without stop words.
    """
    kept: list[tuple[int, list[int]]] = []
    by_hash: dict[int, int] = {}
    for at, (hash_, words) in enumerate(zip(hashes, terms, strict=True)):
        place = by_hash.get(hash_)
        if place is None and len(words) >= 4:
            place = next(
                (
                    place
                    for place, (first, _) in enumerate(kept)
                    if len(terms[first]) >= 4 and _nearly_same(words, terms[first])
                ),
                None,
            )
        if place is not None:
            kept[place][1].append(at)
        elif len(kept) < limit:
            by_hash[hash_] = len(kept)
            kept.append((at, []))
    return kept


def _nearly_same(one: frozenset[str], other: frozenset[str]) -> bool:
    common = len(one & other)
    if common < NEARLY * (len(one) + len(other) - common):
        return False
    if not (one <= other or other <= one):
        return False  # a word in the place of another: "Anna" for "Emma", "loves" for "hates"
    return not has_number(one ^ other) and not turns(one ^ other)


def has_number(words: frozenset[str]) -> bool:
    """Whether a digit stands in one of the words: another number makes another statement."""
    return any(any(map(str.isdigit, word)) for word in words)


def turns(words: frozenset[str]) -> bool:
    """Whether one of the words, as `normalised` spells it, turns a statement round: "not", "never", "dont"."""
    return not words.isdisjoint(_TURNING)


# words that turn a statement round, as `normalised` spells them
_TURNING = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nobody",
        "nothing",
        "neither",
        "cannot",
        "without",
        "cant",
        "dont",
        "doesnt",
        "didnt",
        "isnt",
        "arent",
        "wasnt",
        "werent",
        "wont",
        "wouldnt",
        "shouldnt",
        "couldnt",
        "hasnt",
        "havent",
        "hadnt",
        "aint",
    ]
)
