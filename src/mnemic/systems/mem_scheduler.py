"""MemScheduler: what is at hand, renewed by what is asked.

The one idea: the questions in the log say what is wanted. A model says whether the working set is enough for them, and what is
missing; that is looked up, ranked together with what was at hand, and weighed by `ops.scheduling`. Without a model a
question is its own missing evidence, and the order is that of the cosines.

Card: memos. Source: MemOS, arXiv 2507.03724; numbers as in its repository of mid-August 2025. Departs: see `MemOS.card`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mnemic.model import Episode, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.scheduling import Monitor, renewed
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
from mnemic.systems.mem_shelf import ID, MEMORY, WORKING, Params, Shelf
from mnemic.systems.view import View
from mnemic.text.terms import terms

VectorOf = Callable[[str], Vector]

INTENT = """
"queries" holds the newest questions of a conversation, "working" the memories that are at hand. Say whether these are enough to
answer. Answer with {"trigger_retrieval": true where more is needed, "missing_evidences": [what to look for, one phrase each]}.
"""
RERANK = """
"queries" holds questions, "memories" notes with ids. Order the notes by how much they help to answer, best first, and leave out
those that do not. Answer with {"order": [ids]}.
"""


def schedule(
    asked: Sequence[Episode], params: Params, view: View, draft: Draft, shelf: Shelf, vector_of: VectorOf
) -> None:
    """Renew the working set for questions."""
    ask = view.ask
    before = draft.get(str(draft.state.get("working", "")))
    monitors = [Monitor(*one) for one in before.data["monitors"]] if before is not None else []
    monitors = [one for one in monitors if one.id in shelf.memories]
    held = [shelf.memories[one.id] for one in monitors]
    queries = Shown([one.text for one in asked], tuple(one.id for one in asked))
    shown = Shown([one.text for one in held], tuple(source for one in held for source in one.sources))
    intent = ask("intent", Prompt(INTENT, {"queries": queries, "working": shown}, 512), IntentAnswer)
    if intent is None:
        missing = [one.text for one in asked]
    else:
        missing = [text for one in intent.missing_evidences if any(map(str.isalnum, text := " ".join(one.split())))]
        missing = (missing or [one.text for one in asked]) if intent.trigger_retrieval else []
    if not missing:
        return
    k = max(1, params.retrieved // len(missing))
    found = [
        one for text in missing for one in draft.nearest(vector_of(text), k, kinds=[MEMORY], standing_at=asked[-1].seq)
    ]
    candidates = {one.id: one for one in [*(one for one, _ in found), *held]}
    order = list(dict.fromkeys(one.id for one, _ in sorted(found, key=lambda one: (-one[1], one[0].id))))
    listed = list(candidates.values())
    notes = Shown(
        [{"id": str(at), "text": one.text} for at, one in enumerate(listed)],
        tuple(source for one in listed for source in one.sources),
    )
    answer = ask("rerank", Prompt(RERANK, {"queries": queries, "memories": notes}, 512), OrderAnswer)
    if answer is not None:
        numbers = [one.strip() for one in answer.order]
        order = [listed[int(one)].id for one in numbers if one.isascii() and one.isdigit() and int(one) < len(listed)]
    wanted = frozenset(terms(" ".join(one.text for one in asked)))
    words = {one.id: float(len(wanted.intersection(terms(one.text)))) for one in listed}
    after = renewed(monitors, order, words)
    values = [[one.id, one.sorting, one.words, one.count] for one in after]
    if before is not None and before.data["monitors"] == values:
        return
    at, last = max(one.recorded_at for one in asked), asked[-1]
    if before is not None:
        draft.retire(before.id, at)
    id = record_id(ID, WORKING, *(one.id for one in asked))
    draft.put(
        Record(
            id=id,
            system=ID,
            scope=view.scope,
            kind=WORKING,
            text="working memory",
            sources=tuple(one.id for one in asked),
            recorded_at=at,
            valid_from=last.occurred_at,
            data={"monitors": values, BY: "offline" if intent is None else "llm"},
        ),
        embed=False,
    )
    draft.state["working"] = id


@dataclass(frozen=True, slots=True)
class IntentAnswer:
    """What a model answers to INTENT."""

    trigger_retrieval: bool = False
    missing_evidences: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What a model answers to RERANK."""

    order: list[str] = field(default_factory=list)
