"""Appending to the log inside a write transaction: places, ids that are there already, whose vectors the store holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mnemic.errors import EmbedderMismatch, IdConflict
from mnemic.model import Episode
from mnemic.store.contract import Appended, Entry, VectorsBy
from mnemic.store.rows import (
    EPISODE_COLUMNS,
    IN_EPISODES,
    INSERT_EPISODE,
    chunks,
    episode_from,
    episode_row,
    has_same_content,
    marks,
)


def append(connection: sqlite3.Connection, entries: Sequence[Entry], vectors_by: VectorsBy | None) -> Appended:
    """Append a batch; what is there already with the same content stays as it is. Raises IdConflict and EmbedderMismatch."""
    paths = {entry.episode.scope for entry in entries}
    has_client_ids = any(entry.is_client_id for entry in entries)
    check_vectors(connection, vectors_by)
    seq, scope_ids = _place(connection, paths)
    known = _known_ids(connection, entries, scope_ids) if has_client_ids else {}
    seqs, is_new, rows = [], [], []
    for entry in entries:
        episode = entry.episode
        scope_id = scope_ids[episode.scope]
        if entry.is_client_id:
            earlier = known.get((scope_id, episode.id))
            if earlier is not None:
                seqs.append(_same_or_conflict(episode, earlier))
                is_new.append(False)
                continue
            known[(scope_id, episode.id)] = (seq, episode)
        rows.append(episode_row(entry, seq, scope_id))
        seqs.append(seq)
        is_new.append(True)
        seq += 1
    _insert(connection, rows)
    return Appended(tuple(seqs), tuple(is_new))


def append_superseding(connection: sqlite3.Connection, entry: Entry, vectors_by: VectorsBy | None) -> Appended | None:
    """Append an episode that supersedes another, unless something already does; then None, and nothing is written."""
    check_vectors(connection, vectors_by)
    episode = entry.episode
    old = connection.execute(
        "SELECT e.scope_id FROM episodes e JOIN scopes s USING (scope_id) WHERE s.path = ?1 AND e.id = ?2 AND NOT EXISTS "
        "(SELECT 1 FROM episodes new WHERE new.scope_id = e.scope_id AND new.supersedes = ?2)",
        (episode.scope, episode.supersedes),
    ).fetchone()
    if old is None:
        return None
    if connection.execute("SELECT 1 FROM episodes WHERE scope_id = ? AND id = ?", (old[0], episode.id)).fetchone():
        raise IdConflict(f"The id {episode.id!r} already names another episode. Nothing was written. Give a new id.")
    seq, _ = _place(connection, {episode.scope})
    _insert(connection, [episode_row(entry, seq, old[0])])
    return Appended((seq,), (True,))


def check_vectors(connection: sqlite3.Connection, by: VectorsBy | None) -> None:
    """Write down whose vectors the store holds, or refuse another's: vectors of two embedders cannot be compared."""
    if by is None:
        return
    embedder, dim = connection.execute(
        "SELECT (SELECT value FROM meta WHERE key = 'embedder'), (SELECT value FROM meta WHERE key = 'dim')"
    ).fetchone()
    if embedder is None:
        connection.executemany("INSERT INTO meta VALUES (?, ?)", [("embedder", by.embedder), ("dim", str(by.dim))])
    elif (embedder, dim) != (by.embedder, str(by.dim)):
        raise EmbedderMismatch(
            f"The store holds {dim}-dimensional vectors of {embedder} by now; {by.embedder} gave {by.dim}. Nothing was written. "
            "Open it again with that embedder, or embed everything again: `mnemic reindex --embedder NAME`."
        )


def _place(connection: sqlite3.Connection, paths: Iterable[str]) -> tuple[int, dict[str, int]]:
    """The next free position, and the numbers of the scopes, made where they are new."""
    seq, scope_ids = 1, {}
    for path in sorted(paths):
        last, removed, scope_id = connection.execute(
            "SELECT (SELECT max(seq) FROM episodes), (SELECT max(seq) FROM removals),"
            " (SELECT scope_id FROM scopes WHERE path = ?)",
            (path,),
        ).fetchone()
        if scope_id is None:
            made = connection.execute("INSERT INTO scopes (path) VALUES (?) RETURNING scope_id", (path,))
            scope_id = made.fetchone()[0]
        seq, scope_ids[path] = max(last or 0, removed or 0) + 1, scope_id
    return seq, scope_ids


def _insert(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    try:
        connection.executemany(INSERT_EPISODE, rows)
    except sqlite3.IntegrityError as error:
        raise IdConflict(
            "An id that was said to be new already names an episode of its scope. Nothing of this call was written. Leave the id "
            "out to be given one."
        ) from error


def _known_ids(
    connection: sqlite3.Connection, entries: Sequence[Entry], scope_ids: Mapping[str, int]
) -> dict[tuple[int, str], tuple[int, Episode]]:
    """What the log already has of the ids that callers gave."""
    wanted: dict[int, list[str]] = {}
    for entry in entries:
        if entry.is_client_id:
            wanted.setdefault(scope_ids[entry.episode.scope], []).append(entry.episode.id)
    known: dict[tuple[int, str], tuple[int, Episode]] = {}
    for scope_id, ids in wanted.items():
        for chunk in chunks(ids):
            rows = connection.execute(
                f"SELECT {EPISODE_COLUMNS} {IN_EPISODES} WHERE e.scope_id = ? AND e.id IN ({marks(chunk)})",
                (scope_id, *chunk),
            )
            known |= {(scope_id, row[2]): (row[0], episode_from(row)) for row in rows}
    return known


def _same_or_conflict(episode: Episode, earlier: tuple[int, Episode]) -> int:
    seq, known = earlier
    if has_same_content(episode, known):
        return seq
    raise IdConflict(
        f"The id {episode.id[:80]!r} already names other content in the scope {episode.scope!r}. Nothing of this call was "
        "written. Give the new content its own id, or change the old with update()."
    )
