"""What is tied to one episode, as columns: what systems made of it, the episode, the names in it, others that share them.

The layout is a function of what is drawn: rows in each column are ordered by where their neighbours stand, so that few lines
cross, and two calls give the same drawing. Labels are rows of text and never lie on one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemic.memory import Memory
from mnemic.model import Episode, Link, Record
from mnemic.serve.inspector import looking, words
from mnemic.serve.inspector.looking import Named

NAMES, OTHERS, MADE = 8, 10, 6
_ROW, _TOP = 46.0, 28.0
_MADE, _CENTRE, _NAME, _OTHER = 186.0, 256.0, 146.0, 400.0  # widths of the columns
_READ = 60  # episodes that are read to see whether they hold a name as it is written


@dataclass(frozen=True, slots=True)
class Node:
    """One row of a column. `kind` is episode, name, record or made."""

    kind: str
    id: str
    x: float
    y: float
    width: float
    label: str
    under: str
    scope: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A curve from one node to another."""

    path: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Shared:
    """Another episode, and the names that it shares with the one in the middle."""

    episode: Episode
    names: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What is tied to an episode."""

    episode: Episode
    names: tuple[Named, ...]
    others: tuple[Shared, ...]
    records: tuple[Record, ...]
    links: tuple[Link, ...]

    @property
    def is_alone(self) -> bool:
        """Whether nothing is tied to it."""
        return not (self.others or self.records or self.links)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes and edges with their places."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    titles: tuple[tuple[float, str], ...]
    width: float
    height: float


def around(memory: Memory, episode: Episode) -> Around:
    """What is tied to the episode by names that few others mention, and by what systems made of it."""
    names = looking.names_of(memory, episode)
    weights: dict[int, float] = {}
    for name in names:
        for seq in name.seqs:
            weights[seq] = weights.get(seq, 0.0) + name.weight
    likeliest = sorted(weights, key=lambda seq: (-weights[seq], -seq))[:_READ]
    read = looking.by_seqs(memory, likeliest)
    others = []
    for seq in likeliest:
        if seq in read:
            folded = read[seq].text.casefold()
            shared = tuple(name for name in names if seq in name.seqs and name.text.casefold() in folded)
            if shared:
                others.append(Shared(read[seq], shared))
    records, links = looking.made_from(memory, episode.id) if looking.systems_with_records(memory) else ([], [])
    return Around(episode, tuple(names), tuple(others[:OTHERS]), tuple(records), tuple(links))


def draw(found: Around) -> Drawing:
    """The columns."""
    shared = {name.text for other in found.others for name in other.names}
    names = [name for name in found.names if name.text in shared][:NAMES]
    known = {name.text: place for place, name in enumerate(names)}
    others = sorted(
        (other for other in found.others if any(name.text in known for name in other.names)),
        key=lambda other: (
            _middle([known[name.text] for name in other.names if name.text in known]),
            -other.episode.seq,
        ),
    )
    records = found.records[:MADE]
    rows = max(1, len(names), len(others), len(records))
    height = _TOP + rows * _ROW + 8
    left = _MADE + 54 if records else 0.0
    columns = {"episode": left, "name": left + _CENTRE + 54, "other": left + _CENTRE + 54 + _NAME + 54}
    centre = Node(
        "centre",
        found.episode.id,
        columns["episode"],
        _place(0, 1, rows),
        _CENTRE,
        words.excerpt(found.episode.text, 31),
        f"{found.episode.speaker[:20]}, {words.date(found.episode.occurred_at)}",
    )
    made = [
        Node(
            "record",
            one.id,
            0.0,
            _place(row, len(records), rows),
            _MADE,
            words.excerpt(one.text, 25),
            one.kind,
            one.scope,
            one.system,
        )
        for row, one in enumerate(records)
    ]
    named = [
        Node(
            "name",
            one.text,
            columns["name"],
            _place(row, len(names), rows),
            _NAME,
            words.excerpt(one.text, 16),
            f"in {words.count(one.others)} more",
        )
        for row, one in enumerate(names)
    ]
    far = [
        Node(
            "episode",
            one.episode.id,
            columns["other"],
            _place(row, len(others), rows),
            _OTHER,
            words.excerpt(one.episode.text, 50),
            f"{one.episode.speaker[:24]}, {words.date(one.episode.occurred_at)}",
            one.episode.scope,
        )
        for row, one in enumerate(others)
    ]
    edges = [_curve(one, centre, "made", f"{one.under} by {one.system}") for one in made]
    edges += [_curve(centre, one, "names", f"names {one.label}") for one in named]
    edges += [
        _curve(named[known[name.text]], node, "names", f"both name {name.text}")
        for node, other in zip(far, others, strict=True)
        for name in other.names
        if name.text in known
    ]
    titles = [(columns["episode"], "this episode")]
    titles += [(0.0, "made from it")] if made else []
    titles += [(columns["name"], "names"), (columns["other"], "also mentioned in")] if named else []
    return Drawing((centre, *made, *named, *far), tuple(edges), tuple(titles), _width(columns, bool(named)), height)


def _width(columns: dict[str, float], has_names: bool) -> float:
    return columns["other"] + _OTHER if has_names else columns["episode"] + _CENTRE


def _place(row: int, n: int, rows: int) -> float:
    """The middle of a row in a column of n, spread over the height of the longest column."""
    return round(_TOP + rows * _ROW * (row + 0.5) / n, 1)


def _middle(places: Sequence[int]) -> float:
    return sum(places) / len(places)


def _curve(one: Node, other: Node, kind: str, title: str) -> Edge:
    start, end = one.x + one.width, other.x
    bend = (end - start) / 2
    return Edge(
        f"M{start:.0f} {one.y}C{start + bend:.0f} {one.y} {end - bend:.0f} {other.y} {end:.0f} {other.y}", kind, title
    )
