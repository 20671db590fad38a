"""A copy of a log in this process's memory, for asking systems without touching the log they are compared on.

Episodes keep their ids, times and vectors, so nothing is embedded again; systems that are attached to the log are
attached to the copy with the same parameters, and take it in from its beginning. How often an episode was recalled is
not copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from mnemic.bench.spec import Spec
from mnemic.clock import EPOCH, ManualClock
from mnemic.errors import StoreError
from mnemic.memory import Memory
from mnemic.memory.asking import MAX_ATTEMPTS
from mnemic.memory.choose_model import NONE as NO_MODEL
from mnemic.memory.choose_model import without_llm
from mnemic.model import Episode
from mnemic.models.llm import LLM
from mnemic.store.contract import Entry, VectorsBy, iterate

Logs = Mapping[str, Sequence[Episode]]  # by absolute scope
HeldOut = frozenset[tuple[str, str]]  # (scope, id)
_PAGE = 1000
_MOMENT = timedelta(seconds=1)


def read_logs(memory: Memory) -> dict[str, list[Episode]]:
    """The episodes of the memory's scope and of those below it, in log order, by absolute scope."""
    return {path: list(iterate(memory._shared.store, path)) for path in memory.scopes()}


def read_vectors(memory: Memory, scope: str) -> NDArray[np.float32] | None:
    """[n, dim] the vectors of a scope's episodes in log order; None where one of them is still missing."""
    store = memory._shared.store
    rows = store.index_rows(store.scope_ids(scope))
    return rows.vectors.astype(np.float32) if len(rows.seqs) and bool(rows.has_vector.all()) else None


def just_after(episodes: Sequence[Episode]) -> ManualClock:
    """A clock that stands just after the last thing that happened or was recorded."""
    latest = max((max(one.occurred_at, one.recorded_at) for one in episodes), default=EPOCH)
    return ManualClock(latest + _MOMENT)


def copy_log(memory: Memory, logs: Logs, held_out: HeldOut) -> Memory:
    """A memory in this process that holds the logs without what is held out."""
    source = memory._shared.store
    clock = just_after([episode for log in logs.values() for episode in log])
    embedder = memory._shared.embedder.embedder
    copy = Memory.open(None, embedder=embedder, clock=clock, llm=NO_MODEL, background=False)
    owner, dim = source.meta("embedder"), int(source.meta("dim") or 0)
    for scope, log in logs.items():
        ids, after, start = source.scope_ids(scope), 0, 0
        while start < len(log):
            rows = source.index_rows(ids, after=after, limit=_PAGE)
            by_seq = {episode.seq: episode for episode in log[start : start + _PAGE]}
            entries = [
                Entry(
                    episode,
                    rows.terms[row],
                    int(rows.content_hashes[row]),
                    rows.vectors[row].astype("<f2").tobytes() if rows.has_vector[row] else None,
                    is_client_id=True,
                )
                for row, seq in enumerate(rows.seqs.tolist())
                if (episode := by_seq.get(seq)) is not None and (scope, episode.id) not in held_out
            ]
            copy._shared.store.append(entries, VectorsBy(owner, dim) if owner else None)
            start += _PAGE
            after = int(rows.seqs[-1])
    return copy.scope(memory.scope_path) if memory.scope_path else copy


def take_in(copy: Memory, memory: Memory, spec: Spec, llm: LLM | None) -> str:
    """Attach a system to the copy and let it take in every scope; the id to detach. Raises StoreError where it cannot.

    Its parameters are those of the spec, else those that it has on the log, else its defaults. It asks `llm`, and no model
    where that is None, whichever it has on the log: to ask everything again costs what nobody may have asked for.
    """
    attached = memory._shared.store.records.attached()
    copy.attach(spec.id, llm=llm or NO_MODEL, **(spec.parameters or without_llm(attached.get(spec.id))))
    for scope in copy.scopes():
        if error := _observe(copy, spec.id, scope):
            raise StoreError(
                f"The system {spec.label} cannot take in the scope {scope!r}: {error}. Mend that, or leave it out of --systems."
            )
    return spec.id


def _observe(copy: Memory, system: str, scope: str) -> str | None:
    """Let a system observe a scope; why it cannot. After some attempts it goes on without an answer that cannot be used."""
    refused = 0
    while error := copy._shared.observe(system, scope, consolidates=True).error:
        refused += error.startswith("LLMRefused")
        if refused > MAX_ATTEMPTS or not error.startswith(("AnswerUnusable", "LLMRefused")):
            break
    return error
