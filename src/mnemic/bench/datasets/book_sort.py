"""Book-SORT: two passages of a book read before; which came first?

A whole book is one log, in episodes of a few paragraphs, one minute apart; the pairs are the published ones. Evidence is
the episode in which a passage begins. Source: arXiv 2410.08133, bridge-ai-neuro/SORT; books from Project Gutenberg.
Departs: the paper shows one excerpt at a time, whose text is kept for the shortest only; here the whole book is
remembered, so that an excerpt's length sets the distance of its pairs and not the size of the log. Passages are found in
the books by their words; the two in a hundred that run over a heading are not, and their pairs are never drawn.
"""

from __future__ import annotations

import csv
import random
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, open_text, variant_of
from mnemic.text.sentences import sentences

BOOKS = ("69087", "72578", "72600", "72869", "72958", "72963", "72972", "73017", "73042")
SHORT_BOOK = "73017"  # 9,378 words: not in the pairs from 10,000 words on
PER_BIN = 25  # pairs drawn of each book and distance
SEED = 0
BEGAN_AT = datetime(2024, 1, 1, tzinfo=UTC)

_BODY = re.compile(r"\*\*\* START OF [^\n]*\*\*\*(.*?)(?:\*\*\* END OF|\Z)", re.S)


def episodes(book: str, least_words: int) -> list[str]:
    """A book's text in pieces of at least `least_words`, up to about twice that, cut between paragraphs or sentences.

    Joined by single spaces, they are the book's text with its white space made one.
    """
    body = _BODY.search(book)
    pieces: list[str] = []
    held: list[str] = []
    for paragraph in re.split(r"\n\s*\n", (body[1] if body else book).replace("\r\n", "\n")):
        words = paragraph.split()
        parts = sentences(" ".join(words)) if len(words) > least_words else [" ".join(words)]
        for part in filter(None, parts):
            held += part.split()
            if len(held) >= least_words:
                pieces.append(" ".join(held))
                held = []
    return [*pieces, " ".join(held)] if held else pieces


def find_starts(pieces: Sequence[str], passages: Iterable[str]) -> dict[str, int]:
    """In which piece each passage begins; a passage that is not there exactly once is left out."""
    text = " ".join(pieces)
    ends, at = [], 0
    for piece in pieces:
        at += len(piece) + 1
        ends.append(at)
    found = {}
    for passage in passages:
        start = text.find(passage)
        if start >= 0 and text.find(passage, start + 1) < 0:
            found[passage] = bisect_right(ends, start)
    return found


@dataclass(frozen=True, slots=True)
class Pair:
    """Two passages of a book, in the order in which they are shown."""

    id: str
    book: str
    distance: str
    shown: tuple[str, str]
    first: str  # "0" or "1": which of them stands first in the book


def read_pairs(rows: Iterable[Mapping[str, str]]) -> Iterator[Pair]:
    """The pairs of a file of segments. Its segment_1 is always the earlier; what is shown first, the file says."""
    for row in rows:
        earlier, later = (" ".join(row[name].strip("*").split()) for name in ("segment_1", "segment_2"))
        is_in_order = row["present_seg1_first"] == "1"
        yield Pair(
            id=f"{row['book_idx']}-{row['excerpt_idx']}-{row['distance_bin']}",
            book=row["book_idx"],
            distance=row["distance_bin"],
            shown=(earlier, later) if is_in_order else (later, earlier),
            first="0" if is_in_order else "1",
        )


def to_sample(book: str, pieces: Sequence[str], pairs: Sequence[Pair], per_bin: int = PER_BIN) -> Sample:
    """One book and, of each distance, `per_bin` of those pairs whose passages begin in different episodes."""
    starts = find_starts(pieces, {text for pair in pairs for text in pair.shown})
    able = [one for one in pairs if len({starts.get(text, -1) for text in one.shown} - {-1}) == 2]
    chosen: set[str] = set()
    for distance in dict.fromkeys(one.distance for one in pairs):
        of_bin = [one.id for one in able if one.distance == distance]
        chosen |= set(random.Random(f"{SEED}:{book}:{distance}").sample(of_bin, per_bin))
    questions = tuple(
        Question(
            id=one.id,
            text="Which of the two passages came first?",
            category=one.distance,
            task="order",
            key=Key(evidence=tuple(str(starts[text]) for text in one.shown), answers=(one.first,)),
            options=one.shown,
        )
        for one in able
        if one.id in chosen
    )
    turns = tuple(
        Turn(id=str(at), text=text, occurred_at=BEGAN_AT + timedelta(minutes=at)) for at, text in enumerate(pieces)
    )
    return Sample(id=book, turns=turns, questions=questions)


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    segments, *books = variant.files
    with open_text(folder / segments.path) as file:
        pairs = list(read_pairs(csv.DictReader(file)))
    for file_of_book in books:
        id = Path(file_of_book.path).name.partition("-")[0]
        with open_text(folder / file_of_book.path) as file:
            pieces = episodes(file.read(), LEAST_WORDS[variant.id])
        yield to_sample(id, pieces, [one for one in pairs if one.book == id])


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(BOOK_SORT, variant_id)
    return counted(BOOK_SORT, variant, _samples(folder, variant))


# the shorter the distances, the shorter the episodes: else both passages would begin in the same one
LEAST_WORDS = {"20000-s50": 100, "10000-s50": 100, "2500-s50": 100, "1000-s50": 40, "250-s50": 20, "250-s20": 15}


def _variant(id: str, turns: int, bins: tuple[int, ...]) -> Variant:
    books = [book for book in BOOKS if book != SHORT_BOOK or bins[-1] < 8000]
    return Variant(
        id=id,
        samples=len(books),
        turns=turns,
        categories=categories((str(words), f"up to {words:,} words apart", PER_BIN * len(books)) for words in bins),
        files=(
            File(path=f"book-sort/segments_{id}-n110.csv.gz"),
            *(File(path=f"book-sort/books/{book}-0.txt.gz") for book in books),
        ),
    )


BOOK_SORT = Dataset(
    id="book-sort",
    title="Book-SORT",
    source="Pink et al. 2024, arXiv 2410.08133; bridge-ai-neuro/SORT@7a97560 (pairs), @ba13631 (books)",
    licence="CC0 (pairs); public domain in the US (books)",
    about=(
        "Given two passages of a remembered book, which came first? It needs both passages found and their order kept; "
        "half of the answers are right by chance."
    ),
    variants=(
        _variant("20000-s50", 5465, (1000, 5000, 10000, 16000)),
        _variant("10000-s50", 5465, (1000, 2500, 5000, 8000)),
        _variant("2500-s50", 5545, (625, 833, 1250, 2000)),
        _variant("1000-s50", 12_469, (250, 333, 500, 800)),
        _variant("250-s50", 20_631, (62, 83, 125, 200)),
        _variant("250-s20", 25_055, (62, 83, 125, 200)),
    ),
    load=_load,
    notes={
        "variants": "Words of the excerpt, then words of a passage; an excerpt's length bounds the distance of its pairs.",
        "sample": f"{PER_BIN} pairs of each book and distance, drawn by a fixed seed from the published 110.",
        "episodes": (
            "At least 100 words, cut between paragraphs and sentences; 40, 20 or 15 for the shorter distances. Pairs that "
            "begin in the same episode are not drawn, and a passage may run into the episode after its first."
        ),
        "logs": "The whole book is remembered, not the excerpt alone, as the paper does; the books are well known to LLMs.",
    },
)
