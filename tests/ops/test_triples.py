"""Triples and entities from text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ops.scripted_asks import INJECTION, OFFLINE, Scripted, episode, is_only_data, talk

from mnemic.ops.statements import clauses, statement_in
from mnemic.ops.triples import Entity, Triple, entities_in, extract_triples, normal_name, triples_in


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("Ann moved to Porto.", ("Ann", "moved to", "Porto")),
        ("Ann's dog is called Rex.", ("Ann", "dog", "Rex")),
        ("Ann's favourite colour is blue.", ("Ann", "favourite colour", "blue")),
        ("Ann's sister's dog is Rex.", ("Ann's sister", "dog", "Rex")),
        ("The capital of France is Paris.", ("France", "capital", "Paris")),
        ("favourite colour: blue", ("favourite colour", "is", "blue")),
        ("The meeting is at 5 pm.", ("meeting", "is at", "5 pm")),
        ("The user no longer likes tea.", ("user", "no longer likes", "tea")),
        ("Ann has been living in Oslo since 2016.", ("Ann", "has been living in", "Oslo since 2016")),
        ("In 2020, Ann bought a house.", ("Ann", "bought", "house")),
        ("Dr. Anna O'Neil works at New York University.", ("Dr. Anna O'Neil", "works at", "New York University")),
        ("Ann and Bo live in Rome.", ("Ann and Bo", "live in", "Rome")),
        ("Ann wants to visit Japan.", ("Ann", "wants to visit", "Japan")),
    ],
)
def test_a_plain_sentence_is_subject_relation_and_object(sentence: str, parts: tuple[str, str, str]) -> None:
    assert [(one.subject, one.relation, one.object) for one in triples_in(sentence)] == [parts]


@pytest.mark.parametrize(
    "sentence", ["", "Rex!", "It is cold.", "Does Ann like tea?", "because of the rain", "東京に住む"]
)
def test_what_states_nothing_of_anybody_gives_no_triple(sentence: str) -> None:
    assert triples_in(sentence) == []


def test_a_denial_is_marked() -> None:
    assert [one.is_negated for one in triples_in("Ann doesn't like tea and Ann loves cake.")] == [True, False]


def test_each_clause_has_its_own_triple_and_its_subject() -> None:
    assert clauses("Ann lives in Rome and works at Bosch, but Bo left the city") == [
        "Ann lives in Rome",
        "Ann works at Bosch",
        "Bo left the city",
    ]
    assert clauses("Ann likes cats and dogs") == ["Ann likes cats and dogs"]


def test_a_verb_group_keeps_its_preposition_and_its_adverbs_apart() -> None:
    said = statement_in("Ann's sister has recently moved to Porto again.")
    assert said is not None
    assert (said.subject, said.verb, said.preposition, said.object) == ("Ann's sister", "move", "to", "Porto")
    assert said.adverbs == ("recently", "again")


def test_offline_triples_are_of_the_facts_with_the_episodes_behind_them() -> None:
    said = talk("Ann: I moved to Porto. How are you?", "Bo: I love my job.", "Ann: I moved to Porto!")
    assert extract_triples(said, OFFLINE) == [
        Triple("Ann", "moved to", "Porto", ("e1", "e3")),
        Triple("Bo", "loves", "Bo's job", ("e2",)),
    ]


def test_a_text_gives_triples_with_the_sources_that_it_came_with() -> None:
    assert extract_triples("Ann lives in Oslo. Rex barks.", OFFLINE, sources=["e7"]) == [
        Triple("Ann", "lives in", "Oslo", ("e7",))
    ]
    assert extract_triples("  ", OFFLINE) == extract_triples([], OFFLINE) == []


def test_a_models_triples_are_checked() -> None:
    given = [
        {"subject": "Ann", "relation": "lives in", "object": " Porto ", "turns": [1]},
        {"subject": "ann", "relation": "Lives_in", "object": "Porto.", "turns": [2]},
        {"subject": "Ann", "relation": "", "object": "Porto", "turns": [1]},
        {"subject": "Ann", "relation": "owns", "object": "…", "turns": [1]},
        {"subject": "Ann", "relation": "owns", "object": "a dog", "turns": [12]},
        {"subject": "Ann", "relation": "owns", "object": "a cat"},
    ]
    assert extract_triples(talk("Ann: x", "Bo: y"), Scripted([{"triples": given}])) == [
        Triple("Ann", "lives in", "Porto", ("e1", "e2"), "llm"),
        Triple("Ann", "owns", "a cat", ("e1", "e2"), "llm"),
    ]


def test_system_messages_are_not_mined_and_text_is_only_data() -> None:
    ask = Scripted([{}, {}])
    assert extract_triples([episode("Ann lives in Oslo.", role="system")], ask) == []
    extract_triples(talk(f"Ann: {INJECTION}"), ask)
    extract_triples(INJECTION, ask)
    assert len(ask.prompts) == 2
    assert all(is_only_data(prompt) for prompt in ask.prompts)


def test_names_are_normal_without_case_articles_spaces_and_marks() -> None:
    same = ["The New York Times", "new_york  times.", " NEW YORK_TIMES "]
    assert {normal_name(name) for name in same} == {"new_york_times"}
    assert normal_name("...") == "..."
    assert normal_name("") == ""


def test_entities_are_names_with_a_guess_at_what_they_are_and_the_nouns_of_triples() -> None:
    found = entities_in("Ann works at Bosch. Ann visited Porto with Bo. Ann adopted a cat.")
    assert found == [
        Entity("Ann", "person"),
        Entity("Bosch", "organisation"),
        Entity("Porto", "place"),
        Entity("Bo", "person"),
        Entity("cat", "thing"),
    ]


@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    "Ann",
                    "'s",
                    "the",
                    "of",
                    "is",
                    "was",
                    "to",
                    "and",
                    ",",
                    ".",
                    "likes",
                    "Rex",
                    "no",
                    "longer",
                    ":",
                    '"',
                    "東京",
                ]
            ),
            max_size=15,
        ).map(" ".join),
    )
)
@settings(max_examples=200, deadline=None)
def test_no_text_is_too_strange(text: str) -> None:
    assert triples_in(text) == triples_in(text)
    assert entities_in(text) == entities_in(text)
    assert normal_name(normal_name(text)) == normal_name(text)
    for one in extract_triples(text, OFFLINE):
        assert one.subject
        assert one.relation
        assert one.object
