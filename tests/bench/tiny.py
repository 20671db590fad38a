"""A dataset small enough to be read: four memories of one household, one question for each way of scoring."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mnemic.bench.dataset import Category, Dataset, Key, Question, Sample, Turn, Variant

START = datetime(2024, 3, 4, 9, tzinfo=UTC)
NAMES = ("Nora", "Pavel", "Imke", "Tariq")
COLOURS = ("green", "blue", "yellow", "red", "white")
SAMPLES = len(NAMES)


def sample(number: int) -> Sample:
    """The memory of one person; its ids tell what is evidence, as those of real files do."""
    name = NAMES[number]
    said = [
        f"I keep the spare key of the boathouse under brick {number + 3}.",
        "The ferry was late again, so I read the paper twice.",
        f"My bicycle is {COLOURS[number]} now.",
        "We had lentil soup and talked about the elections.",
        f"I painted my bicycle {COLOURS[number + 1]} over the weekend.",
        "The neighbour's cat slept on our roof.",
        f"My sister {NAMES[(number + 1) % SAMPLES]} moved to Lisbon in spring.",
        "Lisbon has too many hills for a cart full of books.",
        *(f"Nothing of note on day {day}, only rain and paperwork." for day in range(24)),
    ]
    turns = tuple(
        Turn(
            id=f"answer_{number}_{place}",
            text=text,
            actor=name,
            session=f"has_answer_{place // 4}",
            occurred_at=START + timedelta(days=number, hours=place),
            label="rain" if "rain" in text else "other",
        )
        for place, text in enumerate(said)
    )
    return Sample(id=f"home-{number}", turns=turns, questions=_questions(number, [one.id for one in turns], said))


def _questions(number: int, ids: list[str], said: list[str]) -> tuple[Question, ...]:
    def question(kind: str, text: str, category: str, key: Key, **more: object) -> Question:
        return Question(id=f"{kind}-{number}", text=text, category=category, key=key, **more)  # type: ignore[arg-type]

    return (
        question(
            "key",
            "Where is the spare key of the boathouse?",
            "1",
            Key(evidence=(ids[0],), answers=(f"under brick {number + 3}",)),
            corrected=Key(evidence=(ids[0], ids[1]), answers=("brick",)),
            error="the ferry matters too",
        ),
        question("two", "What about Lisbon and who moved there?", "1", Key(evidence=(ids[6], ids[7]))),
        question("new", "What colour is my bicycle?", "2", Key(evidence=(ids[4],)), task="newest", stale=(ids[2],)),
        question("order", "Which came first?", "3", Key(evidence=(ids[5], ids[3]), answers=("1",)), task="order",
                 options=(said[5], said[3])),
        question("has", "Where is the spare key?", "3", Key(answers=("Brick",)), task="contains"),
        question("vote", "rain and paperwork", "3", Key(answers=("rain",)), task="vote"),
        question("none", "What is my blood type?", "5", Key(), task="absent"),
    )  # fmt: skip


def load(folder: Path, variant: str) -> Iterator[Sample]:
    """All samples, whatever the folder."""
    return (sample(number) for number in range(SAMPLES))


TINY = Dataset(
    id="tiny",
    title="Tiny households",
    source="made for the tests",
    licence="CC0",
    about="Four memories. Beware of nothing.",
    variants=(
        Variant(
            id="",
            samples=SAMPLES,
            turns=32 * SAMPLES,
            categories=(
                Category(id="1", name="facts", n=2 * SAMPLES),
                Category(id="2", name="updates", n=SAMPLES),
                Category(id="3", name="other ways of scoring", n=3 * SAMPLES),
                Category(id="5", name="unanswerable", n=SAMPLES),
            ),
            files=(),
        ),
    ),
    load=load,
    apart=("5",),
    ks=(1, 5),
)
