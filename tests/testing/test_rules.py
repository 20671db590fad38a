"""Recorded sessions: what a model once wrote about a conversation is found again by its turns."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import FormatError
from mnemic.formats.locomo import read_locomo
from mnemic.formats.message import Message
from mnemic.testing import RecordedSessions, recorded_locomo


def sample(id: str, *sessions: list[tuple[str, str]], **recorded: Any) -> dict[str, Any]:
    """A sample of LoCoMo's form, from who said what in each session."""
    conversation: dict[str, Any] = {"speaker_a": "Ada", "speaker_b": "Ben"}
    for number, said in enumerate(sessions, start=1):
        conversation[f"session_{number}_date_time"] = f"1:56 pm on {number} May, 2023"
        conversation[f"session_{number}"] = [
            {"speaker": who, "dia_id": f"D{number}:{at}", "text": text} for at, (who, text) in enumerate(said, start=1)
        ]
    return {"sample_id": id, "conversation": conversation, **recorded}


FIG = sample(
    "conv-1",
    [("Ada", "I planted a fig."), ("Ben", "Look at mine!"), ("Ada", "Bye!"), ("Ben", "Bye!")],
    [("Ada", "It has a leaf."), ("Ada", "Bye!")],
    observation={
        "session_1_observation": {
            "Ada": [["Ada planted a fig.", "D1:1"], ["Ada and Ben garden.", ["D1:1", "D1:2"]]],
            "Ben": [["Ben has a tree.", "D1:2"], ["Nobody said this.", "D9:9"]],
        },
        "session_2_observation": {"Ada": [["Ada's fig has a leaf.", "D2:1"], ["Ada said good-bye.", "D2:2"]]},
    },
    session_summary={"session_1_summary": "They spoke of trees. ", "session_2_summary": "The fig grows."},
    event_summary={"events_session_1": {"Ada": ["Ada plants a fig."], "Ben": [], "date": "1 May, 2023"}},
)
FIG["conversation"]["session_1"][1]["blip_caption"] = "a photo of a lemon tree"
SEA = sample(
    "conv-2",
    [("Cy", "The sea was cold."), ("Dee", "Bye!")],
    observation={"session_1_observation": {"Cy": [["Cy swam.", "D1:1"]], "Dee": [["Dee left.", "D1:2"]]}},
)
RECORDED = RecordedSessions([FIG, SEA])


def turns(*said: tuple[str, str], start: int = 1) -> list[dict[str, Any]]:
    return [{"turn": at, "speaker": who, "text": text} for at, (who, text) in enumerate(said, start=start)]


def test_facts_come_with_the_number_of_their_turn_and_whom_they_are_about() -> None:
    assert RECORDED.facts_of(turns(("Ada", "I planted a fig."), ("Ben", "Look at mine!"))) == [
        {"text": "Ada planted a fig.", "turn": 1, "speaker": "Ada"},
        {"text": "Ada and Ben garden.", "turn": 2, "speaker": "Ada"},
        {"text": "Ben has a tree.", "turn": 2, "speaker": "Ben"},
    ]


def test_a_fact_that_other_turns_say_as_well_is_left_out_and_turns_keep_their_own_numbers() -> None:
    found = RECORDED.facts_of(turns(("Ada", "Something new."), ("Ben", "Look  at mine!"), start=40))
    assert found == [{"text": "Ben has a tree.", "turn": 41, "speaker": "Ben"}]
    assert RECORDED.facts_of(["It has a leaf."]) == [{"text": "Ada's fig has a leaf.", "turn": 1, "speaker": "Ada"}]


def test_the_caption_of_a_photo_may_be_there_or_not() -> None:
    told = RECORDED.facts_of(["Look at mine! [shares a photo: a photo of a lemon tree]"])
    assert told == RECORDED.facts_of(["Look at mine!"]) != []


def test_a_text_said_by_several_is_that_of_its_speaker_in_the_session_of_the_others() -> None:
    assert RECORDED.facts_of(turns(("Ada", "It has a leaf."), ("Ada", "Bye!")))[1]["text"] == "Ada said good-bye."
    assert RECORDED.facts_of(turns(("Cy", "The sea was cold."), ("Dee", "Bye!")))[1]["text"] == "Dee left."
    assert len(RECORDED.facts_of(turns(("Ada", "I planted a fig."), ("Ada", "Bye!")))) == 1


def test_summaries_and_events_are_those_of_the_sessions_that_the_turns_belong_to() -> None:
    first, second = ("Ada", "I planted a fig."), ("Ada", "It has a leaf.")
    assert RECORDED.summary_of(turns(first)) == "They spoke of trees."
    assert RECORDED.summary_of(turns(second, first)) == "They spoke of trees.\nThe fig grows."
    assert RECORDED.events_of(turns(first)) == [{"text": "Ada plants a fig.", "speaker": "Ada", "date": "1 May, 2023"}]
    assert RECORDED.events_of(turns(second)) == []


def test_of_turns_that_are_nowhere_nothing_is_recorded() -> None:
    nowhere = turns(("Ada", "Who knows?"), ("Eve", ""))
    assert (RECORDED.facts_of(nowhere), RECORDED.summary_of(nowhere), RECORDED.events_of([])) == ([], None, [])
    assert RECORDED.summary_of(turns(("Cy", "The sea was cold."))) is None


def test_what_is_not_in_locomos_form_is_refused_and_recordings_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("[{")
    (tmp_path / "object.json").write_text("{}")
    (tmp_path / "right.json").write_text(json.dumps([FIG]))
    for name in ("broken.json", "object.json"):
        with pytest.raises(FormatError):
            recorded_locomo(tmp_path / name)
    with pytest.raises(FormatError, match="Sample 0 has no conversation"):
        recorded_locomo([{"qa": []}])
    assert recorded_locomo(tmp_path / "right.json").summary_of(["It has a leaf."]) == "The fig grows."
    bare = recorded_locomo([sample("conv-3", [("Ada", "Hello.")], observation="none", event_summary={"x": 1})])
    assert (bare.facts_of(["Hello."]), bare.summary_of(["Hello."]), bare.events_of(["Hello."])) == ([], None, [])


SAID = [(turn["speaker"], turn["text"]) for turn in FIG["conversation"]["session_1"]]


@given(cut=st.integers(0, len(SAID)))
def test_a_session_in_two_pieces_gives_no_fact_that_the_whole_does_not(cut: int) -> None:
    def texts(said: list[tuple[str, str]]) -> set[str]:
        return {fact["text"] for fact in RECORDED.facts_of(turns(*said))}

    assert texts(SAID[:cut]) | texts(SAID[cut:]) <= texts(SAID)


@pytest.fixture(scope="module")
def locomo_file() -> Path:
    folder = Path(os.environ.get("MNEMIC_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (folder / "locomo/locomo5.json").is_file():
        pytest.skip("the shared data sets are not on this machine")
    return folder / "locomo/locomo5.json"


def test_every_observation_of_the_real_conversations_is_found_from_the_imported_turns(locomo_file: Path) -> None:
    recorded = recorded_locomo(locomo_file)
    samples = {one["sample_id"]: one for one in json.loads(locomo_file.read_text())}
    sessions: dict[tuple[str, str], list[Message]] = {}
    for message in read_locomo(locomo_file):
        assert isinstance(message, Message)
        sessions.setdefault((message.scope or "", message.session or ""), []).append(message)
    count = 0
    for (scope, session), messages in sessions.items():
        said = turns(*((one.actor or "", one.text) for one in messages))
        observed = samples[scope]["observation"].get(f"{session}_observation", {})
        found = recorded.facts_of(said)
        assert sorted(one["text"] for one in found) == sorted(fact[0] for facts in observed.values() for fact in facts)
        for fact in found:
            assert any(
                fact["text"] == text and messages[fact["turn"] - 1].id in evidence
                for text, evidence in observed[fact["speaker"]]
            )
        assert recorded.summary_of(said) == samples[scope]["session_summary"][f"{session}_summary"].strip()
        assert {one["speaker"] for one in recorded.events_of(said)} <= set(observed)
        count += len(found)
    assert count == 1210
