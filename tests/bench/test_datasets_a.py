"""Conversations and passages as benchmarks: each loader finds what its file has, hands over no answer, and says what is wrong."""

import gzip
import json
import re
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mnemic.bench import registry
from mnemic.bench.dataset import Dataset, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets import beam, locomo, longmemeval, multihop, temporal_memory
from mnemic.bench.datasets.files import assert_counts, categories, counted, read_json, read_lines, variant_of
from mnemic.errors import FormatError, NotFound, ParameterError

from . import samples

AT_HAND = (
    "locomo/five",
    "temporal-memory/direct",
    "temporal-memory/ambiguous",
    "temporal-memory/content",
    "beam/100k",
    "beam/500k",
    "beam/1m",
    "longmemeval/s-samples",
    "longmemeval/oracle-sample",
    "musique/train",
    "musique/sample",
)
HERE = ("locomo", "temporal-memory", "beam", "longmemeval", "musique", "2wiki", "hotpotqa")
PLACE = re.compile(r"D\d+:\d+|s\d+:\d+|p\d+|\d+")


@cache
def loaded(name: str, folder: Path) -> tuple[Sample, ...]:
    dataset, variant = registry.variant(name)
    return tuple(dataset.load(folder, variant.id))


def questions_of(found: tuple[Sample, ...]) -> list[Question]:
    return [one for sample in found for one in sample.questions]


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", AT_HAND)
def test_the_counts_of_the_files_at_hand_are_the_stated_ones(name: str, shared_data: Path) -> None:
    variant = registry.variant(name)[1]
    found = loaded(name, shared_data)  # raises where they are not
    assert (len(found), sum(len(one.turns) for one in found)) == (variant.samples, variant.turns)
    assert Counter(one.category for one in questions_of(found)) == {one.id: one.n for one in variant.categories}


@pytest.mark.parametrize("name", AT_HAND)
def test_ids_are_unique_and_say_nothing_but_a_place(name: str, shared_data: Path) -> None:
    found = loaded(name, shared_data)
    asked = [one.id for one in questions_of(found)]
    assert len(set(asked)) == len(asked)
    for sample in found:
        turns = {one.id for one in sample.turns}
        assert len(turns) == len(sample.turns)
        assert all(PLACE.fullmatch(one) for one in turns)
        assert not any("answer" in (one.session or "") for one in sample.turns)


@pytest.mark.parametrize("name", AT_HAND)
def test_every_evidence_is_a_turn_of_its_sample(name: str, shared_data: Path) -> None:
    for sample in loaded(name, shared_data):
        turns = {one.id for one in sample.turns}
        for question in sample.questions:
            named = {
                *question.key.evidence,
                *question.stale,
                *(question.corrected.evidence if question.corrected else ()),
            }
            assert named <= turns, question.id


@pytest.mark.parametrize("name", AT_HAND)
def test_turns_are_in_order_of_time_and_none_is_empty(name: str, shared_data: Path) -> None:
    for sample in loaded(name, shared_data):
        times = [one.occurred_at for one in sample.turns if one.occurred_at]
        assert times == sorted(times)
        assert len(times) in (0, len(sample.turns))
        assert all(one.text.strip() for one in sample.turns)


@pytest.mark.parametrize("id", HERE)
def test_a_dataset_says_where_it_is_from_and_what_to_beware_of(id: str) -> None:
    dataset = registry.dataset(id)
    assert dataset.id == id
    assert "Beware" in dataset.about
    assert dataset.source
    assert dataset.licence
    known = {one.id for variant in dataset.variants for one in variant.categories}
    assert set(dataset.apart) <= known
    for variant in dataset.variants:
        assert all(one.url is None or one.url.startswith("https://") for one in variant.files)
        assert not any(Path(one.path).is_absolute() for one in variant.files)


def test_an_unknown_variant_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"locomo has no variant 'six'. It has: 'five', 'ten'."):
        next(locomo.load(tmp_path, "six"))


# Files and counts


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"locomo5\.json"):
        list(locomo.load(tmp_path, "five"))


def test_a_file_is_read_packed_or_not(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.json.gz", "wt", encoding="utf-8") as file:
        file.write('{"a": NaN}\r\n')
    (tmp_path / "b.json").write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xbb"}')
    assert list(read_json(tmp_path / "a.json")) == ["a"]
    assert read_json(tmp_path / "b.json.gz") == {"a": "û"}
    assert list(read_lines(tmp_path / "a.json")) == ['{"a": NaN}']


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1,")
    (tmp_path / "b.json.gz").write_bytes(b"no gzip")
    for name in ("a.json", "b.json.gz"):
        with pytest.raises(FormatError, match=name):
            read_json(tmp_path / name)


TURNS = (Turn(id="a", text="A fig."), Turn(id="b", text="A leaf."))
ASKED = Question(id="q", text="What?", category="1", key=Key(evidence=("a",)))


def world(turns: int = 2, n: int = 1) -> tuple[Dataset, Variant]:
    variant = Variant(id="", samples=1, turns=turns, categories=categories((("1", "one", n),)), files=())
    dataset = Dataset(
        id="tiny", title="", source="", licence="", about="", variants=(variant,), load=lambda *_: iter(())
    )
    return dataset, variant


def test_the_stated_counts_pass_and_samples_come_one_by_one() -> None:
    sample = Sample(id="s", turns=TURNS, questions=(ASKED,))
    assert list(counted(*world(), [sample])) == [sample]
    assert_counts(*world(turns=0), [sample])  # nobody states how many turns


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        (Sample(id="s", turns=TURNS[:1], questions=(ASKED,)), "1 turns where there should be 2"),
        (Sample(id="s", turns=TURNS, questions=()), "0 questions of category '1' where there should be 1"),
        (Sample(id="s", turns=(TURNS[0], TURNS[0]), questions=(ASKED,)), "sample 's' has two turns of one id"),
        (Sample(id="s", turns=TURNS, questions=(ASKED, ASKED)), "there are two questions 'q'"),
        (
            Sample(id="s", turns=TURNS, questions=(Question(id="q", text="", category="1", key=Key(evidence=("c",))),)),
            "question 'q' names no turn with 'c'",
        ),
        (
            Sample(id="s", turns=TURNS, questions=(Question(id="q", text="", category="2", key=Key()),)),
            "1 questions of category '2' where there should be 0",
        ),
    ],
)
def test_other_counts_than_the_stated_ones_are_refused(sample: Sample, told: str) -> None:
    with pytest.raises(FormatError, match=re.escape(told)):
        assert_counts(*world(), [sample])


def test_a_published_file_of_other_counts_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "locomo/locomo10.json", samples.locomo())
    write(tmp_path / "longmemeval/longmemeval_oracle.json", samples.longmemeval())
    asked, corpus = samples.hotpotqa()
    write(tmp_path / "hipporag/hotpotqa.json", asked)
    write(tmp_path / "hipporag/hotpotqa_corpus.json", corpus)
    for name, told in (
        ("locomo/ten", "1 samples where there should be 10; 3 turns where there should be 5882"),
        ("longmemeval/oracle", "3 samples where there should be 500; 1 questions of category 'abstention'"),
        ("hotpotqa", "3 turns where there should be 9811; 1 questions of category 'all' where there should be 1000"),
    ):
        with pytest.raises(FormatError, match=told):
            loaded(name, tmp_path)


# LoCoMo


def test_locomo_turns_carry_text_and_caption_and_nothing_that_a_model_wrote(tmp_path: Path) -> None:
    (sample,) = locomo.read(write(tmp_path / "a.json", samples.locomo()), {})
    assert [(one.id, one.actor, one.session, one.text) for one in sample.turns] == [
        ("D1:1", "Ada", "session_1", "I planted a fig tree."),
        ("D1:2", "Ben", "session_1", "Look at mine! [shares a photo: a photo of a lemon tree]"),
        ("D2:1", "Ada", "session_2", "The fig has a leaf."),
    ]
    assert sample.turns[1].occurred_at == datetime(2023, 5, 8, 13, 56, 10, tzinfo=UTC)


def test_locomo_questions_keep_both_keys_and_say_what_is_wrong(tmp_path: Path) -> None:
    row = {"error_type": "WRONG_CITATION", "correct_evidence": ["D2:1", "D7:7"], "correct_answer": "a tree"}
    path = write(tmp_path / "a.json", samples.locomo())
    single, open_domain, multi, temporal, adversarial = next(locomo.read(path, {"conv-1/q0": row})).questions
    assert (single.key, single.corrected, single.error) == (
        Key(evidence=("D1:1",), answers=("a fig tree",)),
        Key(evidence=("D2:1",), answers=("a tree",)),
        "wrong citation",
    )
    assert open_domain.key == Key(evidence=("D1:1",), answers=("Likely yes",))
    assert (multi.key.evidence, multi.error) == (("D1:1", "D2:1"), "evidence that is no turn: D9:9")
    assert (temporal.task, temporal.key.evidence, temporal.error) == ("recall", (), "no usable evidence")
    assert (adversarial.task, adversarial.category, adversarial.key) == ("absent", "5", Key(evidence=("D1:1",)))


def test_locomo_at_hand_has_the_audits_85_corrections_and_2_questions_without_evidence(shared_data: Path) -> None:
    asked = questions_of(loaded("locomo/five", shared_data))
    corrected = [one for one in asked if one.corrected]
    assert len(corrected) == 85
    assert sum(set(one.key.evidence) != set(one.corrected.evidence) for one in corrected if one.corrected) >= 34
    answerable = [one for one in asked if one.task == "recall"]
    assert (len(answerable), sum(bool(one.key.evidence) for one in answerable)) == (762, 760)
    assert {one.category for one in asked if one.task == "absent"} == {"5"}


# Temporal Memory


def test_temporal_memory_asks_right_after_the_last_turn() -> None:
    conversation, groups = samples.temporal_memory()
    sample = temporal_memory.read("7", conversation, groups)
    assert [(one.id, one.session, one.text) for one in sample.turns] == [
        ("0", "session_1", "Word 0. [shares a photo: a photo of a fig]"),
        ("1", "session_2", "Word 1."),
        ("2", "session_3", "Word 2."),
    ]
    assert sample.turns[0].occurred_at == datetime(2023, 5, 8, 13, 56, 4, tzinfo=UTC)
    assert {one.asked_at for one in sample.questions} == {datetime(2023, 5, 13, 11, 0, 10, tzinfo=UTC)}


def test_temporal_memory_says_which_keys_are_wrong() -> None:
    conversation, groups = samples.temporal_memory()
    first, second, right, wrong, follow_up = temporal_memory.read("7", conversation, groups).questions
    assert (first.key.evidence, second.key.evidence) == (("1",), ("2",))
    assert first.corrected == second.corrected == Key(evidence=("1", "2"))
    assert (right.error, right.corrected) == (None, None)
    assert (wrong.error, wrong.corrected) == ("by the calendar its turns are 5 days back", None)
    assert (follow_up.text, follow_up.key.evidence) == ("We talked on May 8th.\nWhat was it?", ("0", "1", "2"))


def test_temporal_memory_notes_give_the_ceilings_and_errors_that_the_files_have(shared_data: Path) -> None:
    notes = temporal_memory.TEMPORAL_MEMORY.notes
    total = 0
    for name in ("direct", "ambiguous", "content"):
        asked = questions_of(loaded(f"temporal-memory/{name}", shared_data))
        total += len(asked)
        for category in {one.category for one in asked}:
            n = [len(one.key.evidence) for one in asked if one.category == category]
            ceiling = 100 * sum(min(20, one) / one for one in n) / len(n)
            assert re.search(rf"\b{category} (\d+\.\d \(ambiguous )?{ceiling:.1f}".removesuffix(".0"), notes["ceiling"])
        if name != "content":
            wrong = Counter(one.category for one in asked if one.error)
            assert wrong == {"rel_day": 50, "dates": 16}
            assert {one.category for one in asked if one.corrected} == {"dates"}
    assert total == 2623


def test_temporal_memory_asks_the_same_paraphrase_each_time_and_not_always_the_first(shared_data: Path) -> None:
    asked = [one for one in questions_of(loaded("temporal-memory/direct", shared_data)) if one.category == "dates"]
    again = tuple(temporal_memory.load(shared_data, "direct"))
    assert [one.text for one in questions_of(again) if one.category == "dates"] == [one.text for one in asked]
    assert len({one.text.split()[0] for one in asked}) > 1


# BEAM


def test_beam_messages_lose_their_bookkeeping_and_get_the_day_of_their_batch() -> None:
    sample = beam.read("1", *samples.beam())
    assert [(one.id, one.role, one.session, one.text) for one in sample.turns] == [
        ("0", "user", "batch_1", "I ship in May."),
        ("1", "assistant", "batch_1", "a -> b, then ->-> c"),
        ("2", "user", "batch_2", "I ship in June."),
        ("3", "assistant", "batch_2", "Noted."),
    ]
    assert [one.occurred_at for one in sample.turns] == [
        datetime(2024, 3, 15, 0, 0, 0, tzinfo=UTC),
        datetime(2024, 3, 15, 0, 0, 10, tzinfo=UTC),
        datetime(2024, 4, 5, 0, 0, 0, tzinfo=UTC),
        datetime(2024, 4, 5, 0, 0, 10, tzinfo=UTC),
    ]


def test_beam_evidence_is_found_in_every_form() -> None:
    asked = {one.category: one for one in beam.read("1", *samples.beam()).questions}
    assert (asked["abstention"].task, asked["abstention"].key, asked["abstention"].error) == ("absent", Key(), None)
    assert asked["event_ordering"].key == Key(evidence=("0", "1", "2"), answers=("May, June",))
    assert (asked["knowledge_update"].key.evidence, asked["knowledge_update"].stale) == (("0", "2"), ("0",))
    assert (asked["preference_following"].task, asked["preference_following"].error) == (
        "recall",
        "the file names no evidence",
    )
    assert (asked["summarization"].key.evidence, asked["summarization"].error) == (
        ("0",),
        "evidence that is no message: 77",
    )


@pytest.mark.parametrize(("name", "without"), [("beam/100k", 1), ("beam/500k", 1), ("beam/1m", 2)])
def test_beam_at_hand_has_no_bookkeeping_left_and_few_questions_without_evidence(
    name: str, without: int, shared_data: Path
) -> None:
    found = loaded(name, shared_data)
    assert not any("->->" in turn.text for sample in found for turn in sample.turns)
    assert sum(not one.key.evidence for one in questions_of(found) if one.task == "recall") == without
    for question in questions_of(found):
        newer = [int(one) for one in question.key.evidence if one not in question.stale]
        assert not question.stale or not newer or max(map(int, question.stale)) < min(newer)


# LongMemEval


def test_longmemeval_sessions_are_in_order_of_time_under_neutral_names() -> None:
    sample = longmemeval.read(samples.longmemeval()[0])
    assert [(one.id, one.session, one.role, one.text) for one in sample.turns] == [
        ("s0:0", "s0", "user", "I live in Faro."),
        ("s1:0", "s1", "user", "I like tea."),
        ("s1:1", "s1", "assistant", "Green tea?"),
        ("s2:0", "s2", "user", "I moved to Porto."),
        ("s2:1", "s2", "assistant", "How nice."),
    ]
    assert sample.turns[0].occurred_at == datetime(2023, 5, 10, 23, 59, tzinfo=UTC)
    assert "answer" not in "".join(f"{one.id}{one.session}{one.label}" for one in sample.turns)


def test_longmemeval_evidence_is_what_is_marked_or_else_the_whole_session() -> None:
    update, unmarked, absent = (longmemeval.read(one).questions[0] for one in samples.longmemeval())
    assert (update.key, update.stale) == (Key(evidence=("s0:0", "s2:0"), answers=("Porto",)), ("s0:0",))
    assert update.asked_at == datetime(2023, 6, 1, 10, 0, tzinfo=UTC)
    assert unmarked.key.evidence == ("s1:0", "s1:1")
    assert (absent.task, absent.category, update.category) == ("absent", "abstention", "knowledge-update")


def test_longmemeval_further_questions_are_asked_of_their_own_haystack() -> None:
    extra = {"question_id": "q1", "extra_index": 4, "question": "Which tea?", "answer": "green"}
    more = [extra | {"answer_session_ids": ["sharegpt_7"]}, extra | {"question_id": "q2", "answer_session_ids": []}]
    _, asked = longmemeval.read(samples.longmemeval()[0], more).questions
    assert (asked.id, asked.category, asked.key.evidence) == ("q1/4", "third-party", ("s1:0", "s1:1"))


def test_longmemeval_published_counts_are_500_with_30_abstentions() -> None:
    for id in ("s", "m", "oracle"):
        counts = {one.id: one.n for one in variant_of(longmemeval.LONGMEMEVAL, id).categories}
        assert (sum(counts.values()), counts["abstention"]) == (500, 30)


# Passages


def test_musique_evidence_is_as_many_passages_as_the_question_has_hops(shared_data: Path) -> None:
    (sample,) = loaded("musique/train", shared_data)
    assert all(len(one.key.evidence) == int(one.category[0]) for one in sample.questions)
    assert not any(one.error for one in sample.questions)
    titles = dict(turn.text.split("\n", 1) for turn in sample.turns)
    assert titles["Journal of Mathematical Physics"].startswith("The Journal of Mathematical Physics is")


def test_passages_of_one_question_do_not_stand_side_by_side(shared_data: Path) -> None:
    (sample,) = loaded("musique/train", shared_data)
    place = {turn.id: at for at, turn in enumerate(sample.turns)}
    gaps = [
        abs(place[one] - place[other])
        for asked in sample.questions
        for one, other in zip(asked.key.evidence, asked.key.evidence[1:], strict=False)
    ]
    assert sorted(gaps)[len(gaps) // 2] > len(sample.turns) / 8
    assert len({turn.session for turn in sample.turns}) == len(sample.turns)


def test_the_sample_of_the_current_release_has_its_answer_in_a_list(shared_data: Path) -> None:
    (sample,) = loaded("musique/sample", shared_data)
    assert sample.questions[0].key == Key(evidence=("p0",), answers=("Thomas C. Sudhof",))


def test_hotpotqa_passages_are_found_by_title_in_a_corpus_of_sentences() -> None:
    sample = multihop.read("hotpotqa", *samples.hotpotqa(), lambda asked: asked["type"])
    assert {one.text for one in sample.turns} == {
        "Alû\nA spirit. It roams.",
        "Lilu\nA word. Related to Alû.",
        "Azul\nA tournament.",
    }
    (asked,) = sample.questions
    assert (asked.id, asked.category) == ("5a77", "bridge")
    assert asked.key == Key(evidence=("p0", "p1"), answers=("a spirit",))


def test_2wiki_passages_are_told_apart_by_their_text_and_a_missing_one_is_said() -> None:
    found, missing = multihop.read("2wiki", *samples.two_wiki(), lambda asked: "all").questions
    assert (found.key.evidence, found.error) == (("p0", "p1"), None)
    assert (missing.key.evidence, missing.error) == ((), "not in the corpus: Polish film")
