"""What was said of memories: that one helped, was wrong, was used. An episode of the log like any other.

An episode is feedback when its role is "feedback" and its metadata says so: `{"feedback": {"ids": ["…"], "verdict":
"helpful"}}`, with a `value` where there is a measure and the episode's text as a note. It is never recalled and nothing is
mined from it; systems whose memories grow stronger by use observe it, so that a rebuild gives what use has given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from mnemic.errors import ParameterError
from mnemic.model import OBSERVED, Episode
from mnemic.systems.view import FEEDBACK, HIDDEN_ROLES

Verdict = Literal["used", "helpful", "unhelpful", "wrong"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was said of some memories."""

    ids: tuple[str, ...]  # of records or episodes
    verdict: Verdict
    value: float | None  # a measure of it, such as a profit
    note: str  # a hint, an explanation, the right answer; "" for none
    at: datetime
    source: str  # the id of the episode that it is


def feedback_in(episode: Episode) -> Feedback | None:
    """The feedback that an episode is; None for any other."""
    said = episode.metadata.get("feedback")
    if episode.role != FEEDBACK or not isinstance(said, Mapping):
        return None
    ids, verdict, value = said.get("ids"), said.get("verdict"), said.get("value")
    if not isinstance(ids, list | tuple) or verdict not in VERDICTS:
        return None
    return Feedback(
        tuple(id for id in ids if isinstance(id, str)),
        verdict,
        float(value) if isinstance(value, int | float) else None,
        str(said.get("note") or ""),
        episode.occurred_at,
        episode.id,
    )


def feedback_message(ids: str | Iterable[str], verdict: str, note: str, value: float | None) -> dict[str, Any]:
    """The message that says it: role, content and metadata. Raises ParameterError for what cannot be said."""
    named = [ids] if isinstance(ids, str) else list(ids)
    if verdict not in VERDICTS or not named or not all(isinstance(one, str) and one for one in named):
        raise ParameterError(
            f"ids={named!r}, verdict={verdict!r}: give the ids of hits, and one of {', '.join(VERDICTS)}."
        )
    said: dict[str, Any] = {"ids": named, "verdict": verdict}
    said |= {"note": note} if note else {}
    said |= {"value": float(value)} if value is not None else {}
    return {"role": FEEDBACK, "content": f"{verdict}: {note}" if note else verdict, "metadata": {"feedback": said}}


def heard(episodes: Iterable[Episode]) -> list[Episode]:
    """The episodes from which memories are made: what was said or done, not instructions, feedback or echoes of recalls."""
    return [one for one in episodes if one.role not in HIDDEN_ROLES and one.origin == OBSERVED and one.text.strip()]
