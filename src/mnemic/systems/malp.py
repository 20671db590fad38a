"""MaLP: notes of a dialogue become keyed facts in short-term memory, and those that are used move to long-term memory.

The one idea, after the dual process of human memory: rehearsal learns notes from the dialogue (working memory) and sums them up
as key and value (short-term memory); execution keeps for good what was used so many times, and lets the rest go when short-term
memory is flushed. Facts are of two types: common sense, and specific to one user. Keys are looked up forgiving typing errors.

Source: arXiv 2309.11696 (DPeM) and its repository MatthewKKai/MaLP. Departs: an edit distance of 6 alone makes any two short keys
alike and no two long ones, so that the edits are also bounded by a share of the key. The tuned generator is not part of a
memory. See the card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.ops.edit_distance import levenshtein
from mnemic.ops.keywords import keywords
from mnemic.ops.update import relation
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import Feedback, feedback_in
from mnemic.systems.rehearsal import COMMON, PREFERENCE, USER, Keyed, key_form, learnt
from mnemic.systems.units import (
    closed_units,
    drop_provisional,
    is_new_session,
    open_session_after,
    open_unit,
    uncorrected,
)
from mnemic.systems.uses import best_first, note_use, put_use, uses_of
from mnemic.systems.view import View
from mnemic.text.terms import terms

ID = "malp"
SHORT, LONG = "short_term", "long_term"
_PREFERENCE_SHARE = 0.05  # the least score of such an entry: the generator is always given it
_MOST_STATEMENTS = 8  # of an entry


@dataclass(frozen=True, slots=True)
class Params:
    """When entries are promoted, flushed, and found by their keys."""

    promote_at: int = 3  # uses after which an entry is in long-term memory; not given in the paper, 3 in the code
    flush_every: int = 50  # sessions after which short-term memory is flushed; 0 for never; 25 in the code
    most_edits: int = 5  # between a cue's words and a key: fewer than 6, as in the code
    most_share: float = 0.25  # of the longer of the two that the edits may be; 1.0 for the code's bound alone
    gap_minutes: int = 30  # a silence after which a dialogue is over

    def __post_init__(self) -> None:
        if self.promote_at < 1 or self.flush_every < 0 or self.gap_minutes < 1:
            raise ParameterError(
                f"{self.promote_at=}, {self.flush_every=}, {self.gap_minutes=}: give uses and minutes from 1, sessions from 0."
            )
        if self.most_edits < 0 or not 0.0 <= self.most_share <= 1.0:
            raise ParameterError(f"{self.most_edits=}, {self.most_share=}: give edits from 0, and a share from 0 to 1.")


class Malp(MemorySystem):
    """Working, short-term and long-term memory with fuzzy keys."""

    card = Card(
        id=ID,
        title="MaLP",
        year=2023,
        family="conversation",
        summary="Dialogues are noted down and summed up by key; entries that are used move from short-term to long-term memory.",
        source="Memory-Augmented LLM Personalization with Short- and Long-Term Memory Coordination, arXiv 2309.11696",
        needs=("embedder", "llm"),
        makes=(SHORT, LONG),
        cost="Two calls for each dialogue (session) when it is over: notes, of each 60 turns, and the facts that sum them up.",
        flow=(
            "E[episodes] --> W[working memory: the dialogue]\nW -->|learning| N[notes: common sense, user]\n"
            "N -->|summarising| S[short-term: key and value]\nF[feedback: used] -->|the n-th| M{memorising}\nS --> M\n"
            "M --> L[long-term: for good]\nS -->|flush| X[out of recall, kept in the log]\nS --> Q[recall by key, else meaning]\n"
            "L --> Q\nW --> Q"
        ),
        departures=(
            "Edits between a cue and a key are bounded by a number (fewer than 6, as in the code) and by a share of the longer: "
            "5 edits alone make any two keys of five letters alike.",
            "How many uses promote an entry and when short-term memory is flushed is not in the paper: 3 uses, as in the code, "
            "and every 50 sessions, where the code has 25; the session whose end flushes keeps its own entries. Short-term "
            "memory has no other bound; the code's holds 100 entries.",
            "Recall writes nothing: a use is feedback that an entry was used or helpful, or that its key comes up again in a "
            "later dialogue. The code counts its first telling too, and each recall.",
            "The cue is looked up whole and by its foremost words and phrases; what no key finds is found by meaning.",
            "Working memory is the dialogue itself, recalled as it was said until the dialogue is over; `consolidate` sums up "
            "what there is of it provisionally.",
            "A key that is there already keeps what it holds unless the new value contradicts or refines it, or what it came "
            "from was corrected; in the code a later value replaces the earlier.",
            "The generator tuned with LoRA is not part of the memory. A dialogue preference is among the hits of any cue.",
            "A user of the paper is a scope here, which nothing leaves. Where several people speak in one scope, each has their "
            "own entries, and those of all are recalled unless a filter names a speaker.",
            "An entry's sources are those of the statements that it holds: the turns that the model names for its notes, of all "
            "that it was shown of the dialogue, and the uses that promoted it.",
            "Without a model, what users state is specific to them and what an assistant states is common sense; keys are "
            "foremost words.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        drop_provisional(draft)
        happened: list[tuple[int, list[Episode] | Feedback, Episode]] = []
        for unit, closer in closed_units(view, draft, episodes, is_new_session(self._gap)):
            happened.append((closer.seq, unit, closer))
        for episode in episodes:
            if (said := feedback_in(episode)) is not None:
                happened.append((episode.seq, said, episode))
        for _, what, episode in sorted(happened, key=lambda one: one[0]):
            if isinstance(what, Feedback):
                note_use(draft, episode, ID)
                for user, key in dict.fromkeys(_keys_of(draft, what.ids)):
                    self._memorise(draft, user, key, episode)
            else:
                self._close(draft, view, what, episode)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        """Sum up the dialogue that is not over yet, until it goes on."""
        draft = view.draft()
        drop_provisional(draft)
        if unit := open_unit(view, draft):
            put: dict[str, None] = {}
            for fact in learnt(uncorrected(view, unit, unit[-1]), view.ask):
                record, _before = _entry(draft, view, fact, unit[-1], unit[-1])
                if record is not None:
                    draft.put(replace(record, data={**record.data, "provisional": True}))
                    put[record.id] = None
            draft.state["provisional"] = list(put)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        current = [
            one
            for one in made.current((SHORT, LONG), cue.as_of)
            if cue.as_of is None or not one.data.get("provisional")
        ]
        replaced = {one.data.get("previous") for one in current if one.data.get("provisional")}
        current = [one for one in current if one.id not in replaced]
        if vector is not None:
            near = {one.id: score for one, score in made.scores(vector, kinds=(SHORT, LONG), as_of=cue.as_of)}
        else:
            near = made.words(terms(cue.text), kinds=(SHORT, LONG), as_of=cue.as_of)
        by_key = keys_found(cue.text, [one.data["key"] for one in current], self.params)
        reasons: dict[str, Reason] = {}
        for one in current:
            similarity = min(max(float(near.get(one.id, 0.0)), 0.0), 1.0)
            reason = Reason("meaning" if vector is not None else "words", similarity, 1.0, one.kind.replace("_", "-"))
            if (found := by_key.get(one.data["key"])) is not None and found[0] >= similarity:
                reason = Reason(
                    "key", found[0], 1.0, f"“{one.data['key']}”, {found[1]} edits, {one.kind.replace('_', '-')}"
                )
            elif one.data["key"] == PREFERENCE and similarity < _PREFERENCE_SHARE:
                reason = Reason("preference", 1.0, _PREFERENCE_SHARE, "how to answer")
            reasons[one.id] = reason
        ranked = sorted(
            ((one, reasons[one.id].contribution) for one in current), key=lambda pair: (-pair[1], pair[0].id)
        )
        hits = view.record_hits(ranked, cue, lambda record, score: (reasons[record.id],))
        working = view.tail_hits(cue, open_session_after(view, cue, self._gap))
        return best_first([*hits, *working], cue)

    # -- inside -------------------------------------------------------------------------------------------

    @property
    def _gap(self) -> timedelta:
        return timedelta(minutes=self.params.gap_minutes)

    def _close(self, draft: Draft, view: View, unit: Sequence[Episode], closer: Episode) -> None:
        """A dialogue is over: flush what is due, sum it up in short-term memory, and count what came up again as used."""
        at = closer.recorded_at
        draft.state["sessions"] = draft.state.get("sessions", 0) + 1
        if self.params.flush_every and draft.state["sessions"] % self.params.flush_every == 0:
            for entry in draft.records((SHORT,)):
                draft.retire(entry.id, at)
        said = {one.id: one for one in unit}
        told: dict[tuple[str, str], str] = {}  # keys that the dialogue told first
        for fact in learnt(uncorrected(view, unit, closer), view.ask):
            record, old = _entry(draft, view, fact, unit[-1], closer)
            if old is None:
                told[fact.user, fact.key] = ""
            elif (fact.user, fact.key) not in told:
                told[fact.user, fact.key] = old.id
                put_use(draft, ID, old.id, said[fact.sources[-1]], at)
            if record is not None:
                if old is not None and old.retired_at is None:
                    draft.retire(old.id, at)
                draft.put(record)
        for (user, key), used in told.items():
            if used:
                self._memorise(draft, user, key, closer)

    def _memorise(self, draft: Draft, user: str, key: str, episode: Episode) -> None:
        """Move an entry to long-term memory if it was used often enough. episode: by which that is known."""
        number, entry = _newest(draft, user, key)
        if entry is None or entry.kind != SHORT or entry.retired_at is not None:
            return
        ids = [entry_id(user, key, at) for at in range(entry.data["since"], number)]
        served = [use for use in uses_of(draft, ids) if use.is_recall]
        if len(served) < self.params.promote_at:
            return
        vector = draft.vector(entry.id)
        draft.retire(entry.id, episode.recorded_at)
        uses = list(dict.fromkeys(use.source for use in served))
        moved = replace(
            entry,
            id=entry_id(user, key, number),
            kind=LONG,
            sources=tuple(dict.fromkeys([*entry.sources, *uses])),
            recorded_at=episode.recorded_at,
            data={**entry.data, "number": number, "previous": entry.id, "uses": uses},
        )
        draft.put(moved, vector=vector)


# -- entries --------------------------------------------------------------------------------------------------


def entry_id(user: str, key: str, number: int) -> str:
    """The id of a version of the entry of a key, of one user or, "", of nobody."""
    return record_id(ID, "entry", user, key, str(number))


def _entry(
    draft: Draft, view: View, fact: Keyed, last: Episode, closer: Episode
) -> tuple[Record | None, Record | None]:
    """(the version of an entry that a fact makes, or None where it says nothing new; the version before it)."""
    number, current = _newest(draft, fact.user, fact.key)
    if current is not None and current.data.get("provisional"):  # of the same dialogue, a moment ago
        number = current.data["number"]
    elif current is not None and current.retired_at is not None:
        current = None
    before: dict[str, list[str]] = dict(current.data["behind"]) if current is not None else {}
    gone = view.superseded((id for ids in before.values() for id in ids), closer.seq)
    standing = {text: ids for text, ids in before.items() if not gone.issuperset(ids)}
    stated = merged(list(standing), fact.value)
    if current is not None and stated == list(before):
        return None, current
    behind = {text: standing.get(text, list(fact.sources)) for text in stated}
    uses: list[str] = current.data.get("uses", []) if current is not None else []
    previous = (
        current.data.get("previous")
        if current is not None and number == current.data["number"]
        else current and current.id
    )
    data: dict[str, Any] = {
        BY: fact.by,
        "key": fact.key,
        "type": USER if fact.user else COMMON,
        "user": fact.user,
        "behind": behind,  # ids of episodes by statement
        "number": number,
        "since": current.data["since"] if current is not None else number,
    }
    if uses:
        data["uses"] = uses
    if previous:
        data["previous"] = previous
    record = Record(
        id=entry_id(fact.user, fact.key, number),
        system=ID,
        scope=view.scope,
        kind=current.kind if current is not None else SHORT,
        text=f"{fact.key}: {' '.join(stated)}",
        sources=tuple(dict.fromkeys([*(id for ids in behind.values() for id in ids), *uses])),
        recorded_at=closer.recorded_at,
        valid_from=last.occurred_at,
        data=data,
    )
    return record, current


def _keys_of(draft: Draft, ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Whose entries, of which keys, go by these ids."""
    for id in ids:
        if (named := draft.get(id)) is not None and named.kind in (SHORT, LONG):
            yield named.data["user"], named.data["key"]


def merged(before: Sequence[str], value: str) -> list[str]:
    """The statements of an entry with a new value: it takes the place of what it contradicts or refines.

    >>> merged(["Ann lives in Rome."], "Ann moved to Porto."), merged(["Ann has a dog."], "Ann has a dog.")
    (['Ann moved to Porto.'], ['Ann has a dog.'])
    """
    relations = [relation(old, value) for old in before]
    if "same" in relations:
        return list(before)
    kept = [old for old, told in zip(before, relations, strict=True) if told == "unrelated"]
    return [*kept, value][-_MOST_STATEMENTS:]


def _newest(draft: Draft, user: str, key: str) -> tuple[int, Record | None]:
    """(the number of the next version, the last one)."""
    number, last = 0, None
    while (one := draft.get(entry_id(user, key, number))) is not None:
        number, last = number + 1, one
    return number, last


# -- recall by key --------------------------------------------------------------------------------------------


def keys_found(text: str, keys: Iterable[str], params: Params) -> dict[str, tuple[float, int]]:
    """The keys that the text, or a word or phrase of it, is near enough to, with (likeness from 0 to 1, edits)."""
    whole = key_form(text.rstrip("?!. "))
    asked = dict.fromkeys([whole, *(key_form(one) for one in keywords([text], 6)), *map(key_form, _WORD.findall(text))])
    spans = [one for one in asked if len(one) > 2]
    found: dict[str, tuple[float, int]] = {}
    for key in dict.fromkeys(keys):
        for span in spans:
            longer = max(len(key), len(span))
            most = min(params.most_edits, int(params.most_share * longer + 1e-9))
            if abs(len(key) - len(span)) <= most and (edits := levenshtein(span, key, most)) <= most:
                likeness = 1.0 - edits / longer
                if key not in found or likeness > found[key][0]:
                    found[key] = likeness, edits
    return found


_WORD = re.compile(r"[^\W\d_]{4,}")
