"""The same thing said again is one hit that lists the others; another statement stays its own hit."""

from __future__ import annotations

import pytest

from mnemic import Memory


def hits(memory: Memory, query: str) -> list[tuple[str, set[str]]]:
    return [(hit.id, set(hit.duplicates)) for hit in memory.search(query)]


def test_what_was_said_several_times_is_one_hit_with_the_others_listed(memory: Memory) -> None:
    for id, text in (("a", "I like green tea."), ("b", "i like  GREEN tea"), ("c", "I like green tea!")):
        memory.add(text, id=id)
    memory.add("The river was high", id="other")
    [(id, others)] = [one for one in hits(memory, "green tea") if one[0] != "other"]
    assert {id, *others} == {"a", "b", "c"}


def test_nearly_the_same_words_are_one_hit(memory: Memory) -> None:
    text = "the violin that Anna bought in Porto last March came with an old brown case and two bows"
    memory.add(text, id="a")
    memory.add(f"{text} too", id="b")
    assert [{id, *others} for id, others in hits(memory, "violin")] == [{"a", "b"}]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the train to Porto leaves at 7 from the old station", "the train to Porto leaves at 8 from the old station"),
        ("I do like the tea that we had in the garden", "I don't like the tea that we had in the garden"),
        ("we will meet Bob at the river on Monday", "we will never meet Bob at the river on Monday"),
        ("Anna paid 3.5 euros for the tea in Porto", "Anna paid 35 euros for the tea in Porto"),
        ("we write it in C++ these days", "we write it in C these days"),
        (
            "my sister Anna lives in the old house by the river in Porto with her two cats and a very big dog",
            "my sister Emma lives in the old house by the river in Porto with her two cats and a very big dog",
        ),
    ],
)
def test_another_number_name_or_a_negation_makes_another_statement(memory: Memory, one: str, other: str) -> None:
    memory.add(one, id="one")
    memory.add(other, id="other")
    assert sorted(hits(memory, one)) == [("one", set()), ("other", set())]


def test_duplicates_do_not_take_the_places_of_other_hits(memory: Memory) -> None:
    for at in range(40):
        memory.add("green tea in the garden", id=f"same{at}")
    memory.add("green tea by the river", id="other")
    found = memory.search("green tea", limit=2)
    assert "other" in {hit.id for hit in found}
    assert sum(len(hit.duplicates) + 1 for hit in found) == 41


def test_a_hit_shows_its_duplicates_as_json(memory: Memory) -> None:
    ids = memory.add(["green tea", "green tea"]).ids
    [result] = memory.search("green tea")["results"]
    assert {result["id"], *result["duplicates"]} == set(ids)
