"""Commands that copy everything away and bring it back: backup, restore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnemic.cli.options import DEFAULT_DB, AsJson, must_exist
from mnemic.cli.serve import DEFAULT_DATA

if TYPE_CHECKING:
    from mnemic.serve.archive import Manifest

Db = Annotated[
    Path | None,
    typer.Option("--db", envvar="MNEMIC_DB", metavar="FILE", help="A memory's file.", show_default="mnemic.db"),
]
Data = Annotated[
    Path | None, typer.Option("--data", envvar="MNEMIC_DATA", metavar="FOLDER", help="A server's folder, instead.")
]
_EARLIER = "An earlier backup may have it."
_UNIT = 2**20  # bytes that move the bar by one


def backup(
    context: typer.Context,
    target: Annotated[
        Path,
        typer.Argument(help="A new file; for a server's folder a new folder, .tar or .tar.gz."),
    ],
    db: Db = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Copy a memory, or all of a server's folder, while it is in use; and check the copy.

    The copy of one memory is a file like any other. That of a folder has each tenant's file, the server's keys and jobs, and
    a manifest with checksums. Caches are left out. `mnemic restore` brings it back. A tenant whose file is damaged does not
    stop the others: it is named, also in the manifest, and the exit code is 1.

    \b
    Example: mnemic backup friday.db --db agent.db
             mnemic backup /backups/friday.tar.gz --data mnemic-data
    """
    from mnemic.cli import render
    from mnemic.clock import SystemClock
    from mnemic.serve.backup import back_up, check_kind, copy_file, files_of

    is_folder = names_folder(context, db, data)
    if not is_folder:
        source = db or DEFAULT_DB
        must_exist(source)
        with moved("Backing up", source.stat().st_size, show=not as_json) as step:
            episodes = copy_file(source, target, step)
        _tell(target, None, episodes, target.stat().st_size, as_json=as_json, verb="Backed up")
        return
    assert data is not None
    check_kind(target)
    total = sum((data / one).stat().st_size for one in files_of(data))
    with moved("Backing up", 2 * total, show=not as_json) as step:
        made = back_up(data, target, SystemClock().now(), step)
    if not as_json:
        render.note("It holds the digests of keys and everything remembered: keep it as you keep the folder itself.")
    _tell(target, made, made.episodes, made.bytes, as_json=as_json, verb="Backed up")
    if made.left_out:
        _name_left_out(made, "Keep the last backup that has it; `mnemic doctor` says more of the file.")
        raise typer.Exit(1)


def restore(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `mnemic backup` wrote.")],
    db: Db = None,
    data: Data = None,
    check: Annotated[bool, typer.Option("--check", help="Read and check all of it, and write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back, to a file or folder that is not there: a memory with --db, a server's folder with --data.

    All of it is read and checked first. Nothing is ever overwritten: move what is there away, with the server stopped.

    \b
    Example: mnemic restore friday.db --db agent.db
             mnemic restore /backups/friday.tar.gz --data mnemic-data
             mnemic restore /backups/friday.tar.gz --check
    """
    from mnemic.errors import ParameterError
    from mnemic.serve import archive
    from mnemic.serve import restore as restoring

    if not source.exists():
        raise ParameterError(f"There is no backup at {source}. Give the file or folder that `mnemic backup` wrote.")
    size = sum(one.stat().st_size for one in (source.rglob("*") if source.is_dir() else [source]) if one.is_file())
    if restoring.is_memory_file(source):
        if _named(context, "data"):
            raise ParameterError(f"{source} is the backup of one memory. Restore it with --db FILE.")
        if check:
            _tell(source, None, _checked(source), size, as_json=as_json, verb="Checked")
            return
        target = db or DEFAULT_DB
        with moved("Restoring", size, show=not as_json) as step:
            episodes = restoring.restore_file(source, target, step)
        _tell(target, None, episodes, target.stat().st_size, as_json=as_json, verb="Restored")
        return
    if _named(context, "db"):
        raise ParameterError(f"{source} is the backup of a server's folder. Restore it with --data FOLDER.")
    if check:
        with moved("Checking", size, show=not as_json) as step:
            found = archive.check(source, step)
        _tell(source, found, found.episodes, found.bytes, as_json=as_json, verb="Checked")
        _name_left_out(found, _EARLIER)
        return
    with moved("Restoring", 2 * size, show=not as_json) as step:
        found = restoring.restore(source, data or DEFAULT_DATA, step)
    _tell(data or DEFAULT_DATA, found, found.episodes, found.bytes, as_json=as_json, verb="Restored")
    _name_left_out(found, _EARLIER)


def _name_left_out(made: Manifest, remedy: str) -> None:
    from mnemic.cli import render

    for one in made.left_out:
        render.complain(f"{one.path} is not in the backup: it could not be read ({one.reason}). {remedy}")


def names_folder(context: typer.Context, db: Path | None, data: Path | None) -> bool:
    """Whether a server's folder is meant. What stands on the command line beats the environment."""
    from mnemic.errors import ParameterError

    said = [name for name in ("db", "data") if _named(context, name)]
    if len(said) == 2 or (not said and db is not None and data is not None):
        raise ParameterError(
            "Both a memory's file and a server's folder are named. Give one: --db FILE or --data FOLDER."
        )
    return data is not None if not said else said == ["data"]


def _named(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _checked(source: Path) -> int:
    from mnemic.errors import NotAStore
    from mnemic.serve.archive import check_store

    episodes = check_store(source)
    if episodes is None:
        raise NotAStore(f"{source} is a server's own file, a part of a backup. Check the whole backup.")
    return episodes


@contextmanager
def moved(label: str, total: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Something to tell of bytes that are done, which draws how far it is."""
    from mnemic.progress import track

    units = max(total // _UNIT, 1)
    ticks = iter(track(range(units), label, units, show=show))
    done = drawn = 0

    def step(n_bytes: int) -> None:
        nonlocal done, drawn
        done += n_bytes
        while drawn < min(done // _UNIT, units):
            next(ticks, None)
            drawn += 1

    try:
        yield step
        for _ in ticks:
            pass
    finally:
        if hasattr(ticks, "close"):
            ticks.close()


def _tell(path: Path, made: Manifest | None, episodes: int, n_bytes: int, *, as_json: bool, verb: str) -> None:
    from mnemic.cli import render

    if as_json:
        values: dict[str, Any] = {"path": str(path), "episodes": episodes, "bytes": n_bytes}
        render.as_json(values if made is None else values | made.to_dict())
        return
    tenants = "" if made is None else f" of {counted(len(made.files) - 1, 'tenant')}"
    typer.echo(f"{verb} {counted(episodes, 'episode')}{tenants}, {render.size(n_bytes)}: {path}")


def counted(number: int, one: str) -> str:
    """1 tenant, 1,000 tenants."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


COMMANDS = (backup, restore)
