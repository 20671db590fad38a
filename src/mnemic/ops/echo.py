"""The feedback loop, cut: what was recalled is marked, and known again when it comes back.

Two ways to know it. By lineage: a context block carries a mark behind each memory, ``[m:1f-k3]``, which names the
episode and is hard to guess; a text with such marks repeats those episodes if most of its words are theirs. By
content: a text that says, word for word or nearly, what was recalled in this scope not long ago.

An echo is kept in the log like everything else, with the ids of what it repeats, and never counts as evidence.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mnemic.model import Episode
from mnemic.ops.pack import unframed
from mnemic.ops.repeats import containment, content_hash, has_number, turns
from mnemic.text.terms import normalised, terms

_DIGITS = "0123456789abcdefghijkmnpqrstvwxy"  # 32: without l, o, u and z, which are misread
_BASE = 32
_MARK = re.compile(r"\[m:([0-9a-z]{1,13})-([0-9a-z]{3})\]")
REPEATED_SHARE = 0.8  # of a text's distinct terms that must be the recalled one's
FEWEST_TERMS = 3  # a text of fewer repeats nothing in particular
RECALLED_KEPT = 512  # recalled episodes kept in mind for each scope


@dataclass(frozen=True, slots=True)
class Echo:
    """What a text repeats."""

    ids: tuple[str, ...]
    by: str  # "lineage" or "content"


class Marks:
    """Marks of one store; another store's, and invented ones, are not recognised."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, seq: int) -> str:
        """The mark of the episode at a position, such as ``[m:1f-k3q]``."""
        code = _encoded(seq)
        return f"[m:{code}-{self._check(code)}]"

    def found_in(self, text: str) -> list[int]:
        """Positions whose genuine marks stand in the text."""
        if "[m:" not in text:
            return []
        return [_decoded(code) for code, check in _MARK.findall(text) if check == self._check(code) and _is_code(code)]

    @staticmethod
    def stripped(text: str) -> str:
        """The text without anything that looks like a mark."""
        return _MARK.sub("", text)

    def _check(self, code: str) -> str:
        digest = hashlib.blake2b(code.encode(), key=self._secret[:64], digest_size=4).digest()
        return _encoded(int.from_bytes(digest, "little") % _BASE**3).rjust(3, "0")


class RecalledTexts:
    """What was recalled in one scope not long ago, to know it again."""

    def __init__(self, window: timedelta, capacity: int = RECALLED_KEPT) -> None:
        self.capacity = capacity
        self._window = window
        self._episodes: OrderedDict[int, tuple[Episode, datetime]] = OrderedDict()  # latest recalled last
        self._hashes: dict[int, int] = {}  # content hash -> seq
        self._words: dict[int, frozenset[str]] = {}
        self._unread: set[int] = set()  # their words are taken when a text is compared, not when they are recalled
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._episodes)

    def note(self, episodes: Iterable[Episode], at: datetime) -> None:
        """These were recalled at that time."""
        with self._lock:
            for episode in episodes:
                self._episodes[episode.seq] = (episode, at)
                self._episodes.move_to_end(episode.seq)
                if episode.seq not in self._words:
                    self._unread.add(episode.seq)
            while len(self._episodes) > self.capacity:
                self._drop(next(iter(self._episodes)))

    def drop(self, seqs: Iterable[int]) -> None:
        """These are forgotten."""
        with self._lock:
            for seq in list(seqs):
                if seq in self._episodes:
                    self._drop(seq)

    def echo_of(
        self,
        text: str,
        text_terms: frozenset[str],
        role: str,
        now: datetime,
        is_current: Callable[[Episode], bool] = lambda episode: True,
    ) -> Echo | None:
        """What the text repeats, if anything; what a user says must repeat it word for word.

        is_current: whether a recalled episode still stands: what repeats something forgotten or corrected since is news.
        """
        with self._lock:
            while self._episodes and next(iter(self._episodes.values()))[1] < now - self._window:
                self._drop(next(iter(self._episodes)))
            if len(text_terms) < FEWEST_TERMS or not self._episodes:
                return None
            self._read()
            found = self._repeated_by(text, text_terms, role)
            for seq in [seq for seq in found if not is_current(self._episodes[seq][0])]:
                found.remove(seq)
                self._drop(seq)
            return Echo(tuple(self._episodes[seq][0].id for seq in found[:8]), "content") if found else None

    def _repeated_by(self, text: str, text_terms: frozenset[str], role: str) -> list[int]:
        same = self._hashes.get(content_hash(text))
        if same is not None:
            return [same]
        if role == "user":
            return []
        near = [seq for seq, words in self._words.items() if containment(text_terms, words) >= REPEATED_SHARE]
        said = frozenset(normalised(text).split())
        return [seq for seq in near if not self._is_turned(said, self._episodes[seq][0])]

    @staticmethod
    def _is_turned(said: frozenset[str], episode: Episode) -> bool:
        """Whether a new number, or a "not" more or less, makes another statement of it."""
        known = frozenset(normalised(f"{episode.actor or ''} {episode.text}").split())
        return has_number(said - known) or turns(said ^ known)

    def _read(self) -> None:
        for seq in self._unread:
            episode, _ = self._episodes[seq]
            self._words[seq] = frozenset(terms(f"{episode.actor or ''} {episode.text}"))
            self._hashes[content_hash(episode.text)] = seq
        self._unread.clear()

    def _drop(self, seq: int) -> None:
        del self._episodes[seq]
        self._unread.discard(seq)
        self._words.pop(seq, None)
        for hash_ in [hash_ for hash_, at in self._hashes.items() if at == seq]:
            del self._hashes[hash_]


def echo_by_lineage(text: str, marked: Iterable[Episode]) -> Echo | None:
    """What a text with these episodes' marks repeats: nothing when most of its words are its own."""
    episodes = list(marked)
    if not episodes:
        return None
    whole = frozenset(term for one in episodes for term in terms(f"{one.speaker} {one.text}"))
    own = frozenset(terms(unframed(Marks.stripped(text))))
    if own and containment(own, whole) < REPEATED_SHARE / 2:
        return None
    return Echo(tuple(one.id for one in episodes), "lineage")


def _encoded(number: int) -> str:
    digits = ""
    while True:
        number, last = divmod(number, _BASE)
        digits = _DIGITS[last] + digits
        if not number:
            return digits


def _is_code(code: str) -> bool:
    return all(character in _DIGITS[:_BASE] for character in code)


def _decoded(code: str) -> int:
    number = 0
    for character in code:
        number = number * _BASE + _DIGITS.index(character)
    return number
