"""What a new statement does to what is already known: add, update, delete, or nothing; and since when the old one ceased to hold.

With a model: it sees the old statements under small numbers and the new ones, and answers with an event for each (Mem0, arXiv
2504.19413); numbers that it invents, empty texts and unknown events are skipped. Without one: `relation` compares what the
two claim (`ops.claims`). Another value of the same single-valued attribute updates, a turned attitude contradicts, a
trouble that is over is resolved, what says more refines, what says no more is the same. "Also" never contradicts.

Offline, an update replaces the old text by the new one; a contradiction or a resolution deletes the old one and adds the new
one, so that nothing that was said is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from mnemic.model import Record
from mnemic.models.prompt import Asks, Prompt, Shown, numbered
from mnemic.ops.claims import Claim, claims_in, content, verdict
from mnemic.ops.extract import Fact
from mnemic.ops.repeats import content_hash
from mnemic.ops.statements import clauses
from mnemic.ops.told_change import tells_change
from mnemic.text.terms import normalised

Event = Literal["add", "update", "delete", "none"]
Relation = Literal["same", "refines", "contradicts", "updates", "resolved", "unrelated"]

UPDATE = """
You keep a memory of statements true to what is said. "old" holds what is stored, each with an id; "new" holds new statements,
each with a number. Decide for each new statement what it does to the stored ones.
- ADD: it is news. Give its text.
- UPDATE: it says the same as a stored one, but more or newer. Give the id of the stored one and the text to store instead;
  where both say the same, the one with more in it.
- DELETE: it contradicts a stored one, which no longer holds. Give the id of the stored one.
- NONE: it is stored already. Give the id of the stored one.
Use no ids but those in "old". A thing that may be true of several ("also likes") contradicts nothing.
Answer with {"memory": [{"event": "ADD", "UPDATE", "DELETE" or "NONE", "id": the stored one's id or "", "text": the text, "fact":
number of the new statement}]}.
"""
_PRIORITY: tuple[Relation, ...] = ("same", "contradicts", "resolved", "updates", "refines")
_ENDING: tuple[Relation, ...] = ("contradicts", "resolved", "updates")
_UNDERSTOOD_BY_WORDS = 3  # terms that make two statements alike where their claims are not understood
_MOSTLY = 0.5  # of what a statement is about, that a later one must be about to take its place
LONGEST_TEXT = 2000  # characters of a text that a model gives


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do to what is known."""

    event: Event
    text: str  # what to store; of a "delete", what was stored
    old_id: str | None = None  # the record that is updated or deleted, or says it already
    fact_index: int | None = None  # which of the new facts made it, where that is known
    reason: str = ""  # offline: the relation between the two


@dataclass(frozen=True, slots=True)
class ChangeAnswer:
    """One decision, as a model gives it."""

    event: str = ""
    id: str = ""
    text: str = ""
    fact: int | None = None


@dataclass(frozen=True, slots=True)
class ChangesAnswer:
    """What a model answers to UPDATE."""

    memory: list[ChangeAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Validity:
    """When a statement holds: from the first moment on, up to but without the second; None is open."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Whether it holds at that moment."""
        has_begun = self.valid_from is None or self.valid_from <= moment
        return has_begun and (self.valid_to is None or moment < self.valid_to)

    def ended(self, at: datetime) -> Validity:
        """The same, holding no longer than to `at`; never ending before it begins."""
        end = at if self.valid_to is None else min(at, self.valid_to)
        return replace(self, valid_to=end if self.valid_from is None else max(end, self.valid_from))


def superseded(old: Record, said_at: datetime) -> Record:
    """The old record, valid up to when the new statement was said; one that was said later than that stays as it is."""
    if old.valid_from is not None and old.valid_from > said_at:
        return old
    return replace(old, valid_to=Validity(old.valid_from, old.valid_to).ended(said_at).valid_to)


def decide(
    new_facts: Sequence[Fact],
    old_records: Sequence[Record],
    ask: Asks,
    *,
    step: str = "update",
    task: str = UPDATE,
    similarity: Sequence[Sequence[float]] | None = None,
) -> list[Change]:
    """What the new facts do to the old records, in the order of the facts. Records that nothing happens to are not named.

    similarity: [new, old] cosines, a further signal for the offline rules. A record is changed at most once by a model's
    answer; offline a later fact sees what the earlier ones have changed.
    """
    if not new_facts:
        return []
    data = {"old": numbered(old_records), "new": _numbered_facts(new_facts)}
    answer = ask(step, Prompt(task, data), ChangesAnswer)
    if answer is not None:
        return _checked(answer, new_facts, old_records)
    return _by_rule(new_facts, old_records, similarity)


def relation(old: str, new: str, *, similarity: float | None = None) -> Relation:
    """What the new statement is to the old one.

    similarity: the cosine of the two, where the caller has it: it lets a present state with another value count as its update
    where the rules do not know that there can be but one.

    >>> relation("I live in Paris", "I moved to Rome"), relation("likes cricket", "loves cricket with friends")
    ('updates', 'refines')
    >>> relation("Ann loves pizza", "Ann dislikes pizza"), relation("Ann loves pizza", "Ann also loves burgers")
    ('contradicts', 'unrelated')
    """
    return _relation(old, new, claims_in(old), claims_in(new), similarity)


def _relation(
    old: str, new: str, old_claims: Sequence[Claim], new_claims: Sequence[Claim], similarity: float | None
) -> Relation:
    if content_hash(old) == content_hash(new) or normalised(old) == normalised(new):
        return "same"
    found = {verdict(one, other, similarity) for one in old_claims for other in new_claims}
    for ending in _ENDING:
        if ending in found:
            return ending
    if (
        tells_change(old, new, share=_MOSTLY) and len(clauses(old)) == 1
    ):  # of a text that says more, the rest would be lost
        return "updates"
    if "agrees" not in found and old_claims and new_claims:
        return "unrelated"
    by_content = _by_content(old, new, old_claims, new_claims)
    if by_content == "unrelated" and new_claims and all(_is_said(one, old_claims) for one in new_claims):
        return "same" if len(content(new) - content(old)) <= 1 else "refines"  # at most the verb is another
    return by_content


def _is_said(new: Claim, old: Sequence[Claim]) -> bool:
    """Whether a claim of a state is one of the old ones in other words."""
    return new.is_single and any(verdict(one, new) == "agrees" and one.value == new.value for one in old)


def _by_content(old: str, new: str, old_claims: Sequence[Claim], new_claims: Sequence[Claim]) -> Relation:
    """Whether one text's words hold all of the other's, where both deny or neither does."""
    before, after = content(old), content(new)
    if any(one.is_negative for one in old_claims) != any(one.is_negative for one in new_claims):
        return "unrelated"
    least = 1 if old_claims and new_claims else _UNDERSTOOD_BY_WORDS
    if after <= before and len(after) >= least:
        return "same"
    if before <= after and len(before) >= least:
        return "refines"
    return "unrelated"


# -- with a model -----------------------------------------------------------------------------------------


def _numbered_facts(facts: Sequence[Fact]) -> Shown:
    return Shown(
        [{"fact": at, "time": one.said_at.isoformat(), "text": one.text} for at, one in enumerate(facts)],
        tuple(dict.fromkeys(source for one in facts for source in one.episode_ids)),
    )


def _checked(answer: ChangesAnswer, facts: Sequence[Fact], records: Sequence[Record]) -> list[Change]:
    """The decisions that mean something, each record changed at most once, each fact added at most once."""
    by_number = {str(at): one for at, one in enumerate(records)}
    changes: list[Change] = []
    touched: set[str] = set()
    added: set[int] = set()
    for given in answer.memory:
        event, text = given.event.strip().lower(), " ".join(given.text.split())[:LONGEST_TEXT]
        old = by_number.get(given.id.strip())
        at = _fact_of(given, text, facts)
        if event == "add" and any(map(str.isalnum, text)) and (at is None or at not in added):
            changes.append(Change("add", text, None, at))
            added.update(() if at is None else (at,))
        elif event in ("update", "delete") and old is not None and old.id not in touched:
            if event == "delete":
                changes.append(Change("delete", old.text, old.id, at))
            elif any(map(str.isalnum, text)):
                is_news = content_hash(text) != content_hash(old.text)
                changes.append(Change("update" if is_news else "none", text, old.id, at))
            else:
                continue
            touched.add(old.id)
        elif event == "none" and (old is not None or at is not None):
            said = text or (facts[at].text if at is not None else "")
            changes.append(Change("none", said, None if old is None else old.id, at))
    return sorted(changes, key=lambda one: len(facts) if one.fact_index is None else one.fact_index)


def _fact_of(given: ChangeAnswer, text: str, facts: Sequence[Fact]) -> int | None:
    """Which new fact a decision is about: as it says, else the one with its text, else the only one there is."""
    if given.fact is not None and 0 <= given.fact < len(facts):
        return given.fact
    same = [at for at, one in enumerate(facts) if content_hash(one.text) == content_hash(text)]
    return same[0] if same else 0 if len(facts) == 1 else None


# -- without one ------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Known:
    """A statement as it stands while facts are worked in."""

    text: str
    old_id: str | None  # None for one that is new itself
    at: int  # place of its record, -1 for a new one
    claims: list[Claim]
    change: int | None = None  # place of the change that made or changed it


def _by_rule(
    facts: Sequence[Fact], records: Sequence[Record], similarity: Sequence[Sequence[float]] | None
) -> list[Change]:
    known = [_Known(one.text, one.id, at, claims_in(one.text)) for at, one in enumerate(records)]
    changes: list[Change | None] = []
    for index, fact in enumerate(facts):
        claims = claims_in(fact.text)
        cosines = similarity[index] if similarity is not None else None
        related: dict[Relation, list[_Known]] = {}
        for one in known:
            cosine = cosines[one.at] if cosines is not None and one.at >= 0 else None
            related.setdefault(_relation(one.text, fact.text, one.claims, claims, cosine), []).append(one)
        kind = next((relation for relation in _PRIORITY if related.get(relation)), None)
        if kind == "same":
            changes.append(Change("none", fact.text, related["same"][0].old_id, index, "same"))
            continue
        gone = [one for name in _ENDING for one in related.get(name, [])]
        keeps_place = related.get("updates") or related.get("refines") or []
        kept = _likest(keeps_place, cosines) if keeps_place else None
        for one in gone:
            if one is not kept:
                why = next(name for name in related if one in related[name])
                _drop(one, records, known, changes, index, why)
        if kept is None:
            known.append(_Known(fact.text, None, -1, claims, len(changes)))
            changes.append(Change("add", fact.text, None, index, kind or ""))
        else:
            _rewrite(kept, fact.text, claims, changes, index, "updates" if related.get("updates") else "refines")
    return [one for one in changes if one is not None]


def _likest(those: Sequence[_Known], cosines: Sequence[float] | None) -> _Known:
    if cosines is None:
        return those[0]
    return max(those, key=lambda one: (cosines[one.at] if one.at >= 0 else 0.0, -one.at))


def _drop(
    one: _Known,
    records: Sequence[Record],
    known: list[_Known],
    changes: list[Change | None],
    index: int,
    why: Relation,
) -> None:
    """Take a statement out: an old one is deleted, one that is as new as the fact is not added."""
    known.remove(one)
    if one.change is not None:
        changes[one.change] = None
    if one.old_id is not None:
        changes.append(Change("delete", records[one.at].text, one.old_id, index, why))


def _rewrite(
    one: _Known, text: str, claims: list[Claim], changes: list[Change | None], index: int, why: Relation
) -> None:
    event: Event = "update" if one.old_id is not None else "add"
    change = Change(event, text, one.old_id, index, why)
    if one.change is None:
        one.change = len(changes)
        changes.append(change)
    else:
        changes[one.change] = change
    one.text, one.claims = text, claims
