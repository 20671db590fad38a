"""How answers look: tables, bars, dates and sizes; coloured on a terminal, plain and unwrapped in a pipe.

What was remembered may hold anything, so control characters never reach a terminal, and markup is never interpreted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from mnemic.memory import Memory
    from mnemic.model import Episode, Hit, Recall

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNWRAPPED = 10_000  # columns of a pipe


def page(width: int | None = None) -> Console:
    """A console on standard output; `width` is that of a pipe."""
    from rich.console import Console

    class Page(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError  # the one place that handles it is main.py

    if sys.stdout.isatty():
        return Page(highlight=False, emoji=False)
    return Page(width=width or _UNWRAPPED, highlight=False, emoji=False, legacy_windows=False)


def show(*items: RenderableType, console: Console | None = None) -> None:
    """Print to standard output; in a pipe without the white space that fills a table's cells."""
    console = console or page()
    if console.is_terminal or console.quiet:
        console.print(*items, sep="\n")
        return
    with console.capture() as capture:
        console.print(*items, sep="\n")
    typer.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def as_json(value: Any) -> None:
    """Print a JSON value, whatever the encoding of standard output."""
    is_unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
    is_plain = not is_unicode or sys.stdout.isatty()  # on a terminal, no character of a text may steer it
    typer.echo(json.dumps(value, ensure_ascii=is_plain, indent=2, default=str))


def complain(message: str) -> None:
    """One line of what went wrong, on standard error, red on a terminal."""
    typer.secho(clean(" ".join(message.split())), fg="red", err=True)


def note(message: str) -> None:
    """One line beside the answer, on standard error."""
    typer.secho(clean(" ".join(message.split())), fg="yellow", err=True)


def clean(text: str) -> str:
    """The text without what could steer a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def flat(text: str, width: int | None = None) -> str:
    """The text as one clean line, cut at `width`."""
    line = clean(" ".join(text.split()))
    return line if width is None or len(line) <= width else line[: width - 1].rstrip() + "…"


def day(moment: datetime) -> str:
    """Sat 9 Mar 2024: in English whatever the locale, and in the offset in which it was said."""
    return f"{WEEKDAYS[moment.weekday()]} {moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def minute(moment: datetime) -> str:
    """Sat 9 Mar 2024 18:30 +01:00."""
    offset = moment.strftime("%z")
    return f"{day(moment)} {moment:%H:%M}" + (f" {offset[:3]}:{offset[3:5]}" if offset not in ("", "+0000") else " UTC")


def size(n_bytes: float) -> str:
    """Bytes in words."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(n_bytes) < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"


def bar(share: float, width: int = 12) -> str:
    """A bar in eighths of a character; nothing for 0, and at least a sliver for more."""
    eighths = min(round(max(share, 0.0) * width * 8), width * 8)
    if share > 0.0:
        eighths = max(eighths, 1)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def table(*headings: str, right: Sequence[str] = ()) -> Table:
    """A plain table; columns in `right` are aligned there."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", no_wrap=heading in right)
    return made


def episode_lines(episodes: Iterable[Episode]) -> Table:
    """Position, day, speaker, text and id of episodes."""
    from rich.text import Text

    made = table("#", "day", "who", "text", right=("#",))
    for one in episodes:
        under = f"{one.id}" + (f" · {one.session}" if one.session else "")
        text = Text.assemble(flat(one.text, 300), "\n", (clean(under), "dim"))
        if one.origin == "echo":
            text.append(" · echo", "dim")
        made.add_row(str(one.seq), day(one.occurred_at), Text(clean(one.speaker)), text)
    return made


def hit_lines(hits: Sequence[Hit], *, why: bool) -> Table:
    """Rank, score, day, speaker and text of hits; with `why` a bar for each signal."""
    from rich.text import Text

    made = table("#", "score", "day", "who", "text", right=("#", "score"))
    most = max((reason.contribution for hit in hits for reason in hit.reasons), default=0.0)
    for rank, hit in enumerate(hits, start=1):
        text = Text.assemble(flat(hit.text, 600), "\n", (_beneath(hit), "dim"))
        if why:
            text.append_text(_signals(hit, most))
        speaker = hit.episode.speaker if hit.episode else hit.kind
        made.add_row(str(rank), Text(f"{hit.score:.3f}", "cyan"), day(hit.occurred_at), Text(clean(speaker)), text)
    return made


def confidence_line(recall: Recall) -> list[Text]:
    """How sure a recall is, and that nothing relevant seems to be stored where it doubts it; or what it has not seen yet."""
    from rich.text import Text

    from mnemic.model import NOTHING_RELEVANT

    if recall.behind:
        later = f"{recall.system} has not observed {recall.behind:,} episodes yet; `mnemic consolidate` lets it."
        return [Text(later, "yellow")]
    if recall.confidence is None:
        return []
    line = Text(f"confidence {recall.confidence:.2f}", "dim")
    if recall.is_doubtful:
        line.append(f"  {NOTHING_RELEVANT}", "yellow")
    return [line]


def _beneath(hit: Hit) -> str:
    parts = [hit.id]
    if hit.episode and hit.episode.session:
        parts.append(hit.episode.session)
    if hit.scope:
        parts.append(hit.scope)
    if hit.duplicates:
        parts.append(f"said {len(hit.duplicates) + 1} times")
    return clean(" · ".join(parts))


def _signals(hit: Hit, most: float) -> Text:
    from rich.text import Text

    drawn = Text()
    for reason in sorted(hit.reasons, key=lambda one: -one.contribution):
        if reason.contribution < 0.0005:
            continue
        drawn.append(f"\n{reason.signal:<12}", "dim")
        drawn.append(f"{bar(reason.contribution / most, 14):<15}", "cyan")
        drawn.append(f"{reason.contribution:.3f} = {reason.value:.2f} × {reason.weight:.2f}")
        if reason.note:
            drawn.append(f"  {flat(reason.note, 60)}", "dim")
    return drawn


def in_words(hit: Hit, *, is_semantic: bool = True, most: int = 3) -> str:
    """Why a hit was recalled, its strongest reasons as a half-sentence."""
    said = {
        "meaning": "close in meaning" if is_semantic else "alike in spelling",
        "words": "shares {}",
        "context": "beside other matches",
        "session": "its session is about this",
        "topic": "its session shares the words",
        "own": "shares words",
        "speaker": "said by {}",
        "role": "said by the user",
        "substance": "says much",
        "kind": "has the kind of thing asked for",
        "statement": "is no question itself",
        "association": "others point to it",
        "standing": "a standing instruction",
        "names": "names what was asked about",
        "time": "happened {}",
        "told": "tells of that time",
        "recency": "recent",
        "newest": "the newest or oldest, as asked",
        "strength": "said more than once",
    }
    strongest = sorted(hit.reasons, key=lambda reason: -reason.contribution)[:most]
    return ", ".join(
        said.get(reason.signal, reason.signal).format(flat(reason.note, 60) or "it")
        for reason in strongest
        if reason.contribution > 0.0
    )


def nothing_found(memory: Memory, what: str) -> NoReturn:
    """Say that nothing was found, and where something is; exit 1."""
    elsewhere = {path: n for path, n in memory.scopes().items() if n and path != memory.scope_path}
    hint = ""
    if elsewhere:
        named = ", ".join(f"{path} ({n:,})" for path, n in list(elsewhere.items())[:5])
        hint = f" Scopes below it hold something: {named}. Give one with --scope, or --children where a command has it."
    complain(f"{what} in the scope {memory.scope_path!r}.{hint}")
    raise typer.Exit(1)
