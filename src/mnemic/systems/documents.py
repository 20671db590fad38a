"""Documents: named values whose every edit stands in the log.

An episode is an edit when its metadata says so: `{"document": {"name": "plan", "op": "put"}}` sets the text of the
document "plan" to the episode's text, "delete" ends it. The system folds the edits of a name, in log order, into
records: one with a stable id for the name as it stands now (kind "document", retired once the last edit is a deletion),
and one for each version before it (kind "version", retired when the next edit came). A record has one source, the
edit that made it; `previous` in its data names the edit before, so the chain can be walked back without reading more.

What else stands in `document`, such as "value", "actor" and "reason", is carried into the record's data; other metadata
of the edit is there under "metadata", but for KEPT_BESIDE. A recall weighs meaning and words of episodes alike; an edit
is shown as its document, if it is the version of that time, and any other episode as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.index.vectors import best
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.store.contract import Changes
from mnemic.systems.contract import Card, MemorySystem, record_id
from mnemic.systems.view import View
from mnemic.text.terms import terms

ID = "documents"
KEY = "document"  # where an edit stands in an episode's metadata
KEPT_BESIDE = "document_vectors"  # metadata of an edit that is no part of the document: vectors made of it
PUT, DELETE = "put", "delete"
MEANING, WORDS = 0.5, 0.5
_CANDIDATES = 100  # rows that are scored in a large scope, of each signal
_OWN = ("name", "op", "version", "number", "created_at", "previous", "metadata")


@dataclass(frozen=True, slots=True)
class Edit:
    """One step in the life of a document."""

    name: str
    op: str
    text: str
    version: str  # the id of the episode
    at: datetime
    said: Mapping[str, Any]  # value, actor, reason and whatever else was said of the edit
    metadata: Mapping[str, Any]


class Documents(MemorySystem):
    """Named values with their versions."""

    card = Card(
        id=ID,
        title="Documents",
        year=2026,
        family="document",
        summary="Named values with versions: edits in the log become the documents as they stand, and as they stood.",
        source="Mnemic's own; an event-sourced fold over edits",
        needs=("embedder",),
        makes=("document", "version"),
    )

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        edits = edits_in(episodes)
        if not edits:
            return Changes()
        names = dict.fromkeys(edit.name for edit in edits)
        states = {state.data["name"]: state for state in view.records([state_id(name) for name in names])}
        made: dict[str, Record] = {}
        for edit in edits:
            for record in follow(states.get(edit.name), edit, view.scope):
                made[record.id] = record
            states[edit.name] = made[state_id(edit.name)]
        return Changes(put_records=tuple(made.values()))

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        if not len(view.index):
            return []
        rows, meaning, words = _signals(cue, view)
        scores = np.float32(MEANING) * meaning + np.float32(WORDS) * words
        order = np.lexsort((rows, -scores))
        order = order[(scores[order] > 0.0) & (scores[order] >= cue.threshold)]
        hits: list[Hit] = []
        for start in range(0, len(order), _CANDIDATES):
            places = order[start : start + _CANDIDATES]
            episodes = view.episodes(rows[places])
            shown = _shown(episodes.values(), cue, view)
            for at in places.tolist():
                episode = episodes.get(int(rows[at]))
                if episode is None or (edit_in(episode) and (episode.scope, episode.id) not in shown):
                    continue
                record = shown.get((episode.scope, episode.id))
                why = (("meaning", meaning[at], MEANING), ("words", words[at], WORDS))
                hits.append(
                    Hit(
                        score=float(scores[at]),
                        episode=None if record else episode,
                        record=record,
                        reasons=tuple(Reason(name, float(value), weight) for name, value, weight in why if value > 0.0),
                    )
                )
            if len(hits) >= cue.limit:
                break
        return hits[: cue.limit]

    def forget(self, episodes: Sequence[Episode], view: View) -> Changes:
        """Fold the edits that are left of each name; the records know their edits, so no episode is read."""
        gone = {edit.version: edit.name for edit in edits_in(episodes)}
        names = sorted(set(gone.values()))
        wanted = [state_id(name) for name in names] + [version_id(name, version) for version, name in gone.items()]
        known = {record.id: record for record in view.records(wanted)} if names else {}
        put: dict[str, Record] = {}
        dropped: set[str] = set()
        for name in names:
            versions = _walked(known.get(state_id(name)), known, view)
            dropped |= {one.id for one in versions}
            for edit in [_edit_of(one) for one in versions if one.data["version"] not in gone]:
                put |= {one.id: one for one in follow(put.get(state_id(name)), edit, view.scope)}
        return Changes(put_records=tuple(put.values()), drop_records=tuple(sorted(dropped - set(put))))


# -- edits ----------------------------------------------------------------------------------------------------


def edit_in(episode: Episode) -> Edit | None:
    """The edit that an episode is; None for one that is none, or none that can be understood."""
    said = episode.metadata.get(KEY)
    if not isinstance(said, Mapping):
        return None
    name, op = said.get("name"), said.get("op")
    if not isinstance(name, str) or op not in (PUT, DELETE):
        return None
    return Edit(
        name=name,
        op=op,
        text=episode.text if op == PUT else "",
        version=episode.id,
        at=episode.recorded_at,
        said={key: value for key, value in said.items() if key not in _OWN},
        metadata={key: value for key, value in episode.metadata.items() if key not in (KEY, KEPT_BESIDE)},
    )


def edits_in(episodes: Iterable[Episode]) -> list[Edit]:
    """The edits among the episodes, in their order."""
    return [edit for episode in episodes if (edit := edit_in(episode)) is not None]


def state_id(name: str) -> str:
    """The id of the record of a name as it stands."""
    return record_id(ID, name)


def version_id(name: str, version: str) -> str:
    """The id of the record of a version that something followed."""
    return record_id(ID, name, version)


# -- the fold -------------------------------------------------------------------------------------------------


def follow(state: Record | None, edit: Edit, scope: str) -> list[Record]:
    """What an edit makes of a name that stood as `state`: that as a past version, if it was, and the new state, last."""
    is_alive = state is not None and state.retired_at is None
    data: dict[str, Any] = {
        **edit.said,
        "name": edit.name,
        "op": edit.op,
        "version": edit.version,
        "number": 1 if state is None else state.data["number"] + 1,
        "created_at": state.data["created_at"] if state is not None and is_alive else edit.at.isoformat(),
    }
    if state is not None:
        data["previous"] = state.data["version"]
    if edit.metadata:
        data["metadata"] = dict(edit.metadata)
    new = Record(
        id=state_id(edit.name),
        system=ID,
        scope=scope,
        kind="document",
        text=edit.text,
        sources=(edit.version,),
        recorded_at=edit.at,
        data=data,
        retired_at=edit.at if edit.op == DELETE else None,
    )
    return [new] if state is None else [_past(state, edit.at), new]


def _past(state: Record, until: datetime) -> Record:
    past_id = version_id(state.data["name"], state.data["version"])
    return replace(state, id=past_id, kind="version", retired_at=state.retired_at or until)


def _edit_of(record: Record) -> Edit:
    """The edit that a record was made of; the inverse of `follow`."""
    return Edit(
        name=record.data["name"],
        op=record.data["op"],
        text=record.text,
        version=record.data["version"],
        at=record.recorded_at,
        said={key: value for key, value in record.data.items() if key not in _OWN},
        metadata=record.data.get("metadata", {}),
    )


def _walked(state: Record | None, known: Mapping[str, Record], view: View) -> list[Record]:
    """Every version of a name, oldest first, from its state back."""
    found: list[Record] = []
    while state is not None:
        found.append(state)
        previous = state.data.get("previous")
        if previous is None:
            break
        id = version_id(state.data["name"], previous)
        state = known[id] if id in known else next(iter(view.records([id])), None)
    return found[::-1]


# -- recall ---------------------------------------------------------------------------------------------------

_Signal = NDArray[np.float32]


def _signals(cue: Cue, view: View) -> tuple[NDArray[np.int64], _Signal, _Signal]:
    """(rows that may answer, ascending; how near each is in meaning; what share of the cue's words it has)."""
    index, visible, allowed = view.index, view.visible(cue), view.allowed(cue)
    sums, ideal = index.lexical.scores(terms(cue.text), visible)
    words = np.minimum(sums / np.float32(ideal or 1.0), 1.0).astype(np.float32)
    vector = view.query_vector(cue)
    n = max(_CANDIDATES, 4 * cue.limit)
    with_words = words > 0.0 if allowed is None else (words > 0.0) & allowed
    index.vectors.settle()
    if vector is None:
        rows = np.flatnonzero(with_words)
        return rows, np.zeros(len(rows), np.float32), words[rows]
    if index.vectors.is_exact:
        rows = np.arange(len(index)) if allowed is None else np.flatnonzero(allowed)
    else:
        rows = np.union1d(index.vectors.top(vector, n, allowed)[0], best(words, n, with_words))
    return rows, np.clip(index.vectors.scores(vector, rows), 0.0, 1.0), words[rows]


def _shown(episodes: Iterable[Episode], cue: Cue, view: View) -> dict[tuple[str, str], Record]:
    """By scope and episode, the document that an edit is shown as, where it is the version of the cue's time."""
    edits = [(one.scope, edit) for one in episodes if (edit := edit_in(one)) is not None]
    here = [edit for scope, edit in edits if scope == view.scope]
    ids = [id for edit in here for id in (state_id(edit.name), version_id(edit.name, edit.version))]
    made = {one.data["version"]: one for one in view.records(ids)} if ids else {}
    found: dict[tuple[str, str], Record] = {}
    for scope, edit in edits:
        record = made.get(edit.version)
        if record is None or scope != view.scope:
            # below this scope, where no records can be read, an edit that nothing supersedes is the document
            record = follow(None, edit, scope)[0] if scope != view.scope else None
        elif record.kind == "version" and not (cue.as_of and record.retired_at and record.retired_at > cue.as_of):
            record = None  # another edit took its place
        if record is not None and edit.op == PUT:
            found[scope, edit.version] = replace(record, id=state_id(edit.name), kind="document", retired_at=None)
    return found
