"""`mnemic compare`: memory systems side by side on the user's own log, which is only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from mnemic.cli.options import DEFAULT_DB, AsJson, Embedder, Scope

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from mnemic.bench.compare import Differing, LogComparison, Part, Seen
    from mnemic.bench.statistics import Estimate

Log = Annotated[
    Path,
    typer.Option(
        "--log", "--db", envvar="MNEMIC_DB", metavar="FILE", help="The memory's file.", show_default="mnemic.db"
    ),
]
_SHOWN = 3  # hits of a question on which systems differ


def compare(
    systems: Annotated[
        str,
        typer.Option(
            "--systems", metavar="A,B", help="Which systems, parameters behind a colon; the first is compared with."
        ),
    ] = "bm25,hybrid",
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions",
            metavar="FILE",
            help='JSON Lines: {"question": …, "evidence": [ids]} or {"question": …, "answer": …}.',
            show_default="a probe made from the log",
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many memories each recalls.")] = 10,
    n: Annotated[int, typer.Option("--n", min=1, help="Questions of the probe, at most.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Which questions the probe draws.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Keep each question's row in a file of results.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a report as a web page.")] = None,
    llm: Annotated[
        str | None,
        typer.Option(
            "--llm",
            metavar="MODEL",
            help="What systems ask, as in docs/llm.md: each asks everything anew. MNEMIC_LLM alone asks nothing here.",
            show_default="none: each takes its path without a model",
        ),
    ] = None,
    log: Log = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Compare memory systems on your own log: with your questions, or with a probe made from the log itself.

    The log is only read: what is asked is asked of a copy in memory. A probe's figures compare systems on this log; they
    are no accuracies. Each kind of its questions is shown apart, with what it measures. Without --llm no model is asked,
    whatever systems are attached with.

    \b
    Example: mnemic compare --systems bm25,hybrid --log agent.db
             mnemic compare --systems bm25,hybrid:time=0.2 --questions q.jsonl --out results.db
             mnemic compare --systems hybrid,mem0 --llm openai:gpt-4o-mini --n 50
    """
    from mnemic.bench.compare import compare as measure
    from mnemic.bench.compare import save
    from mnemic.cli import render
    from mnemic.cli.options import must_exist
    from mnemic.memory import Memory
    from mnemic.model import check_scope

    must_exist(log)
    check_scope(scope)
    with Memory.open(log, embedder=embedder, read_only=True, llm="none") as memory:
        found = measure(
            memory.scope(scope),
            systems.split(","),
            questions,
            k=k,
            n=n,
            seed=seed,
            llm=llm,
            show_progress=not as_json,
        )
    if out is not None:
        save(found, out)
    if html is not None:
        _write_page(found, html)
    if as_json:
        render.as_json(found.to_dict())
    else:
        _show(found)


def _write_page(found: LogComparison, path: Path) -> None:
    import tempfile

    from mnemic.bench.compare import save
    from mnemic.bench.report import write_report

    with tempfile.TemporaryDirectory(prefix="mnemic-compare-") as folder:
        results = Path(folder) / "results.db"
        save(found, results)
        write_report([results], None, path, against=found.systems[0])


def _show(found: LogComparison) -> None:
    from rich.text import Text

    from mnemic.cli import render

    n = sum(part.n for part in found.parts)
    asked = f"{n:,} question{'s' if n != 1 else ''}"
    made = f"a probe of {asked}" if found.is_probe else asked
    beside = f"; {found.held_out:,} that only ask are held out" if found.held_out else ""
    render.show(Text(render.clean(f"{found.log}: {found.episodes:,} episodes{beside}; {made}"), "bold"))
    render.show(*(Text(f"{render.clean(system)}: {one}", "dim") for system, one in found.ran.items()))
    for part in found.parts:
        render.show(Text(f"\n{part.name}, n = {part.n:,}"), _figures(part), *_differences(part, found.systems[0]))
    if found.chance is not None:
        render.show(Text(f"{found.k} episodes drawn at random would have a recall of {found.chance:.3f}.", "dim"))
    if found.kinds:
        render.show(Text("\nThe probe, kind by kind"), _kinds(found))
        told = (
            "A probe compares systems on this log; its figures are no accuracies, and each kind leans to what it says."
        )
        render.show(Text(told, "dim"))
    if found.differing:
        render.show(Text("\nWhere they differ most"), *(_differing(one) for one in found.differing))


def _figures(part: Part) -> Table:
    from mnemic.cli import render

    metrics = list(part.lines[0].figures)
    made = render.table("system", *metrics, "tokens", "ms", right=(*metrics, "tokens", "ms"))
    for line in part.lines:
        figures = (f"{line.figures[metric]:.3f}" for metric in metrics)
        made.add_row(render.clean(line.system), *figures, f"{line.tokens:,.0f}", f"{line.median_ms:.1f}")
    return made


def _differences(part: Part, first: str) -> list[Text]:
    from rich.text import Text

    from mnemic.cli import render

    colours = {"ahead": "green", "behind": "red", "a tie": "yellow"}
    return [
        Text.assemble(
            f"{render.clean(one.system)} less {render.clean(first)}: {part.metric} {_interval(one.difference)}, ",
            f"{_p(one.p_corrected)}: ",
            (one.verdict, colours[one.verdict]),
        )
        for one in part.differences
    ]


def _interval(difference: Estimate) -> str:
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _kinds(found: LogComparison) -> Table:
    from rich.text import Text

    from mnemic.bench.compare import MEASURES
    from mnemic.cli import render

    metric = f"recall@{found.k}"
    made = render.table("kind", "n", *found.systems, f"{metric} of …", right=("n", *found.systems))
    for kind in found.kinds:
        figures = [f"{line.figures[metric]:.3f}" for line in kind.lines]
        made.add_row(kind.name, str(kind.n), *figures, Text(MEASURES[kind.name], "dim"))
    if len(found.kinds) > 1:
        means = (fmean(kind.lines[at].figures[metric] for kind in found.kinds) for at in range(len(found.systems)))
        told = "each kind counting the same: the total above leans to the kinds with most questions"
        made.add_row("mean", "", *(f"{mean:.3f}" for mean in means), Text(told, "dim"))
    return made


def _differing(one: Differing) -> Text:
    from rich.text import Text

    from mnemic.cli import render

    told = Text.assemble("\n", (render.flat(one.question.text, 200), "bold"), (f"  {one.question.kind}", "dim"))
    for seen in one.wanted[:_SHOWN]:
        told.append(f"\n  wanted  {_line(seen)}", "dim")
    for system, seen_by in _ranked(one.recalled, one.scores):
        told.append(f"\n  {render.clean(system)}  {one.scores[system]:.3f}", "cyan")
        for rank, seen in _first(seen_by):
            told.append(f"\n    {'✓' if seen.is_evidence else '·'}{rank:>3}  {_line(seen)}")
        if not seen_by:
            told.append("\n    nothing")
    return told


def _first(seen_by: Sequence[Seen]) -> list[tuple[int, Seen]]:
    """The first hits with their ranks, and the first evidence where it is further down."""
    ranked = list(enumerate(seen_by, start=1))
    first = ranked[:_SHOWN]
    if any(seen.is_evidence for _, seen in first):
        return first
    return first + [each for each in ranked[_SHOWN:] if each[1].is_evidence][:1]


def _ranked(
    recalled: Mapping[str, tuple[Seen, ...]], scores: Mapping[str, float]
) -> list[tuple[str, tuple[Seen, ...]]]:
    return sorted(recalled.items(), key=lambda item: -scores[item[0]])


def _line(seen: Seen) -> str:
    from mnemic.cli import render

    return f"{seen.occurred_at[:10]}  {render.flat(seen.speaker, 20)}: {render.flat(seen.text, 110)}"


COMMANDS = (compare,)
