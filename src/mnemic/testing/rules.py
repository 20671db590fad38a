"""Rule sets that are useful beyond one test: what a language model once wrote about conversations, given again.

LoCoMo's files hold, beside each session, what a model made of it: observations (facts about a speaker, each with the
turns that say so), a summary, and the events of each speaker's life. `RecordedSessions` finds the sessions that the turns
of a prompt belong to by their texts, and gives what was recorded of them in neutral shapes; a rule puts that into the
shape that its prompt asks for. So a system can be run as with a model, at no cost and the same every time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import FormatError
from mnemic.formats.locomo import parse_evidence


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a turn stands."""

    sample: int
    session: int
    position: int  # in the session
    id: str
    speaker: str


@dataclass(frozen=True, slots=True)
class _Session:
    """What was recorded of one session."""

    facts: tuple[tuple[str, str, tuple[str, ...]], ...]  # speaker, text, ids of turns
    summary: str | None
    events: tuple[tuple[str, str], ...]  # speaker, text
    date: str | None


class RecordedSessions:
    """Recorded facts, summaries and events, found by the turns they are about.

    Turns are given as a prompt shows them: {"turn", "time", "speaker", "text"}, of which the text is needed; a text alone
    does as well. White space makes no difference; a photo's caption may be there or not. Turns of nowhere are passed over.
    """

    def __init__(self, samples: Iterable[Mapping[str, Any]]) -> None:
        self._places: dict[str, list[_Place]] = {}
        self._sessions: dict[tuple[int, int], _Session] = {}
        for number, sample in enumerate(samples):
            conversation = sample.get("conversation") if isinstance(sample, Mapping) else None
            if not isinstance(conversation, Mapping):
                raise FormatError(f"Sample {number} has no conversation. Give samples in LoCoMo's form.")
            sessions = _sessions(conversation)
            ids = {str(turn.get("dia_id")) for turns in sessions.values() for turn in turns}
            for session, turns in sessions.items():
                self._sessions[number, session] = _recorded(sample, session, ids)
                self._index(number, session, turns)

    def facts_of(self, turns: Sequence[Any]) -> list[dict[str, Any]]:
        """The facts that these turns alone say, as {"text", "turn", "speaker"}: whom it is about, and the last turn that says it.

        turn: as the given turn calls itself; its place in the list, from 1, where it has no number.
        """
        found = self._found(turns)
        number = {(place.sample, place.id): _number(turns[at], at) for at, place in found}
        return [
            {"text": text, "turn": max(number[sample, id] for id in ids), "speaker": speaker}
            for sample, session in self._touched(found)
            for speaker, text, ids in self._sessions[sample, session].facts
            if all((sample, id) in number for id in ids)
        ]

    def summary_of(self, turns: Sequence[Any]) -> str | None:
        """The summary of the session that the turns belong to; of several sessions, one below the other; None for none."""
        summaries = (self._sessions[key].summary for key in self._touched(self._found(turns)))
        return "\n".join(summary for summary in summaries if summary) or None

    def events_of(self, turns: Sequence[Any]) -> list[dict[str, Any]]:
        """The events of the sessions that the turns belong to, as {"text", "speaker", "date"}."""
        return [
            {"text": text, "speaker": speaker, "date": self._sessions[key].date}
            for key in self._touched(self._found(turns))
            for speaker, text in self._sessions[key].events
        ]

    def _index(self, sample: int, session: int, turns: list[dict[str, Any]]) -> None:
        for position, turn in enumerate(turns):
            place = _Place(sample, session, position, str(turn.get("dia_id")), str(turn.get("speaker")))
            caption = turn.get("blip_caption")
            shared = f"[shares a photo: {caption}]" if caption else ""  # as the importer writes it
            for text in dict.fromkeys((_key(str(turn["text"])), _key(f"{turn['text']} {shared}"))):
                if text:
                    self._places.setdefault(text, []).append(place)

    def _touched(self, found: list[tuple[int, _Place]]) -> list[tuple[int, int]]:
        return sorted({(place.sample, place.session) for _, place in found})

    def _found(self, turns: Sequence[Any]) -> list[tuple[int, _Place]]:
        """Where the turns stand, by their place in the list.

        A text that was said more than once is taken where its speaker said it, in the session of most of the other turns,
        as the next after the turn before.
        """
        candidates = [self._places.get(_key(_text(turn)), []) for turn in turns]
        sure = Counter((one[0].sample, one[0].session) for one in candidates if len(one) == 1)
        found: list[tuple[int, _Place]] = []
        for at, places in enumerate(candidates):
            if not places:
                continue
            speaker = turns[at].get("speaker") if isinstance(turns[at], Mapping) else None
            last = found[-1][1] if found else None

            def doubt(
                place: _Place, speaker: Any = speaker, last: _Place | None = last
            ) -> tuple[bool, int, bool, int, int, int]:
                same = last is not None and (last.sample, last.session) == (place.sample, place.session)
                follows = last is not None and same and place.position > last.position
                session = (place.sample, place.session)
                return speaker not in (None, place.speaker), -sure[session], not follows, *session, place.position

            found.append((at, min(places, key=doubt)))
        return found


def recorded_locomo(samples: Path | str | Iterable[Mapping[str, Any]]) -> RecordedSessions:
    """What was recorded of LoCoMo's conversations: from its file, or from the samples in it.

    Raises FormatError where they are not in its form.
    """
    if isinstance(samples, (Path, str)):
        try:
            samples = json.loads(Path(samples).read_text(encoding="utf-8"))
        except ValueError as error:
            raise FormatError(f"{samples} is no JSON: {error}. Give LoCoMo's file as it was published.") from error
        if not isinstance(samples, list):
            raise FormatError("A LoCoMo file is a list of samples. Give it as it was published.")
    return RecordedSessions(samples)


def _sessions(conversation: Mapping[str, Any]) -> dict[int, list[dict[str, Any]]]:
    """The turns by session, in order."""
    found = {
        int(number): [turn for turn in turns if isinstance(turn, dict) and isinstance(turn.get("text"), str)]
        for key, turns in conversation.items()
        if isinstance(turns, list) and (number := key.removeprefix("session_")).isascii() and number.isdigit()
    }
    return dict(sorted(found.items()))


def _recorded(sample: Mapping[str, Any], session: int, ids: set[str]) -> _Session:
    observed = _part(sample, "observation", f"session_{session}_observation")
    summary = _part(sample, "session_summary", f"session_{session}_summary")
    events = _part(sample, "event_summary", f"events_session_{session}")
    date = events.get("date") if isinstance(events, Mapping) else None
    return _Session(
        facts=tuple(
            (speaker, str(fact[0]), named)
            for speaker, facts in _by_speaker(observed)
            for fact in facts
            if isinstance(fact, list) and len(fact) == 2 and (named := parse_evidence(fact[1], ids)[0])
        ),
        summary=summary.strip() if isinstance(summary, str) else None,
        events=tuple((speaker, str(event)) for speaker, told in _by_speaker(events) for event in told),
        date=date if isinstance(date, str) else None,
    )


def _part(sample: Mapping[str, Any], name: str, session: str) -> Any:
    whole = sample.get(name)
    return whole.get(session) if isinstance(whole, Mapping) else None


def _by_speaker(value: Any) -> list[tuple[str, list[Any]]]:
    if not isinstance(value, Mapping):
        return []
    return [(speaker, told) for speaker, told in value.items() if isinstance(told, list)]


def _text(turn: Any) -> str:
    return str(turn.get("text", "")) if isinstance(turn, Mapping) else str(turn)


def _number(turn: Any, at: int) -> int:
    number = turn.get("turn") if isinstance(turn, Mapping) else None
    return number if isinstance(number, int) else at + 1


def _key(text: str) -> str:
    return " ".join(text.split())
