"""`mnemic demo`: a year of two friends' messages, remembered, asked, echoed and forgotten, in a folder of its own.

Recorded time follows the story, so that "as of June" means what the memory held in June. The scenes are in `scenes.py`.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mnemic.cli.options import AsJson, Embedder

_WIDTH = 100  # columns of a pipe


class Timed:
    """An embedder that knows how long it took."""

    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder
        self.id, self.dim = embedder.id, embedder.dim
        self.max_tokens = int(getattr(embedder, "max_tokens", 512))
        self.is_semantic = bool(getattr(embedder, "is_semantic", True))
        self.seconds = 0.0

    def embed(self, texts: Sequence[str], kind: str = "document") -> Any:
        """As the embedder within."""
        started = time.perf_counter()
        try:
            return self.embedder.embed(texts, kind)
        finally:
            self.seconds += time.perf_counter() - started

    def clear(self) -> None:
        """Forget what the embedder keeps of texts it saw."""
        getattr(self.embedder, "clear", lambda: None)()


def demo(
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FOLDER", help="Work there and leave demo.db to play with.")
    ] = None,
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """See it at work: a year of messages remembered, asked, echoed, and one of them forgotten for good.

    Works in a temporary folder and leaves nothing behind, unless --keep names one.

    \b
    Example: mnemic demo
             mnemic demo --keep . && mnemic search "Where is Otto's blanket?" --db demo.db --why
    """
    if keep is not None:
        _play(_empty(keep), embedder, as_json, is_kept=True)
        return
    with tempfile.TemporaryDirectory(prefix="mnemic-demo-") as folder:
        _play(Path(folder) / "demo.db", embedder, as_json, is_kept=False)


def _play(path: Path, embedder: str | None, as_json: bool, *, is_kept: bool) -> None:
    from rich.console import Console

    from mnemic.cli import render, scenes
    from mnemic.clock import ManualClock, parse_time
    from mnemic.memory import Memory

    messages, questions = _shipped()
    console = Console(quiet=True) if as_json else render.page(_WIDTH)
    timed, loading_s, is_chosen = _embedder(embedder)
    clock = ManualClock(parse_time(messages[0]["timestamp"]))
    with Memory.open(path, embedder=timed, clock=clock) as memory:
        stage = scenes.Stage(console, memory, clock, timed, questions, {"embedder": timed.id})
        scenes.remember(stage, messages, loading_s, is_chosen=is_chosen)
        clock.set(parse_time(questions[0]["asked_at"]))
        scenes.ask(stage)
        scenes.as_said(stage)
        scenes.echo(stage)
        scenes.forget(stage)
    scenes.your_turn(stage, path, is_kept=is_kept)
    if as_json:
        render.as_json(stage.told)


def _embedder(spec: str | None) -> tuple[Timed, float, bool]:
    """The embedder, how long it took to load, and whether it was asked for."""
    import warnings

    from mnemic.models.resolve import open_embedder

    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the demo says it in its own words
        opened = open_embedder(spec or "auto")
    timed = Timed(opened)
    timed.embed(["warm up"])
    return timed, time.perf_counter() - started, spec not in (None, "auto")


def _shipped() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from importlib.resources import files

    folder = files("mnemic") / "data"
    lines = (folder / "demo.jsonl").read_text("utf-8").splitlines()
    questions: list[dict[str, Any]] = json.loads((folder / "demo_questions.json").read_text("utf-8"))
    return [json.loads(line) for line in lines if line], questions


def _empty(folder: Path) -> Path:
    from mnemic.errors import ParameterError

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "demo.db"
    if path.exists():
        raise ParameterError(f"{path} is there already. Give another folder to --keep, or delete it.")
    return path


COMMANDS = (demo,)
