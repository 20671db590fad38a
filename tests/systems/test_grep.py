"""The rule of the grep baseline, and the random one's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import ParameterError
from mnemic.systems.grep import content_words, searches
from systems.worlds import WORDS, empty

LOG = ["green tea in the garden", "a walk in the garden", "tea again", "green paint for the door", "nothing of note"]


@pytest.fixture
def garden() -> Memory:
    with empty() as memory:
        memory.add(LOG)
        yield memory


def found(memory: Memory, query: str, **settings: object) -> list[str]:
    return [hit.text for hit in memory.system("grep").search(query, **settings)]


def test_two_words_at_once_come_before_one_and_the_rarest_search_before_the_others(garden: Memory) -> None:
    # "tea paint" finds nothing; of the single words "paint" stands in one line, "tea" in two
    assert found(garden, "tea or paint") == [LOG[3], LOG[0], LOG[2]]
    assert found(garden, "green tea") == [LOG[0], LOG[3], LOG[2]]


def test_the_lines_of_one_search_come_in_the_order_of_the_log_the_newest_last(garden: Memory) -> None:
    assert found(garden, "garden") == LOG[:2]


def test_a_word_is_found_inside_another_whatever_its_case(garden: Memory) -> None:
    assert found(garden, "PAIN") == [LOG[3]]


def test_a_word_that_stands_nowhere_is_tried_without_its_ending(garden: Memory) -> None:
    assert found(garden, "painting") == [LOG[3]]
    assert found(garden, "sculptures") == []


def test_what_is_grammar_alone_finds_nothing(garden: Memory) -> None:
    assert found(garden, "what is it that they were of?") == []


def test_a_speaker_is_part_of_the_line() -> None:
    with empty() as memory:
        memory.add("I climb hills", actor="Imke")
        memory.add("I climb trees", actor="Bob")
        assert found(memory, "What does Imke climb?") == ["I climb hills", "I climb trees"]
        assert found(memory, "Imke") == ["I climb hills"]


@given(query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join))
def test_every_search_of_more_words_finds_no_more_lines_than_each_of_its_words(query: str) -> None:
    lines = {0: "tea by the river in porto", 1: "anna has tea", 2: "coffee in march by the river", 3: "tea"}
    rows = {word: [row for row, line in lines.items() if word in line] for word in content_words(query)}
    made = list(searches({word: matching for word, matching in rows.items() if matching}))
    for words, matching in made:
        assert matching == [row for row, line in lines.items() if all(word in line for word in words)]
    sizes = [len(words) for words, _ in made]
    assert sizes == sorted(sizes, reverse=True)


def test_the_random_order_follows_from_the_cue_and_the_seed_alone(garden: Memory) -> None:
    asked = garden.system("random")
    first = [hit.text for hit in asked.search("tea")]
    assert sorted(first) == sorted(LOG)
    assert [hit.text for hit in asked.search("tea")] == first
    assert [[hit.text for hit in asked.search(f"tea {n}")] for n in range(5)] != [first] * 5
    garden.attach("random", seed=1)
    orders = [[hit.text for hit in asked.search(f"tea {n}")] for n in range(5)]
    garden.attach("random", seed=2)
    assert [[hit.text for hit in asked.search(f"tea {n}")] for n in range(5)] != orders
    with pytest.raises(ParameterError, match="whole number"):
        garden.attach("random", seed=0.5)
