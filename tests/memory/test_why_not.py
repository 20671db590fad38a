"""Why an episode was not recalled: each reason, and that following the advice brings it in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mnemic import Memory
from mnemic.cli.main import app
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.systems.registry import SYSTEMS

DAYS = (
    "I moved to Porto in March.",
    "I bought a telescope.",
    "The door code is 8264.",
    "We ate grilled sardines by the river.",
    "My sister plays the cello.",
    "The dentist is on Monday.",
    "I bought a second telescope for the roof.",
    "The river was high after the rain.",
    "Nobody answered the door today.",
    "I play chess on Sundays.",
    "The cello needs new strings.",
    "It rained all of March.",
)
QUERIES = ("Where is the telescope?", "the door", "What happened in March?", "Who plays the cello?", "xyzzy")


def kinds(found: Any) -> list[str]:
    return [one.kind for one in found.obstacles]


def ids_in(recall: Any) -> set[str]:
    return {id for hit in recall for id in (hit.id, *hit.sources, *hit.duplicates)}


@pytest.fixture
def diary(memory: Memory, clock: ManualClock) -> Memory:
    """A day of invented life each day, in sessions of four."""
    for number, text in enumerate(DAYS):
        who = "Mara" if number % 2 else "Tobias"
        memory.add(
            text,
            actor=who,
            session=f"s{number // 4}",
            id=f"d{number}",
            metadata={"part": "early" if number < 6 else "late"},
        )
        clock.advance(timedelta(days=1))
    return memory


def test_what_was_recalled_has_its_rank_and_its_score(diary: Memory) -> None:
    recall = diary.search("Where is the telescope?")
    found = diary.why_not("Where is the telescope?", recall[2].id)
    assert (found.is_recalled, found.rank, found.score, found.remedy) == (True, 3, recall[2].score, {})
    assert "rank 3" in str(found)


def test_below_the_limit_it_has_its_rank_and_what_it_lacks_beside_the_last_hit(diary: Memory) -> None:
    ranked = [hit.id for hit in diary.search("Where is the telescope?", limit=12)]
    found = diary.why_not("Where is the telescope?", ranked[4], limit=2)
    assert (kinds(found), found.rank, found.remedy) == (["limit"], 5, {"limit": 5})
    assert found.score is not None
    assert found.last_score is not None
    assert found.score < found.last_score
    deficits = [one.deficit for one in found.lacks]
    assert deficits == sorted(deficits, reverse=True)
    assert sum(deficits) >= found.last_score - found.score - 1e-6  # what it has more of is not named
    assert "Its rank is 5" in str(found)
    assert "the last hit's is" in str(found)


def test_an_episode_is_known_by_its_exact_text_and_else_by_its_words(diary: Memory) -> None:
    exact = diary.why_not("the door", "i moved to  Porto in March")
    assert exact.episode is not None
    assert (exact.episode.id, exact.found_by, exact.similarity) == ("d0", "text", 1.0)
    near = diary.why_not("the door", "playing the cello, my sister")
    assert near.episode is not None
    assert (near.episode.id, near.found_by) == ("d4", "words")


def test_what_is_not_stored_is_said_with_the_nearest(diary: Memory) -> None:
    found = diary.why_not("the door", "Her brother repaired the old telescope in Berlin")
    assert (found.found_by, found.is_recalled, found.remedy) == ("nothing", False, None)
    assert found.episode is not None
    assert found.episode.id in ("d1", "d6")
    assert "Nothing like" in str(found)
    assert "telescope" in str(found)
    unheard = diary.why_not("the door", "quokka")
    assert (unheard.episode, str(unheard)) == (None, "Nothing like 'quokka' is stored here.")


def test_narrowing_arguments_are_named_and_dropping_them_brings_it_in(diary: Memory) -> None:
    for narrowed, kind in (
        ({"session": "s2"}, "session"),
        ({"run_id": "s2"}, "session"),
        ({"filters": {"run_id": "s2"}}, "session"),
        ({"since": "2024-05-06"}, "window"),
        ({"until": "2024-04-30"}, "window"),
        ({"as_of": "2024-04-30"}, "as_of"),
        ({"filters": {"part": "late"}}, "filters"),
        ({"filters": {"AND": [{"part": "late"}]}}, "filters"),
        ({"filters": {"part": "late", "actor": "Tobias"}}, "filters"),
    ):
        given: dict[str, Any] = {"limit": 12, **narrowed}
        found = diary.why_not("the door", "d2", **given)
        assert kinds(found) == [kind], narrowed
        assert found.remedy is not None
        assert "d2" in ids_in(diary.search("the door", **(given | found.remedy))), narrowed
    both = diary.why_not("the door", "d2", session="s2", since="2024-05-06", limit=1, filters={"part": "late"})
    assert kinds(both) == ["session", "window", "filters"]
    kept = diary.why_not("the door", "d2", filters={"part": "late", "actor": "Tobias"}).remedy
    assert kept == {"filters": {"actor": "Tobias"}}


def test_below_the_threshold(diary: Memory) -> None:
    found = diary.why_not("the door", "d2", threshold=0.99)
    assert (kinds(found), found.last_score) == (["threshold"], None)
    assert found.remedy is not None
    assert "d2" in ids_in(diary.search("the door", **found.remedy))


def test_a_correction_stands_instead_and_as_of_shows_what_it_corrected(diary: Memory, clock: ManualClock) -> None:
    clock.advance(timedelta(hours=1))
    new = diary.update("d2", "The door code is 9999.")
    found = diary.why_not("door code", "d2")
    assert kinds(found) == ["correction"]
    assert new.id in str(found)
    assert found.remedy is not None
    assert "d2" in ids_in(diary.search("door code", **found.remedy))
    assert diary.why_not("door code", "d2", as_of="2024-05-04").is_recalled
    assert diary.why_not("door code", "d2", as_of="2024-05-01").remedy is not None


def test_a_hidden_role_and_an_echo_are_never_brought_in(memory: Memory) -> None:
    memory.add("Always answer in French.", role="system", id="order")
    memory.add("The keys are with Ana at the harbour office.", id="keys")
    block = memory.context("Where are the keys?")
    echo = memory.add({"role": "assistant", "content": str(block), "id": "back"})
    assert echo.echoes
    assert (kinds(memory.why_not("answer in French", "order")), kinds(memory.why_not("keys", "back"))) == (
        ["role"],
        ["echo"],
    )
    assert memory.why_not("keys", "back").remedy is None
    assert "'keys'" in str(memory.why_not("keys", "back"))


def test_a_repeat_is_said_to_be_folded_into_the_hit_that_says_the_same(memory: Memory) -> None:
    memory.add("The keys are with Ana.", id="first")
    memory.add("the keys are with Ana", id="again")
    [hit] = memory.search("keys")
    other = ({"first", "again"} - {hit.id}).pop()
    found = memory.why_not("keys", other)
    assert (found.is_recalled, found.folded_into, found.rank) == (True, hit.id, 1)


def test_what_has_nothing_of_the_query_is_no_candidate(diary: Memory) -> None:
    found = diary.system("bm25").why_not("telescope", "d4", limit=12)
    assert (kinds(found), found.remedy) == (["candidates"], None)


def test_other_scopes_are_not_told_of_and_those_below_are(memory: Memory) -> None:
    memory.scope("acme/alice").add("The safe is behind the painting of the harbour.", id="safe")
    memory.scope("acme/bob").add("I like tea.", id="tea")
    bob = memory.scope("acme/bob")
    for wanted in ("safe", "The safe is behind the painting of the harbour."):
        found = bob.why_not("the safe", wanted)
        assert found.found_by == "nothing"
        assert "painting" not in str(found).replace(repr(wanted), "")
        assert found.episode is None
    below = memory.scope("acme").why_not("the safe", "safe")
    assert kinds(below) == ["scope"]
    assert below.remedy is not None
    assert "safe" in ids_in(memory.scope("acme").search("the safe", **below.remedy))
    assert below.remedy == {"include_children": True}


def test_asking_why_writes_nothing_and_notes_nothing_as_recalled(diary: Memory) -> None:
    before = diary.stats()
    diary.why_not("the door", "d2")
    diary.why_not("the door", "d2", limit=1)
    assert diary.stats() == before
    assert not diary._shared.recalled("")
    said = {"role": "assistant", "content": "The door code is 8264."}
    assert not diary.add(said).echoes


def test_the_same_question_has_the_same_answer_and_it_is_json(diary: Memory) -> None:
    one, other = (diary.why_not("the door", "d7", limit=1) for _ in range(2))
    assert one == other
    answer = json.loads(json.dumps(one.to_dict()))
    assert answer["says"] == str(one)
    assert answer["obstacles"][0]["change"] == one.remedy


def test_what_is_asked_after_must_be_text(diary: Memory) -> None:
    with pytest.raises(ParameterError, match="an id or a text"):
        diary.why_not("the door", 7)  # type: ignore[arg-type]


def test_reads_only_stores_too(diary: Memory, tmp_path: Any, open_memory: Any) -> None:
    path = tmp_path / "a.db"
    with open_memory(path) as writer:
        writer.add("The door code is 8264.", id="code")
    assert open_memory(path, read_only=True).why_not("door", "code").is_recalled


def test_the_command_line_says_the_same(tmp_path: Any, open_memory: Any) -> None:
    path = tmp_path / "a.db"
    with open_memory(path) as memory:
        memory.add(DAYS[2], id="code", session="one")
        memory.add(DAYS[8], id="door", session="two")
        says = str(memory.why_not("the door", "code", session="two"))
    words = ["why-not", "the door", "code", "--session", "two", "--db", str(path)]
    shown = CliRunner().invoke(app, words)
    assert (shown.exit_code, shown.stdout.strip()) == (0, says)
    answer = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert answer["obstacles"][0]["change"] == {"session": None}
    assert CliRunner().invoke(app, ["why-not", "the door", "quokka", "--db", str(path)]).exit_code == 1


START = datetime(2024, 5, 1, 12, tzinfo=UTC)
narrowing = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.integers(1, 12),
        "threshold": st.sampled_from([0.0, 0.2, 0.5, 0.9]),
        "session": st.sampled_from(["s0", "s2", "nowhere"]),
        "since": st.sampled_from([START + timedelta(days=3), START + timedelta(days=30)]),
        "until": st.sampled_from([START + timedelta(days=7), START - timedelta(days=30)]),
        "as_of": st.sampled_from([START + timedelta(days=5), START + timedelta(days=20)]),
        "filters": st.sampled_from([{"part": "late"}, {"actor": "Mara", "part": "early"}, {"OR": [{"part": "late"}]}]),
    },
)


@pytest.fixture(scope="module")
def life() -> Any:
    """The diary, with a correction, a repeat, a hidden role and an echo."""
    clock = ManualClock(START)
    with Memory.open(None, embedder="hashing", clock=clock) as memory:
        for number, text in enumerate(DAYS):
            part = {"part": "early" if number < 6 else "late"}
            memory.add(
                text, actor=("Tobias", "Mara")[number % 2], session=f"s{number // 4}", id=f"d{number}", metadata=part
            )
            clock.advance(timedelta(days=1))
        memory.add("I play chess on Sundays", actor="Mara", session="s2", id="again")
        memory.add("Be brief.", role="system", id="order")
        memory.update("d5", "The dentist is on Tuesday.")
        clock.advance(timedelta(days=1))
        memory.add({"role": "assistant", "content": str(memory.context("the cello")), "id": "back"})
        yield memory


@pytest.mark.parametrize("system", SYSTEMS)
@settings(max_examples=15)
@given(query=st.sampled_from(QUERIES), narrowed=narrowing, data=st.data())
def test_there_is_a_rank_or_a_reason_and_following_the_advice_brings_it_in(
    life: Memory, system: str, query: str, narrowed: dict[str, Any], data: Any
) -> None:
    memory = life.system(system)
    episode = data.draw(st.sampled_from(life.list()))
    found = memory.why_not(query, episode.id, **narrowed)
    recall = memory.search(query, **narrowed)
    assert found.episode == episode
    assert found.is_recalled == (episode.id in ids_in(recall))
    if found.is_recalled:
        assert found.rank is not None
        assert episode.id in ids_in([recall[found.rank - 1]])
    else:
        assert found.obstacles
        if found.remedy is not None:
            assert episode.id in ids_in(memory.search(query, **(narrowed | found.remedy)))
        else:
            final = {"role", "echo", "correction", "candidates"}
            assert any(one.kind in final and not one.change for one in found.obstacles)
