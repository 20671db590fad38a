"""The best records under a score that their likeness bounds are those of scoring all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import pytest

from mnemic import Memory
from mnemic.model import Cue, Hit, Reason
from mnemic.systems.made import Scored
from mnemic.systems.nearest_first import hits_of_nearest, nearest_first, nearest_hits
from mnemic.systems.view import View
from systems.worlds import START

ID, KIND = "ram", "passage"


@pytest.fixture
def view(memory: Memory) -> View:
    things, people = ["tea", "river", "violin", "garden"], ["Ann", "Bob", "Porto"]
    memory.add([f"{one} and {other}, {at}" for one in things for other in people for at in range(5)])
    memory.attach(ID)
    memory.consolidate()
    return memory._shared.view_of("", ID)


def asked(view: View, limit: int, threshold: float = 0.0) -> Cue:
    (first, *_) = view.log()
    return Cue(text="tea", scope="", asked_at=first.occurred_at, limit=limit, threshold=threshold)


@pytest.mark.parametrize("threshold", [0.0, 0.3])
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_the_hits_are_those_of_scoring_all(view: View, limit: int, threshold: float) -> None:
    cue, vector = asked(view, limit, threshold), view.embed(["tea and the river with Ann"])[0]
    for seed in range(20):
        share = dict(zip(sorted(view.made.records), np.random.default_rng(seed).random(60).tolist(), strict=True))

        def hits_among(scored: Sequence[Scored], share: Mapping[str, float] = share) -> list[Hit]:
            ranked = [(one, share[one.id] * cosine) for one, cosine in scored]
            ranked.sort(key=lambda one: (-one[1], one[0].id))
            return view.record_hits(ranked, cue, lambda _, score: (Reason("meaning", score, 1.0),))

        every = hits_among(view.made.scores(vector, kinds=[KIND]))
        assert hits_of_nearest(vector, cue, view, [KIND], hits_among, first=1) == every


def test_not_all_are_scored_where_the_nearest_decide(view: View) -> None:
    cue, vector, seen = asked(view, 1), view.embed(["tea and Ann"])[0], list[int]()

    def hits_among(scored: Sequence[Scored]) -> list[Hit]:
        seen.append(len(scored))
        return view.record_hits(scored, cue)

    hits_of_nearest(vector, cue, view, [KIND], hits_among, first=30)
    assert seen == [30]


def test_the_nearest_come_first_and_all_of_them_come(view: View) -> None:
    vector = np.asarray(view.embed(["tea and Ann"])[0])
    every = view.made.scores(vector, kinds=[KIND])
    assert list(nearest_first(vector, asked(view, 1), view, [KIND], first=2)) == every


@pytest.fixture
def many(memory: Memory) -> Memory:
    memory.add(
        [
            {"content": f"the tram number {at} is late", "session": "common" if at < 180 else "rare"}
            for at in range(200)
        ],
        occurred_at=START - timedelta(days=1),
    )
    memory.attach("memtree", base=2.0)  # every message a leaf, nothing else
    memory.consolidate()
    return memory


@pytest.mark.parametrize("session", [None, "rare"])
@pytest.mark.parametrize("least", [0.0, 0.4])
def test_the_nearest_are_found_behind_many_that_may_be_no_hits(many: Memory, session: str | None, least: float) -> None:
    cue = many.system("memtree").search("the tram number 7 is late", session=session, limit=30).cue
    view = many._shared.view_of("", "memtree")
    vector = view.query_vector(cue)
    assert vector is not None
    every = [one for one in view.made.scores(vector) if one[1] >= least]
    found = nearest_hits(cue, view, vector, least=least)
    assert [hit.id for hit in found] == [hit.id for hit in view.record_hits(every, cue)]
    assert len(found) == min(30, len(found)) > 0
