"""Records by meaning and words: what is given in pieces is the ranking of all."""

from __future__ import annotations

from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mnemic.model import Cue, Record
from mnemic.store.contract import Changes
from mnemic.systems.made import Made, Vector, rounded
from mnemic.systems.meaning_and_words import ranked
from mnemic.text.terms import terms
from systems.worlds import START, WORDS

DIM = 24
_WORDS = [*WORDS[:6], *(f"word{at}" for at in range(400))]


def filled(n: int, seed: int) -> Made:
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(_WORDS, 5).tolist()) for _ in range(n)]
    vectors = rounded(unit(random.standard_normal((n // 2, DIM)).astype(np.float32)))
    records = [
        Record(
            id=f"r{at:05}",
            system="x",
            scope="",
            kind="other" if at % 11 == 0 else "fact",
            text=text,
            sources=("e",),
            recorded_at=START,
        )
        for at, text in enumerate(texts)
    ]
    given = {one.id: vectors[at % len(vectors)].astype("<f2").tobytes() for at, one in enumerate(records) if at % 13}
    return Made(DIM).after(Changes(put_records=tuple(records), vectors=given), 1)


def unit(rows: Vector) -> Vector:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def asked(made: Made, text: str, vector: Vector | None, limit: int = 5) -> tuple[Cue, Any]:
    return Cue(text=text, scope="", asked_at=START, limit=limit), SimpleNamespace(
        made=made, query_vector=lambda cue: vector
    )


def by_brute_force(made: Made, text: str, vector: Vector, weight: float) -> list[tuple[str, float]]:
    words = made.words(terms(text), kinds=["fact"])
    scored = [
        (one.id, min(max(cosine, 0.0), 1.0) * (1.0 - weight) + words.get(one.id, 0.0) * weight)
        for one, cosine in made.scores(vector, kinds=["fact"])
    ]
    return sorted((one for one in scored if one[1]), key=lambda one: (-one[1], one[0]))


@pytest.mark.parametrize("n", [0, 30, 900, 6000])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9, 1.0])
def test_the_ranking_in_pieces_is_that_of_all_records(n: int, weight: float) -> None:
    made, random = filled(n, 1), np.random.default_rng(2)
    for text in ("tea Porto word7", "word1 word2 word3", "unheard"):
        vector = unit(random.standard_normal(DIM).astype(np.float32))
        found = [(one.id, score) for one, score, _ in ranked(*asked(made, text, vector), ["fact"], weight)]
        assert found == by_brute_force(made, text, vector, weight)


def test_the_best_are_found_without_scoring_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made, vector = filled(6000, 3), unit(np.ones(DIM, np.float32))
    nearest, wanted = made.nearest, list[int]()

    def noting(vector: Vector, k: int, **more: Any) -> Any:
        wanted.append(k)
        return nearest(vector, k, **more)

    monkeypatch.setattr(made, "nearest", noting)
    monkeypatch.setattr(made, "scores", lambda *_, **__: pytest.fail("all were scored"))
    found = list(islice(ranked(*asked(made, "tea word7", vector), ["fact"], 0.3), 100))
    assert (len(found), wanted) == (100, [400])


def test_without_a_vector_the_words_alone_rank() -> None:
    made = filled(50, 4)
    found = [(one.id, score) for one, score, _ in ranked(*asked(made, "tea Porto", None), ["fact"], 0.3)]
    words = made.words(terms("tea Porto"), kinds=["fact"])
    assert found == sorted(words.items(), key=lambda one: (-one[1], one[0]))
