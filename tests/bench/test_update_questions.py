"""Questions whose answer was changed: what a hit tells, and what the hits of a question are worth."""

import importlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemic.bench.registry import dataset
from mnemic.model import Hit, Record
from mnemic.models.hashing import HashingEmbedder
from mnemic.text.terms import normalised

PARTS = Path(__file__).parents[2] / "benchmarks" / "conversation"
if str(PARTS) not in sys.path:
    sys.path.insert(0, str(PARTS))
asked = importlib.import_module("update_questions")
CHANGED = asked.Changed(asked.Value((" 8 cards ",), ("3", "5")), asked.Value((" 10 cards ",), ("5", "6")))


def hit(text: str, *sources: str) -> Hit:
    at = datetime(2024, 5, 1, 12, tzinfo=UTC)
    record = Record(id=text, system="s", scope="", kind="fact", text=text, sources=sources, recorded_at=at)
    return Hit(score=1.0, record=record)


@pytest.mark.parametrize(
    ("one", "tells"),
    [
        (hit("It has 8 cards.", "3"), "old"),
        (hit("Now it has 10 cards!", "6"), "new"),
        (hit("It had 8 cards, and has 10 cards.", "5"), "new"),
        (hit("It has 8 cards.", "5"), "old"),
        (hit("Another thing has 10 cards.", "9"), ""),
        (hit("The cards are fine.", "6"), ""),
        (hit("It has 108 cards.", "6"), ""),
    ],
)
def test_a_hit_tells_a_value_with_its_words_and_on_a_turn_that_tells_it(one, tells):
    assert asked.told_by(one, CHANGED) == tells


def test_the_first_hit_that_tells_a_value_decides():
    old, new, none = hit("8 cards", "3"), hit("10 cards", "6"), hit("cards", "6")
    scores = asked.scores_of("q", CHANGED, [none, new, old], [none, old])
    assert scores == asked.Scores("q", newest=1.0, found=1.0, newest_at_10=1.0, then=1.0)
    scores = asked.scores_of("q", CHANGED, [old, *[none] * 9, new], [none])
    assert scores == asked.Scores("q", newest=0.0, found=1.0, newest_at_10=0.0, then=0.0)
    assert asked.scores_of("q", CHANGED, [none], []).found == 0.0


@pytest.mark.slow
@pytest.mark.skipif("MNEMIC_SHARED_DATA" not in os.environ, reason="needs the data sets: set MNEMIC_SHARED_DATA")
def test_every_turn_that_is_named_tells_its_value_and_the_first_of_the_new_ones_is_later_than_an_old_one():
    data, seen = Path(os.environ["MNEMIC_SHARED_DATA"]), set()
    for name, variant in asked.DATASETS:
        for sample in dataset(name).load(data, variant):
            texts = {turn.id: f" {normalised(turn.text)} " for turn in sample.turns}
            place = {id: at for at, id in enumerate(texts)}
            for question in sample.questions:
                if (changed := asked.CHANGED.get(question.id)) is None:
                    continue
                seen.add(question.id)
                for value in (changed.old, changed.new):
                    assert [one for one in value.turns if not any(word in texts[one] for word in value.words)] == []
                first = min(map(place.__getitem__, changed.new.turns))
                assert min(map(place.__getitem__, changed.old.turns)) < first
    assert seen == set(asked.CHANGED)


def test_a_small_log_is_asked_with_each_turn_recorded_when_it_was_said(monkeypatch):
    from mnemic.bench.dataset import Key, Question, Sample, Turn

    turns = [Turn(id="3", text="The gallery has 8 cards."), Turn(id="4", text="Rain again."),
             Turn(id="6", text="The gallery has 10 cards.")]  # fmt: skip
    question = Question(id="q", text="How many cards has the gallery?", category="c", key=Key())
    sample = Sample(id="s", turns=tuple(turns), questions=(question,))
    monkeypatch.setattr(asked, "CHANGED", {"q": CHANGED_IN_A_SMALL_LOG})
    (scores,) = asked.of_sample("mem0", sample, HashingEmbedder())
    assert (scores.found, scores.newest, scores.then) == (1.0, 1.0, 1.0)


CHANGED_IN_A_SMALL_LOG = asked.Changed(asked.Value((" 8 cards ",), ("3",)), asked.Value((" 10 cards ",), ("6",)))
