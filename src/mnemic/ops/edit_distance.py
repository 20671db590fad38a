"""How many letters have to change for one text to become another, and the nearest of some keys.

Levenshtein, Binary Codes Capable of Correcting Deletions, Insertions and Reversals, 1966: the fewest insertions, deletions
and replacements of single characters. Computed a whole column at a time in the bits of one number: Myers, A Fast
Bit-Vector Algorithm for Approximate String Matching, 1999, in the form of Hyyrö, 2003.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnemic.errors import ParameterError


def levenshtein(one: str, other: str, bound: int | None = None) -> int:
    """The edits between two texts; bound + 1 where there are more than `bound`, which is found sooner.

    >>> levenshtein("kitten", "sitting"), levenshtein("kitten", "sitting", bound=1)
    (3, 2)
    """
    if bound is not None and bound < 0:
        raise ParameterError(f"bound={bound}: a number of edits is 0 or more.")
    if one == other:
        return 0
    if len(one) > len(other):
        one, other = other, one
    most = len(other) if bound is None else min(bound, len(other))
    if len(other) - len(one) > most:
        return most + 1
    same = 0
    while same < len(one) and one[same] == other[same]:
        same += 1
    one, other = one[same:], other[same:]
    while one and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    if not one:
        return len(other)
    return min(_edits(one, other, most), most + 1)


def difference(one: str, other: str) -> float:
    """The edits as a share of the longer text's characters, in [0, 1]: 0 for equal texts.

    A fixed number of edits is much for a short key and little for a long one; the share treats them alike.

    >>> difference("asthma", "astma"), difference("", "")
    (0.16666666666666666, 0.0)
    """
    longer = max(len(one), len(other))
    return levenshtein(one, other) / longer if longer else 0.0


def nearest_key(
    key: str, keys: Sequence[str], *, most_edits: int | None = None, most_share: float | None = None
) -> tuple[int, int] | None:
    """(position, edits) of the key nearest to this one, the earlier of two as near; None where none is near enough.

    most_edits: at most so many, 6 in MaLP, arXiv 2309.11696. most_share: at most such a share of the longer key, which suits
    keys of different lengths. One of the two has to be given; with both, both hold. Case counts: fold it first.

    >>> nearest_key("asma", ["diet", "asthma"], most_share=0.4)
    (1, 2)
    """
    if most_edits is None and most_share is None:
        raise ParameterError("Give most_edits or most_share: without a bound any key would be near.")
    best: tuple[int, int] | None = None
    for at, known in enumerate(keys):
        longer = max(len(key), len(known))
        most = longer if most_edits is None else min(most_edits, longer)
        if most_share is not None:
            most = min(most, int(most_share * longer + 1e-9))
        if best is not None:
            most = min(most, best[1] - 1)
        if most >= 0 and (edits := levenshtein(key, known, most)) <= most:
            best = (at, edits)
            if not edits:
                break
    return best


def _edits(one: str, other: str, most: int) -> int:
    """The edits between two texts that are not empty; more than `most` as soon as that is certain."""
    at_letter: dict[str, int] = {}  # where in `one` a letter stands, as bits
    for at, letter in enumerate(one):
        at_letter[letter] = at_letter.get(letter, 0) | 1 << at
    every, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down = every, 0  # where the column grows by 1, and where it falls by 1, from one row to the next
    edits = len(one)
    for left, letter in zip(range(len(other) - 1, -1, -1), other, strict=True):
        match = at_letter.get(letter, 0)
        diagonal = (((match & up) + up) ^ up) | match | down
        grows, falls = down | (every & ~(diagonal | up)), up & diagonal
        if grows & last:
            edits += 1
        elif falls & last:
            edits -= 1
        if edits - left > most:  # each letter left can save one edit at most
            return most + 1
        grows, falls = (grows << 1 | 1) & every, falls << 1 & every
        up, down = falls | (every & ~(diagonal | grows)), grows & diagonal
    return edits
