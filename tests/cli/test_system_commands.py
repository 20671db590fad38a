"""systems, attach, detach, consolidate, records: a system at work from the command line, with a model and without."""

from __future__ import annotations

import pytest

from mnemic.systems.registry import SYSTEMS, cards
from mnemic.testing import ScriptedLLM

from .conftest import AsJson, Run


def test_systems_of_a_family_are_listed_with_what_they_need_and_cost(run: Run, as_json: AsJson) -> None:
    listed = as_json("systems", "--family", "conversation")
    assert [one["id"] for one in listed] == [card.id for card in cards() if card.family == "conversation"]
    shown = run("systems", "--family", "conversation").stdout
    assert [one["id"] for one in listed if one["cost"] not in shown] == []
    assert "There is no family 'toys'" in run("systems", "--family", "toys", code=2).output


@pytest.mark.parametrize("system", SYSTEMS)
def test_all_of_a_system_can_be_told(system: str, run: Run, as_json: AsJson) -> None:
    told = as_json("systems", system)
    assert (told["id"], isinstance(told["parameters"], dict)) == (system, True)
    assert told["summary"] in run("systems", system).stdout


def test_a_system_is_attached_works_and_goes_again_without_a_trace(run: Run, as_json: AsJson) -> None:
    run("add", "I moved to Porto in March.", "--name", "Ann")
    run("add", "Good for you!", "--name", "Bob")
    assert "No system is attached" in run("consolidate").stdout
    assert "mem0 is attached, without a model" in run("attach", "mem0").stdout
    assert "mem0: 2 episodes observed" in run("consolidate").stdout
    made = as_json("records", "mem0")
    assert [one["system"] for one in made] == ["mem0"] * len(made)
    assert "Porto" in run("records", "mem0").stdout
    assert "Porto" in run("search", "Where does Ann live?", "--system", "mem0").stdout
    run("detach", "mem0")
    assert as_json("stats")["records"] == 0
    assert as_json("stats")["episodes"] == 2


def test_a_system_that_has_made_nothing_says_what_to_do(run: Run) -> None:
    run("add", "Hello.")
    assert "`mnemic attach mem0`" in run("records", "mem0", code=1).stdout


def test_parameters_are_checked_before_anything_is_attached(run: Run, as_json: AsJson) -> None:
    run("add", "Hello.")
    assert "has no parameter colour" in run("attach", "mem0", "--parameters", '{"colour": 1}', code=2).output
    assert "a parameter named 'llm'" in run("attach", "mem0", "--parameters", '{"llm": "x"}', code=2).output
    assert as_json("stats")["attached"] == []


def test_a_model_that_is_asked_shows_in_stats_and_is_asked_nothing_twice(
    run: Run, as_json: AsJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    run("add", "I moved to Porto in March.", "--name", "Ann", "--session", "a")
    run("add", "Good for you!", "--name", "Bob", "--session", "a")
    with ScriptedLLM() as llm:
        llm.rule("facts", {"facts": [{"text": "Ann moved to Porto in March.", "turns": [1]}]})
        llm.rule("memory", {"memory": [{"event": "ADD", "text": "Ann moved to Porto in March.", "fact": 0}]})
        monkeypatch.setenv("MNEMIC_LLM", f"openai:scripted?base_url={llm.base_url}")
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        assert "with the model openai:scripted" in run("attach", "mem0").stdout
        run("consolidate")
        spent = as_json("stats")["llm"]
        assert [(one["system"], one["model"], one["calls"] > 0) for one in spent][:1] == [
            ("mem0", "openai:scripted", True)
        ]
        assert "openai:scripted" in run("stats").stdout
        asked = len(llm.requests)
        run("detach", "mem0")
        run("attach", "mem0")
        run("consolidate")
        assert len(llm.requests) == asked
        assert as_json("records", "mem0")[0]["text"] == "Ann moved to Porto in March."


def test_a_system_waits_where_its_model_is_not_there(
    run: Run, as_json: AsJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    run("add", "I moved to Porto in March.", "--name", "Ann")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    run("attach", "mem0", "--llm", "openai:scripted?base_url=http://127.0.0.1:9/v1")
    said = run("consolidate", code=1).output
    assert "attached with the model 'openai:scripted'" in said
    assert "--llm" in said or "MNEMIC_LLM" in said
    assert as_json("stats")["episodes"] == 1


def test_the_verbs_that_let_a_system_work_take_a_model_in_the_same_words(run: Run) -> None:
    told = {
        " ".join(run(verb, "--help").stdout.partition(" --llm MODEL")[2].partition(" --")[0].split())
        for verb in ("search", "context", "why-not", "attach", "consolidate", "records")
    }
    assert len(told) == 1
    assert "What systems ask: openai:MODEL" in told.pop()


@pytest.mark.parametrize(
    "asking",
    [
        ["search", "Where does Ann live?"],
        ["context", "Where does Ann live?"],
        ["why-not", "Where does Ann live?", "Porto"],
    ],
    ids=lambda words: words[0],
)
def test_a_recall_asks_the_model_that_is_named_and_none_where_none_is(
    run: Run, monkeypatch: pytest.MonkeyPatch, asking: list[str]
) -> None:
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    run("add", "I moved to Porto in March.", "--name", "Ann")
    with ScriptedLLM() as llm:
        llm.answers({})
        spec = f"openai:scripted?base_url={llm.base_url}"
        run("attach", "echo", "--llm", spec)
        run("consolidate", "--llm", spec)
        before = len(llm.requests)
        run(*asking, "--system", "echo")
        assert len(llm.requests) == before
        run(*asking, "--system", "echo", "--llm", spec)
        assert len(llm.requests) > before
