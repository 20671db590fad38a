"""The health of a memory as numbers: what repeats, what is stale, what nobody asks for, and how fast it grows.

One pass over the episodes of a scope and those below it, in time proportional to their number: near repeats are looked
for only among texts that share a band of their MinHash signatures (Broder 1997; banding as in Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3), and are then compared word by word with the rule by which recall folds
repeats. With 12 bands of 6 rows a pair at the 0.9 that counts is missed once in ten thousand times.

Nothing is changed and nothing crosses a scope: the same words in two scopes are no repeat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import EPOCH
from mnemic.memory import Memory
from mnemic.model import ECHO, Episode
from mnemic.ops.repeats import content_hash, fold_repeats, jaccard
from mnemic.text.terms import normalised

STALE_AFTER_DAYS = 90
GROWTH_WINDOW_DAYS = 30
FORECAST_DAYS = (30, 365)
LONG = 40  # distinct words: from here a text said in several sessions looks like boilerplate
BOILERPLATE_SESSIONS = 3
SAME_PROMPT = 0.8  # share of words in common, for a prompt whose date or user's name changes
SYSTEM_ROLES = frozenset(["system", "developer"])

_BANDS, _ROWS = 12, 6
_FEWEST_WORDS = 4  # fewer say nothing in particular; recall does not fold them either
_COMPARED = 8  # texts of one bucket that a newcomer is compared with
_READ_CHARACTERS = 20_000  # of a long text, for near repeats
_TOP_SCOPES = 10


@dataclass(frozen=True, slots=True)
class Example:
    """An episode that shows what is meant."""

    id: str
    scope: str
    excerpt: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the episodes something holds for."""

    title: str
    count: int
    of: int
    examples: tuple[Example, ...] = ()

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the memory will hold in so many days, if it grows as it did."""

    days: int
    episodes: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast episodes were recorded lately. The forecast is linear: the window's average, kept up."""

    window_days: float  # 30, or the memory's age where it is younger, at least one
    recorded: int
    on_days: int  # different days on which anything was recorded; few of them make the forecast a guess
    per_day: float
    bytes_per_episode: float  # the store's file divided by all its episodes
    forecasts: tuple[Forecast, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What `audit` found. Shares are of all episodes of the scope and those below it."""

    scope: str
    at: datetime
    episodes: int
    bytes: int  # of the whole store's file
    duplicates: Share
    near_duplicates: Share
    echoes: Share
    superseded: Share
    unused: Share
    never_recalled: Share
    system_prompts: Share
    waiting_vectors: int
    growth: Growth
    scopes: tuple[tuple[str, int], ...]  # the largest, with their episodes
    n_scopes: int

    @property
    def shares(self) -> dict[str, Share]:
        """All shares by name, in the order in which they are shown."""
        names = (
            "duplicates",
            "near_duplicates",
            "echoes",
            "superseded",
            "unused",
            "never_recalled",
            "system_prompts",
        )
        return {name: getattr(self, name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        values = asdict(self)
        values["at"] = self.at.isoformat()
        for name, share in self.shares.items():
            values[name]["share"] = round(share.share, 4)
        values["scopes"] = dict(self.scopes)
        return values


@dataclass(slots=True)
class _Seen:
    """What is kept of an episode while the rest is read."""

    seq: int
    id: str
    scope: str
    session: str | None
    recorded_at: datetime
    is_system: bool
    is_echo: bool
    echo_of: tuple[str, ...]
    hash: int
    words: frozenset[str]
    excerpt: str


def audit(
    memory: Memory, *, stale_after_days: float = STALE_AFTER_DAYS, examples: int = 5, now: datetime | None = None
) -> Audit:
    """Measure the memory's scope and those below it.

    stale_after_days: how long an episode may wait for its first recall before it counts as unused.
    now: what age and growth are relative to; the memory's clock by default.
    """
    now = now or memory._shared.clock.now()
    stats = memory.stats()  # writes the recall counts that wait in memory, so that they count here
    scopes = memory.scopes()
    seen: list[_Seen] = []
    replaced: set[tuple[str, str]] = set()
    for episode in _episodes(memory, scopes):
        seen.append(_look(episode))
        if episode.supersedes:
            replaced.add((episode.scope, episode.supersedes))
    store = memory._shared.store
    recalled = {seq for path in scopes for seq in store.recalled_since(path, EPOCH, 2**62)}
    current = [one for one in seen if not one.is_echo and (one.scope, one.id) not in replaced]
    repeats = _repeats(current)
    first_of = {(one.scope, one.hash): one for one in reversed(current)}
    distinct = list(reversed(first_of.values()))
    near, alike = _near_repeats(distinct)
    stale_before = now - timedelta(days=stale_after_days)
    unasked = [one for one in current if one.seq not in recalled]
    unused = [one for one in unasked if one.recorded_at < stale_before]
    prompts = _system_prompts(current, first_of, alike)
    n = len(seen)

    def share(title: str, found: Sequence[tuple[_Seen, str]]) -> Share:
        shown = tuple(Example(one.id, one.scope, one.excerpt, note) for one, note in found[:examples])
        return Share(title, len(found), n, shown)

    waiting = stats["waiting_vectors"] if not memory.scope_path else sum(_waiting(memory, scopes))
    return Audit(
        scope=memory.scope_path,
        at=now,
        episodes=n,
        bytes=stats["bytes"],
        duplicates=share("said again, word for word", [(one, f"repeats {first.id}") for one, first in repeats]),
        near_duplicates=share("said again, nearly", [(one, f"like {first.id}") for one, first in near]),
        echoes=share(
            "echoes of recalled text", [(one, f"echo of {', '.join(one.echo_of)}") for one in seen if one.is_echo]
        ),
        superseded=share(
            "corrected since, kept as history", [(one, "") for one in seen if (one.scope, one.id) in replaced]
        ),
        unused=share(f"older than {stale_after_days:g} days, never recalled", [(one, _day(one)) for one in unused]),
        never_recalled=share("never recalled so far", [(one, _day(one)) for one in unasked]),
        system_prompts=share("system prompts and boilerplate", prompts),
        waiting_vectors=waiting,
        growth=_growth([one.recorded_at for one in seen], now, stats["bytes"] / max(1, _all_episodes(memory))),
        scopes=tuple(sorted(scopes.items(), key=lambda item: (-item[1], item[0]))[:_TOP_SCOPES]),
        n_scopes=len(scopes),
    )


def _episodes(memory: Memory, scopes: dict[str, int]) -> Iterator[Episode]:
    for handle in _handles(memory, scopes):
        after = 0
        while page := handle.list(limit=1000, after=after):
            yield from page
            after = page[-1].seq


def _handles(memory: Memory, scopes: dict[str, int]) -> Iterator[Memory]:
    for path in scopes:
        yield memory.scope(path[len(memory.scope_path) :].removeprefix("/"))


def _waiting(memory: Memory, scopes: dict[str, int]) -> Iterator[int]:
    return (int(handle.stats()["waiting_vectors"]) for handle in _handles(memory, scopes))


def _all_episodes(memory: Memory) -> int:
    return int(memory._shared.store.counts()["episodes"])


def _look(episode: Episode) -> _Seen:
    flat = " ".join(episode.text[:400].split())
    return _Seen(
        seq=episode.seq,
        id=episode.id,
        scope=episode.scope,
        session=episode.session,
        recorded_at=episode.recorded_at.astimezone(UTC),
        is_system=episode.role in SYSTEM_ROLES,
        is_echo=episode.origin == ECHO,
        echo_of=episode.echo_of,
        hash=content_hash(episode.text),
        words=frozenset(normalised(episode.text[:_READ_CHARACTERS]).split()),
        excerpt=flat if len(flat) <= 100 else flat[:99] + "…",
    )


def _day(one: _Seen) -> str:
    return f"recorded {one.recorded_at:%Y-%m-%d}"


def _repeats(current: Sequence[_Seen]) -> list[tuple[_Seen, _Seen]]:
    """(the repeat, what it repeats) for every text that was there before in its scope."""
    first: dict[tuple[str, int], _Seen] = {}
    found = []
    for one in current:
        earlier = first.setdefault((one.scope, one.hash), one)
        if earlier is not one:
            found.append((one, earlier))
    return found


def _system_prompts(
    current: Sequence[_Seen], first_of: dict[tuple[str, int], _Seen], alike: dict[int, int]
) -> list[tuple[_Seen, str]]:
    """What instructs rather than tells: system messages, their repeats in other roles, long texts of many sessions."""

    def group(one: _Seen) -> int:
        first = first_of[one.scope, one.hash]
        return alike.get(first.seq, first.seq)

    prompts = {group(one): one for one in reversed(current) if one.is_system}
    sessions: dict[int, set[str]] = {}
    for one in current:
        if one.session and len(one.words) >= LONG:
            sessions.setdefault(group(one), set()).add(one.session)
    found = []
    for one in current:
        at = group(one)
        if one.is_system:
            found.append((one, "a system message"))
        elif at in prompts:
            found.append((one, f"repeats the system message {prompts[at].id}"))
        elif len(one.words) >= LONG and len(sessions.get(at, ())) >= BOILERPLATE_SESSIONS:
            found.append((one, f"the same in {len(sessions[at])} sessions"))
    return found


def _near_repeats(distinct: Sequence[_Seen]) -> tuple[list[tuple[_Seen, _Seen]], dict[int, int]]:
    """(the repeat, what it nearly repeats) pairs; and for texts that could be one prompt, seq -> the group's first seq.

    Each text is compared with at most eight others of each bucket it falls into.
    """
    items = [one for one in distinct if len(one.words) >= _FEWEST_WORDS]
    near: dict[int, _Seen] = {}
    alike: dict[int, int] = {}
    compared: set[tuple[int, int]] = set()
    for band in _bands(items):
        buckets: dict[tuple[str, bytes], list[_Seen]] = {}
        for one, key in zip(items, band, strict=True):
            bucket = buckets.setdefault((one.scope, key), [])
            for other in bucket:
                if (other.seq, one.seq) in compared:
                    continue
                compared.add((other.seq, one.seq))
                is_near = len(fold_repeats([other.hash, one.hash], [other.words, one.words], 2)) == 1
                if is_near:
                    near.setdefault(one.seq, other)
                is_long = min(len(one.words), len(other.words)) >= LONG or one.is_system or other.is_system
                if is_near or (is_long and jaccard(one.words, other.words) >= SAME_PROMPT):
                    alike.setdefault(one.seq, alike.get(other.seq, other.seq))
            if len(bucket) < _COMPARED:
                bucket.append(one)
    return [(one, near[one.seq]) for one in items if one.seq in near], alike


def _bands(items: Sequence[_Seen]) -> Iterator[list[bytes]]:
    """For each band, every item's piece of its signature: equal pieces make two texts worth comparing."""
    if not items:
        return
    numbers: dict[str, int] = {}
    flat: list[int] = []
    starts = np.zeros(len(items), np.int64)
    for row, one in enumerate(items):
        starts[row] = len(flat)
        for word in one.words:
            number = numbers.get(word)
            if number is None:
                digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                number = numbers[word] = int.from_bytes(digest, "little")
            flat.append(number)
    words = np.array(flat, np.uint64)
    # multiply-and-add modulo 2**64 with odd factors: drawn once, so that an audit can be repeated
    factors = np.random.default_rng(20).integers(0, 2**63, (_BANDS, _ROWS, 2), np.uint64) * np.uint64(2) + np.uint64(1)
    for band in factors:
        rows: list[NDArray[np.uint64]] = [
            np.minimum.reduceat(_mixed(words * factor + offset), starts) for factor, offset in band
        ]
        yield [piece.tobytes() for piece in np.stack(rows, axis=1)]


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The high bits folded into the low ones: products modulo 2**64 are orderly at the low end."""
    return (numbers ^ (numbers >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)


def _growth(recorded: Sequence[datetime], now: datetime, bytes_per_episode: float) -> Growth:
    age_days = (now - min(recorded)) / timedelta(days=1) if recorded else 0.0
    window = float(min(GROWTH_WINDOW_DAYS, max(1.0, age_days)))
    since = now - timedelta(days=window)
    lately = [moment for moment in recorded if since <= moment <= now]
    per_day = len(lately) / window
    n = len(recorded)
    forecasts = tuple(
        Forecast(days, round(n + per_day * days), round((n + per_day * days) * bytes_per_episode))
        for days in FORECAST_DAYS
    )
    on_days = len({moment.date() for moment in lately})
    return Growth(round(window, 2), len(lately), on_days, round(per_day, 3), round(bytes_per_episode, 1), forecasts)
