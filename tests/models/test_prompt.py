"""Whatever was remembered is data in a prompt: it cannot end its string, become an instruction, or hide its sources."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.model import Episode, Record
from mnemic.models.prompt import AS_DATA, Prompt, Shown, numbered, turns
from mnemic.testing import INJECTIONS

AT = datetime(2024, 5, 1, tzinfo=UTC)
TASK = 'Take facts from "turns".'


def said(text: str, id: str = "e1", speaker: str = "Ann") -> Episode:
    return Episode(text=text, id=id, scope="s", occurred_at=AT, recorded_at=AT, actor=speaker)


def known(text: str, id: str = "r1", sources: tuple[str, ...] = ("e1",)) -> Record:
    return Record(id=id, system="x", scope="s", kind="fact", text=text, sources=sources, recorded_at=AT)


@pytest.mark.parametrize("injection", INJECTIONS, ids=lambda one: one.name)
def test_an_injection_changes_no_word_of_the_instructions(injection) -> None:
    prompts = [
        Prompt(TASK, {"turns": turns([said(text, speaker=text[:40])]), "facts": numbered([known(text)])})
        for text in ("I moved to Porto.", injection.text)
    ]
    plain, attacked = (prompt.messages() for prompt in prompts)
    assert attacked[0] == plain[0]
    assert [one.role for one in attacked] == ["system", "user"]
    shown = json.loads(attacked[1].content)
    assert shown["turns"][0]["text"] == shown["facts"][0]["text"] == injection.text


@given(st.text(), st.text(min_size=1))
def test_any_text_is_read_back_as_it_was_and_stands_on_one_line(text: str, name: str) -> None:
    message = Prompt(TASK, {"turns": turns([said(text, speaker=name)])}).messages()[1].content
    shown = json.loads(message)
    clean = text.encode("utf-8", "replace").decode()
    assert (list(shown), len(shown["turns"]), shown["turns"][0]["text"]) == (["turns"], 1, clean)
    assert "\n" not in message
    assert "\r" not in message


def test_the_instructions_say_that_all_else_is_data() -> None:
    first, _ = Prompt(TASK, {"turns": turns([])}).messages()
    assert first.content == f"{TASK}\n\n{AS_DATA}"


def test_a_prompt_names_every_episode_that_the_model_sees_once() -> None:
    prompt = Prompt(
        TASK,
        {
            "turns": turns([said("a", "e2"), said("b", "e3")]),
            "facts": numbered([known("c", sources=("e1", "e2"))]),
            "question": Shown("Where?"),
        },
    )
    assert prompt.sources == ("e2", "e3", "e1")


def test_records_are_shown_under_numbers_and_never_under_their_ids() -> None:
    shown = numbered([known("a", "secret-1"), known("b", "secret-2")])
    assert [one["id"] for one in shown.value] == ["0", "1"]
    assert "secret" not in json.dumps(shown.value)
