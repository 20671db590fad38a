"""MaLP: dialogues become keyed facts; used ones move to long-term memory, the rest is flushed."""

import gzip
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.systems.malp import Params, keys_found, merged
from mnemic.testing import Asked, RuleLLM
from systems.imported import import_feedback

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
SHARED = Path(os.environ.get("MNEMIC_SHARED_DATA", "/work/shared/data")) / "malp"
Open = Callable[..., Memory]


def malp(memory: Memory, **parameters: Any) -> Memory:
    asked = memory.attach("malp", **parameters)
    memory.consolidate()
    return asked


def entries(memory: Memory, kind: str | None = None) -> dict[str, str]:
    """Current entries, kind by key."""
    found = memory.records(system="malp", kind=kind, include_retired=False)
    return {one.data["key"]: one.kind for one in found}


def doctor(*facts: dict[str, Any]) -> RuleLLM:
    """Notes every turn down, and sums each note up as a fact "first word: the whole"; or gives the facts told."""
    llm = RuleLLM("rules:doctor")
    llm.rule("notes", _notes)
    llm.rule("facts", lambda asked: {"facts": list(facts) or [_fact(one) for one in asked.data["notes"]]})
    return llm


def _notes(asked: Asked) -> dict[str, Any]:
    return {
        "notes": [
            {"text": one["text"], "type": "common" if one["speaker"] == "assistant" else "user", "turns": [one["turn"]]}
            for one in asked.data["turns"]
        ]
    }


def _fact(note: dict[str, Any]) -> dict[str, Any]:
    return {"key": note["text"].split()[0], "value": note["text"], "type": note["type"], "notes": [note["id"]]}


# -- rehearsal ------------------------------------------------------------------------------------------------


def test_a_dialogue_that_is_over_becomes_keyed_facts_of_both_types(open_memory: Open) -> None:
    memory = open_memory(llm=doctor())
    memory.add("Asthma troubles me at night", id="u", actor="Ann", session="a")
    memory.add("Salbutamol opens the airways", id="d", role="assistant", session="a")
    memory.add("Hello", session="b")
    malp(memory)
    made = {
        one.data["key"]: one
        for one in memory.records(system="malp", kind="short_term")
        if not one.data.get("provisional")
    }
    assert {key: (one.data["type"], one.data["user"], one.sources) for key, one in made.items()} == {
        "asthma": ("user", "Ann", ("u",)),
        "salbutamol": ("common", "", ("d",)),
    }
    assert made["asthma"].text == "asthma: Asthma troubles me at night"


def test_notes_are_summed_up_as_made_of_the_whole_dialogue_that_the_model_had_seen(open_memory: Open) -> None:
    llm = RuleLLM("rules:one turn")
    llm.rule("notes", {"notes": [{"text": "Ann has asthma and gout", "type": "user", "turns": [1]}]})
    llm.rule("facts", lambda asked: {"facts": [_fact(one) for one in asked.data["notes"]]})
    memory = open_memory(llm=llm)
    memory.add("I have asthma", actor="Ann", session="a")
    memory.add("and gout", id="second", actor="Ann", session="a")
    malp(memory)
    assert memory.forget("second").answers == 2  # what was noted of both turns, and what was made of the note


def test_until_a_dialogue_is_over_it_is_recalled_as_it_was_said(memory: Memory) -> None:
    asked = malp(memory)
    memory.add("My asthma troubles me at night", id="u", session="a")
    assert [(hit.kind, hit.id) for hit in asked.search("asthma")] == [("episode", "u")]
    memory.add("Hello", id="h", session="b")
    assert {hit.kind for hit in asked.search("asthma") if "asthma" in hit.text} == {"short_term"}


def test_without_a_model_users_own_what_they_state_and_assistants_state_common_sense(memory: Memory) -> None:
    memory.add("I have had asthma for ten years.", actor="Ann", session="a")
    memory.add("Salbutamol relaxes the muscles of the airways.", role="assistant", session="a")
    memory.add("Hello", session="b")
    malp(memory)
    made = memory.records(system="malp", kind="short_term")
    assert sorted((one.data["type"], one.data["user"], one.data["by"]) for one in made) == [
        ("common", "", "offline"),
        ("user", "Ann", "offline"),
    ]


def keyed_diet() -> RuleLLM:
    """Sums up every note under the key "diet"."""
    llm = RuleLLM("rules:diet")
    llm.rule("notes", _notes)
    llm.rule("facts", lambda asked: {"facts": [{**_fact(one), "key": "diet"} for one in asked.data["notes"]]})
    return llm


def diet(memory: Memory) -> tuple[str, tuple[str, ...]]:
    """What the entry of that key says, and on which episodes it stands."""
    every = memory.records(system="malp", include_retired=False)
    found = [one for one in every if (one.data["user"], one.data["key"]) == ("Ann", "diet")]
    (one,) = [one for one in found if not one.data.get("provisional")]
    return one.text, one.sources


def test_a_key_that_is_there_already_keeps_what_nothing_contradicts(open_memory: Open) -> None:
    memory = open_memory(llm=keyed_diet())
    memory.add("Ann avoids milk.", id="milk", actor="Ann", session="a")
    memory.add("Ann loves fish.", id="fish", actor="Ann", session="b")
    memory.add("Ann hates fish.", id="changed", actor="Ann", session="c")
    malp(memory)
    assert diet(memory) == ("diet: Ann avoids milk. Ann loves fish.", ("milk", "fish"))
    memory.add("Hello", role="assistant", session="d")
    memory.consolidate()
    assert diet(memory) == ("diet: Ann avoids milk. Ann hates fish.", ("milk", "changed"))


def test_what_was_corrected_leaves_its_entry_with_the_next_dialogue(open_memory: Open) -> None:
    memory = open_memory(llm=keyed_diet())
    memory.add("Ann avoids milk.", id="milk", actor="Ann", session="a")
    memory.add("Ann loves fish.", id="fish", actor="Ann", session="b")
    memory.add("Hello", role="assistant", session="c")
    malp(memory)
    assert diet(memory)[1] == ("milk", "fish")
    new = memory.update("milk", "Ann avoids eggs.")
    memory.add("Hello", role="assistant", session="d")
    memory.consolidate()
    text, sources = diet(memory)
    assert "milk" not in text
    assert set(sources) == {"fish", new.id}


def test_what_was_corrected_before_its_dialogue_was_over_is_not_learnt(memory: Memory) -> None:
    memory.add("Asthma: at night", id="wrong", session="a")
    memory.update("wrong", "Gout: in the toe")
    memory.add("Hello", session="b")
    malp(memory)
    assert "asthma" not in entries(memory)
    assert entries(memory)["gout"] == "short_term"


@given(
    st.lists(
        st.sampled_from(["Ann lives in Rome.", "Ann lives in Oslo.", "Ann has a dog.", "Bo has a cat."]), max_size=8
    )
)
def test_the_statements_of_an_entry_are_distinct_and_end_with_the_newest(told: list[str]) -> None:
    stated: list[str] = []
    for one in told:
        stated = merged(stated, one)
        assert one in stated
    assert len(set(stated)) == len(stated)
    assert len([one for one in stated if one.startswith("Ann lives")]) <= 1


@pytest.mark.parametrize(
    "fact",
    [
        {"key": "", "value": "x is so", "notes": ["0"]},
        {"key": "x", "value": " … ", "notes": ["0"]},
        {"key": "x", "value": "x is so", "notes": ["17"]},
        {"key": "x", "value": "x is so", "notes": []},
        {"key": "x", "value": "of Ann and of Bo", "notes": ["0", "1"]},
    ],
    ids=["no key", "no value", "an unknown note", "no note", "two users"],
)
def test_facts_that_are_none_are_passed_over(open_memory: Open, fact: dict[str, Any]) -> None:
    memory = open_memory(llm=doctor(fact))
    memory.add("Asthma troubles me", actor="Ann", session="a")
    memory.add("Gout troubles me", actor="Bo", session="a")
    memory.add("Hello", session="b")
    malp(memory)
    assert [one.text for one in memory.records(system="malp") if not one.data.get("provisional")] == []


# -- execution ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("at_once", [True, False])
def test_an_entry_is_promoted_at_exactly_the_nth_use(memory: Memory, n: int, at_once: bool) -> None:
    memory.add("Asthma: at night", session="a")
    memory.add("Hello", session="b")
    malp(memory, promote_at=n)
    (entry,) = [one for one in memory.records(system="malp", kind="short_term") if one.data["key"] == "asthma"]
    kinds = [entries(memory)["asthma"]]
    for use in range(n + 1):
        memory.feedback(entry.id, "used", occurred_at=START + timedelta(hours=use))
        if not at_once:
            kinds.append(entries(memory)["asthma"])
    promoted = memory.records(system="malp", kind="long_term")
    assert [(len(one.sources), one.data["previous"]) for one in promoted] == [(1 + n, entry.id)]
    assert at_once or kinds == ["short_term"] * n + ["long_term"] * 2


def test_what_comes_up_again_in_later_dialogues_is_used(memory: Memory) -> None:
    kinds = []
    malp(memory, promote_at=2)
    for at, text in enumerate(
        ["Asthma: at night", "Asthma: at night", "Sleep: eight hours", "Asthma: in spring", "bye"]
    ):
        memory.add([text, text], session=f"s{at}")
        memory.consolidate()
        kinds.append({one.kind for one in memory.records(system="malp") if one.data["key"] == "asthma"})
    assert kinds[:4] == [{"short_term"}] * 4  # the last telling is of a dialogue that is not over
    assert entries(memory)["asthma"] == "long_term"
    (entry,) = memory.records(system="malp", kind="long_term")
    assert "in spring" in entry.text
    (first, again, third) = [one.id for one in memory.list() if one.text.startswith("Asthma")][::2]
    assert first not in entry.sources
    assert {again, third} <= set(entry.sources)


def test_what_did_not_help_is_no_use(memory: Memory) -> None:
    memory.add("Asthma: at night", session="a")
    memory.add("Hello", session="b")
    malp(memory, promote_at=1)
    entry = next(one for one in memory.records(system="malp") if one.data["key"] == "asthma")
    memory.feedback(entry.id, "unhelpful")
    import_feedback(memory, "somebody-else", "used")
    assert entries(memory)["asthma"] == "short_term"


def test_uses_of_an_earlier_version_of_an_entry_count(memory: Memory) -> None:
    memory.add("Diet: no milk", session="a")
    memory.add("Hello", session="b")
    asked = malp(memory, promote_at=3)
    first = next(one for one in memory.records(system="malp") if one.data["key"] == "diet")
    memory.feedback(first.id, "used")
    memory.add("Diet: much fish", session="c")  # which is a use as well
    memory.add("Hello again", session="d")
    assert entries(memory)["diet"] == "short_term"
    memory.feedback(
        next(hit.id for hit in asked.search("diet") if hit.record and hit.record.data["key"] == "diet"), "helpful"
    )
    assert entries(memory)["diet"] == "long_term"


def test_a_flush_ends_what_was_not_promoted_and_keeps_long_term_memory(memory: Memory, clock: ManualClock) -> None:
    memory.add(["Asthma: at night", "Gout: in the toe"], session="s1")
    memory.add("Diet: no milk", session="s2")
    asked = malp(memory, promote_at=1, flush_every=3)
    asthma = next(one for one in memory.records(system="malp") if one.data["key"] == "asthma")
    memory.feedback(asthma.id, "used")
    then = clock.now()
    clock.advance(timedelta(minutes=5))
    memory.add("Sleep: eight hours", session="s3")
    memory.add("bye", session="s4")  # the third session is over
    assert entries(memory) == {"asthma": "long_term", "sleep": "short_term"}
    assert [hit.text for hit in asked.search("gout") if "toe" in hit.text] == []
    assert any("in the toe" in hit.text for hit in asked.search("gout", as_of=then))
    assert len(memory.list()) == 6


# -- recall ---------------------------------------------------------------------------------------------------


def test_a_key_with_a_typing_error_is_still_found_and_one_beyond_the_distance_is_not(memory: Memory) -> None:
    memory.add("Bronchial asthma: worse at night", id="a", session="a")
    memory.add("Hello", session="b")
    asked = malp(memory)

    def by_key(query: str) -> list[str]:
        return [
            hit.reasons[0].note.split(",")[1].strip() for hit in asked.search(query) if hit.reasons[0].signal == "key"
        ]

    assert by_key("bronchial asthma") == ["0 edits"]
    assert by_key("bronchail astma") == ["3 edits"]
    assert by_key("bronkeal asmer") == []
    assert asked.search("bronchial asthma")[0].score == 1.0


@pytest.mark.parametrize(("edits", "is_found"), [(5, True), (6, False)])
def test_fewer_than_six_edits_are_forgiven(edits: int, is_found: bool) -> None:
    key = "chronic obstructive pulmonary disease"
    asked = "#" * edits + key[edits:]
    assert bool(keys_found(asked, [key], Params())) == is_found


def test_the_edits_that_are_forgiven_are_bounded_by_a_share_of_the_key() -> None:
    assert keys_found("gout", ["acne"], Params()) == {}
    assert keys_found("gout", ["acne"], Params(most_share=1.0)) == {
        "acne": (0.0, 4)
    }  # as the code's bound alone would have it
    long = "chronic obstructive pulmonary disease"
    assert keys_found(long.replace("o", "0"), [long], Params()) == {long: (1 - 3 / len(long), 3)}


@given(key=st.text("abcdef ", min_size=3, max_size=30), asked=st.text("abcdef ", min_size=3, max_size=30))
def test_a_key_is_found_only_within_both_bounds(key: str, asked: str) -> None:
    params = Params(most_edits=4, most_share=0.3)
    for found, (likeness, edits) in keys_found(asked, [key], params).items():
        assert found == key
        assert edits <= 4
        assert 0.7 - 1e-9 <= likeness <= 1.0


def test_what_no_key_finds_is_found_by_meaning(memory: Memory) -> None:
    memory.add("Asthma: worse at night after cleaning the stable", session="a")
    memory.add("Hello", session="b")
    (hit, *_) = malp(memory).search("what happens when I am cleaning the stable")
    assert (hit.reasons[0].signal, hit.record and hit.record.data["key"]) == ("meaning", "asthma")


def test_how_a_user_wants_to_be_answered_is_among_the_hits_of_any_cue(memory: Memory) -> None:
    memory.add("Please give me short answers.", actor="Ann", session="a")
    memory.add("Hello", session="b")
    hits = [hit for hit in malp(memory).search("violin strings") if hit.kind == "short_term"]
    assert [hit.text for hit in hits] == ["dialogue preference: Ann prefers short answers."]


def test_what_is_specific_to_a_user_never_reaches_another(memory: Memory) -> None:
    for user in ("ann", "bo"):
        own = memory.scope(user)
        own.add(f"Asthma: {user}'s secret", actor=user, session="a")
        own.add("Hello", session="b")
        malp(own, promote_at=1)
    entry = next(one for one in memory.scope("ann").records(system="malp") if one.data["key"] == "asthma")
    import_feedback(memory.scope("bo"), entry.id, "used")  # of another's entry
    for user, other in (("ann", "bo"), ("bo", "ann")):
        hits = memory.scope(user).system("malp").search("asthma")
        assert any(user in hit.text for hit in hits)
        assert not any(f"{other}'s secret" in hit.text for hit in hits)
        assert entries(memory.scope(user))["asthma"] == "short_term"


def test_in_one_scope_the_same_key_of_two_users_is_two_entries(memory: Memory) -> None:
    memory.add("Asthma: at night", actor="Ann", session="a")
    memory.add("Asthma: in spring", actor="Bo", session="a")
    memory.add("Hello", session="b")
    asked = malp(memory)
    found = asked.search("asthma", filters={"actor_id": "Bo"})
    assert [(hit.record and hit.record.data["user"], "spring" in hit.text) for hit in found] == [("Bo", True)]


@pytest.mark.parametrize("bad", [{"promote_at": 0}, {"flush_every": -1}, {"most_share": 1.5}, {"most_edits": -1}])
def test_parameters_out_of_range_are_refused(memory: Memory, bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        memory.attach("malp", **bad)


# -- the paper's own data -------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.exists(), reason="the MaLP dialogues are not on this machine")
def test_the_papers_own_dialogues_are_learnt_and_found_again(memory: Memory) -> None:
    dialogues = json.loads(gzip.decompress((SHARED / "dialogues2_cleaned.json.gz").read_bytes()))
    said = 0
    for number, dialogue in enumerate(dialogues[:8]):
        for turn in dialogue:
            for role, text in next(iter(turn.values())).items():
                if text.strip(' "'):
                    memory.add(text.strip(' "'), role=role.lower(), session=f"d{number}")
                    said += 1
    asked = malp(memory)
    made = memory.records(system="malp", limit=5000)
    assert {one.data["type"] for one in made} == {"common", "user"}
    assert all(one.sources and one.text for one in made)
    hits = asked.search("What did my endoscopy show about the ulcer and the scars?")
    assert any("scars" in hit.text for hit in hits)
