"""Think-in-Memory: buckets, thoughts that are thought once, forgetting and merging inside a bucket, what buckets lose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory, Record
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.systems import think_in_memory
from mnemic.systems.think_in_memory import Params, recall_loss
from mnemic.systems.thought_table import Thoughts, compared, hash_of, in_bucket
from mnemic.testing import Asked, RuleLLM
from systems.under_test import examples
from systems.word_axes import WordAxes
from systems.worlds import Said, empty, pasts, say

Open = Callable[..., Memory]
WORDS = "lisbon rome tea guitar chess"


def thinking(asked: Asked) -> dict[str, Any]:
    """Each turn is a thought about Ann."""
    return {
        "thoughts": [
            {"text": one["text"], "head": "Ann", "relation": "says", "tail": one["text"], "turns": [one["turn"]]}
            for one in asked.data["exchange"]
        ]
    }


def scripted(remove: Any = (), merged: Any = ()) -> RuleLLM:
    llm = RuleLLM("rules:tim")
    llm.rule("thoughts", thinking)
    llm.rule("remove", remove if callable(remove) else {"remove": list(remove)})
    llm.rule("merged", merged if callable(merged) else {"merged": list(merged)})
    return llm


def told(open_memory: Open, llm: RuleLLM | None, texts: list[str], **parameters: Any) -> Memory:
    memory = open_memory(embedder=WordAxes(WORDS), **({"llm": llm} if llm else {}))
    for text in texts:  # an assistant's turn that answers nothing is an exchange of its own
        memory.add(text, role="assistant")
    memory.attach("think-in-memory", **parameters)
    assert "error" not in memory.consolidate()["think-in-memory"]
    return memory


def standing(memory: Memory) -> list[Record]:
    return list(memory.records(system="think-in-memory", include_retired=False))


def texts_of(memory: Memory) -> set[str]:
    return {one.text for one in standing(memory)}


def test_a_recall_compares_as_many_thoughts_as_its_bucket_holds_and_not_as_many_as_there_are(
    open_memory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{word} number {at}" for at in range(20) for word in WORDS.split()]
    memory = told(open_memory, scripted(), texts, fill=False, tidy_every=1000)
    counted: list[int] = []

    def counting(records: Any, vector: Any, made: Any) -> Any:
        counted.append(len(records))
        return compared(records, vector, made)

    monkeypatch.setattr(think_in_memory, "compared", counting)
    memory.system("think-in-memory").search("tea")
    view = memory._shared.observing_view("", "think-in-memory", None)
    bucket = hash_of(view.made.dim, 16, 0).bucket(view.embed(["tea"])[0])
    assert counted == [len(in_bucket(view.made, bucket))]
    assert 20 <= counted[0] < len(texts)


def test_equal_thoughts_share_a_bucket_and_scaling_a_vector_keeps_it() -> None:
    hash = hash_of(32, 16, 0)
    for vector in np.random.default_rng(1).standard_normal((20, 32)):
        assert hash.bucket(vector) == hash.bucket(vector.copy()) == hash.bucket(7.5 * vector)


def test_a_thought_is_reused_word_for_word_and_nothing_is_thought_again(open_memory: Open) -> None:
    llm = scripted()
    memory = told(open_memory, llm, ["Ann drinks tea", "Ann plays chess"])
    calls = llm.calls
    answers = [memory.system("think-in-memory").search(cue).hits[0] for cue in ("tea?", "what about tea")]
    assert [hit.text for hit in answers] == ["Ann drinks tea"] * 2
    assert answers[0].record == answers[1].record
    assert llm.calls == calls


def test_two_thoughts_of_one_head_are_merged_into_one_and_other_buckets_are_untouched(open_memory: Open) -> None:
    def merged(asked: Asked) -> dict[str, Any]:
        return {"merged": [{"text": "Ann loves green tea", "replaces": ["0", "1"], "tail": "green tea"}]}

    memory = told(
        open_memory, scripted(merged=merged), ["Ann plays chess", "Ann likes tea", "Ann drinks tea"], tidy_every=2
    )
    assert texts_of(memory) == {"Ann plays chess", "Ann loves green tea"}
    (one,) = [one for one in standing(memory) if "green" in one.text]
    assert len(one.sources) == 2
    assert len(memory.records(system="think-in-memory")) == 4  # those that were replaced are retired, not lost


def test_a_contradicted_thought_is_forgotten_and_other_buckets_are_untouched(open_memory: Open) -> None:
    def remove(asked: Asked) -> dict[str, Any]:
        return {"remove": [one["id"] for one in asked.data["thoughts"] if "hates" in one["text"]] + ["77"]}

    memory = told(open_memory, scripted(remove), ["Ann hates tea", "Ann hates chess", "Ann likes tea"], tidy_every=2)
    assert texts_of(memory) == {"Ann hates chess", "Ann likes tea"}


@pytest.mark.parametrize(
    "given",
    [
        {"text": "", "replaces": ["0", "1"]},
        {"text": "alone", "replaces": ["0"]},
        {"text": "nobody", "replaces": ["8", "9"]},
        {"text": "twice", "replaces": ["0", "0"]},
    ],
    ids=["no text", "one alone", "numbers that there are not", "one named twice"],
)
def test_a_merging_that_means_nothing_changes_nothing(open_memory: Open, given: dict[str, Any]) -> None:
    memory = told(open_memory, scripted(merged=[given]), ["Ann likes tea", "Ann drinks tea"], tidy_every=1)
    assert texts_of(memory) == {"Ann likes tea", "Ann drinks tea"}


def test_without_a_model_a_newer_fact_takes_the_place_of_one_that_it_contradicts(memory: Memory) -> None:
    for text in ("I love coffee in the morning", "I hate coffee in the morning"):
        memory.add([{"role": "user", "content": text, "actor": "Ann"}, {"role": "assistant", "content": "I see"}])
    memory.attach("think-in-memory", buckets=2, tidy_every=1)
    memory.consolidate()
    about = [one.text for one in standing(memory) if "coffee" in one.text]
    assert about == ["Ann hates coffee in the morning"]
    assert len([one for one in memory.records(system="think-in-memory") if "coffee" in one.text]) == 2


def test_an_exchange_without_its_answer_is_recalled_as_it_was_said_and_thought_of_in_consolidation(
    memory: Memory,
) -> None:
    memory.add("I moved to Porto", actor="Ann")
    asked = memory.system("think-in-memory")
    assert [hit.kind for hit in asked.search("Porto")] == ["episode"]
    memory.attach("think-in-memory")
    memory.consolidate()
    assert [(hit.kind, hit.text) for hit in asked.search("Porto")] == [("thought", "Ann moved to Porto")]
    memory.add("Lovely, by the river?", actor="Bob")
    assert [one.data.get("provisional") for one in standing(memory)] == [None] * len(standing(memory))


def test_what_ended_unanswered_is_a_thought_only_from_when_that_was_known(memory: Memory, clock: ManualClock) -> None:
    asked = memory.attach("think-in-memory")
    memory.add("I moved to Porto", actor="Ann", session="mon")
    then = clock.now()
    assert [(hit.kind, hit.text) for hit in asked.search("Porto")] == [("episode", "I moved to Porto")]
    clock.advance(timedelta(minutes=1))
    memory.add("The weather is fine", actor="Bob", session="tue")
    assert [(hit.kind, hit.text) for hit in asked.search("Porto")] == [("thought", "Ann moved to Porto")]
    assert [(hit.kind, hit.text) for hit in asked.search("Porto", as_of=then)] == [("episode", "I moved to Porto")]
    (thought,) = standing(memory)
    assert (thought.recorded_at, thought.valid_from) == (clock.now(), then)


def test_thoughts_are_merged_with_those_of_the_same_head_alone(memory: Memory) -> None:
    for name in ("Ann", "Bob", "Ann"):
        memory.add("I play the violin", role="assistant", actor=name)
    memory.attach("think-in-memory", buckets=2, tidy_every=1)
    memory.consolidate()
    assert sorted((one.text, len(one.sources)) for one in standing(memory)) == [
        ("Ann plays the violin", 2),
        ("Bob plays the violin", 1),
    ]


def test_buckets_lose_some_of_the_nearest_and_looking_into_more_of_them_restores_it() -> None:
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((600, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = vectors[:40] + 0.1 * generator.standard_normal((40, 32)).astype(np.float32)
    lost = [recall_loss(vectors, queries, 5, Params(probes=probes)) for probes in (1, 4, 16)]
    assert lost[0] > 0.2
    assert lost == sorted(lost, reverse=True)
    assert lost[2] == 0.0


@pytest.mark.parametrize(
    "wrong", [{"buckets": 7}, {"buckets": 0}, {"probes": 0}, {"tidy_every": 0}, {"recalled": -1}], ids=str
)
def test_parameters_out_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**wrong)


@settings(max_examples=examples(6))
@given(said=pasts(), closes=st.lists(st.booleans(), min_size=12, max_size=12))
def test_the_table_that_follows_the_changes_is_the_one_read_off_the_records(
    said: list[Said], closes: list[bool]
) -> None:
    def plain(table: Thoughts) -> list[Any]:
        return [
            {key: list(those.items()) for key, those in by.items() if those}
            for by in (table.ever, table.members, table.about)
        ]

    with empty() as memory:
        memory.attach(think_in_memory.ID)
        for one, is_closed in zip(said, closes, strict=False):
            say(memory, [one])
            memory.system(think_in_memory.ID).search("tea")  # the state is read, and carried on
            if is_closed:
                memory.consolidate()
        made = memory._shared.view_of("", think_in_memory.ID).made
        assert plain(made.derived(Thoughts)) == plain(Thoughts.of(made))
