"""A system for the tests that asks a model for the gist of each episode, and the world in which it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.model import Cue, Episode, Hit, Record
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.feedback import heard
from mnemic.systems.view import View
from mnemic.testing import RuleLLM

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Gist:
    gist: str


class Scribe(MemorySystem):
    """Asks for the gist of each episode, and in a recall what the question is about."""

    card = Card(
        id="scribe", title="Scribe", year=2024, family="test", summary="Gists.", source="", needs=("embedder", "llm")
    )

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        said = heard(episodes)
        prompts = [Prompt("Write the gist of the turn.", {"turns": turns([one])}) for one in said]
        for one, answer in zip(said, view.ask.many("gist", prompts, Gist), strict=True):
            draft.put(
                Record(
                    id=record_id("scribe", one.id),
                    system="scribe",
                    scope=view.scope,
                    kind="gist",
                    text=answer.gist if answer else f"offline {one.text}",
                    sources=(one.id,),
                    recorded_at=one.recorded_at,
                    data={BY: "llm" if answer else "offline"},
                )
            )
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        answer = view.ask("about", Prompt("What is the question about?", {"question": Shown(cue.text)}), Gist)
        vector = view.embed([answer.gist])[0] if answer else view.query_vector(cue)
        return view.record_hits(view.made.scores(vector, as_of=cue.as_of), cue)


@dataclass
class World:
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    path: Path | None = None

    def open(self, llm: object = None, **named: object) -> Memory:
        return Memory.open(self.path, embedder="hashing", clock=self.clock, llm=llm, **named)


def gists() -> RuleLLM:
    llm = RuleLLM("rules:gist")
    llm.rule(
        "gist", lambda asked: {"gist": f"gist of {(asked.data.get('turns') or [{'text': 'a question'}])[0]['text']}"}
    )
    return llm


def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what another thread does."""
    gives_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < gives_up, "it never came to that"
        time.sleep(0.005)


def texts(memory: Memory) -> list[str]:
    return [one.text for one in memory._shared.store.records.records("scribe", memory.scope_path)]
