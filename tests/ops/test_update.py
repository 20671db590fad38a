"""What a new statement does to an old one, and what is decided from it."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ops.scripted_asks import INJECTION, OFFLINE, START, Scripted, is_only_data, record

from mnemic.ops.claims import claims_in
from mnemic.ops.extract import Fact
from mnemic.ops.update import Change, Validity, decide, relation, superseded

PAIRS = {
    "updates": [
        ("I live in Paris", "I moved to Rome"),
        ("Ann lives in Paris", "Ann moved to Rome last week"),
        ("The user lives in Paris.", "The user has moved from Paris to Rome."),
        ("favourite colour: blue", "favourite colour: green"),
        ("budget: $500", "budget: $650"),
        ("The user's favourite colour is blue", "The user's favorite color is green"),
        ("My sister's dog is called Max", "My sister's dog is called Rex now"),
        ("My sister has a dog called Max", "My sister's dog is called Rex now"),
        ("Ann works at Google", "Ann works at Microsoft"),
        ("Ann works for Google as an engineer", "Ann started a new job at Bosch"),
        ("Ann is single", "Ann got married to Bo"),
        ("Ann is engaged to Bo", "Ann is married to Bo"),
        ("The meeting is at 3 pm", "The meeting is at 5 pm"),
        ("The meeting is on Monday", "The meeting was moved to Friday"),
        ("The meeting is on Monday", "The meeting is on Friday now"),
        ("Ann has two cats", "Ann has three cats"),
        ("Ann is 30 years old", "Ann turned 31"),
        ("Ann's phone number is 555-1234", "Ann's phone number is 555-9999"),
        ("Name is John", "Name is Johnny"),
        ("The wifi password is hunter2", "The wifi password is swordfish"),
        ("Ann is vegetarian", "Ann is vegan now"),
        ("Ann drives a Honda", "Ann drives a Tesla"),
        ("Ann's job is nurse", "Ann became a doctor"),
        ("Ann is a nurse", "Ann works as a doctor"),
        ("Ann wakes up at 7", "Ann wakes up at 6 now"),
        ("The shop is open", "The shop is closed"),
        ("Ann's goal is to run 5 km", "Ann's goal is to run 10 km"),
        ("Ann uses Vim", "Ann now uses Emacs"),
        ("Ann uses Vim", "Ann switched from Vim to Emacs"),
        ("Ann's password is abc", "Ann changed her password to xyz"),
        ("The deadline is March 3", "The deadline is March 10"),
        ("status: open", "status: closed"),
        ("Ann's boss is Carl", "Ann's boss is Dora"),
        ("User's city: Paris", "User's city: Berlin"),
        ("The capital of Foo is Bar", "The capital of Foo is Baz"),
        ("The user's daughter goes to Lincoln Elementary", "The user's daughter now goes to Oak Middle School"),
        ("Rent: 900", "Rent: 1100"),
        ("My personal best in the 5K is 27:45", "My personal best in the 5K is 25:50"),
        ("I have 12 postcards in my collection", "I have 25 postcards in my collection"),
        ("The user's flight is on Tuesday", "The user's flight was rescheduled to Thursday"),
        ("Bo lives in Oslo", "Bo relocated to Bergen"),
        ("I'm based in Lyon", "I just moved to Nice"),
        ("Carol is dating Dan", "Carol is single"),
        ("My email is a@b.com", "My email is c@d.org"),
        ("I work as a waiter", "I became a chef"),
        ("My favourite film is Alien", "My favourite film is now Heat"),
        ("Project status: in progress", "Project status: done"),
        ("The standup starts at 9:00", "The standup starts at 9:30"),
        ("I weigh 80 kg", "I weigh 76 kg"),
        ("Our team lead is Priya", "Our team lead is Tom"),
        ("Max retries is 3", "Max retries is 5"),
        ("My son is 5", "My son is 6"),
        ("I take yoga classes twice a week", "I take yoga classes three times a week"),
        ("I'm reading Dune", "I'm now reading Emma"),
        ("Ann's therapist is Dr. Lee", "Ann's new therapist is Dr. Kim"),
    ],
    "contradicts": [
        ("Ann loves cheese pizza", "Ann dislikes cheese pizza"),
        ("Loves cheese pizza", "Dislikes cheese pizza"),
        ("Ann likes tea", "Ann does not like tea any more"),
        ("Ann likes tea", "Ann doesn't like tea"),
        ("Ann likes tea", "Ann no longer likes tea"),
        ("Ann has a dog", "Ann doesn't have a dog"),
        ("Ann plays tennis", "Ann stopped playing tennis"),
        ("Ann smokes", "Ann quit smoking"),
        ("Ann drinks coffee every morning", "Ann gave up coffee"),
        ("Ann has a car", "Ann sold her car"),
        ("Ann works at Google", "Ann left Google"),
        ("Ann works at Google", "Ann no longer works at Google"),
        ("Ann works at Google", "Ann quit her job at Google"),
        ("Ann hates jazz", "Ann loves jazz now"),
        ("Ann is a fan of horror films", "Ann hates horror films"),
        ("Ann is allergic to nuts", "Ann is not allergic to nuts"),
        ("Ann eats meat", "Ann doesn't eat meat"),
        ("I can't stand crowds", "I like crowds"),
        ("I enjoy running", "I hate running now"),
        ("I'm a vegetarian", "I'm not vegetarian any more"),
        ("I have a subscription to Netflix", "I cancelled my Netflix subscription"),
        ("I play the guitar", "I don't play the guitar anymore"),
        ("I am learning Spanish", "I stopped learning Spanish"),
        ("The user eats dairy", "The user has stopped eating dairy"),
        ("I want to visit Japan", "I no longer want to visit Japan"),
        ("Ann and Bo are friends", "Ann and Bo are no longer friends"),
    ],
    "resolved": [
        ("Ann has a cold", "Ann's cold is gone"),
        ("Ann has a cold", "The cold is gone"),
        ("Ann is sick", "Ann is feeling better"),
        ("I have a headache", "My headache is gone"),
        ("Ann has the flu", "Ann recovered from the flu"),
        ("Ann has a broken arm", "Ann's arm has healed"),
        ("Ann is looking for an apartment", "Ann found an apartment"),
        ("The printer has a problem", "The problem with the printer is fixed"),
        ("I have a sore throat", "My sore throat is gone"),
        ("I am worried about the exam", "The exam is over"),
        ("My knee is injured", "My knee has healed"),
        ("I'm waiting for my passport", "My passport arrived"),
    ],
    "refines": [
        ("likes cricket", "loves cricket with friends"),
        ("Ann has a dog", "Ann has a brown dog called Max"),
        ("Ann lives in Paris", "Ann lives in Paris with her sister"),
        ("Ann went to Rome", "Ann went to Rome with Bo in May"),
        ("I have a dog", "I have a dog named Rex"),
        ("I like tea", "I like green tea with honey"),
        ("I work at Google", "I work at Google as a designer"),
    ],
    "same": [
        ("Ann likes tea", "Ann likes tea."),
        ("Ann likes green tea with milk", "Ann likes green tea"),
        ("Ann lives in Paris", "Ann lives in Paris"),
        ("Ann moved to Rome", "Ann lives in Rome"),
        ("I work at Google as a designer", "I work at Google"),
        ("I love hiking", "I really love hiking"),
    ],
    "unrelated": [
        ("Ann loves pizza", "Ann also loves burgers"),
        ("Ann loves pizza", "Ann loves burgers"),
        ("Ann lives in Paris", "Bo moved to Rome"),
        ("Ann's sister lives in Paris", "Ann moved to Rome"),
        ("Ann has a dog", "Ann also has a cat"),
        ("Ann has a dog", "Ann has a cat"),
        ("Ann went to Rome", "Ann went to Paris"),
        ("Ann ran 5 km on Monday", "Ann ran 10 km on Tuesday"),
        ("favourite colour: blue", "favourite food: pasta"),
        ("Ann's favourite colour is blue", "Ann's favourite food is pasta"),
        ("Ann works at Google", "Ann lives in Rome"),
        ("The movie was great", "The movie was long"),
        ("Ann is a runner", "Ann is a mother"),
        ("Ann's house is big", "Ann's house is old"),
        ("Ann wants to visit Japan", "Ann wants to visit Peru"),
        ("Ann likes tea", "Bo does not like tea"),
        ("Ann has a cold", "Ann's sister's cold is gone"),
        ("Ann lives in Paris", "Ann wants to move to Rome"),
        ("Ann is happy", "Ann is tired"),
        ("Ann bought a lamp", "Ann bought a rug"),
        ("Ann painted a sunset", "Ann painted a lake"),
        ("Ann is allergic to nuts", "Ann is allergic to milk"),
        ("Ann speaks French", "Ann speaks German"),
        ("Ann loves tea", "Ann hates coffee"),
        ("Ann stopped eating meat", "Ann stopped drinking coffee"),
        ("Ann's friends are Bo and Cy", "Ann's friends are kind"),
        ("The meeting is at 3 pm", "The party is at 5 pm"),
        ("Ann has a headache", "Ann found a new apartment"),
        ("I live in Paris", "I visited Rome"),
        ("I live in Paris", "I love Rome"),
        ("My brother works at IBM", "I work at Google"),
        ("My dog is called Max", "My cat is called Rex"),
        ("I read Dune", "I read Emma"),
        ("I went hiking last week", "I went swimming last week"),
        ("I met Bo in 2020", "I met Cy in 2021"),
        ("My mother is a nurse", "My father is a teacher"),
        ("I have a meeting on Monday", "I have a meeting on Friday"),
        ("I like hiking", "I like swimming"),
        ("I am proud of my son", "I am worried about the exam"),
        ("The food was great", "The food was cheap"),
        ("Paris is in France", "Rome is in Italy"),
        ("host: a.example", "port: 80"),
        ("I ate 2 apples", "I ate 3 pears"),
    ],
}


@pytest.mark.parametrize(
    ("kind", "old", "new"), [(kind, old, new) for kind, pairs in PAIRS.items() for old, new in pairs]
)
def test_a_new_statement_is_told_by_what_it_does_to_the_old_one(kind: str, old: str, new: str) -> None:
    assert relation(old, new) == kind


@pytest.mark.parametrize(("old", "new"), [pair for pairs in PAIRS.values() for pair in pairs])
def test_saying_a_thing_again_is_the_same(old: str, new: str) -> None:
    assert relation(old, old) == relation(new, new + ".") == "same"


def test_also_never_speaks_against_what_was_said() -> None:
    for old, new in PAIRS["updates"]:
        also = new.rstrip(".") + " as well"
        if claims_in(also):
            assert relation(old, also) not in ("contradicts", "updates") or "from" in new, (old, also)


def test_likeness_lets_a_present_state_be_updated_and_nothing_that_happened() -> None:
    assert relation("Ann uses Vim", "Ann uses Emacs") == "unrelated"
    assert relation("Ann uses Vim", "Ann uses Emacs", similarity=0.85) == "updates"
    assert relation("Ann went to Rome", "Ann went to Paris", similarity=0.95) == "unrelated"
    assert relation("Ann loves pizza", "Ann loves burgers", similarity=0.95) == "unrelated"


def test_a_date_behind_a_relative_time_is_no_part_of_the_value() -> None:
    assert relation("Ann moved to Rome last year (2022)", "Ann moved to Rome last year (2022).") == "same"
    assert relation("Ann lives in Paris", "Ann moved to Rome yesterday (2023-05-07)") == "updates"


# -- decisions by rule ------------------------------------------------------------------------------------


def fact(text: str, at: int = 1) -> Fact:
    return Fact(text, (f"n{at}",), "user", START + timedelta(days=at))


def told(changes: list[Change]) -> list[tuple[str, str, str | None]]:
    return [(one.event, one.text, one.old_id) for one in changes]


def test_news_is_added_the_known_is_not_and_more_of_the_same_replaces_it() -> None:
    old = [record("Likes cricket", 1), record("Name is John", 2)]
    new = [fact("Loves cricket with friends"), fact("Name is John"), fact("Plays the flute")]
    assert decide(new, old, OFFLINE) == [
        Change("update", "Loves cricket with friends", "r1", 0, "refines"),
        Change("none", "Name is John", "r2", 1, "same"),
        Change("add", "Plays the flute", None, 2),
    ]


def test_another_value_replaces_the_old_one_under_its_id() -> None:
    old = [record("Ann has a dog", 1), record("Ann lives in Paris", 2)]
    assert told(decide([fact("Ann moved to Rome")], old, OFFLINE)) == [("update", "Ann moved to Rome", "r2")]


def test_a_contradiction_deletes_the_old_statement_and_adds_the_new_one() -> None:
    assert told(decide([fact("Dislikes cheese pizza")], [record("Loves cheese pizza")], OFFLINE)) == [
        ("delete", "Loves cheese pizza", "r1"),
        ("add", "Dislikes cheese pizza", None),
    ]


def test_of_several_old_values_one_is_replaced_and_the_others_are_deleted() -> None:
    old = [record("Ann lives in Paris", 1), record("Ann lives in Lyon", 2)]
    assert told(decide([fact("Ann moved to Rome")], old, OFFLINE)) == [
        ("delete", "Ann lives in Lyon", "r2"),
        ("update", "Ann moved to Rome", "r1"),
    ]
    likest = decide([fact("Ann moved to Rome")], old, OFFLINE, similarity=[[0.2, 0.7]])
    assert ("update", "Ann moved to Rome", "r2") in told(likest)


def test_a_stream_of_values_leaves_the_last_one() -> None:
    values = [fact(f"budget: ${amount}", at) for at, amount in enumerate((500, 650, 650, 700))]
    assert told(decide(values, [], OFFLINE)) == [("add", "budget: $700", None), ("none", "budget: $650", None)]
    assert told(decide(values, [record("budget: $400")], OFFLINE))[0] == ("update", "budget: $700", "r1")


def test_a_later_fact_of_a_batch_takes_back_an_earlier_one() -> None:
    new = [fact("Ann has a cold"), fact("Ann's cold is gone")]
    assert told(decide(new, [], OFFLINE)) == [("add", "Ann's cold is gone", None)]


def test_nothing_new_decides_nothing_and_asks_nothing() -> None:
    ask = Scripted([{}])
    assert decide([], [record("Ann lives in Paris")], ask) == []
    assert ask.prompts == []


# -- decisions by a model ---------------------------------------------------------------------------------

OLD = [record("likes cricket", 1), record("loves cheese pizza", 2), record("Name is John", 3)]


def test_a_models_decisions_are_taken_by_the_numbers_it_was_shown() -> None:
    new = [fact("loves cricket with friends", 1), fact("dislikes cheese pizza", 2), fact("plays chess", 3)]
    ask = Scripted(
        [
            {
                "memory": [
                    {"event": "ADD", "text": "plays chess"},
                    {"event": "UPDATE", "id": "0", "text": "loves cricket with friends", "fact": 0},
                    {"event": "delete", "id": "1", "text": "", "fact": 1},
                    {"event": "NONE", "id": "2"},
                ]
            }
        ]
    )
    assert decide(new, OLD, ask) == [
        Change("update", "loves cricket with friends", "r1", 0),
        Change("delete", "loves cheese pizza", "r2", 1),
        Change("add", "plays chess", None, 2),
        Change("none", "", "r3", None),
    ]
    assert ask.prompts[0].sources == ("e1", "e2", "e3", "n1", "n2", "n3")


def test_invented_ids_empty_texts_and_unknown_events_change_nothing() -> None:
    odd = [
        {"event": "UPDATE", "id": "7", "text": "x"},
        {"event": "DELETE", "id": "r1"},
        {"event": "DELETE"},
        {"event": "ADD", "text": "  "},
        {"event": "ADD", "text": "?!"},
        {"event": "UPDATE", "id": "0", "text": ""},
        {"event": "DROP TABLE", "id": "0", "text": "x"},
        {"event": "NONE", "id": "-1", "fact": 9},
        {},
    ]
    assert decide([fact("a fact"), fact("another")], OLD, Scripted([{"memory": odd}])) == []


def test_a_record_is_changed_once_and_a_fact_added_once() -> None:
    twice = [
        {"event": "UPDATE", "id": "0", "text": "one", "fact": 0},
        {"event": "DELETE", "id": "0", "fact": 0},
        {"event": "ADD", "text": "new", "fact": 1},
        {"event": "ADD", "text": "new again", "fact": 1},
    ]
    assert told(decide([fact("one"), fact("new")], OLD, Scripted([{"memory": twice}]))) == [
        ("update", "one", "r1"),
        ("add", "new", None),
    ]


def test_an_update_that_says_the_same_is_none() -> None:
    answer = {"memory": [{"event": "UPDATE", "id": "0", "text": "Likes cricket."}]}
    assert decide([fact("likes cricket")], OLD, Scripted([answer])) == [Change("none", "Likes cricket.", "r1", 0)]


def test_old_and_new_statements_are_data_in_the_prompt() -> None:
    ask = Scripted([{}, {}])
    decide([fact(INJECTION)], OLD, ask)
    decide([fact("a fact")], [record(INJECTION)], ask)
    assert all(is_only_data(prompt) for prompt in ask.prompts)
    assert "r1" not in ask.prompts[0].messages()[1].content


# -- validity ---------------------------------------------------------------------------------------------


def test_a_statement_holds_until_the_one_that_supersedes_it_was_said() -> None:
    later = START + timedelta(days=3)
    old = superseded(record("Ann lives in Paris", valid_from=START), later)
    held = Validity(old.valid_from, old.valid_to)
    assert (held.holds_at(START), held.holds_at(later - timedelta(seconds=1)), held.holds_at(later)) == (
        True,
        True,
        False,
    )


def test_what_was_said_later_is_not_ended_by_what_was_said_before_it() -> None:
    old = record("Ann lives in Paris", valid_from=START)
    assert superseded(old, START - timedelta(days=1)) == old


def test_validity_only_ever_shrinks_and_never_ends_before_it_begins() -> None:
    early, late = START - timedelta(days=1), START + timedelta(days=9)
    assert Validity(START, START + timedelta(days=1)).ended(late).valid_to == START + timedelta(days=1)
    assert Validity(START).ended(early) == Validity(START, START)
    assert Validity().holds_at(early)


# -- any text ---------------------------------------------------------------------------------------------

WORDS = "Ann I my sister's dog is was not no longer lives in Paris moved to from Rome has two a cat called Rex now also : = 5 pm 's ' . , and but likes hates stopped smoking gave up the over"
TEXTS = st.one_of(st.text(max_size=120), st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join))


@given(TEXTS, TEXTS, st.sampled_from([None, 0.0, 0.99]))
@settings(max_examples=200, deadline=None)
def test_no_two_texts_are_too_strange(old: str, new: str, similarity: float | None) -> None:
    first = relation(old, new, similarity=similarity)
    assert first == relation(old, new, similarity=similarity)
    assert relation(old, old) == "same"


@given(st.lists(TEXTS, max_size=5), st.lists(TEXTS, max_size=4))
@settings(max_examples=60, deadline=None)
def test_decisions_name_each_old_record_once_and_only_old_records(new: list[str], old: list[str]) -> None:
    records = [record(text, at) for at, text in enumerate(old)]
    changes = decide([fact(text, at) for at, text in enumerate(new)], records, OFFLINE)
    touched = [one.old_id for one in changes if one.event in ("update", "delete")]
    assert len(touched) == len(set(touched))
    assert set(touched) <= {one.id for one in records}
