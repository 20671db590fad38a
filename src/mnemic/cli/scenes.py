"""The scenes of `mnemic demo`: each does something with the memory, says what happened, and notes it in `Stage.told`.

Nothing is staged: what is printed is what happened in this run, with its times, also where recall misses.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from mnemic.cli.demo import Timed
    from mnemic.clock import ManualClock
    from mnemic.memory import Memory
    from mnemic.model import Hit, Recall

_LOOKED_AT = 20  # hits among which the evidence is looked for
_SHOWN = 3
_SCORES_RANK = "Scores rank; they do not tell an answer from its absence, so what reads the hits must."
_SECRET, _SECRET_ID = "8264", "s14-11"  # an invented door code
_SECRET_QUESTION = "What is the code of the front door?"  # noqa: S105


@dataclass(slots=True)
class Stage:
    """What every scene of the demo needs; `told` is the same as JSON-ready values."""

    console: Console
    memory: Memory
    clock: ManualClock
    embedder: Timed
    questions: list[dict[str, Any]]
    told: dict[str, Any]

    def say(self, *parts: str | tuple[str, str], indent: int = 0) -> None:
        """A paragraph, wrapped under itself."""
        from rich.padding import Padding
        from rich.text import Text

        self.draw(Padding(Text.assemble(*parts), (0, 0, 0, indent)))

    def draw(self, item: RenderableType) -> None:
        """Print it."""
        from mnemic.cli.render import show

        show(item, console=self.console)

    def title(self, number: int, text: str) -> None:
        """The heading of a scene."""
        self.say()
        self.say((f"{number}  {text}", "bold"))


def remember(stage: Stage, messages: list[dict[str, Any]], loading_s: float, *, is_chosen: bool) -> None:
    """Put the conversation in, each session at its own time, and say how long it took."""
    from mnemic.clock import parse_time
    from mnemic.models.weights import INSTALL_WEIGHTS

    stage.title(1, "Remember")
    sessions: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        sessions.setdefault(message["session"], []).append(message)
    stage.embedder.seconds = 0.0
    started = time.perf_counter()
    for said in sessions.values():
        stage.clock.set(parse_time(said[-1]["timestamp"]))
        stage.memory.add(said)
    total_s, embedding_s = time.perf_counter() - started, stage.embedder.seconds
    n = len(messages)
    stage.told["remember"] = {
        "messages": n,
        "sessions": len(sessions),
        "seconds": round(total_s, 4),
        "embedding_s": round(embedding_s, 4),
        "loading_s": round(loading_s, 4),
    }
    stage.say(
        f"{n} messages that two friends, Mara and Tobias, wrote in a year ({len(sessions)} sessions) are in the log: ",
        (f"{total_s:.2f} s", "bold"),
        f", {1000 * total_s / n:.1f} ms a message. Of that {embedding_s:.2f} s went into embedding and "
        f"{total_s - embedding_s:.2f} s into reading, indexing and durable writing. No LLM was called.",
    )
    stage.say(f"Embedder: {stage.embedder.id} (loaded in {loading_s:.2f} s).")
    if not stage.embedder.is_semantic and not is_chosen:
        stage.say(
            ("Recall is lexical only: ", "yellow"),
            "it finds shared words and spelling, not shared meaning, and misses more below. One command changes that: ",
            (INSTALL_WEIGHTS, "bold"),
        )
    stage.say("The clock of this run moved with the story: each session was recorded at its own end.")


def ask(stage: Stage) -> None:
    """Ask the five questions that are shown, and count over all."""
    from mnemic.cli import render

    stage.title(2, f"Ask, as of {render.day(stage.clock.now())}")
    stage.say(
        "Recall does not answer; it finds what was said, dated, with reasons. ● marks the evidence that we annotated."
    )
    found = []
    stage.memory.search("warm up")  # the first search reads the log into the index
    for one in (one for one in stage.questions if one.get("show")):
        recall = stage.memory.search(one["question"], limit=_LOOKED_AT, asked_at=one["asked_at"])
        evidence = one.get("evidence_now", one["evidence"])
        found.append(_told(recall, evidence))
        stage.say()
        stage.say((one["question"], "bold cyan"), (f"  {recall.elapsed_ms:.1f} ms", "dim"))
        for rank, hit in enumerate(recall.hits[:_SHOWN], start=1):
            _hit(stage, rank, hit, evidence)
        ranks = _ranks(recall, evidence)
        if not evidence:
            stage.say(("It was never said. ", "yellow"), _SCORES_RANK, indent=4)
        elif not ranks:
            said = stage.memory.get(evidence[0])
            stage.say(
                (f"Missed: what bears the answer is not among the first {_LOOKED_AT}. ", "yellow"),
                f"{render.day(said.occurred_at)}  {said.speaker}: {render.flat(said.text, 160)}",
                indent=4,
            )
        elif ranks[0] > _SHOWN:
            stage.say((f"What bears the answer comes later, at rank {ranks[0]}:", "yellow"), indent=4)
            _hit(stage, ranks[0], recall.hits[ranks[0] - 1], evidence)
    stage.told["ask"] = found
    _ask_all(stage)


def _ask_all(stage: Stage) -> None:
    """Five examples prove little: the same count over every question that has an answer."""
    first: list[int] = []
    asked = [one for one in stage.questions if one["evidence"]]
    started = time.perf_counter()
    for one in asked:
        evidence = {*one["evidence"], *one.get("evidence_now", ())}
        hits = stage.memory.search(one["question"], limit=_LOOKED_AT, asked_at=one["asked_at"])
        first.append(next((rank for rank, hit in enumerate(hits, start=1) if hit.id in evidence), _LOOKED_AT + 1))
    each_ms = 1000 * (time.perf_counter() - started) / len(asked)
    at = {place: sum(rank <= place for rank in first) for place in (1, _SHOWN, 10, _LOOKED_AT)}
    stage.told["all_questions"] = {"asked": len(asked), "first_evidence_within": at, "mean_ms": round(each_ms, 2)}
    stage.say()
    stage.say(
        f"All {len(asked)} questions of this conversation that have an answer, not only these: the first message that bears "
        f"it is among the top {_SHOWN} for ",
        (f"{at[_SHOWN]}", "bold"),
        f", the top 10 for {at[10]}, the top {_LOOKED_AT} for {at[_LOOKED_AT]}; {each_ms:.1f} ms a question.",
    )


def as_said(stage: Stage) -> None:
    """Ask the same thing as of June and now."""
    from rich.table import Table
    from rich.text import Text

    from mnemic.cli import render
    from mnemic.clock import parse_time

    one = next(one for one in stage.questions if one.get("as_of"))
    as_of = parse_time(one["as_of"])
    stage.title(3, "Ask what was known then")
    stage.say((one["question"], "bold cyan"))
    then = stage.memory.search(one["question"], limit=_LOOKED_AT, as_of=as_of, asked_at=as_of)
    now = stage.memory.search(one["question"], limit=_LOOKED_AT, asked_at=one["asked_at"])
    stage.told["as_said"] = {
        "as_of": as_of.isoformat(),
        "then": _told(then, one["evidence"]),
        "now": _told(now, one["evidence_now"]),
    }
    sides = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for width, ratio in ((3, None), (None, 1), (3, None), (None, 1)):
        sides.add_column(width=width, ratio=ratio, justify="right" if width else "left")
    heads = (Text(f"{when} {render.day(at)}", "bold") for when, at in (("as of", as_of), ("now,", stage.clock.now())))
    sides.add_row("", next(heads), "", next(heads))
    left, right = _column(then, one["evidence"]), _column(now, one["evidence_now"])
    for beside in zip_longest(left, right, fillvalue=(Text(), Text())):
        sides.add_row(*beside[0], *beside[1])
    stage.draw(sides)
    newest = max((hit.occurred_at for hit in then), default=as_of)
    stage.say(
        f"On the left, what was recorded after {render.day(as_of)} does not exist: it neither shows nor moves a score. "
        f"The newest of its {len(then)} hits is of {render.day(newest)}. What bears the answer is, then, "
        f"{_place(then, one['evidence'])} ({one['answer'].split(',')[0]}); now, {_place(now, one['evidence_now'])} "
        f"({one['answer_now'].split(',')[0]})."
    )


def echo(stage: Stage) -> None:
    """Let an agent write back what it was told."""
    stage.title(4, "No echo")
    question = stage.questions[0]["question"]
    before = {hit.id: hit.score for hit in stage.memory.search(question)}
    context = stage.memory.context(question, budget_tokens=150)
    line = str(context).splitlines()[-1].removeprefix("- ")
    added = stage.memory.add(
        {"role": "assistant", "content": f"As I remember: {line}", "id": "demo-echo", "session": "agent"}
    )
    after = {hit.id: hit.score for hit in stage.memory.search(question)}
    repeated = [id for episode in added.echoes for id in episode.echo_of]
    is_unchanged = before == after
    stage.told["echo"] = {"echo_of": repeated, "scores_unchanged": is_unchanged, "hits": len(after)}
    stage.say("An agent is given a block of memories, and writes into its log what it was told:")
    stage.say((f"As I remember: {line}", "italic"), indent=4)
    if repeated:
        stage.say(
            f"Kept as an echo of {', '.join(repeated)}. ",
            f"All {len(after)} hits of the same question have the same scores as before."
            if is_unchanged
            else ("The scores changed.", "yellow"),
        )
    else:
        stage.say(("It was not recognised as an echo.", "yellow"))


def forget(stage: Stage) -> None:
    """Forget the door code, and read the files for it."""
    from rich.table import Table
    from rich.text import Text

    stage.title(5, "Forget, and prove it")
    wanted = stage.memory.get("s16-14")
    stage.say(f"{wanted.speaker} asked for it in October: “{wanted.text.split('?')[0]}?”")
    found = stage.memory.search(_SECRET_QUESTION, limit=1)
    before = list(stage.memory.find_traces(_SECRET))
    receipt = stage.memory.forget(_SECRET_ID)
    again = stage.memory.search(_SECRET_QUESTION, limit=_LOOKED_AT)
    left = list(stage.memory.find_traces(_SECRET))
    telling = sum(_SECRET in hit.text for hit in again)
    stage.told["forget"] = {
        "files_before": [file.name for file in before],
        "receipt": receipt.to_dict(),
        "files_after": [file.name for file in left],
        "is_gone": not left and not telling,
    }
    steps = Table.grid(padding=(0, 2, 0, 0))
    steps.add_row("search", Text(found.hits[0].text if len(found) else "nothing", "cyan"))
    steps.add_row("on disk", f"{_SECRET!r} stands in {', '.join(file.name for file in before) or 'no file'}")
    steps.add_row("forget", Text(f"{receipt} ({_SECRET_ID})", "bold"))
    steps.add_row("search", f"{telling or 'none'} of {len(again)} hits tells the code")
    gone = f"{_SECRET!r} stands in no file of the store: every byte of it was read"
    still = f"{_SECRET!r} still stands in {', '.join(file.name for file in left)}"
    steps.add_row("on disk", Text(still, "bold red") if left else Text(gone, "green"))
    stage.draw(steps)


def your_turn(stage: Stage, path: Path, *, is_kept: bool) -> None:
    """Where to go from here."""
    stage.title(6, "Your turn")
    code = (
        "from mnemic import Memory",
        'memory = Memory.open("agent.db").scope("alice")',
        'memory.add("I moved to Porto in March.", session="monday")',
        'print(memory.search("Where does she live?")[0].text)',
        'print(memory.context("Where does she live?", budget_tokens=500))',
    )
    for line in code:
        stage.say((line, "cyan"), indent=4)
    stage.say("Commands: mnemic add, search --why, context, import, forget, audit, doctor; each has --help.")
    if is_kept:
        stage.say(f"This memory stays in {path}: mnemic list --db {path}")
    else:
        stage.say("This memory is gone with its temporary folder; `mnemic demo --keep .` leaves you one to ask.")
    stage.say("Documentation: docs/cli.md for the commands, README.md for the library.")


def _hit(stage: Stage, rank: int, hit: Hit, evidence: Sequence[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from mnemic.cli import render

    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=3, justify="right")
    line.add_column()
    line.add_row(_mark(rank, hit, evidence), _said(hit, evidence))
    line.add_row("", Text(render.in_words(hit, is_semantic=stage.embedder.is_semantic), "dim"))
    stage.draw(line)


def _mark(rank: int, hit: Hit, evidence: Sequence[str]) -> Text:
    from rich.text import Text

    return Text(f"●{rank:>2}", "green") if hit.id in evidence else Text(str(rank), "dim")


def _said(hit: Hit, evidence: Sequence[str]) -> Text:
    from rich.text import Text

    from mnemic.cli import render

    speaker = hit.episode.speaker if hit.episode else hit.kind
    text = Text.assemble((f"{hit.score:.2f}  ", "cyan"), (render.day(hit.occurred_at), "bold"), f"  {speaker}: ")
    text.append(render.flat(hit.text, 220), "green" if hit.id in evidence else "")
    return text


def _column(recall: Recall, evidence: Sequence[str]) -> list[tuple[Text, Text]]:
    """The first hits, and the first that bears the answer where it comes later."""
    ranks = _ranks(recall, evidence)
    places = [*range(1, min(_SHOWN, len(recall)) + 1), *(rank for rank in ranks[:1] if rank > _SHOWN)]
    return [(_mark(rank, recall.hits[rank - 1], evidence), _said(recall.hits[rank - 1], evidence)) for rank in places]


def _ranks(recall: Recall, evidence: Sequence[str]) -> list[int]:
    return [rank for rank, hit in enumerate(recall, start=1) if hit.id in evidence]


def _place(recall: Recall, evidence: Sequence[str]) -> str:
    ranks = _ranks(recall, evidence)
    return f"at rank {', '.join(map(str, ranks))}" if ranks else f"not among the first {_LOOKED_AT}"


def _told(recall: Recall, evidence: Sequence[str]) -> dict[str, Any]:
    return {
        "question": recall.cue.text,
        "elapsed_ms": round(recall.elapsed_ms, 2),
        "evidence": list(evidence),
        "ranks": _ranks(recall, evidence),
        "top": [hit.to_dict() for hit in recall.hits[:_SHOWN]],
    }
