"""Uses of memories as links: for systems whose memories grow stronger, or weaker, by being used.

The one idea: nothing that is recorded changes when a memory is used. A feedback episode becomes a dated link from each id
that it names, of a record or of an episode, to itself; the uses of a record are then counted up to any time, and go when the
feedback is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from mnemic.model import Cue, Episode, Hit, Link
from mnemic.systems.contract import record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import Feedback, Verdict, feedback_in
from mnemic.systems.made import Made

USE = "use"  # the kind of such a link
RECALLED: tuple[Verdict, ...] = ("used", "helpful")  # what counts as a recall that strengthened a memory


@dataclass(frozen=True, slots=True)
class Use:
    """What one feedback said of a memory."""

    at: datetime  # when it was used, as told
    recorded_at: datetime  # when that became known
    verdict: Verdict
    value: float | None  # a measure, such as a profit
    step: int  # of the system's own clock, where it has one
    source: str  # the id of the feedback

    @property
    def is_recall(self) -> bool:
        """Whether the memory served."""
        return self.verdict in RECALLED


def note_use(draft: Draft, episode: Episode, system: str, step: int = 0) -> Feedback | None:
    """Keep what an episode says of memories, if it is feedback. Noting it twice changes nothing."""
    said = feedback_in(episode)
    if said is None:
        return None
    for id in dict.fromkeys(said.ids):
        _put_link(draft, system, id, episode, episode.recorded_at, said.verdict, value=said.value, step=step)
    return said


def put_use(draft: Draft, system: str, id: str, episode: Episode, known_at: datetime) -> None:
    """Keep that an episode shows a memory to have been used, without saying so. known_at: when it was seen to be one."""
    _put_link(draft, system, id, episode, known_at, "used")


def uses_of(made: Made | Draft, ids: Iterable[str], cue: Cue | None = None) -> list[Use]:
    """The uses of a memory that goes by these ids, oldest first; each feedback counts once.

    With a cue: those that had happened when it is asked, and were known as of its time.
    """
    found: dict[str, Use] = {}
    for id in ids:
        for link in made.links_of(id):
            if link.kind == USE and link.from_id == id and link.to_id not in found:
                use = _use(link)
                if cue is None or is_known(use, cue):
                    found[link.to_id] = use
    return sorted(found.values(), key=lambda use: (use.at, use.recorded_at, use.source))


def is_known(use: Use, cue: Cue) -> bool:
    """Whether the use counts for a cue."""
    return use.at <= cue.asked_at and (cue.as_of is None or use.recorded_at <= cue.as_of)


def best_first(hits: Iterable[Hit], cue: Cue, but: Collection[str] = ()) -> list[Hit]:
    """Hits of several kinds in one ranking, at most as many as the cue asks for; ties by id."""
    kept = [hit for hit in hits if hit.id not in but]
    return sorted(kept, key=lambda hit: (-hit.score, hit.id))[: cue.limit]


def _use(link: Link) -> Use:
    said = link.data
    at = datetime.fromisoformat(said["at"])
    return Use(at, link.recorded_at, said["verdict"], said["value"], int(said["step"]), link.to_id)


def _put_link(
    draft: Draft,
    system: str,
    id: str,
    episode: Episode,
    known_at: datetime,
    verdict: Verdict,
    *,
    value: float | None = None,
    step: int = 0,
) -> None:
    draft.put_link(
        Link(
            id=record_id(system, USE, id, episode.id),
            system=system,
            scope=episode.scope,
            kind=USE,
            from_id=id,
            to_id=episode.id,
            sources=(episode.id,),
            recorded_at=known_at,
            data={"at": episode.occurred_at.isoformat(), "verdict": verdict, "value": value, "step": step},
        )
    )
