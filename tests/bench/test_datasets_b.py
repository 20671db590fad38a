"""Streams, stories, books and lists as benchmarks: the loaders read what is published, and their derived keys are right."""

import json
import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.bench import registry
from mnemic.bench.dataset import Question, Sample
from mnemic.bench.datasets import (
    babi,
    book_sort,
    clutrr,
    goodai_ltm,
    memdaily,
    memoryagentbench,
    memorybank,
    pi_llm,
    popqa,
    prefeval,
    stepgame,
    timequestions,
)
from mnemic.bench.datasets.files import read_json
from mnemic.errors import FormatError, NotFound

MINE = (
    *("pi-llm", "book-sort", "memdaily", "memorybank", "prefeval", "goodai-ltm", "stepgame", "clutrr", "babi"),
    *("timequestions", "memoryagentbench", "popqa"),
)
QUICK = (
    *("pi-llm/2", "pi-llm/48", "book-sort/20000-s50", "memdaily/small", "memorybank/en", "memorybank/cn"),
    *("prefeval/explicit-10", "prefeval/choice-10", "prefeval/persona-10", "goodai-ltm", "stepgame/clean"),
    *("clutrr/train23", "clutrr/disconnected", "babi/en", "timequestions", "memoryagentbench/fact-6k"),
    "memoryagentbench/fact-6k-shuffled",
)
GIVEN = ("popqa", "memoryagentbench/retrieval", "memoryagentbench/classification", "memoryagentbench/conflict")


def names() -> list[str]:
    """Every variant of these datasets whose counts are stated."""
    found = []
    for id in MINE:
        found += [f"{id}/{one.id}" if one.id else id for one in registry.dataset(id).variants]
    return [name for name in found if name not in GIVEN]


@cache
def loaded(name: str, folder: Path) -> tuple[Sample, ...]:
    dataset, variant = registry.variant(name)
    return tuple(dataset.load(folder, variant.id))


def asked(name: str, folder: Path) -> list[Question]:
    return [one for sample in loaded(name, folder) for one in sample.questions]


def check(name: str, folder: Path) -> None:
    """What must hold of every sample, and that loading again gives the same. Loading compares the counts itself."""
    dataset, variant = registry.variant(name)
    found = loaded(name, folder)
    questions = asked(name, folder)
    assert (len(found), sum(len(one.turns) for one in found)) == (variant.samples, variant.turns)
    assert Counter(one.category for one in questions) == {one.id: one.n for one in variant.categories}
    assert set(dataset.apart) <= {one.id for one in variant.categories}
    for sample in found:
        turns = {one.id for one in sample.turns}
        assert all(one.text.strip() for one in sample.turns)
        for one in sample.questions:
            assert {*one.key.evidence, *one.stale} <= turns
            assert not set(one.key.evidence) & set(one.stale)
            assert len(set(one.key.evidence)) == len(one.key.evidence)
            assert one.text.strip()
    assert next(iter(dataset.load(folder, variant.id))) == found[0]


@pytest.mark.parametrize("name", QUICK)
def test_the_files_at_hand_have_the_stated_counts_and_sound_keys(name: str, shared_data: Path) -> None:
    check(name, shared_data)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(names()) - set(QUICK)))
def test_all_other_variants_have_the_stated_counts_and_sound_keys(name: str, shared_data: Path) -> None:
    check(name, shared_data)


@pytest.mark.parametrize("name", sorted(set(names()) | set(GIVEN)))
def test_a_variant_whose_files_are_not_there_is_refused_with_their_name(name: str, tmp_path: Path) -> None:
    dataset, variant = registry.variant(name)
    if variant.files:
        with pytest.raises(NotFound, match=re.escape(variant.files[0].path)):
            list(dataset.load(tmp_path, variant.id))


# -- streams of updates ---------------------------------------------------------------------------------------------


@given(st.integers(2, 6), st.integers(1, 9), st.integers(0, 99))
def test_a_stream_has_every_key_as_often_as_asked_and_never_twice_in_a_row(keys: int, updates: int, seed: int) -> None:
    counts = {f"key{number}": updates for number in range(keys)}
    order = pi_llm.interleave(counts, random.Random(seed))
    assert Counter(order) == counts
    assert all(one != next_one for one, next_one in pairwise(order))


def test_a_key_that_is_half_of_all_still_never_comes_twice_in_a_row() -> None:
    order = pi_llm.interleave({"a": 4, "b": 2, "c": 1}, random.Random(3))
    assert Counter(order) == {"a": 4, "b": 2, "c": 1}
    assert all(one != next_one for one, next_one in pairwise(order))


def test_the_evidence_of_a_stream_is_the_last_turn_of_the_key_and_the_stale_ones_are_all_before_in_order() -> None:
    sample = pi_llm.stream({"bird": ["emu", "kea", "ani"], "fruit": ["fig", "plum", "pear"]}, 3)
    for question, key in zip(sample.questions, ("bird", "fruit"), strict=True):
        said = [one for one in sample.turns if one.text.startswith(f"{key}: ")]
        assert (*question.stale, *question.key.evidence) == tuple(one.id for one in said)
        assert question.key.answers == (said[-1].text.partition(": ")[2],)
        assert question.text == f"What is the current value of {key}?"
    gaps = {
        later.occurred_at - one.occurred_at
        for one, later in pairwise(sample.turns)
        if later.occurred_at and one.occurred_at
    }
    assert gaps == {timedelta(minutes=1)}


def test_no_value_of_the_file_stands_under_two_keys(shared_data: Path) -> None:
    values = read_json(shared_data / pi_llm.PI_LLM.variants[0].files[0].path)
    assert len(values) == pi_llm.KEYS
    assert max(Counter(value.lower() for known in values.values() for value in known).values()) == 1


@pytest.mark.parametrize(("facts", "seed"), [(580, 0), (450, 1), (1200, 2)])
def test_the_highest_number_of_a_fact_is_the_evidence_whatever_order_facts_arrive_in(facts: int, seed: int) -> None:
    straight, shuffled = (memoryagentbench.fact_stream("x", facts, is_shuffled=one, seed=seed) for one in (False, True))
    assert sorted(shuffled.turns, key=lambda one: int(one.id)) != list(shuffled.turns)
    assert {one.text for one in straight.turns} == {one.text for one in shuffled.turns}
    assert straight.questions == shuffled.questions
    texts = {one.id: one.text for one in straight.turns}
    for question in straight.questions:
        (newest,) = question.key.evidence
        numbers = [*map(int, question.stale), int(newest)]
        assert numbers == sorted(numbers)
        assert len(numbers) > 1
        said = [texts[str(number)].partition(". ")[2] for number in numbers]
        assert len(set(said)) == len(said)
        assert question.key.answers[0] in said[-1]
        told = [one.partition(". ")[2] for one in texts.values()]
        start = said[-1].partition(question.key.answers[0])[0]
        if not said[-1].startswith(question.key.answers[0]):
            assert sum(one.startswith(start) for one in told) == len(said)  # nobody else has that thing's name


# -- stories --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("A is at B's 3 o'clock.", ("A", "B", 1, 0)),
        ("A and B are in a vertical line with B below A.", ("B", "A", 0, -1)),
        ("A is over there and B is on the left of it.", ("B", "A", -1, 0)),
        ("If A is the center of a clock face, B is located between 10 and 11.", ("B", "A", -1, 1)),
        ("A is at a 45 degree angle to B, in the lower lefthand corner.", ("A", "B", -1, -1)),
        ("A is on the left and B is on the right.", ("A", "B", -1, 0)),
        ("A is above B and to the left of B.", ("A", "B", -1, 1)),
        ("A is to the left of B and is on the same horizontal plane.", ("A", "B", -1, 0)),
        (
            "The object A and B are there. The object B is below and slightly to the right of the object A.",
            ("B", "A", 1, -1),
        ),
    ],
)
def test_a_sentence_is_read_as_the_step_that_it_says(text: str, step: tuple[str, str, int, int]) -> None:
    assert stepgame.read_sentence(text) == stepgame.Placed(*step)


def test_a_sentence_that_lost_a_name_says_nothing() -> None:
    assert stepgame.read_sentence("M is diagonally left and above M.") is None
    assert stepgame.solve(["M is diagonally left and above M."], "M", "G") is None


@given(
    st.lists(st.sampled_from([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1)]), min_size=1, max_size=8),
    st.randoms(),
)
def test_a_chain_is_solved_exactly_in_any_order_and_with_sentences_about_others(
    steps: list[tuple[int, int]], rng: Any
) -> None:
    words = {(1, 0): "right of", (-1, 0): "left of", (0, 1): "above", (0, -1): "below"}
    words |= {(1, 1): "above and to the right of", (-1, -1): "below and to the left of"}
    agents = "ABCDEFGHI"
    story = [f"{agents[at + 1]} is {words[step]} {agents[at]}." for at, step in enumerate(steps)]
    noise = [f"Z is above {agents[0]}.", "Y is left of X."]
    mixed = [*story, *noise]
    rng.shuffle(mixed)
    found = stepgame.solve(mixed, agents[len(steps)], agents[0])
    assert found is not None
    assert sorted(mixed[at] for at in found[0]) == sorted(story)
    across, up = (sum(one) for one in zip(*steps, strict=True))
    signs = ((across > 0) - (across < 0), (up > 0) - (up < 0))
    names = {(0, 0): "overlap", (1, 0): "right", (-1, 0): "left", (0, 1): "above", (0, -1): "below"}
    names |= {(1, 1): "upper-right", (-1, 1): "upper-left", (1, -1): "lower-right", (-1, -1): "lower-left"}
    assert found[1] == names[signs]


MISLABELLED = re.compile(
    r"(parallel, and|there with the object|horizontal and) [A-Z] (is to|on) the right|parallel, and [A-Z] on the right"
    r"|placed at the bottom|positioned below [A-Z] and to the left|to the right and above|10 position of a clock face"
)


def test_every_story_without_a_mislabelled_wording_is_solved_to_the_files_label(shared_data: Path) -> None:
    solved = 0
    for k in (1, 2, 3, 5):
        for story in stepgame.read_stories(read_json(shared_data / f"stepgame/clean/qa{k}_valid.json.gz"), k):
            if not any(MISLABELLED.search(story.sentences[at]) for at in story.chain):
                assert story.solved == story.label, story
                solved += 1
    assert solved > 3000


def test_noise_does_not_change_the_chain_of_short_stories(shared_data: Path) -> None:
    for k in (1, 2, 3):
        clean, noisy = (
            {
                one.id: one
                for one in stepgame.read_stories(read_json(shared_data / f"stepgame/{kind}/qa{k}_valid.json.gz"), k)
            }
            for kind in ("clean", "noise")
        )
        for id, story in clean.items():
            other = noisy[id]
            assert sorted(story.sentences[at] for at in story.chain) == sorted(
                other.sentences[at] for at in other.chain
            )


def test_joined_stories_share_no_agent_and_keep_their_own_evidence() -> None:
    rows = {
        str(n): {"story": ["A is above B.", "B is above C."], "question": "What is A to the agent C?", "label": "above"}
        for n in range(3)
    }
    stories = stepgame.read_stories(rows, 2)
    joined = stepgame.to_sample("joined", stories)
    texts = {one.id: one.text for one in joined.turns}
    assert sorted(texts.values()) == sorted(f"{a}{n} is above {b}{n}." for n in (1, 2, 3) for a, b in ("AB", "BC"))
    for number, question in enumerate(joined.questions, 1):
        assert {texts[one] for one in question.key.evidence} == {
            f"A{number} is above B{number}.",
            f"B{number} is above C{number}.",
        }


BABI = (
    *("1 Mary went to the garden.", "2 Where is Mary?\tgarden\t1", "3 John took the milk.", "4 Mary went to the hall."),
    *(
        "5 Where is Mary? \thall\t4",
        "1 Al got the apple.",
        "2 Al got the milk.",
        "3 What is Al holding?\tapple,milk\t1 2",
    ),
)


def test_only_questions_after_the_last_sentence_of_a_story_are_asked() -> None:
    first, second = babi.read_stories(BABI, 8)
    assert [one.id for one in first.turns] == ["1", "3", "4"]
    assert [(one.text, one.key.evidence, one.key.answers) for one in first.questions] == [
        ("Where is Mary?", ("4",), ("hall",))
    ]
    assert [(one.key.evidence, one.key.answers) for one in second.questions] == [(("1", "2"), ("apple, milk",))]


def test_the_answer_of_a_place_question_stands_in_its_last_evidence(shared_data: Path) -> None:
    for sample in loaded("babi/en", shared_data):
        texts = {one.id: one.text for one in sample.turns}
        for question in sample.questions:
            if question.category in ("1", "2", "12"):
                assert any(question.key.answers[0] in texts[one] for one in question.key.evidence)


def test_the_evidence_of_a_family_story_is_the_shortest_run_that_names_each_pair() -> None:
    row = {
        "id": "x",
        "story": "[Ann] met her son [Bob]. It rained. [Bob] loves his sister. Her name is [Cat]. [Dan] slept.",
        "query": "('Ann', 'Cat')",
        "target_text": "daughter",
        "story_edges": "[(0, 1), (1, 2), (2, 3)]",
        "edge_types": "['son', 'sister']",
        "genders": "Ann:female,Bob:male,Cat:female,Dan:male",
        "task_name": "task_3.2",
    }
    sample = clutrr.read_story(row)
    assert sample is not None
    (question,) = sample.questions
    assert (question.key.evidence, question.key.answers, question.category) == (("0", "2", "3"), ("daughter",), "3.2")
    assert not any("[" in one.text for one in sample.turns)
    assert clutrr.read_story(row | {"story": "[Ann] met her son. [Bob] slept."}) is None


# -- books ----------------------------------------------------------------------------------------------------------


def test_episodes_are_the_book_and_no_shorter_than_asked() -> None:
    body = "\n\n".join(f"Paragraph {n} tells this. It has a second sentence of eight words." for n in range(20))
    book = f"\n*** START OF THE BOOK ***\n\n{body}\r\n\r\n*** END OF THE BOOK ***\nlicence"
    pieces = book_sort.episodes(book, 20)
    assert " ".join(pieces) == " ".join(body.split())
    assert all(20 <= len(one.split()) < 40 for one in pieces[:-1])


@given(st.lists(st.integers(0, 30), min_size=5, max_size=60))
def test_a_passage_is_found_in_the_episode_in_which_it_begins(numbers: list[int]) -> None:
    pieces = [f"word{at} then {number} more." for at, number in enumerate(numbers)]
    at = len(pieces) // 2
    passages = [pieces[at], f"{pieces[at][5:]} {pieces[at + 1]}", "not there", "more."]
    found = book_sort.find_starts(pieces, passages)
    assert found == {passages[0]: at, passages[1]: at}


def test_the_passage_that_the_key_calls_first_stands_first_in_the_book(shared_data: Path) -> None:
    balance = Counter[str]()
    for sample in loaded("book-sort/20000-s50", shared_data):
        text = " ".join(one.text for one in sample.turns)
        for question in sample.questions:
            starts = [text.index(one) for one in question.options]
            assert min(starts) == starts[int(question.key.answers[0])]
            shown = [next(one.text for one in sample.turns if one.id == id) for id in question.key.evidence]
            assert all(passage.split()[0] in episode for passage, episode in zip(question.options, shown, strict=True))
            balance[question.key.answers[0]] += 1
    assert abs(balance["0"] - balance["1"]) < 0.1 * balance.total()


# -- conversations --------------------------------------------------------------------------------------------------


def test_a_stream_of_messages_is_read_with_its_times_choices_and_targets() -> None:
    message = {"mid": 3, "message": "我的上司今年44岁。", "time": "2024年04月01日 周一 08:38", "place": "x"}
    question = {
        "qid": 0,
        "question": "几岁？",
        "answer": "44",
        "target_step_id": [3],
        "ground_truth": "B",
        "choices": {"A": "40", "B": "44"},
        "time": "2024年04月04日 周四 18:08",
    }
    sample = memdaily.read_stream(
        {"tid": 7, "message_list": [message], "question_list": [question]}, "01_simple_events"
    )
    assert sample is not None
    assert sample.turns[0].occurred_at == datetime(2024, 4, 1, 8, 38, tzinfo=UTC)
    (found,) = sample.questions
    assert (found.key.evidence, found.key.answers, found.options, found.category) == (
        ("3",),
        ("44",),
        ("40", "44"),
        "01",
    )
    assert found.asked_at == datetime(2024, 4, 4, 18, 8, tzinfo=UTC)
    failed = {"tid": 8, "message_list": [message], "question_list": [question | {"question": "[ERRORQ]"}]}
    assert memdaily.read_stream(failed, "01_simple_events") is None


def test_questions_without_a_key_have_no_evidence_and_never_count() -> None:
    history = {"2023-05-02": [{"query": "I went to a museum.", "response": "How nice!"}]}
    sample = memorybank.to_sample("Emily", history, ["What did I see?"])
    assert [(one.role, one.session) for one in sample.turns] == [("user", "2023-05-02"), ("assistant", "2023-05-02")]
    assert sample.questions[0].key.evidence == ()
    assert memorybank.MEMORYBANK.apart == ("probing",)


def test_a_user_shows_one_preference_of_each_topic_and_each_question_has_its_own(shared_data: Path) -> None:
    preferences = read_json(shared_data / "prefeval/explicit_preference.json.gz")
    for sample in loaded("prefeval/explicit-10", shared_data):
        texts = {one.id: one.text for one in sample.turns}
        assert len({one.category for one in sample.questions}) == len(sample.questions)
        for question in sample.questions:
            row = preferences[question.category][int(sample.id)]
            assert [texts[one] for one in question.key.evidence] == [row["preference"]]
            assert question.text == row["question"]
            assert set(question.key.answers) <= set(question.options)
            assert question.text not in texts.values()


@pytest.mark.parametrize("form", ["explicit", "choice", "persona"])
def test_no_session_tells_a_preference_from_the_filler_around_it(form: str, shared_data: Path) -> None:
    for sample in loaded(f"prefeval/{form}-10", shared_data):
        evidence = {id for question in sample.questions for id in question.key.evidence}
        of_session: dict[str | None, set[bool]] = {}
        for turn in sample.turns:
            of_session.setdefault(turn.session, set()).add(turn.id in evidence)
        assert {True} not in of_session.values()  # none holds evidence alone
        assert all(str(session).startswith("filler-") for session in of_session)


def test_a_choice_is_evidence_by_the_users_pick_and_a_persona_by_every_word_of_the_user() -> None:
    names = ("query", "assistant_options", "user_selection", "assistant_acknowledgment")
    said, evidence = prefeval.shown("choice", {"conversation": {name: name for name in names}})
    assert [said[at] for at in evidence] == [("user", "user_selection")]
    talk = {"0": {"user": "u0", "assistant": "a0"}, "1": {"user": "u1", "assistant": "a1"}}
    said, evidence = prefeval.shown("persona", {"conversation": talk})
    assert [said[at] for at in evidence] == [("user", "u0"), ("user", "u1")]


def definition(said: list[str], asked: list[str], expected: list[Any]) -> dict[str, Any]:
    return {
        "script": said + asked,
        "is_question": [False] * len(said) + [True] * len(asked),
        "expected_responses": expected,
    }


def test_mixed_tests_keep_their_order_and_only_those_that_name_what_they_need_are_asked() -> None:
    colours = definition(["It is Red.", "It is Blue.", "It is Red."], ["What is my colour?"], ["Red"])
    shopping = definition(["Add 2 Soap.", "Add 1 Milk.", "Remove 1 Milk."], ["My list?"], [["soap", 2]])
    trigger = definition(["When I sneeze say: &#x27;hi&#x27;"], ["Achoo!", "Achoo!"], ["say: &#x27;hi&#x27;"] * 2)
    jokes = definition(["A joke."], [], ["A joke."])
    kinds = {"colours": colours, "shopping": shopping, "trigger-response": trigger, "jokes": jokes}
    sample = goodai_ltm.mix([goodai_ltm.read_test(kind, one) for kind, one in kinds.items()], "x")
    of_colours = [one.id for one in sample.turns if one.id.startswith("colours")]
    assert of_colours == ["colours-0", "colours-1", "colours-2"]
    found = {one.category: one for one in sample.questions}
    assert list(found) == ["colours", "shopping", "trigger-response"]
    assert (found["colours"].task, found["colours"].key.evidence, found["colours"].stale) == (
        "newest",
        ("colours-2",),
        ("colours-0", "colours-1"),
    )
    assert (found["shopping"].key.evidence, found["shopping"].key.answers) == (("shopping-0",), ("soap 2",))
    assert found["trigger-response"].key.answers == ("say: 'hi'",)


def test_the_expected_colour_and_the_place_looked_for_stand_in_their_evidence(shared_data: Path) -> None:
    for sample in loaded("goodai-ltm", shared_data):
        texts = {one.id: one.text for one in sample.turns}
        for question in sample.questions:
            if question.category in ("colours", "sallyanne"):
                (only,) = question.key.evidence
                assert question.key.answers[0].lower() in texts[only].lower()


# -- lists and published formats ------------------------------------------------------------------------------------


def test_half_of_the_plain_questions_are_labelled_turns_and_no_question_is_both() -> None:
    rows = [
        {"Id": at, "Question": f"q{at}", "Temporal question type": ["Explicit" if at % 2 else "Ordinal"]}
        for at in range(8)
    ]
    rows.append({"Id": 8, "Question": "q8", "Temporal question type": ["Ordinal", "Implicit"]})
    sample = timequestions.split(rows)
    assert len(sample.turns) == 4
    assert {one.id for one in sample.turns} | {one.id for one in sample.questions} == {str(at) for at in range(9)}
    several = next(one for one in sample.questions if one.category == "several")
    assert several.key.answers == ("Ordinal", "Implicit")
    assert all(one.label in ("Explicit", "Ordinal") for one in sample.turns)


def test_popqa_is_read_from_its_tsv_and_a_corpus_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "popqa").mkdir()
    (tmp_path / "popqa/test.tsv").write_text(
        "id\tsubj\tprop\tobj\ts_pop\tquestion\tpossible_answers\n"
        '7\tAl\toccupation\tpoet\t142\tWhat is Al\'s occupation?\t"[""poet"", ""bard""]"\n'
    )
    (tmp_path / "popqa/corpus.jsonl").write_text(
        '{"title": "Al", "text": "Al was a bard."}\n\n{"title": "B", "text": "b"}\n'
    )
    (sample,) = popqa.POPQA.load(tmp_path, "")
    assert [one.text for one in sample.turns] == ["Al\nAl was a bard.", "B\nb"]
    (question,) = sample.questions
    assert (question.task, question.category, question.key.answers) == ("contains", "3", ("poet", "bard"))


def test_a_table_that_is_not_popqas_is_refused_with_the_columns_it_needs() -> None:
    with pytest.raises(FormatError, match="s_pop"):
        list(popqa.read_questions(["id\tquestion", "1\tWho?"]))


def published(source: str, context: str, questions: list[str], answers: list[Any]) -> str:
    return json.dumps({"context": context, "questions": questions, "answers": answers, "metadata": {"source": source}})


def test_published_rows_are_read_by_their_kind(tmp_path: Path) -> None:
    folder = tmp_path / "memoryagentbench"
    folder.mkdir()
    examples = "My card is late.\nlabel: 11\n\nTop up\nfailed.\nlabel: 5\n"
    rows = [
        published("icl_banking77_5900shot_balance", examples, ["Card still not here"], [["11"]]),
        published("recsys_redial_full", "…", ["A film?"], [["x"]]),
    ]
    (folder / "Test_Time_Learning.jsonl").write_text("\n".join(rows))
    facts = "Here is a list of facts:\n0. Al sings.\n1. Al dances."
    (folder / "Conflict_Resolution.jsonl").write_text(
        published("factconsolidation_sh_6k", facts, ["What does Al do?"], ["dances"])
    )
    long = " ".join(f"Sentence {n} says very little about it." for n in range(200))
    (folder / "Accurate_Retrieval.jsonl").write_text(
        published("eventqa_65536", long, ["Then?", "And?"], [["a", "b"], ["c"]])
    )

    (learning,) = memoryagentbench.MEMORYAGENTBENCH.load(tmp_path, "classification")
    assert [(one.text, one.label) for one in learning.turns] == [("My card is late.", "11"), ("Top up\nfailed.", "5")]
    assert [(one.task, one.category, one.key.answers) for one in learning.questions] == [("vote", "banking77", ("11",))]
    (conflict,) = memoryagentbench.MEMORYAGENTBENCH.load(tmp_path, "conflict")
    assert [one.text for one in conflict.turns] == ["Here is a list of facts:", "0. Al sings.", "1. Al dances."]
    assert [(one.task, one.category) for one in conflict.questions] == [("contains", "factconsolidation_sh")]
    (retrieval,) = memoryagentbench.MEMORYAGENTBENCH.load(tmp_path, "retrieval")
    assert " ".join(one.text for one in retrieval.turns) == long
    assert len(retrieval.turns) > 1
    assert [one.key.answers for one in retrieval.questions] == [("a", "b"), ("c",)]


def test_a_row_with_fewer_answers_than_questions_is_refused() -> None:
    row = json.loads(published("eventqa_full", "Text.", ["a", "b"], [["x"]]))
    with pytest.raises(FormatError, match="as many answers"):
        memoryagentbench.read_row(row, 0)


def test_the_segments_table_is_read_in_the_order_shown() -> None:
    row = {
        "book_idx": "1",
        "excerpt_idx": "2",
        "distance_bin": "62",
        "segment_1": "*early words*",
        "segment_2": "*late words*",
        "present_seg1_first": "0",
    }
    (pair,) = book_sort.read_pairs([row])
    assert (pair.shown, pair.first, pair.id) == (("late words", "early words"), "1", "1-2-62")


def test_every_dataset_says_where_it_comes_from_and_what_it_may_be_used_for() -> None:
    for id in MINE:
        found = registry.dataset(id)
        assert (found.id, bool(found.source), bool(found.licence), bool(found.about)) == (id, True, True, True)
        assert found.notes
