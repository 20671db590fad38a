"""How sure a recall is: what raises it, what lowers it, and what it must not know."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.model import NOTHING_RELEVANT, Cue, Hit, Recall
from mnemic.models.hashing import HASHING_ID
from mnemic.models.minilm import MINILM_ID
from mnemic.models.weights import find_weights
from mnemic.ops.confidence import FITS, WORDS, Evidence, confidence, evidence, of_speaker, probability
from mnemic.systems.hybrid import Hybrid
from mnemic.systems.view import View

FIT_IDS = ["words", *FITS]
share = st.floats(0.0, 1.0)
evidences = st.builds(
    Evidence, best=share, meaning=share, told=share, unknown=share, about=st.floats(-1.0, 1.0), breadth=share
)


def found_for(memory: Memory, text: str, **asked: Any) -> Evidence:
    recall = memory.search(text, **asked)
    view = memory._shared.view_of(memory.scope_path, memory.system_id)
    return evidence(recall.cue, recall.hits, view.index, view.visible(recall.cue))


def sure_of(memory: Memory, text: str) -> float:
    """By words alone: the hashing embedder's cosines are no measure of meaning."""
    recall = memory.search(text)
    view = memory._shared.view_of(memory.scope_path, memory.system_id)
    return confidence(recall.cue, recall.hits, view.index, view.visible(recall.cue), "no known embedder")


@pytest.fixture
def talk(memory: Memory) -> Memory:
    """Bo ran a race and Ann asks after it; Ann has a dog."""
    for actor, text in (
        ("Bo", "I ran a charity race last Sunday and my knees still hurt."),
        ("Ann", "Congratulations! How was your charity race?"),
        ("Bo", "I realised that I love the crowd."),
        ("Ann", "I adopted a puppy called Biscuit on Friday."),
        ("Bo", "Your puppy looks happy."),
        ("Ann", "I work at the library near the station."),
    ):
        memory.add(text, actor=actor, session="one")
    return memory


@pytest.mark.parametrize("id", FIT_IDS)
@given(found=evidences, more=share)
def test_more_evidence_never_makes_it_less_sure(id: str, found: Evidence, more: float) -> None:
    fit = FITS.get(id, WORDS)
    sure = probability(found, fit)
    assert 0.0 <= sure <= 1.0
    assert probability(replace(found, told=max(found.told, more)), fit) >= sure
    assert probability(replace(found, best=max(found.best, more)), fit) >= sure
    assert probability(replace(found, meaning=max(found.meaning, more)), fit) >= sure
    assert probability(replace(found, about=max(found.about, more)), fit) >= sure
    assert probability(replace(found, unknown=max(found.unknown, more)), fit) <= sure


def test_what_was_said_is_surer_than_what_was_not(talk: Memory) -> None:
    said = sure_of(talk, "When did Bo run the charity race?")
    assert said > 0.5
    assert sure_of(talk, "Which submarine did Bo repair in Norway?") < 0.4


def test_the_same_thing_is_less_sure_of_the_one_who_only_heard_of_it(talk: Memory) -> None:
    assert found_for(talk, "When did Bo run a charity race?").about > 0.0
    assert found_for(talk, "When did Ann run a charity race?").about < 0.0
    assert sure_of(talk, "When did Ann adopt a puppy?") > sure_of(talk, "When did Bo adopt a puppy?")


def test_who_a_message_tells_of_shows_in_its_pronouns() -> None:
    assert of_speaker("I ran my race") > 0.5 > of_speaker("How was your race?")
    assert of_speaker("Races are fun") == of_speaker("") == of_speaker("レースは楽しい") == 0.5


def test_where_nobody_who_speaks_is_named_nobody_is_told_of(talk: Memory) -> None:
    assert found_for(talk, "Who ran a charity race?").about == 0.0


# A handful of facts, as somebody would note them, and what they would ask later. None of it was used to fit anything.
NOTES = (
    "We picked the blue tiles for the bathroom.",
    "The plumber comes on Friday at eight.",
    "Grandma's recipe needs two cups of rye flour.",
    "My son Emil has swimming lessons on Wednesdays.",
    "I parked the bike behind the town hall.",
    "Our landlord is called Mr Okafor.",
)
IN_THEIR_WORDS = (
    ("Which tiles did we pick for the bathroom?", 0),
    ("When does the plumber come?", 1),
    ("How much rye flour does the recipe need?", 2),
    ("When are Emil's swimming lessons?", 3),
    ("Where is my bike parked?", 4),
    ("What is our landlord called?", 5),
)
IN_OTHER_WORDS = (
    ("What colour will the bathroom be?", 0),
    ("On what day will the pipes be repaired?", 1),
    ("What do I need to bake the bread like my grandmother?", 2),
    ("What sport does my child do?", 3),
    ("Where did I leave my bicycle?", 4),
    ("Who owns the flat that we rent?", 5),
)
OF_SOMETHING_ELSE = (
    "Who won the football world cup in 1998?",
    "How do volcanoes form?",
    "What is the square root of 1764?",
    "Which programming language has the fastest compiler?",
    "Translate this poem into Latin, please.",
    "What did the senate decide about the tariffs?",
)


@pytest.mark.parametrize("stored", [1, 2, 6])
def test_a_handful_of_facts_is_not_denied_to_who_asks_for_them(memory: Memory, stored: int) -> None:
    memory.add(list(NOTES[:stored]))
    for question, place in IN_THEIR_WORDS:
        if place < stored:
            recall = memory.search(question)
            assert (recall[0].text, recall.is_doubtful) == (NOTES[place], False), question


def test_without_an_embedder_that_knows_meanings_other_words_are_not_denied_either(memory: Memory) -> None:
    memory.add(list(NOTES))
    for question, _ in IN_OTHER_WORDS:
        recall = memory.search(question)
        assert not (recall.hits and recall.is_doubtful), question


@pytest.mark.parametrize("beside", [0, 20, 100])
def test_what_else_is_stored_does_not_make_a_fact_doubtful(memory: Memory, beside: int) -> None:
    memory.add([f"Shelf {number} has been counted, and nothing is missing." for number in range(beside)])
    memory.add(list(NOTES))
    for question, place in IN_THEIR_WORDS:
        recall = memory.search(question)
        assert (recall[0].text, recall.is_doubtful) == (NOTES[place], False), question


@pytest.mark.skipif(find_weights() is None, reason="the weights of all-MiniLM-L6-v2 are not installed")
@pytest.mark.parametrize("stored", [1, 3, 6])
def test_a_few_facts_asked_for_in_other_words_are_there_and_something_else_is_not(
    open_memory: Callable[..., Memory], stored: int
) -> None:
    memory = open_memory(embedder="minilm")
    memory.add(list(NOTES[:stored]))
    for question, place in (*IN_THEIR_WORDS, *IN_OTHER_WORDS):
        if place < stored:
            assert not memory.search(question).is_doubtful, question
    doubted = [memory.search(question).is_doubtful for question in OF_SOMETHING_ELSE]
    assert sum(doubted) >= len(doubted) - 1


def test_what_is_in_no_session_is_one_conversation(memory: Memory) -> None:
    """Else a fact would be the less sure the more unlike it the others are."""
    memory.add(NOTES[1])
    alone = found_for(memory, "When does the plumber come?")
    memory.add([note for note in NOTES if note != NOTES[1]])
    among = found_for(memory, "When does the plumber come?")
    assert among.best == pytest.approx(alone.best)
    assert among.meaning == pytest.approx(alone.meaning)


@given(found=evidences)
def test_in_a_handful_of_episodes_a_word_that_nobody_said_tells_nothing(found: Evidence) -> None:
    few = replace(found, breadth=0.0)
    for fits in (WORDS, *FITS.values()):
        assert probability(replace(few, unknown=1.0), fits) == probability(replace(few, unknown=0.0), fits)
        assert probability(replace(few, meaning=1.0), fits) == probability(replace(few, meaning=0.0), fits)


@given(found=evidences)
def test_in_a_long_log_the_best_hit_alone_tells_nothing(found: Evidence) -> None:
    many = replace(found, breadth=1.0)
    for fits in (WORDS, *FITS.values()):
        assert probability(replace(many, best=1.0), fits) == pytest.approx(probability(replace(many, best=0.0), fits))


def test_without_hits_nothing_is_stored(memory: Memory) -> None:
    recall = memory.search("anything")
    view = memory._shared.view_of("", "hybrid")
    assert confidence(recall.cue, recall.hits, view.index, None, MINILM_ID) == 0.0
    assert evidence(recall.cue, recall.hits, view.index, None) == Evidence(unknown=1.0)


def test_as_of_a_time_it_is_as_sure_as_it_was_then(memory: Memory, clock: ManualClock) -> None:
    memory.add("I ran a charity race.", actor="Bo")
    memory.add("The library closes at six.", actor="Ann")
    clock.advance(timedelta(days=1))
    then, asked_at = clock.now(), clock.now()
    before = found_for(memory, "Which race and which puppy?", asked_at=asked_at)
    clock.advance(timedelta(days=1))
    memory.add("I adopted a puppy.", actor="Ann")
    assert found_for(memory, "Which race and which puppy?", asked_at=asked_at, as_of=then) == before
    assert found_for(memory, "Which race and which puppy?", asked_at=asked_at).unknown < before.unknown


def test_other_scopes_make_it_no_surer(memory: Memory) -> None:
    alice, bob = memory.scope("alice"), memory.scope("bob")
    alice.add("I ran a charity race.", actor="Bo")
    before = found_for(alice, "Which puppy ran the race?")
    bob.add("My puppy ran the race.", actor="Ann")
    assert found_for(alice, "Which puppy ran the race?") == before


def test_the_first_five_hits_decide_whatever_the_limit(talk: Memory) -> None:
    assert found_for(talk, "Bo's charity race", limit=5) == found_for(talk, "Bo's charity race", limit=60)


def test_an_unknown_embedder_leaves_it_to_the_words(talk: Memory) -> None:
    recall = talk.search("charity race")
    view = talk._shared.view_of("", "hybrid")
    by_words = evidence(recall.cue, recall.hits, view.index, None, with_meaning=False)
    sure = confidence(recall.cue, recall.hits, view.index, None, "somebody's embedder")
    assert sure == probability(by_words, WORDS)


def test_it_takes_less_than_a_millisecond(memory: Memory) -> None:
    memory.add([{"content": f"note {number} about the harbour and the weather " * 8} for number in range(2000)])
    recall = memory.search("What did I note about the harbour, the weather and the ship in May?", limit=10)
    view = memory._shared.view_of("", "hybrid")
    view.index.settle()

    def once() -> float:
        started = time.perf_counter()
        confidence(recall.cue, recall.hits, view.index, None, MINILM_ID)
        return time.perf_counter() - started

    assert min(once() for _ in range(20)) < 0.001


def test_the_embedders_that_come_with_it_have_coefficients_of_their_own(talk: Memory) -> None:
    recall = talk.search("When did Bo run a charity race?")
    view = talk._shared.view_of("", "hybrid")
    sure = {
        id: confidence(recall.cue, recall.hits, view.index, None, id)
        for id in (MINILM_ID, f"{MINILM_ID}/512", HASHING_ID, "another")
    }
    assert sure[MINILM_ID] == sure[f"{MINILM_ID}/512"]
    assert len(set(sure.values())) == 3


def _recall(sure: float | None, hits: Sequence[Hit] = ()) -> Recall:
    cue = Cue(text="x", scope="", asked_at=datetime(2024, 1, 1, tzinfo=UTC))
    return Recall(cue=cue, hits=tuple(hits), system="hybrid", confidence=sure)


def test_a_doubtful_recall_says_so_and_one_that_cannot_say_does_not(talk: Memory) -> None:
    hits = talk.search("race", limit=1).hits
    assert str(_recall(0.1, hits)).splitlines()[0] == NOTHING_RELEVANT
    assert NOTHING_RELEVANT not in str(_recall(0.9, hits))
    assert NOTHING_RELEVANT not in str(_recall(None, hits))
    assert _recall(0.123456)["confidence"] == 0.1235
    assert _recall(None)["confidence"] is None
    assert talk.system("recent").search("race").confidence is None


def test_search_and_context_carry_what_the_system_says(talk: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def sure(self: Hybrid, cue: Cue, hits: Sequence[Hit], view: View, embedder: str) -> float:
        asked.append((cue.text, [hit.id for hit in hits], embedder))
        return 0.1

    monkeypatch.setattr(Hybrid, "confidence", sure)
    recall = talk.search("race", limit=2)
    assert asked == [("race", [hit.id for hit in recall], HASHING_ID)]
    assert (recall.confidence, recall.is_doubtful, recall["confidence"]) == (0.1, True, 0.1)
    assert talk.context("race").recall.is_doubtful


SHARED = Path(os.environ.get("MNEMIC_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "locomo").exists(), reason="the LoCoMo file is not here; set MNEMIC_SHARED_DATA")
def test_it_tells_questions_with_an_answer_from_those_put_to_the_wrong_person_or_conversation(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coefficients fitted with these conversations, so it shows that nothing broke and not how well it does elsewhere."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "tools")
    import fit_confidence
    from mnemic.bench.datasets.locomo import LOCOMO

    sample, elsewhere, *_ = LOCOMO.load(SHARED, "five")
    for one in (sample, elsewhere):
        fit_confidence.remember(memory, one.id, one.turns)
    asked = fit_confidence.asked_of(memory, "locomo", "five", sample, elsewhere)
    chance: dict[str, list[float]] = {}
    for case in asked:
        chance.setdefault(case.kind, []).append(probability(case.found, FITS[HASHING_ID]))
    area = {kind: fit_confidence.auroc(np.array(chance["answerable"]), np.array(chance[kind])) for kind in chance}
    assert area["adversarial"] > 0.72
    assert area["elsewhere"] > 0.8
