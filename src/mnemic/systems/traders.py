"""Traders: agents with a character that decide on recalled events, and may be argued with. The agents of TradingGPT.

The one idea: the same events are weighed by one who seeks risk, one who avoids it and one who does neither; in a debate each sees
the others' first decisions with the events behind them, and may revise its own. What a decision was worth goes back to its events
as feedback (`systems.trading_gpt`).

Card: tradinggpt. Source: arXiv 2309.03736.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from mnemic.errors import LLMUnavailable, ParameterError
from mnemic.model import Hit
from mnemic.models.prompt import Asks, Prompt, Shown
from mnemic.systems.trading_gpt import REFLECTION

Action = Literal["buy", "sell", "hold"]
Character = Literal["risk seeking", "risk averse", "risk neutral"]

DECIDE = """
You are a trader with the character that "character" tells. "question" says what is to be decided; "events" holds what your
memory has about it, with the time and why it came to mind, foremost first; "others", where it is there, holds what other traders
decided, why and on which events, after which you may keep or revise "decision", your first one. Decide as your character would,
on what is given alone.
Answer with {"action": "buy", "sell" or "hold", "reason": one or two sentences, "events": [ids of the events that it rests on]}.
"""


@dataclass(frozen=True, slots=True)
class DecisionAnswer:
    """What a model answers to DECIDE."""

    action: Action = "hold"
    reason: str = ""
    events: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a trader decided, and on which events: their ids are for `memory.feedback(ids, "used", value=profit)`."""

    trader: str
    action: Action
    reason: str
    events: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()  # ids of the episodes behind all that the trader was shown

    def message(self) -> dict[str, Any]:
        """For `Memory.add`: the decision as a reflection."""
        text = f"{self.trader} decided to {self.action}: {self.reason}"
        return {"role": "assistant", "content": text, "name": self.trader, "metadata": {"layer": REFLECTION}}


@dataclass(frozen=True, slots=True)
class Trader:
    """An agent with a character and a way to a model."""

    name: str
    ask: Asks
    character: Character = "risk neutral"

    def __post_init__(self) -> None:
        if self.character not in get_args(Character):
            raise ParameterError(f"character={self.character!r}: give one of {', '.join(get_args(Character))}.")

    def decide(
        self,
        question: str,
        events: Iterable[Hit],
        *,
        first: Decision | None = None,
        others: Iterable[tuple[Decision, Sequence[Hit]]] = (),
    ) -> Decision:
        """What it decides on recalled events; `first` and `others` in a debate. Raises LLMUnavailable without a model."""
        own = list(events)
        data = {"question": Shown(question), "character": Shown(self.character), "events": _shown(own)}
        heard_of = list(others)
        if first is not None:
            data["decision"] = Shown({"action": first.action, "reason": first.reason}, first.sources)
        if heard_of:
            said = [
                {"trader": one.trader, "action": one.action, "reason": one.reason, "events": [hit.text for hit in top]}
                for one, top in heard_of
            ]
            data["others"] = Shown(said, tuple(id for one, top in heard_of for id in (*one.sources, *_sources(top))))
        prompt = Prompt(DECIDE, data)
        answer = self.ask("decide", prompt, DecisionAnswer)
        if answer is None:
            raise LLMUnavailable(f"{self.name} was to decide and has no model. Give the trader one that answers.")
        places = [int(one) for one in answer.events if one.isdecimal() and int(one) < len(own)]
        ids = tuple(dict.fromkeys(own[place].id for place in places))
        return Decision(self.name, answer.action, " ".join(answer.reason.split()), ids, prompt.sources)


def debate(question: str, sides: Sequence[tuple[Trader, Sequence[Hit]]], *, top: int = 3) -> list[Decision]:
    """What traders decide after each has seen the others' first decisions and their `top` foremost events."""
    firsts = [trader.decide(question, events) for trader, events in sides]
    return [
        trader.decide(
            question,
            events,
            first=firsts[at],
            others=[(firsts[other], sides[other][1][:top]) for other in range(len(sides)) if other != at],
        )
        for at, (trader, events) in enumerate(sides)
    ]


def _shown(events: Sequence[Hit]) -> Shown:
    listed = [
        {"id": str(at), "time": hit.occurred_at.isoformat(), "text": hit.text, "why": hit.explain()}
        for at, hit in enumerate(events)
    ]
    return Shown(listed, _sources(events))


def _sources(events: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id for hit in events for id in hit.sources))
