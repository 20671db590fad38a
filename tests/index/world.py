"""What an index's tests are made of: rows as the store gives them, and what two indexes have in common."""

from typing import Any

import numpy as np

from mnemic.index.scope_index import ScopeIndex
from mnemic.store.contract import IndexRows


def contents(index: ScopeIndex) -> dict[str, Any]:
    """Everything that an index tells, by name instead of by its own numbers, to be compared with ==."""
    lexical = index.lexical
    frequencies = {term: sorted(lexical.rows_of(term).tolist()) for term in lexical._vocabulary}
    return {
        "seqs": index.seqs.tolist(),
        "scopes": index.scopes.tolist(),
        "occurred_at": index.occurred_at.tolist(),
        "recorded_at": index.recorded_at.tolist(),
        "hashes": index.hashes.tolist(),
        "sessions": [index.name(number) for number in index.sessions],
        "actors": [index.name(number) for number in index.actors],
        "roles": [index.name(number) for number in index.roles],
        "previous": index.previous.tolist(),
        "following": index.following.tolist(),
        "superseded_by": index.superseded_by.tolist(),
        "is_echo": index._columns["is_echo"].values.tolist(),
        "visible": seen(index),
        "names": sorted(index.names()),
        "speakers": {
            word: sorted(str(index.name(number)) for number in index.speakers([word])) for word in sorted(index._speakers)
        },
        "vectors": index.vectors.arrays()["vectors"].tolist(),
        "terms": {term: rows for term, rows in frequencies.items() if rows},
        "counts": {
            term: scores_of(index, term) for term, rows in frequencies.items() if rows
        },
        "lengths": lexical.lengths.values.tolist(),
        "last_seq": index.last_seq,
    }  # fmt: skip


def scores_of(index: ScopeIndex, *terms: str, visible: Any = None) -> list[float]:
    """BM25 of every row, rounded to what float32 can tell."""
    return [round(float(score), 4) for score in index.lexical.scores(terms, visible)[0]]


def seen(index: ScopeIndex, as_of: int | None = None) -> list[bool]:
    """Which rows are visible."""
    mask = index.visible(as_of)
    return [True] * len(index) if mask is None else mask.tolist()


def part(rows: IndexRows, start: int, stop: int) -> IndexRows:
    """Some of the rows, as the store would give them in a page of their own."""
    chosen = slice(start, stop)
    seqs = rows.seqs[chosen].tolist()
    cut = {name: getattr(rows, name)[chosen] for name in IndexRows.__slots__ if name != "superseded"}
    return IndexRows(**cut, superseded=[pair for pair in rows.superseded if pair[1] in seqs])


def unit(vectors: Any) -> Any:
    """float16 rows of length one."""
    wide = np.asarray(vectors, np.float32)
    return (wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-9)).astype(np.float16)
