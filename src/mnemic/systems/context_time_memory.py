"""Context- and time-sensitive memory: the dialogue as a table, questions as chains of operations on it.

Every episode is a row with its session, speaker, date, time of day, weekday and month. A question is made to stand alone, then
asks for rows by when and by whom they were said (metadata), for what was said (semantic), or both. What it says of time and
sessions becomes a chain of two small operations (`ops/table.py`); what is left of it is compared with the rows that remain. A
chain that leaves no rows answers with nothing: what is near in meaning was not said then.

Source: Alonso et al., arXiv 2406.00057. Nothing is written but the log. Without a model the chain comes from the time grammar
(`ops/when.py`); "now" is when the cue was asked, in its time zone.

A time of what is told of ("when she camped in May, who came?") is no column: such a question is one of meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.scope_index import Mask, ScopeIndex
from mnemic.index.vectors import best
from mnemic.model import Cue, Hit, Reason
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.ops.table import COLUMNS, Chain, Keep, Table, Value, chains, f_between, f_value
from mnemic.ops.when import HAPPENED, SessionTable, When, read_when, session_keys
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View
from mnemic.text.speakers import named_speakers
from mnemic.text.terms import terms

ID = "context-time-memory"
Kind = Literal["metadata", "semantic", "both"]
ALONE = """
"turns" holds the last turns of a conversation, "question" what is asked next. Write the question so that it can be understood
without the turns: put what its "it", "that", "then" and "there" mean in their place, dates and sessions above all. Change nothing
else; a question that stands alone stays as it is.
Answer with {"question": the text}.
"""
CLASSIFY = """
"question" is asked about past conversations. Answer with {"kind": …}: "metadata" if it asks for all that was said at some time,
in some session or by someone; "semantic" if it asks about a matter and says nothing of when it was talked about; "both" if it
asks about a matter that was talked about at some time, in some session or by someone.
"""
NEXT = """
"table" tells the columns of a table of what was said and what is in them, "question" what is asked, "now" when it is asked,
"applied" the operations so far. Name the next operation, which keeps the rows asked for by time, session or speaker:
- {"op": "value", "column": a column, "values": [one or more]} keeps the rows with one of these values;
- {"op": "between", "column": a column, "low": the first, "high": the last} keeps the rows from one to the other, both included;
- {"op": "end"} when no further one is needed.
Dates are written as 2023-05-19, months as 2023-05, times as 13:05. Sessions are numbered from 1; the last one is "one session
ago".
"""
_VAGUE = re.compile(r"\b(?:it|its|that|this|these|those|then|there|they|them)\b", re.IGNORECASE)
_SAID_BY = re.compile(
    r"\b(?:did|has|had|does)\s(?P<name>[\w'’ .-]{1,40}?)\s(?:ever\s|also\s)?"
    r"(?:say|said|mention(?:ed)?|tell|told|talk(?:ed)?|share[d]?|write|wrote|ask(?:ed)?|suggest(?:ed)?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Params:
    """How a question is read."""

    is_rewritten: bool = True  # a vague question is made to stand alone, where there is a model
    context_turns: int = 6  # of the conversation, shown for that
    most_operations: int = 6  # of a model's chain

    def __post_init__(self) -> None:
        for name in ("context_turns", "most_operations"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ParameterError(f"{name}={value!r}: give a whole number of 1 or more.")


@dataclass(frozen=True, slots=True)
class AloneAnswer:
    """What a model answers to ALONE."""

    question: str = ""


@dataclass(frozen=True, slots=True)
class KindAnswer:
    """What a model answers to CLASSIFY."""

    kind: str = ""


@dataclass(frozen=True, slots=True)
class NextAnswer:
    """What a model answers to NEXT."""

    op: str = "end"
    column: str = ""
    values: list[str] = field(default_factory=list)
    low: str = ""
    high: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as it is understood: what to keep of the table, and what to look for in it."""

    kind: Kind
    chains: tuple[Chain, ...]  # the rows of all of them together
    text: str  # what is compared with the rows


class ContextTimeMemory(MemorySystem):
    """A table of what was said, narrowed by time and session before anything is compared."""

    params_type = Params
    card = Card(
        id=ID,
        title="Context- and time-sensitive memory",
        year=2024,
        family="conversation",
        summary="The dialogue as a table: questions of time become chains of operations, and only what is left is compared.",
        source="Alonso et al., Toward Conversational Agents with Context and Time Sensitive Long-term Memory, arXiv 2406.00057",
        needs=("embedder", "llm"),
        cost="nothing on writing; in recall one call to classify, one for each operation and its end, one to rewrite a vague cue",
        flow=(
            "Q[cue] --> A[made to stand alone]\n"
            "A --> C{asks for when, what, or both?}\n"
            "C -- when --> O[chain of operations on the table]\n"
            "C -- both --> O\n"
            "T[rows: session, speaker, date, time, weekday, month] --> O\n"
            "O -- when --> R[all rows left, in order]\n"
            "O -- both --> S[nearest of the rows left]\n"
            "C -- what --> S"
        ),
        departures=(
            "Hits are ranked: rows of a question of time alone come in the table's order with the same score, others best first; "
            "and there are as many as the cue asks for.",
            "Without a model the chain follows from a grammar of times, and a vague question is understood from the cue's own "
            "lines alone.",
            "The date of an event, where it is not that of the talk about it, makes a question semantic: no column has it.",
            "Dates and times are those of the zone in which the cue was asked.",
        ),
    )

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        index = view.index
        if not len(index):
            return []
        visible = view.visible(cue)
        rows = np.arange(len(index)) if visible is None else np.flatnonzero(visible)
        table = cache(lambda: table_of(index, rows, cue))  # a question of meaning alone does without
        text = self._standing_alone(cue, view, rows)
        asked = self._asked(text, cue, view, table)
        allowed = view.allowed(cue)
        if asked.kind == "semantic" or not asked.chains:
            return _nearest(asked.text, cue, view, allowed, "")
        kept = [table().follow(chain) for chain in asked.chains]
        chosen = np.unique(np.concatenate([one.rows for one in kept]))
        if allowed is not None:
            chosen = chosen[allowed[chosen]]
        note = "; or ".join(", then ".join(map(str, chain)) for chain in asked.chains)
        if asked.kind == "both" and len(chosen):
            left = np.zeros(len(index), np.bool_)
            left[chosen] = True
            return _nearest(asked.text, cue, view, left, note)
        return _in_order(chosen, table(), cue, view, note)

    # -- reading the question -----------------------------------------------------------------------------

    def _standing_alone(self, cue: Cue, view: View, rows: NDArray[np.int64]) -> str:
        """The cue, by a model made to stand alone where it is vague. Its own earlier lines come before the log's last turns."""
        if not self.params.is_rewritten:
            return cue.text
        *before, question = [line for line in cue.text.splitlines() if line.strip()] or [cue.text]
        if before:
            context = Shown([{"text": line} for line in before[-self.params.context_turns :]])
        elif _VAGUE.search(question) and len(rows):
            context = turns(_last_turns(cue, view, rows, self.params.context_turns))
        else:
            return cue.text
        prompt = Prompt(ALONE, {"turns": context, "question": Shown(question)}, max_tokens=256)
        answer = view.ask("rewrite", prompt, AloneAnswer)
        return " ".join(answer.question.split()) or cue.text if answer is not None else cue.text

    def _asked(self, text: str, cue: Cue, view: View, table: Callable[[], Table]) -> Asked:
        speakers = named_speakers(text, view.speaker_test(cue))
        when = read_when(text, cue.asked_at, cache(lambda: _sessions(view.index, table())), speakers)
        by_rule = asked_by_rule(text, when, speakers, cue)
        answer = view.ask("classify", Prompt(CLASSIFY, {"question": Shown(text)}, max_tokens=64), KindAnswer)
        kind = answer.kind.strip().lower() if answer is not None else ""
        if kind == "semantic":
            return Asked("semantic", (), text)
        if kind not in ("metadata", "both"):
            return by_rule
        chain = self._chain(text, cue, view, table())
        if not chain:
            return by_rule
        return Asked("metadata" if kind == "metadata" else "both", (chain,), when.rest or text)

    def _chain(self, text: str, cue: Cue, view: View, table: Table) -> Chain:
        """The operations that a model names, one after the other; one that cannot be applied ends them."""
        chain: list[Keep] = []
        known = Shown({"now": cue.asked_at.isoformat(), "weekday": f"{cue.asked_at:%A}"})
        while len(chain) < self.params.most_operations and len(table):
            applied: list[dict[str, Any]] = [{"operation": str(one)} for one in chain]
            data = {
                "question": Shown(text),
                "now": known,
                "table": Shown(table.describe(), _sources(table, view)),
                "applied": Shown(applied),
            }
            answer = view.ask("operation", Prompt(NEXT, data, max_tokens=256), NextAnswer)
            keep = operation(answer)
            if keep is None or keep in chain:
                break
            try:
                table = table.apply(keep)
            except ParameterError:  # no such value: what a model says is data
                break
            chain.append(keep)
        return tuple(chain)


def asked_by_rule(text: str, when: When, speakers: Sequence[str], cue: Cue) -> Asked:
    """What a question asks, by the time and the speaker that it names.

    when: what it says of time, with session numbers for session keys. speakers: the words of it that name some.
    """
    said_by = _SAID_BY.search(text)
    by = [name for name in speakers if said_by and name in said_by["name"].casefold().split()]
    told = chains(when, cue.asked_at.tzinfo)
    if not told or (when.hold <= HAPPENED and not when.is_all):
        return Asked("semantic", (), text)
    if len(by) == 1:
        told = [(*chain, f_value("speaker", by[0])) for chain in told]
    return Asked("metadata" if when.is_all else "both", tuple(told), when.rest or text)


def operation(answer: NextAnswer | None) -> Keep | None:
    """The operation that a model named; None for the end and for what is none."""
    if answer is None or answer.column not in COLUMNS:
        return None
    if answer.op == "value" and (values := [one for one in map(str.strip, answer.values) if one]):
        return f_value(answer.column, *values)
    ends: list[Value | None] = [one.strip() or None for one in (answer.low, answer.high)]
    return f_between(answer.column, *ends) if answer.op == "between" and any(ends) else None


# -- the table ------------------------------------------------------------------------------------------------


def table_of(index: ScopeIndex, rows: NDArray[np.int64], cue: Cue) -> Table:
    """What the cue may see, as a table in the time zone in which it was asked."""
    keys = session_keys(index.scopes[rows], index.sessions[rows])
    actors = index.actors[rows]
    numbers, place = np.unique(np.where(actors >= 0, actors, index.roles[rows]), return_inverse=True)
    names = np.array([(index.name(number) or "").casefold() for number in numbers.tolist()], np.object_)[place]
    return Table.of(rows, index.occurred_at[rows], keys, names, cue.asked_at.tzinfo)


def _sessions(index: ScopeIndex, table: Table) -> SessionTable:
    return SessionTable.of(table.sessions, index.occurred_at[table.rows])


def _last_turns(cue: Cue, view: View, rows: NDArray[np.int64], count: int) -> list[Any]:
    """The last turns of the conversation in which the cue is asked: of its session, or of the newest one."""
    index = view.index
    wanted = index.number(cue.session) if cue.session is not None else int(index.sessions[rows[-1]])
    last = rows[index.sessions[rows] == wanted][-count:]
    return [one for _, one in sorted(view.episodes(last).items())]


def _sources(table: Table, view: View) -> tuple[str, ...]:
    """The first and last episode, whose times a description of the table shows."""
    ends = table.rows[[0, -1]] if len(table) else table.rows
    return tuple(one.id for one in view.episodes(ends).values())


# -- answering ------------------------------------------------------------------------------------------------


def _in_order(chosen: NDArray[np.int64], table: Table, cue: Cue, view: View, note: str) -> list[Hit]:
    """All rows, in the order of the table, as many as the cue asks for."""
    rows = chosen[: cue.limit]
    told = dict(zip(table.rows.tolist(), range(len(table)), strict=True)) if len(rows) else {}
    return view.hits(
        rows,
        [1.0] * len(rows),
        lambda row: (Reason("time", 1.0, 1.0, f"{note} ({table.row_in_words(told[row])})"),),
    )


def _nearest(text: str, cue: Cue, view: View, mask: Mask | None, note: str) -> list[Hit]:
    """The rows in sight that are nearest in meaning; by words where nothing can be embedded."""
    index, vector = view.index, view.query_vector(cue, text)
    if vector is None:
        sums, ideal = index.lexical.scores(terms(text), view.visible(cue))
        words = np.minimum(sums / np.float32(ideal or 1.0), 1.0)
        rows = best(words, cue.limit, words > 0.0 if mask is None else (words > 0.0) & mask)
        scores, signal = words[rows], "words"
    else:
        rows, scores = index.vectors.top(vector, cue.limit, mask)
        scores, signal = np.clip(scores, 0.0, 1.0), "meaning"
    order = np.lexsort((rows, -scores))
    order = order[scores[order] >= cue.threshold]
    values = dict(zip(rows.tolist(), scores.tolist(), strict=True))
    return view.hits(rows[order], scores[order], lambda row: (Reason(signal, values[row], 1.0, note),))
