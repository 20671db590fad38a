"""A model reads the blocks of a finished run: what it adds to the rows, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnemic.bench.reading import read_answers
from mnemic.bench.report import markdown_report
from mnemic.bench.results import Asked, Found, Results, Run
from mnemic.errors import ParameterError

from . import made_up
from .llm_server import LlmServer, Messages, copies_the_gold, grades, serving

pytest.importorskip("openai", reason="openai, of the extra 'openai', is not installed")
GOLD = {"Where does Mara live?": "Porto", "What did she buy?": "a telescope"}


def row(system: str, question: str, block: str, shown: tuple[str, ...], found: tuple[str, ...] = ("t1", "t2")) -> Asked:
    return made_up.asked(
        system,
        question,
        text=question,
        evidence=("t1",),
        found=tuple(Found(turns=(turn,), score=0.5, tokens=10) for turn in found),
        context_turns=shown,
        extra={"answers": [GOLD[question]] if question in GOLD else [], "block": block, "asked_at": "2024-05-01T09:00"},
        task="recall" if question in GOLD else "absent",
    )


ROWS = {
    "oracle": [
        row("oracle", "Where does Mara live?", "- Mara: I moved to Porto.", ("t1",)),
        row("oracle", "What did she buy?", "- Mara: I bought a telescope.", ("t1",)),
        row("oracle", "How tall is she?", "", ()),
    ],
    "hybrid": [
        row("hybrid", "Where does Mara live?", "- Mara: It rained.", ("t2",)),
        row("hybrid", "What did she buy?", "- Mara: It rained.", ("t2",), found=("t2",)),
        row("hybrid", "How tall is she?", "- Mara: It rained.", ("t2",)),
    ],
}


def reads_and_judges(messages: Messages) -> str:
    judge = grades(lambda right, given: right == given)
    return (judge if "You grade" in messages[0]["content"] else copies_the_gold(GOLD))(messages)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with serving(reads_and_judges) as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "results.db"
    with Results(made) as results:
        settings = {"systems": list(ROWS), "k": [10]}
        results.begin(Run(id="r1", dataset="made-up", began_at="2024-05-01", version="1", settings=settings))
        for system, rows in ROWS.items():
            results.save(made_up.ingested(system), rows)
    return made


@pytest.fixture
def read(server: LlmServer, path: Path) -> Callable[..., Any]:
    def call(**settings: Any) -> Any:
        given = {"base_url": server.url, "api_key": "k", "sleep": lambda seconds: None, "max_tries": 1}
        return read_answers(path, "made-up", "small", **{**given, **settings})

    return call


def scores(path: Path, system: str) -> list[dict[str, float]]:
    with Results(path) as results:
        kept = results.asked("made-up", system)
    return [{name: value for name, value in one.scores.items() if name != "recall@10"} for one in kept]


def test_the_oracle_read_by_a_reader_that_copies_the_gold_scores_1(read, path):
    read()
    right = {"answer_em": 1.0, "answer_f1": 1.0}
    assert scores(path, "oracle") == [right, right, {"answer_absent": 1.0}]
    assert scores(path, "hybrid")[0] == {"answer_em": 0.0, "answer_f1": 0.0}


def test_every_wrong_answer_has_its_fault(read, path):
    assert read().faults == {"oracle": {}, "hybrid": {"presentation": 1, "retrieval": 1}}
    with Results(path) as results:
        told = results.asked("made-up", "hybrid")[0].extra["read"]
    assert told["small"]["answer"] == "Not mentioned."
    assert told["small"]["fault"] == "presentation"


def test_a_second_reading_asks_nothing_again(read, path, server):
    read()
    before, asked = scores(path, "hybrid"), len(server.bodies)
    read()
    assert (scores(path, "hybrid"), len(server.bodies)) == (before, asked)


def test_what_was_not_answered_has_no_score_and_is_counted_until_it_is(read, path, server):
    server.script = [(500, {}, b"down")]
    assert read().failed == 1
    assert scores(path, "oracle")[0] == {} or scores(path, "hybrid")[0] == {}
    with Results(path) as results:
        assert any("no answer to 1 of 6 questions" in warning for warning in results.warnings("made-up"))
    assert read().failed == 0
    with Results(path) as results:
        assert not any("no answer" in warning for warning in results.warnings("made-up"))


def test_a_judge_judges_by_both_prompts_and_is_judged_itself(read, path):
    found = read(judge="judge", judge_seeds=(0,))
    assert [one.strictness for one in found.quality] == ["strict", "lenient"]
    assert [one.false_accepts.value for one in found.quality] == [0.0, 0.0]
    assert scores(path, "oracle")[0] == {"answer_em": 1.0, "answer_f1": 1.0, "judged": 1.0, "judged_lenient": 1.0}
    with Results(path) as results:
        told = results.runs()[-1].settings
        report = markdown_report(results, against="oracle")
    assert told["systems"] == ["oracle", "hybrid"]
    assert told["judge"]["strict accepts a vague answer"].startswith("0 of ")
    assert "vague, partial, hedged" in report
    assert "gives the gist" in report


def test_a_run_without_blocks_says_how_to_get_them(tmp_path):
    with pytest.raises(ParameterError, match="bench made-up --llm small"):
        read_answers(made_up.write(tmp_path / "r.db", questions=12), "made-up", "small")
