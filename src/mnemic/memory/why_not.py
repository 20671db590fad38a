"""Why an episode was not recalled: what kept it out of the answer to a query, and what would bring it in.

The one idea: a search leaves an episode out for few reasons, and each has its opposite. Some keep it from being looked
at (its role, an echo, a correction, a time, a session, a filter); with those set aside it has a rank and a score, and
then the limit or the threshold left it out. So the search is asked again without what stood in the way, and the
episode's signals are laid beside those of the last hit that was shown.

Nothing is written and nothing is noted as recalled. Only the scope that was asked is looked at, and those below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np

from mnemic.filters import compile_filter
from mnemic.memory.choose import is_storable
from mnemic.memory.shared import Shared
from mnemic.model import ECHO, Cue, Episode, Hit
from mnemic.ops.repeats import containment, content_hash
from mnemic.systems.contract import MemorySystem
from mnemic.systems.view import HIDDEN_ROLES, View
from mnemic.text.terms import normalised, terms

DEEPEST = 1000  # how far down a ranking is read
ALIKE = 0.5  # share of a text's words that must stand in an episode for it to be the one meant
SHOWN_LACKS = 4
LEAST_LACK = 0.0005  # less would be written as 0
_MANY = 50  # episodes of which the words are compared one by one
_SESSION_KEYS = ("run_id", "session_id", "session")

Arguments = Mapping[str, Any]  # of a search, by name
CueOf = Callable[[Arguments], Cue]
Found = Literal["id", "text", "words", "nothing"]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that kept the episode out."""

    kind: str  # scope, role, echo, correction, as_of, session, window, filters, candidates, threshold, limit, depth
    says: str  # in words: what is so, and what to do
    change: Mapping[str, Any] = field(default_factory=dict)  # arguments of a search without it; empty where none helps


@dataclass(frozen=True, slots=True)
class Lack:
    """One signal of the episode beside the same of the last hit that was shown."""

    signal: str
    value: float
    last: float  # the last hit's
    deficit: float  # what the difference made in the score


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """What kept one episode out of the answer to a query. As a string it says so."""

    query: str
    wanted: str  # the id or text that was asked after
    system: str
    found_by: Found  # how the episode was known; "nothing": nothing like it is stored here
    episode: Episode | None = None  # the one meant; where nothing like it is stored, the nearest by words, if any
    similarity: float = 0.0  # the share of the wanted words that stand in it
    rank: int | None = None  # from 1; among the hits, or where it would stand without what kept it from being looked at
    score: float | None = None
    folded_into: str | None = None  # the id of the hit that says the same
    limit: int = 10
    last_score: float | None = None  # of the last hit shown
    obstacles: tuple[Obstacle, ...] = ()
    lacks: tuple[Lack, ...] = ()  # largest deficit first

    @property
    def is_recalled(self) -> bool:
        """Whether it is among the hits after all, as itself or folded into one that says the same."""
        return self.found_by != "nothing" and not self.obstacles

    @property
    def remedy(self) -> dict[str, Any] | None:
        """Arguments with which the same search brings it in; {} when it is there, None when no search does."""
        if self.found_by == "nothing" or any(not one.change for one in self.obstacles):
            return None
        return {name: value for one in self.obstacles for name, value in one.change.items()}

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "query": self.query,
            "wanted": self.wanted,
            "system": self.system,
            "found_by": self.found_by,
            "similarity": round(self.similarity, 4),
            "episode": self.episode.to_dict() if self.episode else None,
            "is_recalled": self.is_recalled,
            "rank": self.rank,
            "score": None if self.score is None else round(self.score, 6),
            "folded_into": self.folded_into,
            "limit": self.limit,
            "last_score": None if self.last_score is None else round(self.last_score, 6),
            "obstacles": [
                {
                    "kind": one.kind,
                    "says": one.says,
                    "change": {name: _plain(value) for name, value in one.change.items()},
                }
                for one in self.obstacles
            ],
            "lacks": [
                {
                    "signal": one.signal,
                    "value": round(one.value, 4),
                    "last": round(one.last, 4),
                    "deficit": round(one.deficit, 6),
                }
                for one in self.lacks
            ],
            "says": str(self),
        }

    def __str__(self) -> str:
        if self.episode is None:
            return f"Nothing like {self.wanted!r} is stored here."
        if self.found_by == "nothing":
            return f"Nothing like {self.wanted!r} is stored here. The nearest is {_named(self.episode)}."
        about = f", with {self.similarity:.0%} of the words," if self.found_by == "words" else ""
        who = f"{_named(self.episode)}{about}"
        if self.is_recalled:
            where = f"rank {self.rank}, score {self.score:.3f}"
            if self.folded_into:
                return f"{who} was recalled: folded into {self.folded_into!r}, which says the same ({where})."
            return f"{who} was recalled: {where}."
        lines = [f"{who} was not recalled for {self.query!r}:", *(f"- {one.says}" for one in self.obstacles)]
        if lacks := [one for one in self.lacks[:SHOWN_LACKS] if one.deficit >= LEAST_LACK]:
            lines.append("Beside the last hit that was shown it lacks, largest first:")
            lines += [f"- {_lack_in_words(one)}" for one in lacks]
        return "\n".join(lines)


def why_not(shared: Shared, system: str, cue_of: CueOf, given: Arguments, wanted: str) -> WhyNot:
    """Why the search with these arguments did not recall what is `wanted`, an id or a text.

    cue_of: the cue of a search with such arguments. given: the arguments that narrow, by the names that the caller used.
    """
    cue = cue_of(given)
    answering = shared.system(system)
    shared.catch_up(system, cue.scope)
    place = _Place(shared, system, cue)
    meant, found_by, similarity = _meant(place, wanted)
    children = None
    if found_by in ("nothing", "words") and not cue.include_children:
        children = _Place(shared, system, replace(cue, include_children=True))
        if (below := children.by_id(wanted)) or (below := children.by_content(wanted)):
            meant, found_by, similarity = below, "id" if below[0].id == wanted else "text", 1.0
    verdict = WhyNot(
        query=cue.text, wanted=wanted, system=system, found_by=found_by, similarity=similarity, limit=cue.limit
    )
    if found_by == "nothing" or not meant:
        return replace(verdict, episode=meant[0] if meant else None)
    hits = _passing(answering.recall(cue, place.view), cue)
    for rank, hit in enumerate(hits, start=1):
        if (here := _that_is_in(hit, meant)) is not None:
            folded = hit.id if here.id in hit.duplicates else None
            return replace(
                verdict, episode=here, rank=rank, score=hit.score, folded_into=folded, last_score=hits[-1].score
            )
    found = _ranked(
        replace(verdict, last_score=hits[-1].score if hits else None), answering, place, cue_of, given, meant, hits
    )
    return _tried(found, answering, place, cue_of, given, meant)


def _tried(
    found: WhyNot, answering: MemorySystem, place: _Place, cue_of: CueOf, given: Arguments, meant: Sequence[Episode]
) -> WhyNot:
    """The verdict, once its advice was followed: a system may share out the places of a longer answer otherwise."""
    remedy = found.remedy
    if not remedy or "include_children" in remedy:
        return found
    cue = cue_of({**given, **remedy})
    if any(_that_is_in(hit, meant) for hit in _passing(answering.recall(cue, place.view), cue)):
        return found
    says = (
        f"{found.system} shares out the places of its answer among what it keeps; asking for more does not bring it in."
    )
    return replace(found, obstacles=(*found.obstacles, Obstacle(kind="candidates", says=says)))


@dataclass
class _Place:
    """The scope of a cue, and finding in it."""

    shared: Shared
    system: str
    cue: Cue

    @cached_property
    def view(self) -> View:
        scope, asker = (
            self.cue.scope,
            self.shared.asker(self.cue.scope, self.system, is_recall=True),
        )  # as a search asks
        return self.shared.view_of(scope, self.system, include_children=self.cue.include_children, ask=asker)

    def by_id(self, id: str) -> list[Episode]:
        if not is_storable(id):
            return []
        paths = list(self.shared.store.scopes(self.cue.scope)) if self.cue.include_children else [self.cue.scope]
        return [one for path in paths for one in self.shared.store.get(path, [id])]

    def by_content(self, text: str) -> list[Episode]:
        rows = np.flatnonzero(self.view.index.hashes == content_hash(text))
        return list(self.view.episodes(rows[-_MANY:]).values())

    def by_words(self, text: str) -> tuple[list[Episode], float]:
        """The episode with most of the text's words, and the share; the later of two."""
        index = self.view.index
        sums, _ = index.lexical.scores(terms(text))
        rows = np.flatnonzero(sums > 0.0)
        rows = rows[np.lexsort((-rows, -sums[rows]))][:_MANY]
        episodes = self.view.episodes(rows)
        said = _words(text)
        best, is_whole, most, asked = None, False, -1.0, normalised(text)  # the text as it stands goes before its words
        for row in rows.tolist():
            if row not in episodes:
                continue
            held = normalised(episodes[row].text)
            share = containment(said, _words(episodes[row].text))
            if (asked in held, share) > (is_whole, most):
                best, is_whole, most = episodes[row], asked in held, share
        return ([best], most) if best else ([], 0.0)


def _meant(place: _Place, wanted: str) -> tuple[list[Episode], Found, float]:
    if found := place.by_id(wanted):
        return found, "id", 1.0
    if found := place.by_content(wanted):
        return found, "text", 1.0
    found, share = place.by_words(wanted)
    return found, "words" if share >= ALIKE else "nothing", share


def _ranked(
    verdict: WhyNot,
    answering: MemorySystem,
    place: _Place,
    cue_of: CueOf,
    given: Arguments,
    meant: Sequence[Episode],
    hits: Sequence[Hit],
) -> WhyNot:
    """The verdict on what was not recalled; of several that say the same, on the one with the fewest obstacles."""
    barred = [(_barriers(place, given, one), one) for one in meant]
    barriers, episode = min(
        barred, key=lambda each: (any(not one.change for one in each[0]), len(each[0]), -each[1].seq)
    )
    verdict = replace(verdict, episode=episode, obstacles=tuple(barriers))
    if any(not one.change for one in barriers):
        return verdict
    freed = dict(given)
    for one in barriers:
        freed |= one.change
    cue = cue_of(freed)
    free = _Place(place.shared, place.system, cue)
    deep = _deep(answering, free, episode.id)
    if deep is None:
        return replace(verdict, obstacles=(*barriers, _unranked(answering, free, episode)))
    rank, hit = deep
    more = []
    if hit.score < cue.threshold:
        enough = math.floor(hit.score * 10_000) / 10_000
        says = f"Its score is {hit.score:.3f}, below the threshold of {cue.threshold:g}. Lower it to {enough:g}."
        more.append(Obstacle("threshold", says, {"threshold": enough}))
    if (limit := _limit_for(answering, free, episode.id, rank, hit.score)) > cue.limit:
        last = f"; the last hit's is {verdict.last_score:.3f}" if verdict.last_score is not None else ""
        says = (
            f"Its rank is {rank}, with a score of {hit.score:.3f}{last}. Raise the limit from {cue.limit} to {limit}."
        )
        more.append(Obstacle("limit", says, {"top_k" if given.get("top_k") is not None else "limit": limit}))
    folded = hit.id if episode.id in hit.duplicates else None
    lacks = _lacks(hit, hits[-1]) if hits and more else ()
    return replace(verdict, rank=rank, score=hit.score, folded_into=folded, obstacles=(*barriers, *more), lacks=lacks)


# -- what keeps it from being looked at -----------------------------------------------------------------------


def _barriers(place: _Place, given: Arguments, episode: Episode) -> list[Obstacle]:
    cue, found = place.cue, list[Obstacle]()
    if episode.scope != cue.scope and not cue.include_children:
        says = f"It is not in the scope {cue.scope!r} but below it, in {episode.scope!r}. Search with include_children=True."
        found.append(Obstacle("scope", says, {"include_children": True}))
    if episode.role in HIDDEN_ROLES:
        says = f"Its role is {episode.role!r}: instructions to a model are kept in the log and never recalled."
        found.append(Obstacle("role", says))
    if episode.origin == ECHO:
        repeated = ", ".join(map(repr, episode.echo_of)) or "what was recalled before"
        found.append(Obstacle("echo", f"It is an echo: it only repeats {repeated}. Ask after that."))
    found += _known_then(place, episode)
    if cue.session is not None and episode.session != cue.session:
        of = f"of the session {episode.session!r}" if episode.session is not None else "of no session"
        says = f"It is {of}; only {cue.session!r} was searched. Leave out the session."
        found.append(Obstacle("session", says, _without_session(given)))
    for name, bound, is_outside, side in (
        ("since", cue.since, cue.since is not None and episode.occurred_at < cue.since, "before"),
        ("until", cue.until, cue.until is not None and episode.occurred_at > cue.until, "after"),
    ):
        if bound is not None and is_outside:
            says = f"It happened on {_moment(episode.occurred_at)}, {side} {name}={_moment(bound)}. Leave out {name}."
            found.append(Obstacle("window", says, {name: None}))
    return [*found, *_filtered(cue, given, episode)]


def _known_then(place: _Place, episode: Episode) -> list[Obstacle]:
    """Recorded too late for the time asked about, or corrected by then."""
    as_of, newer = place.cue.as_of, place.shared.store.superseding(episode.scope, episode.id)
    if as_of is not None and episode.recorded_at > as_of:
        says = f"It was recorded on {_moment(episode.recorded_at)}, after as_of={_moment(as_of)}. "
        if newer is None:
            return [Obstacle("as_of", says + "Leave out as_of.", {"as_of": None})]
        if newer.recorded_at > episode.recorded_at:
            then = newer.recorded_at - timedelta(microseconds=1)
            return [Obstacle("as_of", says + f"Ask as of {_moment(then)}.", {"as_of": then})]
    if newer is None or (as_of is not None and newer.recorded_at > as_of):
        return []
    says = f"It was corrected on {_moment(newer.recorded_at)}; {newer.id!r} stands instead: {_short(newer.text)}. "
    then = newer.recorded_at - timedelta(microseconds=1)
    if then < episode.recorded_at:
        return [Obstacle("correction", says + "It stood at no time of its own.")]
    return [Obstacle("correction", says + f"To see what was known before, ask as of {_moment(then)}.", {"as_of": then})]


def _filtered(cue: Cue, given: Arguments, episode: Episode) -> list[Obstacle]:
    failing = [key for key, wanted in (cue.filters or {}).items() if not compile_filter({key: wanted})(episode)]
    if not failing:
        return []
    asked = given.get("filters") or {}
    named = ", ".join(map(repr, failing))
    says = f"It does not pass the filter on {named}. Leave that out."
    if not all(key in asked for key in failing):  # it came from an id: "agent_id" with a user, or one inside an AND
        changed = {key: None for key in failing if given.get(key) is not None}
        return [Obstacle("filters", says, changed)]
    return [Obstacle("filters", says, {"filters": _left(asked, failing)})]


def _without_session(given: Arguments) -> dict[str, Any]:
    change = {name: None for name in ("session", "run_id") if given.get(name) is not None}
    asked = given.get("filters") or {}
    if any(key in asked for key in _SESSION_KEYS):
        change["filters"] = _left(asked, _SESSION_KEYS)
    return change


def _left(filters: Mapping[str, Any], failing: Sequence[str]) -> Any:
    return {key: value for key, value in filters.items() if key not in failing} or None


# -- where it would stand -------------------------------------------------------------------------------------


def _deep(answering: MemorySystem, place: _Place, id: str) -> tuple[int, Hit] | None:
    """(rank from 1, hit) of the episode however low its score, as far down as a ranking is read."""
    most = min(len(place.view.index), DEEPEST)
    limit = min(max(place.cue.limit, 10), most)
    while True:
        hits = answering.recall(replace(place.cue, limit=max(limit, 1), threshold=0.0), place.view)
        for rank, hit in enumerate(hits, start=1):
            if _is_in(hit, id):
                return rank, hit
        if limit >= most:
            return None
        limit = min(4 * limit, most)


def _unranked(answering: MemorySystem, place: _Place, episode: Episode) -> Obstacle:
    """Too far down to have a rank, or no candidate at all."""
    narrowed = {"AND": [dict(place.cue.filters or {}), {"id": episode.id}]}
    alone = answering.recall(replace(place.cue, limit=1, threshold=0.0, filters=narrowed), place.view)
    if alone and len(place.view.index) > DEEPEST:
        says = f"It ranks below the first {DEEPEST:,}. Ask in its words, or narrow the search by session or time."
        return Obstacle("depth", says)
    return Obstacle("candidates", "It is no candidate: the system finds nothing of the query in it. Ask in its words.")


def _limit_for(answering: MemorySystem, place: _Place, id: str, rank: int, score: float) -> int:
    """The limit that brings it in: its rank, or more where a larger limit changes the ranking itself."""
    limit, most = max(rank, place.cue.limit), max(len(place.view.index), rank)
    threshold = min(place.cue.threshold, score)
    while limit < most:
        hits = answering.recall(replace(place.cue, limit=limit, threshold=threshold), place.view)
        if any(_is_in(hit, id) for hit in hits):
            break
        limit = min(limit + 1 + limit // 4, most)
    return limit


def _passing(hits: Sequence[Hit], cue: Cue) -> list[Hit]:
    return [hit for hit in hits if hit.score >= cue.threshold]


def _that_is_in(hit: Hit, meant: Sequence[Episode]) -> Episode | None:
    return next((one for one in meant if hit.scope == one.scope and _is_in(hit, one.id)), None)


def _is_in(hit: Hit, id: str) -> bool:
    return id == hit.id or id in hit.sources or id in hit.duplicates


def _lacks(own: Hit, last: Hit) -> tuple[Lack, ...]:
    """What the episode has less of than the last hit that was shown, largest difference in the score first."""
    mine, theirs = {one.signal: one for one in own.reasons}, {one.signal: one for one in last.reasons}
    found = []
    for signal, other in theirs.items():
        value = mine[signal].value if signal in mine else 0.0
        if (deficit := (other.value - value) * other.weight) > 0.0:
            found.append(Lack(signal, value, other.value, deficit))
    return tuple(sorted(found, key=lambda one: (-one.deficit, one.signal)))


# -- in words -------------------------------------------------------------------------------------------------

_LESS = {
    "meaning": "it is less close in meaning",
    "context": "what stands beside it is less close in meaning",
    "words": "it has fewer of the query's words",
    "session": "its session is less about this",
    "topic": "its session has fewer of the query's words",
    "own": "it has fewer of the query's words",
    "speaker": "somebody else said it",
    "role": "the other side of the conversation said it",
    "substance": "it says less",
    "kind": "it has nothing of the kind that is asked for",
    "statement": "it is a question itself",
    "association": "less of what answers points to it",
    "standing": "it is no standing instruction",
    "newest": "it is further from the newest, or the oldest, that was asked for",
    "told": "it tells less of that time",
    "names": "it names less of what was asked about",
    "time": "it is further from the time asked about",
    "recency": "it is older",
    "strength": "it was said less often",
}


def _lack_in_words(lack: Lack) -> str:
    said = _LESS.get(lack.signal, f"it has less {lack.signal}")
    return f"{said} ({lack.signal} {lack.value:.2f} against {lack.last:.2f}: {-lack.deficit:+.3f})"


def _named(episode: Episode) -> str:
    return f"{_short(episode.text)} ({episode.id}, {episode.speaker}, {episode.occurred_at.date().isoformat()})"


def _short(text: str, width: int = 80) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= width else line[: width - 1].rstrip() + '…'}”"


def _moment(moment: Any) -> str:
    return str(moment.isoformat())


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _words(text: str) -> frozenset[str]:
    return frozenset(terms(text)) or frozenset(normalised(text).split())
