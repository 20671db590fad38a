"""`mnemic bench`: memory systems on published datasets, with the controls, every question and hit kept.

A first word that is none of its commands is a dataset, so that the run itself needs no word of its own.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from mnemic.bench.dataset import Category, Dataset, Variant
    from mnemic.bench.results import Asked
    from mnemic.bench.sheet import Source

_RUN = "run"


class DatasetOrCommand(TyperGroup):
    """A group in which an unknown first word begins a run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of that name; else the run, with the word as its first argument."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = [_RUN, *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="bench",
    cls=DatasetOrCommand,
    no_args_is_help=True,
    rich_markup_mode=None,
    subcommand_metavar="DATASET[/VARIANT] | COMMAND [ARGS]...",
    help="Measure memory systems on published datasets.\n\n"
    "A run writes each sample into a log, lets every system recall from it, and scores the hits against the dataset's "
    "evidence, without a model. The controls (none, random, recent, grep, BM25, dense, RRF, full, oracle) run in every "
    "run. Everything asked and recalled is kept in one file, and a run that was cut short goes on where it was.\n\n"
    "\b\n"
    "Example: mnemic bench locomo --system hybrid --out locomo.sqlite\n"
    "         mnemic bench beam/100k --system hybrid,hybrid:time=0 --jobs 2\n"
    "         mnemic bench report locomo.sqlite --html locomo.html\n\n"
    "`mnemic bench datasets` lists the datasets, and `mnemic bench DATASET --help` explains a run. Both print JSON with "
    "--json.",
)
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="The folder of all datasets, with locomo/, beam/, …",
        show_default="$MNEMIC_SHARED_DATA, ../shared/data beside the repository, ./data",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]


@app.command(_RUN, hidden=True)
def measure(
    name: Annotated[str, typer.Argument(metavar="DATASET[/VARIANT]", help="Such as locomo, or beam/100k.")],
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            "-s",
            metavar="A,B,…",
            help="Systems beside the controls; with parameters: hybrid:time=0+names=0.",
        ),
    ] = None,
    k: Annotated[
        str | None,
        typer.Option("--k", metavar="N,N,…", help="Score the first so many hits.", show_default="the dataset's"),
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Ask for so many hits, and keep them.")] = 50,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="The first so many questions.")] = None,
    samples: Annotated[int | None, typer.Option("--samples", min=1, help="The first so many samples.")] = None,
    data: Data = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The file of results; added to if it is there.")
    ] = Path("mnemic-bench.sqlite"),
    work: Annotated[
        Path | None,
        typer.Option("--work", metavar="FOLDER", help="Where the logs are written.", show_default="beside --out"),
    ] = None,
    keep_logs: Annotated[
        bool, typer.Option("--keep-logs", help="Leave the logs: they are memories to look into.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Samples measured at once; milliseconds are truest with 1.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the control that recalls at random, and of a model.")] = 0,
    budget: Annotated[int, typer.Option("--budget", min=1, help="Tokens of the context block.")] = 700,
    embedder: Annotated[
        str,
        typer.Option(
            "--embedder", envvar="MNEMIC_EMBEDDER", metavar="NAME", help="auto, minilm, hashing, openai:MODEL, …"
        ),
    ] = "auto",
    system_llm: Annotated[
        str,
        typer.Option(
            "--system-llm",
            metavar="MODEL",
            help="What systems ask, as in docs/llm.md. MNEMIC_LLM alone asks nothing here.",
            show_default="none: each takes its path without a model",
        ),
    ] = "none",
    llm: Annotated[
        list[str] | None,
        typer.Option(
            "--llm",
            metavar="MODEL",
            help="Let this model also answer from each context block. $OPENAI_BASE_URL says where it is.",
        ),
    ] = None,
    judge: Annotated[
        str | None, typer.Option("--judge", metavar="MODEL", help="Let this model judge those answers.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run systems and the controls on a dataset. Run it again to finish what was cut short: nothing is done twice.

    \b
    Example: mnemic bench locomo --system hybrid
             mnemic bench locomo --system hybrid,hybrid:time=0,hybrid:names=0+speaker=0 --k 5,10
             mnemic bench longmemeval --system hybrid --limit 20 --data ../shared/data
             mnemic bench locomo --system mem0 --system-llm openai:gpt-4o-mini --samples 1
    """
    from mnemic.bench.download import data_folder, require_files
    from mnemic.bench.registry import variant
    from mnemic.bench.run import Settings, run
    from mnemic.cli import render

    dataset, chosen = variant(name)
    folder = data_folder(data)
    require_files(dataset, chosen, folder)
    settings = Settings(
        out=out,
        systems=tuple(one.strip() for words in system or () for one in words.split(",") if one.strip()),
        ks=_numbers(k),
        depth=depth,
        budget_tokens=budget,
        seed=seed,
        limit=limit,
        samples=samples,
        work=work,
        jobs=jobs,
        embedder=embedder,
        llm=_checked_llm(system_llm),
        keep_logs=keep_logs,
        keeps_blocks=bool(llm),
        show_progress=not as_json,
    )
    try:
        done = run(dataset, chosen, folder, settings)
        for model in llm or ():
            from mnemic.bench.reading import read_answers

            read_answers(out, done.run.dataset, model, judge=judge, seed=seed, show_progress=not as_json)
    except KeyboardInterrupt:
        render.note(f"What was finished is kept in {out}; the same command again goes on from there.")
        if jobs > 1:
            from mnemic.cli.main import INTERRUPTED

            os._exit(INTERRUPTED)  # at once: processes that still measure end with this one, and what was kept stays
        raise
    if done.skipped:
        together = done.skipped + done.measured
        render.note(f"{done.skipped:,} of {together:,} pairs of a system and a sample were measured before, and kept.")
    asking = [one for one in settings.systems if _asks_a_model(one)]
    if asking:
        render.note(f"{', '.join(asking)}: {'without a model' if system_llm == 'none' else f'with {system_llm}'}.")
    _print_figures(out, dataset, chosen, done.run.dataset, as_json=as_json)


@app.command()
def report(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files of results, read as one.")],
    markdown: Annotated[Path | None, typer.Option("--markdown", metavar="FILE", help="Write it as Markdown.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page with plots.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="SYSTEM",
            help="What the others are compared with.",
            show_default="rrf; the first where it was not run",
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What is broken down.", show_default="what most have")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--rows", metavar="FILE", help="Write every question's row as JSON Lines as well.")
    ] = None,
) -> None:
    """Tables with intervals, paired differences, costs and failures; without --markdown or --html, on standard output.

    \b
    Example: mnemic bench report mnemic-bench.sqlite
             mnemic bench report locomo.sqlite beam.sqlite --html report.html --against bm25
    """
    from contextlib import ExitStack

    from mnemic.bench.report import markdown_report, write_report
    from mnemic.bench.results import Results
    from mnemic.bench.sheet import Together
    from mnemic.errors import ParameterError

    with ExitStack() as stack:
        opened = [stack.enter_context(Results(file, must_exist=True)) for file in files]
        against = against or _usual(Together(opened))
        if rows is not None:
            if len(opened) > 1:
                raise ParameterError("--rows writes the rows of one file of results. Give one.")
            opened[0].export_jsonl(rows)
        if markdown is None and html is None:
            typer.echo(markdown_report(Together(opened), against=against, metric=metric), nl=False)
    if markdown is not None or html is not None:
        write_report(files, markdown, html, against=against, metric=metric)


@app.command()
def datasets(
    name: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="Only this one, with all that is known.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What there is to measure on, and whether the files are here; of one dataset its variants, categories and traps.

    \b
    Example: mnemic bench datasets
             mnemic bench datasets beam
    """
    from mnemic.bench.download import data_folder
    from mnemic.bench.registry import DATASETS, dataset
    from mnemic.cli import render

    folder = data_folder(data)
    if name is not None:
        one = dataset(name.partition("/")[0])
        if as_json:
            render.as_json([_row(one, variant, folder) for variant in one.variants])
        else:
            _describe(one, folder)
        return
    known = [dataset(id) for id in DATASETS]
    if as_json:
        render.as_json([_row(one, variant, folder) for one in known for variant in one.variants])
        return
    counts = ("samples", "turns", "questions")
    table = render.table("dataset", "title", *counts, "files", "variants, the first by default", right=counts)
    for one in known:
        row = _row(one, one.variants[0], folder)
        variants = ", ".join(variant.id for variant in one.variants)
        table.add_row(one.id, one.title, *_counts(row), row["files"], render.flat(variants, 60))
    render.show(table)
    render.note(f"Counts and files are of the first variant. Files were looked for in {folder}.")


@app.command()
def download(
    name: Annotated[
        str, typer.Argument(metavar="DATASET[/VARIANT]", help="Such as longmemeval; all its variants, or one.")
    ],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a dataset's files, checked by SHA-256; those without an address are named, with where to get them.

    \b
    Example: mnemic bench download locomo --data data
    """
    from mnemic.bench.download import data_folder
    from mnemic.bench.download import download as fetch
    from mnemic.bench.registry import variant
    from mnemic.cli import render

    dataset, chosen = variant(name)
    folder = data_folder(data)
    done = fetch([chosen] if "/" in name else dataset.variants, folder, show_progress=not as_json)
    if as_json:
        render.as_json(done)
    else:
        for path, became in done.items():
            typer.echo(f"{became:<10}  {folder / path}")
        typer.echo(f"Licence: {dataset.licence}")
    if "no address" in done.values():
        render.note(f"The files without an address must be got by hand and put there. They come from: {dataset.source}")
        raise typer.Exit(1)


def _checked_llm(spec: str) -> str:
    """The spec of a model that can be opened; opening sends nothing."""
    from mnemic.models.open_llm import open_llm

    model = open_llm(spec)
    if model is not None:
        model.close()
    return spec


def _asks_a_model(system: str) -> bool:
    from mnemic.bench.spec import parse_spec
    from mnemic.systems.registry import system_class

    spec = parse_spec(system)
    return not spec.is_ours and "llm" in system_class(spec.id).card.needs


def _numbers(text: str | None) -> tuple[int, ...]:
    from mnemic.errors import ParameterError

    try:
        return tuple(sorted({int(part) for part in text.split(",")})) if text else ()
    except ValueError:
        raise ParameterError(f"--k {text}: give numbers of hits, such as 5,10,20.") from None


def _row(dataset: Dataset, variant: Variant, folder: Path) -> dict[str, Any]:
    from mnemic.bench.download import missing

    lacking = missing(variant, folder)
    is_fetched = any(file.url for file in lacking)
    return {
        "id": f"{dataset.id}/{variant.id}" if variant.id else dataset.id,
        "title": dataset.title,
        "samples": variant.samples,
        "turns": variant.turns,
        "questions": sum(category.n for category in variant.categories),
        "licence": dataset.licence,
        "files": "here" if not lacking else "to download" if is_fetched else "to be given",
    }


def _named(category: Category) -> str:
    """A category's id and name; the name alone where it says the id."""
    is_said = category.id.replace("_", " ") in category.name
    return category.name if is_said else f"{category.id} {category.name}"


def _counts(row: dict[str, Any]) -> list[str]:
    """Samples, turns and questions; a dash for what is known only when the file has been read."""
    return [f"{row[name]:,}" if row[name] else "–" for name in ("samples", "turns", "questions")]


def _describe(dataset: Dataset, folder: Path) -> None:
    from rich.text import Text

    from mnemic.cli import render

    counts = ("samples", "turns", "questions")
    table = render.table("variant", *counts, "files", "categories", right=counts)
    for variant in dataset.variants:
        row = _row(dataset, variant, folder)
        names = ", ".join(f"{_named(one)} ({one.n:,})" for one in variant.categories)
        table.add_row(row["id"], *_counts(row), row["files"], Text(names))
    facts = {"source": dataset.source, "licence": dataset.licence, "folder": str(folder), **dataset.notes}
    told = [Text.assemble((f"{name}: ", "dim"), render.clean(text)) for name, text in facts.items()]
    render.show(Text(dataset.title, "bold"), Text(f"{dataset.about}\n"), table, Text(), *told)


def _usual(source: Source) -> str:
    """What systems are compared with where nobody says: rrf, or in results without it what was named first."""
    systems = [name for dataset in source.datasets() for name in source.systems(dataset)]
    return "rrf" if "rrf" in systems or not systems else systems[0]


def _print_figures(out: Path, dataset: Dataset, variant: Variant, name: str, *, as_json: bool) -> None:
    """The plain means of the run's dataset; what they are worth is for the report to say."""
    from mnemic.bench.metrics import abstention_auroc, average
    from mnemic.bench.results import Results
    from mnemic.cli import render

    apart = dataset.apart
    with Results(out, must_exist=True) as results:
        rows = {system: results.asked(name, system) for system in results.systems(name)}
        warnings = [*results.warnings(name), *_apart(variant, apart, rows)]
    metrics = _shown({metric for asked in rows.values() for one in asked for metric in one.scores})
    if as_json:
        figures = {
            system: {metric: _mean(*average(asked, metric, apart)) for metric in metrics}
            | {"abstention_auroc": _or_none(abstention_auroc(asked, apart))}
            for system, asked in rows.items()
        }
        render.as_json({"dataset": name, "results": str(out), "figures": figures, "warnings": warnings})
        return
    means = {system: [average(asked, metric, apart) for metric in metrics] for system, asked in rows.items()}
    sizes = [max((each[at][1] for each in means.values()), default=0) for at in range(len(metrics))]
    headings = [one if n == max(sizes) else f"{one} (n={n})" for one, n in zip(metrics, sizes, strict=True)]
    table = render.table("system", "n", *headings, "tokens", "ms", right=("n", *headings, "tokens", "ms"))
    for system, asked in rows.items():
        own = means[system]
        costing = [one for one in asked if one.category not in apart] or asked
        tokens = sum(one.context_tokens for one in costing) / max(len(costing), 1)
        elapsed_ms = sum(one.elapsed_ms for one in costing) / max(len(costing), 1)
        cells = [f"{mean:.3f}" if n else "–" for mean, n in own]
        n_own = max((n for _, n in own), default=0)
        table.add_row(system, f"{n_own:,}", *cells, f"{tokens:.0f}", f"{elapsed_ms:.1f}")
    render.show(table)
    for warning in warnings:
        render.note(warning)
    typer.echo(f"\nWith intervals, categories and differences: mnemic bench report {out}")


def _mean(value: float, n: int) -> dict[str, float | None]:
    return {"mean": _or_none(value), "n": n}


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value


def _apart(variant: Variant, apart: tuple[str, ...], rows: dict[str, list[Asked]]) -> list[str]:
    """What was asked and is in no mean."""
    n = max((sum(one.category in apart for one in asked) for asked in rows.values()), default=0)
    names = ", ".join(_named(one) for one in variant.categories if one.id in apart)
    return [f"{n:,} questions are counted apart and in no mean ({names}); the report has them."] if n else []


def _shown(metrics: set[str]) -> list[str]:
    """The few that a line has room for: at the least and the greatest k, and what the tasks are scored by."""
    wanted = ("recall@", "all@", "ndcg@", "contains@", "vote@")
    found = []
    for start in wanted:
        ks = sorted(int(end) for one in metrics if one.startswith(start) and (end := one.removeprefix(start)).isdigit())
        found += [f"{start}{k}" for k in dict.fromkeys((*ks[:1], *ks[-1:]))]
    names = ("mrr", "newest", "order", "recall@1000t", "block_recall", "answer_f1", "judged")
    return found + [one for one in names if one in metrics]
