"""StepGame: where is one agent to another, when sentences place agents beside each other on a grid.

A sentence is a turn; the evidence is the sentences on the shortest chain between the two agents asked about.
Source: arXiv 2204.08292, ZhengxiangShi/StepGame, the complete version's validation files.
Departs: the file does not say which sentences matter; we read every sentence as a unit vector and walk. Some of its
wordings contradict its labels ("A is placed at the bottom of B", labelled above): the file's answer stays the key, what
the sentences say is the corrected one. A story of k sentences often asks about two agents that are fewer steps apart, so
the categories are by the length of the chain, not by the file's k. Where the file lost a name ("M is diagonally left and
above M") there is no chain, and the story is not drawn. "noise-joined" puts twenty stories into one log, each agent
numbered by its story ("A7"), so that there is something to choose from.
"""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_json, variant_of

FILES = range(1, 11)  # the file's k: how many sentences a story has before noise
HOPS = range(1, 10)  # the length of the chain; longer ones are too few
PER_HOPS = 100  # stories drawn for each length, or all where there are fewer
JOINED = 20  # stories in one log of "noise-joined"
SEED = 0

_AGENT = re.compile(r"\b[A-Z]\b")
_CLOCK = re.compile(
    r"\b(\d\d?)(?= o'clock|:00 position| position of a clock face| and \d)"  # "between 10 and 11" is read as 10
)
_FIRST_IS_PLACED = re.compile(
    r"is at (?:a 45 degree|[A-Z]['’]s)"
)  # the words that place it stand after the other's name
_ACROSS = {"left": -1, "lefthand": -1, "west": -1, "right": 1, "righthand": 1, "east": 1}
_UP = dict.fromkeys(("above", "over", "top", "upper", "up", "north", "front"), 1)
_DOWN = dict.fromkeys(("below", "under", "bottom", "lower", "down", "south"), -1)
_NAMES = {
    (-1, 0): "left",
    (1, 0): "right",
    (0, 1): "above",
    (0, -1): "below",
    (-1, 1): "upper-left",
    (1, 1): "upper-right",
    (-1, -1): "lower-left",
    (1, -1): "lower-right",
    (0, 0): "overlap",
}


@dataclass(frozen=True, slots=True)
class Placed:
    """What a sentence says: `agent` is one step (`across`, `up`) away from `other`."""

    agent: str
    other: str
    across: int
    up: int


def read_sentence(text: str) -> Placed | None:
    """The step that a sentence says; None where it does not name two agents.

    >>> read_sentence("If B is the center of a clock face, C is located between 4 and 5.")
    Placed(agent='C', other='B', across=1, up=-1)
    """
    agents = list(dict.fromkeys(_AGENT.findall(text)))
    if len(agents) != 2:
        return None
    step = _read_wording(_AGENT.sub(lambda found: "AB"[agents.index(found[0])], text))
    if step is None:
        return None
    first, across, up = step
    return Placed(agents[first], agents[1 - first], across, up)


@cache  # a few hundred wordings make all sentences
def _read_wording(text: str) -> tuple[int, int, int] | None:
    """Which of A (0) and B (1) a sentence places, and by which step."""
    text = text.replace("over there", "there")
    named = list(_AGENT.finditer(text))
    ends = [*(one.start() for one in named[1:]), len(text)]
    tails = [text[one.end() : end] for one, end in zip(named, ends, strict=True)]
    placing = [any(_direction(tail)) for tail in tails]
    if True not in placing:
        return None
    first = 0 if _FIRST_IS_PLACED.search(text) else placing.index(True)
    # the first word on each axis counts: in "A on the left and B on the right" the second half says nothing new
    return "AB".index(named[first][0]), *_direction(" ".join(tails[first:]))


def _direction(words: str) -> tuple[int, int]:
    upright = _UP | _DOWN
    found = re.findall(r"[a-z]+", words)
    across = next((_ACROSS[word] for word in found if word in _ACROSS), 0)
    up = next((upright[word] for word in found if word in upright), 0)
    if clock := _CLOCK.search(words):
        hour = int(clock[1]) % 12
        across = across or (hour % 6 > 0) * (1 if hour < 6 else -1)
        up = up or (hour % 6 != 3) * (1 if hour < 3 or hour > 9 else -1)
    return across, up


def solve(story: Sequence[str], agent: str, other: str) -> tuple[tuple[int, ...], str] | None:
    """The sentences of the shortest chain from `other` to `agent`, by index, and where `agent` is to `other`.

    None where no chain joins them. Among equally short chains the one with the earlier sentences is taken.
    """
    steps: dict[str, list[tuple[str, int, int, int]]] = {}
    for index, placed in enumerate(map(read_sentence, story)):
        if placed:
            steps.setdefault(placed.other, []).append((placed.agent, index, placed.across, placed.up))
            steps.setdefault(placed.agent, []).append((placed.other, index, -placed.across, -placed.up))
    paths: dict[str, tuple[tuple[int, ...], int, int]] = {other: ((), 0, 0)}
    waiting = deque([other])
    while waiting and agent not in paths:
        here = waiting.popleft()
        path, across, up = paths[here]
        for there, index, by_across, by_up in steps.get(here, []):
            if there not in paths:
                paths[there] = ((*path, index), across + by_across, up + by_up)
                waiting.append(there)
    if agent not in paths:
        return None
    path, across, up = paths[agent]
    return tuple(sorted(path)), _NAMES[_sign(across), _sign(up)]


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


@dataclass(frozen=True, slots=True)
class Story:
    """One story of a file, solved."""

    id: str
    sentences: tuple[str, ...]
    question: str
    label: str
    chain: tuple[int, ...]
    solved: str


def read_stories(rows: dict[str, Any], k: int) -> list[Story]:
    """The stories of a file that have a chain between the agents asked about, in its order."""
    stories = []
    for id, row in rows.items():
        agent, other = _AGENT.findall(row["question"])
        if found := solve(row["story"], agent, other):
            chain, solved = found
            sentences = tuple(row["story"])
            stories.append(Story(f"{k}-{id}", sentences, row["question"], row["label"], chain, solved))
    return stories


def to_sample(id: str, stories: Sequence[Story]) -> Sample:
    """One log of one story, or of several whose agents are numbered so that none has the name of another's."""
    mark = (lambda text, number: _AGENT.sub(rf"\g<0>{number}", text)) if len(stories) > 1 else (lambda text, _: text)
    turns, questions = [], []
    for number, story in enumerate(stories, 1):
        prefix = f"{story.id}:"
        turns += [Turn(id=f"{prefix}{at}", text=mark(text, number)) for at, text in enumerate(story.sentences)]
        key = Key(evidence=tuple(f"{prefix}{at}" for at in story.chain), answers=(story.label,))
        is_right = story.solved == story.label
        questions.append(
            Question(
                id=story.id,
                text=mark(story.question, number),
                category=str(len(story.chain)),
                key=key,
                corrected=None if is_right else Key(evidence=key.evidence, answers=(story.solved,)),
                error=None if is_right else f"the sentences say {story.solved}",
                options=tuple(_NAMES.values()),
            )
        )
    if len(stories) > 1:
        random.Random(f"{SEED}:{id}").shuffle(turns)
    return Sample(id=id, turns=tuple(turns), questions=tuple(questions))


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    by_hops: dict[int, list[Story]] = {hops: [] for hops in HOPS}
    for k, file in zip(FILES, variant.files, strict=True):
        for story in read_stories(read_json(folder / file.path), k):
            by_hops.get(len(story.chain), []).append(story)
    for hops, stories in by_hops.items():
        drawn = random.Random(f"{SEED}:{hops}").sample(range(len(stories)), min(PER_HOPS, len(stories)))
        chosen = [stories[at] for at in sorted(drawn)]
        if variant.id == "noise-joined":
            for at in range(0, len(chosen), JOINED):
                yield to_sample(f"{hops}-{at // JOINED}", chosen[at : at + JOINED])
        else:
            for story in chosen:
                yield to_sample(story.id, [story])


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(STEPGAME, variant_id)
    return counted(STEPGAME, variant, _samples(folder, variant))


def _variant(id: str, samples: int, turns: int, longest: tuple[int, ...]) -> Variant:
    """`longest`: how many stories there are of the last lengths; of all others there are PER_HOPS."""
    counts = [PER_HOPS] * (len(HOPS) - len(longest)) + [*longest]
    rows = zip(HOPS, counts, strict=True)
    kind = id.partition("-")[0]
    return Variant(
        id=id,
        samples=samples,
        turns=turns,
        categories=categories((str(hops), f"{hops} hop{'s' * (hops > 1)}", n) for hops, n in rows),
        files=tuple(File(path=f"stepgame/{kind}/qa{k}_valid.json.gz") for k in FILES),
    )


STEPGAME = Dataset(
    id="stepgame",
    title="StepGame",
    source="Shi, Zhang and Lipani 2022, arXiv 2204.08292; ZhengxiangShi/StepGame, complete version, validation files",
    licence="MIT",
    about=(
        "Where is one agent to another, when up to nine sentences must be chained: are all sentences of the chain "
        "recalled? Read it by the length of the chain: its two ends name what is asked, the sentences between do not."
    ),
    variants=(
        _variant("noise-joined", 42, 11_336, (92, 33)),
        _variant("noise", 825, 11_336, (92, 33)),
        _variant("clean", 849, 6_189, (49,)),
    ),
    load=_load,
    ks=(3, 5, 10, 20),
    notes={
        "sample": f"Up to {PER_HOPS} stories for each length of the chain, drawn by a fixed seed from all validation files.",
        "hops": (
            "A category is the number of sentences that are needed, not the file's k: the two agents asked about are k "
            "steps apart in few stories of the file (a third at k = 2, one in sixty at k = 10)."
        ),
        "small logs": "A story alone has some twenty sentences at most, so noise-joined is what runs unless another is named.",
        "labels": (
            "About 4 in 100 sentences are of eight wordings that contradict some or all of their labels; the answer that "
            "the sentences give stands as the corrected key. The evidence does not depend on it."
        ),
        "lost names": "Stories that are cut in two because a sentence names one agent twice are never drawn.",
    },
)
