"""Dialogue made up by a seed: people who meet in sessions, tell of their lives, and change their minds and places.

Sentences are drawn from forms with names, things, places and numbers in them. Each person has facts that hold one at a time
(home, work, pet, plan), which are told now and then, change, and are asked about; between them is small talk. So there is
what a memory has to find: things said once, things said again in other words, and things that were replaced.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.text.terms import terms

DIM = 384  # as all-MiniLM-L6-v2
BEGAN_AT = datetime(2023, 1, 2, 9, tzinfo=UTC)


def _each(words: str) -> tuple[str, ...]:
    return tuple(words.split())


PEOPLE = ("Ana", "Ben", "Chidi", "Dora", "Emil", "Farah")
_OF = {
    "place": _each("Porto Bergen Lyon Austin Kyoto Tartu Nairobi Cork Graz Quito Bath Oaxaca Leeds Malmo Turin Perth"),
    "job": [
        *("a nurse", "a baker", "a welder", "a teacher", "a translator", "a gardener", "a pilot", "a librarian"),
        *("a carpenter", "a chemist", "a violinist", "a postman"),
    ],
    "pet": [
        f"a {adjective} {animal}"
        for adjective in ("grey", "young", "lame", "noisy")
        for animal in ("cat", "dog", "parrot", "tortoise")
    ],
    "hobby": _each(
        "pottery chess sailing baking climbing astronomy knitting fencing swimming photography beekeeping judo"
    ),
    "food": _each("pizza ramen curry paella dumplings lentils sushi pancakes goulash falafel risotto"),
    "relative": _each("sister brother mother uncle cousin niece neighbour grandfather colleague flatmate"),
    "thing": _each("bicycle camera piano kayak telescope guitar tent sewing-machine laptop clock sofa bookshelf"),
    "event": [
        *("a wedding", "a job interview", "a school play", "the marathon", "a surgery", "the book fair", "a concert"),
        *("the harvest", "an exhibition", "a funeral", "a house warming"),
    ],
    "feeling": _each("nervous proud tired relieved curious homesick cheerful worried grateful restless"),
}
_STATES = {  # of which one holds at a time
    "home": (
        "I live in {place} now.",
        "I moved to {place} last month, the flat has {n} rooms.",
        "We left for {place}, I live there now.",
    ),
    "work": ("I work as {job} these days.", "I am {job} now, the shift starts at {n}.", "I quit, and became {job}."),
    "pet": ("I have {pet} called {name}.", "We adopted {pet}, and named it {name}."),
    "plan": ("I am planning a trip to {place} in {month}.", "I changed my mind: it will be {place} in {month}."),
    "hobby": ("I took up {hobby} at the club on {day}.", "I gave up everything but {hobby}."),
}
_EVENTS = (
    "Yesterday my {relative} and I went to {event} in {place}.",
    "My {relative} {name} gave me a {thing} for {price} euros.",
    "I was {feeling} because of {event} last {day}.",
    "We cooked {food} for {n} people, and {name} brought {food}.",
    "I finished number {n} of my {hobby} projects on {day}.",
    "I love {food}, but my {relative} cannot stand it.",
    "The {thing} broke, and it took {n} days to mend it.",
    "Next {day} I will be at {event} with {name}.",
    "I read a book about {hobby} by {name} {n} times.",
    "My {relative} visits {place} every {month}.",
)
_TALK = (
    "That sounds wonderful, tell me more!",
    "Oh no, how did that happen?",
    "I can imagine how {feeling} you were.",
    "Thanks for telling me. How is your {relative}?",
    "Do you still like {food}?",
    "What about your {hobby}, {other}?",
    "Haha, same here.",
    "Did you see {name} lately?",
)
_MONTHS = ["January", "March", "May", "June", "August", "October", "December"]
_DAYS = ["Monday", "Tuesday", "Thursday", "Friday", "Saturday", "Sunday"]
_NAMES = _each("Luna Oskar Mina Rufus Tilda Hugo Pia Kasper Nour Ivo Greta Timo Selma Bruno")


def messages(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """`n` messages as `Memory.add` takes them, oldest first; fewer of one seed are the first of more."""
    made: list[dict[str, Any]] = []
    for message in _sessions(random.Random(seed)):
        made.append(message)
        if len(made) == n:
            break
    return made


def _sessions(rng: random.Random) -> Iterator[dict[str, Any]]:
    at, number, said = BEGAN_AT, 0, 0
    while True:
        number += 1
        speakers = rng.sample(PEOPLE, rng.choice((2, 2, 2, 3)))
        for place in range(rng.randint(10, 30)):
            speaker = speakers[place % len(speakers)]
            said += 1
            yield {
                "id": f"d{said:07}",
                "role": "user",
                "name": speaker,
                "content": _turn(rng, speaker, speakers),
                "session": f"s{number:05}",
                "occurred_at": at,
            }
            at += timedelta(seconds=rng.randint(20, 120))
        at += timedelta(hours=rng.randint(8, 72))


def _turn(rng: random.Random, speaker: str, speakers: Sequence[str]) -> str:
    draw = rng.random()
    if draw < 0.3:
        return _filled(rng, rng.choice(_TALK), speaker, speakers)
    forms = rng.choice(list(_STATES.values())) if draw < 0.55 else _EVENTS
    said = _filled(rng, rng.choice(forms), speaker, speakers)
    if draw > 0.85:
        said += " " + _filled(rng, rng.choice(_EVENTS), speaker, speakers)
    return said + (" " + _filled(rng, rng.choice(_TALK), speaker, speakers) if rng.random() < 0.25 else "")


def _filled(rng: random.Random, form: str, speaker: str, speakers: Sequence[str]) -> str:
    values = {kind: rng.choice(words) for kind, words in _OF.items()}
    values |= {"name": rng.choice(_NAMES), "month": rng.choice(_MONTHS), "day": rng.choice(_DAYS)}
    values |= {"n": str(rng.randint(2, 90)), "price": str(5 * rng.randint(1, 80))}
    return form.format(**values, other=rng.choice([one for one in speakers if one != speaker]))


QUESTIONS = (
    "Where does Ana live now?",
    "What is Ben's job?",
    "Which pet does Chidi have?",
    "Where is Dora's next trip going?",
    "What did Emil take up at the club?",
    "Who brought ramen?",
    "What did Farah's uncle give her?",
    "Which book about sailing was read?",
    "When was the job interview?",
    "What broke and had to be mended?",
)


class WordVectors:
    """Vectors from words alone, of MiniLM's size: texts that share words are near, others are not. Its time is kept apart.

    A text's vector is the sum of one fixed random direction for each of its terms.
    """

    id = "benchmark-word-vectors"
    dim = DIM
    max_tokens = 512
    is_semantic = True

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.cpu_s = 0.0
        self.texts = 0
        self._of: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str], kind: str = "document") -> NDArray[np.float32]:
        """[n, dim] unit vectors."""
        import time

        began, cpu = time.perf_counter(), time.thread_time()
        vectors = np.zeros((len(texts), DIM), np.float32)
        for row, text in enumerate(texts):
            for term in terms(text) or ["nothing"]:
                vectors[row] += self._direction(term)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.elapsed_s += time.perf_counter() - began
        self.cpu_s += time.thread_time() - cpu
        self.texts += len(texts)
        return vectors

    def _direction(self, term: str) -> NDArray[np.float32]:
        if term not in self._of:
            digest = hashlib.blake2b(term.encode(), digest_size=8).digest()
            generator = np.random.default_rng(int.from_bytes(digest, "little"))
            self._of[term] = generator.standard_normal(DIM).astype(np.float32)
        return self._of[term]
