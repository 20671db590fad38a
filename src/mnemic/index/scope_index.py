"""All indexes of one scope (or of a scope and those below it), row by row in log order.

A row is an episode: its times, who said it, in which session, between which neighbours; its vector; its terms. Rows
are only ever appended; a removal makes a smaller index that knows nothing of what was removed. What a cue may see is a
mask over the rows, so that a recall as of an earlier time meets exactly the statistics of that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnemic.index.columns import Column
from mnemic.index.fields import Fields
from mnemic.index.lexical import LexicalIndex
from mnemic.index.vectors import VectorIndex
from mnemic.model import Episode
from mnemic.store.contract import Change, IndexRows

T = TypeVar("T")
Mask = NDArray[np.bool_]
_EPISODE_BYTES = 1500  # of one that was read, about
_NUMBERS = {
    "seqs": np.int64,
    "scopes": np.int64,
    "occurred_at": np.int64,
    "recorded_at": np.int64,
    "hashes": np.int64,
    "sessions": np.int32,
    "actors": np.int32,
    "roles": np.int32,
    "previous": np.int32,
    "following": np.int32,
    "superseded_by": np.int32,
    "is_echo": np.bool_,
}


class ScopeIndex:
    """Vectors, terms, times and neighbours of the episodes of some scopes."""

    def __init__(self, dim: int) -> None:
        self.vectors = VectorIndex(dim)
        self.lexical = LexicalIndex()
        self.last_seq = 0
        self.last_removal = 0
        self.seen: Change | None = None  # the store's last change when this index was read
        self._columns = {name: Column(dtype) for name, dtype in _NUMBERS.items()}
        self._names: dict[str, int] = {}  # session, actor and role names -> number
        self._spelled: list[str] = []  # the same by number
        self._speakers: dict[str, set[int]] = {}  # a word of an actor's name -> actor numbers
        self._last_of: dict[tuple[int, int], int] = {}  # (scope, session) -> its last row
        self._made: dict[str, Any] = {}  # what was computed from all rows; see `once`
        self.lately: dict[int, Episode] = {}  # read lately, by seq; shared by clones, not by `without`
        self.fields = Fields()  # metadata that filters asked for; shared likewise
        self._is_plain = True  # no echoes and nothing superseded: everything is visible

    def __len__(self) -> int:
        return len(self._columns["seqs"])

    @property
    def nbytes(self) -> int:
        """Bytes held, about."""
        columns = sum(column.nbytes for column in self._columns.values())
        read = _EPISODE_BYTES * len(self.lately)
        return self.vectors.nbytes + self.lexical.nbytes + columns + self.fields.nbytes + read

    def clone(self) -> ScopeIndex:
        """The same index, to be extended while others go on reading this one."""
        clone = ScopeIndex(self.vectors.dim)
        clone.__dict__.update(self.__dict__)
        clone.vectors, clone.lexical = self.vectors.clone(), self.lexical.clone()
        clone._columns = {name: column.clone() for name, column in self._columns.items()}
        for name in ("following", "superseded_by"):  # the two in which a later row changes an earlier one
            clone._columns[name] = Column.of(self._columns[name].values.copy())
        return clone

    # -- growing ------------------------------------------------------------------------------------------

    def extend(self, rows: IndexRows) -> None:
        """Append episodes that follow the last one in the log."""
        n, first = len(rows.seqs), len(self)
        if n:
            self._made = {}  # another one: clones go on with theirs
            sessions = self._numbers(rows.sessions)
            self._append("seqs", rows.seqs)
            self._append("scopes", rows.scope_ids)
            self._append("occurred_at", rows.occurred_at)
            self._append("recorded_at", rows.recorded_at)
            self._append("hashes", rows.content_hashes)
            self._append("sessions", sessions)
            actors = self._numbers(rows.actors)
            self._append("actors", actors)
            self._note_speakers(np.unique(actors).tolist())
            self._append("roles", self._numbers(rows.roles))
            self._append("is_echo", rows.is_echo)
            self._append("superseded_by", np.full(n, -1, np.int32))
            self._append_neighbours(first, rows.scope_ids, sessions)
            vectors = rows.vectors
            if vectors.shape[1] != self.vectors.dim:  # none of these has a vector yet
                vectors = np.zeros((n, self.vectors.dim), np.float16)
            self.vectors.extend(vectors)
            self.lexical.extend(rows.terms)
            self.last_seq = int(rows.seqs[-1])
        seqs = self.seqs
        for old, new in rows.superseded:
            self._columns["superseded_by"].values[np.searchsorted(seqs, old)] = np.searchsorted(seqs, new)
        if rows.superseded or bool(rows.is_echo.any()):
            self._is_plain = False

    def settle(self) -> None:
        """Finish what bulk additions left undone, so that the first cue does not wait for it."""
        self.vectors.settle()
        self.lexical.settle()

    def without(self, seqs: Sequence[int]) -> ScopeIndex:
        """The same index as if these episodes had never been in the log."""
        keep = ~np.isin(self.seqs, np.array(list(seqs), np.int64))
        smaller = ScopeIndex(self.vectors.dim)
        smaller.last_seq, smaller.last_removal = self.last_seq, self.last_removal
        smaller.vectors, smaller.lexical = self.vectors.kept(keep), self.lexical.kept(keep)
        renumbered = np.append(np.cumsum(keep) - 1, -1)  # the last place is for "none", which is -1
        renumbered[:-1][~keep] = -1
        for name, column in self._columns.items():
            values = column.values[keep]
            if name == "superseded_by":
                values = renumbered[values].astype(np.int32)
            smaller._columns[name] = Column.of(values.copy())
        smaller._take_names(self._spelled)
        smaller._is_plain = not (smaller.superseded_by >= 0).any() and not smaller._columns["is_echo"].values.any()
        for name in ("previous", "following"):
            smaller._columns[name] = Column(np.int32)
        smaller._note_speakers(np.unique(smaller.actors).tolist())
        smaller._append_neighbours(0, smaller.scopes, smaller.sessions)
        return smaller

    # -- what a cue may see -------------------------------------------------------------------------------

    def visible(self, as_of: int | None = None) -> Mask | None:
        """The rows that count, None for all: no echoes, nothing superseded, nothing recorded after `as_of`."""
        if self._is_plain and as_of is None:
            return None
        superseded_by = self.superseded_by
        mask: Mask = ~self._columns["is_echo"].values
        if as_of is None:
            return mask & (superseded_by < 0)
        known = self.recorded_at <= as_of
        return mask & known & ((superseded_by < 0) | ~known[superseded_by])

    def name(self, number: int) -> str | None:
        """The session, actor or role of that number."""
        return None if number < 0 else self._spelled[number]

    def number(self, name: str | None) -> int:
        """The number of a session, actor or role; -1 for none, -2 for one that does not occur."""
        return -1 if name is None else self._names.get(name, -2)

    def names(self) -> dict[str, int]:
        """All session, actor and role names with their numbers."""
        return self._names

    def is_speaker(self, word: str) -> bool:
        """Whether the word, in lower case, stands in an actor's name."""
        return word in self._speakers

    def speakers(self, words: Iterable[str]) -> list[int]:
        """The numbers of the actors in whose names one of these words stands; words in lower case."""
        # union copies each set in one step, so another thread may add to it meanwhile
        return sorted(set[int]().union(*(self._speakers.get(word, ()) for word in words)))

    @property
    def seqs(self) -> NDArray[np.int64]:
        """[n] positions in the log, ascending."""
        return self._columns["seqs"].values

    @property
    def scopes(self) -> NDArray[np.int64]:
        """[n] the store's number of each row's scope."""
        return self._columns["scopes"].values

    @property
    def occurred_at(self) -> NDArray[np.int64]:
        """[n] microseconds since 1970."""
        return self._columns["occurred_at"].values

    @property
    def recorded_at(self) -> NDArray[np.int64]:
        """[n] microseconds since 1970."""
        return self._columns["recorded_at"].values

    @property
    def hashes(self) -> NDArray[np.int64]:
        """[n] equal where the same thing was said."""
        return self._columns["hashes"].values

    @property
    def sessions(self) -> NDArray[np.int32]:
        """[n] session numbers, -1 for none."""
        return self._columns["sessions"].values

    @property
    def actors(self) -> NDArray[np.int32]:
        """[n] actor numbers, -1 for none."""
        return self._columns["actors"].values

    @property
    def roles(self) -> NDArray[np.int32]:
        """[n] role numbers."""
        return self._columns["roles"].values

    @property
    def session_numbers(self) -> NDArray[np.int64]:
        """[n] the session of each row, numbered from 0 over all scopes; a row without one is a session of its own."""
        return self.once("session numbers", self._numbered_sessions)

    def _numbered_sessions(self) -> NDArray[np.int64]:
        keys = self.scopes << 32 | self.sessions
        alone = np.flatnonzero(self.sessions < 0)
        keys[alone] = -1 - alone
        numbers: NDArray[np.int64] = np.unique(keys, return_inverse=True)[1].astype(np.int64)
        return numbers

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives, computed at the first call and kept until rows are added: for what depends on the rows alone."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    @property
    def previous(self) -> NDArray[np.int32]:
        """[n] the row before in the same session, -1 at its start."""
        return self._columns["previous"].values

    @property
    def following(self) -> NDArray[np.int32]:
        """[n] the row after in the same session, -1 at its end."""
        return self._columns["following"].values

    @property
    def superseded_by(self) -> NDArray[np.int32]:
        """[n] the row that corrects this one, -1 for none."""
        return self._columns["superseded_by"].values

    # -- as arrays ----------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, as arrays for a file."""
        names = "\0".join(self._names).encode("utf-8", "surrogatepass")
        return {
            "state": np.array([self.last_seq, self.last_removal, self._is_plain], np.int64),
            "names": np.frombuffer(names, np.uint8),
            **{f"column_{name}": column.values for name, column in self._columns.items()},
            **{f"vectors_{name}": array for name, array in self.vectors.arrays().items()},
            **{f"lexical_{name}": array for name, array in self.lexical.arrays().items()},
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> ScopeIndex:
        """The inverse of `arrays`."""

        def part(prefix: str) -> dict[str, NDArray[Any]]:
            return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

        vectors = VectorIndex.from_arrays(part("vectors_"))
        index = cls(vectors.dim)
        index.vectors, index.lexical = vectors, LexicalIndex.from_arrays(part("lexical_"))
        index.last_seq, index.last_removal = int(arrays["state"][0]), int(arrays["state"][1])
        index._is_plain = bool(arrays["state"][2])
        names = arrays["names"].tobytes().decode("utf-8", "surrogatepass")
        index._spelled = names.split("\0") if len(arrays["names"]) else []
        index._names = {name: number for number, name in enumerate(index._spelled)}
        index._columns = {
            name: Column.of(arrays[f"column_{name}"].astype(dtype, copy=False)) for name, dtype in _NUMBERS.items()
        }
        index._note_last_rows(0)
        index._note_speakers(np.unique(index.actors).tolist())
        return index

    # -- inside -------------------------------------------------------------------------------------------

    def _append(self, name: str, values: NDArray[Any]) -> None:
        self._columns[name].extend(values)

    def _numbers(self, names: Sequence[str | None]) -> NDArray[np.int32]:
        known, spelled = self._names, self._spelled
        for name in dict.fromkeys(names):
            if name is not None and name not in known:
                spelled.append(name)
                known[name] = len(spelled) - 1
        return np.array([-1 if name is None else known[name] for name in names], np.int32)

    def _take_names(self, spelled: Sequence[str]) -> None:
        """Number anew the names that occur, so that one that was forgotten with its episodes goes into no file."""
        named = [self._columns[name].values for name in ("sessions", "actors", "roles")]
        used = np.setdiff1d(np.concatenate(named), [-1])
        renumbered = np.full(len(spelled) + 1, -1, np.int32)
        renumbered[used] = np.arange(len(used))
        for values in named:
            values[:] = renumbered[values]
        self._spelled = [spelled[number] for number in used.tolist()]
        self._names = {name: number for number, name in enumerate(self._spelled)}

    def _note_speakers(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            for word in (self.name(number) or "").casefold().split():
                self._speakers.setdefault(word, set()).add(number)

    def _append_neighbours(self, first: int, scopes: NDArray[np.int64], sessions: NDArray[np.int32]) -> None:
        previous = np.empty(len(scopes), np.int32)
        following = np.full(len(scopes), -1, np.int32)
        last_of = self._last_of
        for row, key in enumerate(zip(scopes.tolist(), sessions.tolist(), strict=True), start=first):
            before = last_of.get(key, -1)
            previous[row - first] = before
            if before >= first:
                following[before - first] = row
            elif before >= 0:
                self._columns["following"].values[before] = row
            last_of[key] = row
        self._append("previous", previous)
        self._append("following", following)

    def _note_last_rows(self, first: int) -> None:
        for row, key in enumerate(zip(self.scopes.tolist(), self.sessions.tolist(), strict=True), start=first):
            self._last_of[key] = row
