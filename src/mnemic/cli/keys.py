"""`mnemic keys`: who may use a server, for what, and in which scopes. It works while the server runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnemic.cli.options import AsJson
from mnemic.cli.serve import DEFAULT_DATA, Data

if TYPE_CHECKING:
    from mnemic.serve.keys import Key, Keys

app = typer.Typer(
    name="keys",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make, list and revoke the keys of a server.\n\n"
    "A key reaches the scopes that it names and those below them, and may do what its verbs say: read, write, forget, admin. "
    "Its secret is shown once; the server keeps a digest. From the first key on, nobody gets in without one.\n\n"
    "\b\n"
    "Example: mnemic keys create --name tutor --scope acme --verbs read,write\n"
    "         mnemic keys list\n"
    "         mnemic keys revoke 3f9a1c0b7d2e\n\n"
    "Each prints JSON with --json.",
)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Whose it is, for lists and logs.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", metavar="PATH", help='What it reaches, with all below; may be repeated. "" is everything.'
        ),
    ] = None,
    verbs: Annotated[
        str, typer.Option("--verbs", metavar="A,B", help="Some of read, write, forget, admin.")
    ] = "read,write",
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", metavar="WHEN", help="90m, 12h, 30d, 8w, or a time such as 2027-01-31.", show_default="never"
        ),
    ] = None,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its secret is printed once, on standard output, and kept nowhere.

    \b
    Example: mnemic keys create --name tutor --scope acme --verbs read,write --expires 90d
             mnemic keys create --name me --scope "" --verbs read,write,forget,admin
    """
    from mnemic.cli import render
    from mnemic.errors import ParameterError
    from mnemic.serve.control import FILE
    from mnemic.serve.run import make_folder

    if not scope:
        raise ParameterError('No key was made: it would reach nothing. Name scopes with --scope; "" is everything.')
    wanted = [verb.strip() for verb in verbs.split(",") if verb.strip()]
    is_new = not (data / FILE).exists()
    make_folder(data)
    with _opened(data) as keys:
        key, secret = keys.create(name, scope, wanted, _expiry(expires))
    if as_json:
        render.as_json({**key.to_dict(), "secret": secret})
    else:
        typer.echo(secret)
    render.note(
        f"Key {key.id} of {key.name} in {data.absolute()}{', new' if is_new else ''}: "
        f"{', '.join(key.to_dict()['verbs'])} in {_reach(key)}. Keep the secret now: it is not stored and cannot be shown "
        f"again. `mnemic keys revoke {key.id}` ends it."
    )


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Those that were revoked or have expired, too.")] = False,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """List keys, oldest first, without their secrets.

    \b
    Example: mnemic keys list --all
    """
    from rich.text import Text

    from mnemic.cli import render
    from mnemic.clock import SystemClock

    _must_be_there(data)
    now = SystemClock().now()
    with _opened(data) as keys:
        found = keys.list()
    shown = [key for key in found if everything or key.state(now) == "active"]
    if as_json:
        render.as_json([{**key.to_dict(), "state": key.state(now)} for key in shown])
        return
    made = render.table("id", "name", "scopes", "verbs", "last used", "expires", "state")
    for key in shown:
        cells = (
            key.id,
            key.name,
            _reach(key),
            ", ".join(key.to_dict()["verbs"]),
            *map(_day, (key.last_used_at, key.expires_at)),
        )
        made.add_row(*(Text(render.flat(cell)) for cell in cells), key.state(now))
    if shown:
        render.show(made)
    hidden = len(found) - len(shown)
    if hidden:
        render.note(f"{hidden:,} more were revoked or have expired; --all lists them.")
    elif not found:
        render.note("There is no key: the server lets in who is on its machine, and nobody else.")


@app.command()
def revoke(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Keys, as `mnemic keys list` prints them.")],
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """End keys, at once, also for a server that runs.

    \b
    Example: mnemic keys revoke 3f9a1c0b7d2e
    """
    from mnemic.cli import render

    _must_be_there(data)
    with _opened(data) as keys:
        known = {key.id for key in keys.list()}
        first = next((id for id in ids if id not in known), ids[0])
        ended = [
            keys.revoke(first),
            *(keys.revoke(id) for id in ids if id != first),
        ]  # an unknown one stops it before the rest
    if as_json:
        render.as_json([key.to_dict() for key in ended])
        return
    for key in ended:
        typer.echo(f"Revoked {key.id} of {render.flat(key.name)}.")


@contextmanager
def _opened(data: Path) -> Iterator[Keys]:
    from mnemic.serve.control import FILE, Control
    from mnemic.serve.keys import Keys

    with Control(data / FILE) as control:
        yield Keys(control)


def _must_be_there(data: Path) -> None:
    from mnemic.errors import StoreReadOnly
    from mnemic.serve.control import FILE

    if not (data / FILE).exists():
        raise StoreReadOnly(
            f"There is no server's folder at {data}. `mnemic keys create` or `mnemic serve` begins one; --data or $MNEMIC_DATA "
            "names another."
        )


def _expiry(text: str | None) -> datetime | None:
    """The time that `--expires` means: so long from now, or a time; a day means its end."""
    from mnemic.clock import SystemClock, parse_time
    from mnemic.errors import ParameterError

    if text is None:
        return None
    if (span := re.fullmatch(r"(\d{1,6})\s*([mhdw])", text.strip())) is None:
        return parse_time(text, end_of_day=True)
    try:
        return SystemClock().now() + timedelta(**{_UNITS[span[2]]: int(span[1])})
    except OverflowError:
        raise ParameterError(
            f"--expires {text}: that is beyond the year 9999. Leave it out for a key that never expires."
        ) from None


def _reach(key: Key) -> str:
    return ", ".join(scope or "everything" for scope in key.scopes)


def _day(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M")
