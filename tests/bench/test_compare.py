"""Systems compared on a user's own log: what is asked, what comes out, and that the log is left as it was."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mnemic import Memory
from mnemic.bench.compare import LogComparison, compare, save
from mnemic.bench.log_copy import copy_log, read_logs
from mnemic.bench.results import Results
from mnemic.cli.main import app
from mnemic.errors import FormatError, ParameterError, StoreError, SystemNotFound
from mnemic.testing import RuleLLM, ScriptedLLM, fails

DEMO = [json.loads(line) for line in (files("mnemic") / "data" / "demo.jsonl").read_text("utf-8").splitlines() if line]
QUESTIONS = json.loads((files("mnemic") / "data" / "demo_questions.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of two friends' messages, in two scopes: the second half is another's."""
    path = tmp_path_factory.mktemp("compare") / "demo.db"
    with Memory.open(path, embedder="hashing") as memory:
        memory.add(DEMO)
        memory.scope("other").add(["Nothing of this is anybody else's business.", "Not even the telescope."])
    return path


@pytest.fixture
def log(demo: Path) -> Any:
    with Memory.open(demo, read_only=True) as memory:
        yield memory


@pytest.fixture
def ask(log: Memory, tmp_path: Path) -> Callable[..., LogComparison]:
    """Compares bm25 and hybrid on the lines given."""

    def call(
        *lines: dict[str, Any] | str, systems: tuple[str, ...] = ("bm25", "hybrid"), **settings: Any
    ) -> LogComparison:
        path = tmp_path / "q.jsonl"
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
        return compare(log, systems, path, **settings)

    return call


def digest(memory: Memory) -> str:
    out = io.StringIO()
    memory.export(out)
    return hashlib.sha256(out.getvalue().encode()).hexdigest()


def test_the_log_is_as_it_was_and_nothing_is_noted_as_recalled(tmp_path):
    path = tmp_path / "mine.db"
    with Memory.open(path, embedder="hashing") as memory:
        memory.add(DEMO[:80])
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with Memory.open(path, embedder="hashing") as memory:
        exported, stats = digest(memory), memory.stats()
        compare(memory, ("bm25", "hybrid"), n=20)
        assert (digest(memory), memory.stats()) == (exported, stats)
        seqs = memory._shared.store.recalled_since("", memory.list(limit=1)[0].recorded_at.replace(year=1970), 1000)
        assert seqs == []
    assert before["mine.db"] == path.read_bytes()


def test_a_log_that_can_only_be_read_is_enough(log):
    assert log._shared.store.read_only
    assert compare(log, ("bm25",), n=6).rows


def test_the_copy_is_the_log_without_what_is_held_out(log):
    logs = read_logs(log)
    with copy_log(log, logs, frozenset([("", "s01-02")])) as copy:
        copied = read_logs(copy)
        plain = {scope: [one.to_dict() for one in episodes] for scope, episodes in copied.items()}
        wanted = {scope: [one.to_dict() for one in episodes if one.id != "s01-02"] for scope, episodes in logs.items()}
        assert plain == wanted
        assert copy.stats()["waiting_vectors"] == 0
        assert [hit.id for hit in copy.search("telescope")] == [
            hit.id for hit in log.search("telescope") if hit.id != "s01-02"
        ]


def test_random_is_behind_bm25_and_hybrid_is_not(log):
    found = compare(log, ("bm25", "random", "hybrid"), n=72)
    (part,) = found.parts
    bm25, random, hybrid = (line.figures["recall@10"] for line in part.lines)
    assert random < 0.1 < 0.5 < bm25 <= hybrid
    assert found.chance == pytest.approx(10 / (found.episodes - 2), abs=0.01)
    assert [one.verdict for one in part.differences] in (["behind", "ahead"], ["behind", "a tie"])


def test_the_probe_is_shown_kind_by_kind_and_the_same_again(log):
    found, again = (compare(log, ("bm25", "hybrid"), n=30, seed=5) for _ in range(2))
    assert sum(kind.n for kind in found.kinds) == found.parts[0].n <= 30
    assert {kind.name for kind in found.kinds} >= {"reply", "cloze", "keywords", "date", "name"}
    assert [(row.question, row.scores, row.found) for row in found.rows] == [
        (row.question, row.scores, row.found) for row in again.rows
    ]


def test_questions_of_ones_own_are_scored_by_their_evidence(ask):
    lines = [{key: one[key] for key in ("question", "evidence", "asked_at")} for one in QUESTIONS if one["evidence"]]
    found = ask(*lines)
    assert (found.parts[0].n, found.is_probe, found.held_out) == (len(lines), False, 0)
    assert found.parts[0].lines[1].figures["recall@10"] > 0.5
    assert found.rows[0].evidence == tuple(lines[0]["evidence"])


def test_a_question_with_an_answer_alone_is_scored_by_its_words(ask):
    found = ask(
        {"question": "What is the frame number of Gudrun?", "answer": "WK7Q-20418"},
        {"question": "What is the frame number of Gudrun?", "answer": "WK7Q-99999"},
        {"question": "Which tea does Mara like?", "evidence": ["s16-08"]},
    )
    assert [(part.name, part.n, part.metric) for part in found.parts] == [
        ("questions with evidence", 1, "recall@10"),
        ("questions with an answer only", 2, "contains@10"),
    ]
    assert [line.figures for line in found.parts[1].lines] == [{"contains@10": 0.5}] * 2


def test_the_same_words_from_the_same_mouth_count_whichever_is_recalled(open_memory, tmp_path):
    memory = open_memory()
    memory.add(["The code is 8264.", "It rained.", "the code is 8264"], actor="Mara")
    last = memory.list()[2].id
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "What is the code?", "evidence": [last]}))
    found = compare(memory, ("bm25", "hybrid"), tmp_path / "q.jsonl", k=1)
    assert [line.figures["recall@1"] for line in found.parts[0].lines] == [1.0, 1.0]


def test_a_scope_is_asked_alone(ask):
    found = ask(
        {"question": "Whose business is the telescope?", "evidence": [], "answer": "business", "scope": "other"}
    )
    recalled = {text.text for text in found.texts}
    assert recalled <= {"Nothing of this is anybody else's business.", "Not even the telescope."}


def test_parameters_make_another_system(log):
    found = compare(log, ("hybrid", "hybrid:words=0+meaning=1"), n=40)
    one, other = ([row.found for row in found.rows if row.system == name] for name in found.systems)
    assert one != other


def test_a_system_is_asked_as_it_is_attached_to_the_log(open_memory):
    plain, attached = open_memory(), open_memory()
    for memory in (plain, attached):
        memory.add(DEMO[:60])
    attached.attach("hybrid", words=0.0, meaning=1.0)
    found, named = compare(attached, ("hybrid",), n=20), compare(plain, ("hybrid:words=0+meaning=1",), n=20)
    assert [row.found for row in found.rows] == [row.found for row in named.rows]
    assert attached.stats()["attached"] == ["hybrid"]


def test_the_questions_on_which_they_differ_are_told_with_what_each_recalled(ask):
    found = ask({"question": "Where does Mara live?", "evidence": ["s14-01"]}, systems=("recent", "hybrid"), k=5)
    (one,) = found.differing
    assert one.scores == {"recent": 0.0, "hybrid": 1.0}
    assert [seen.is_evidence for seen in one.wanted] == [True]
    assert any(seen.is_evidence for seen in one.recalled["hybrid"])
    assert not any(seen.is_evidence for seen in one.recalled["recent"])


def test_rows_are_kept_with_what_they_say(log, tmp_path):
    found = compare(log, ("bm25", "hybrid"), n=12)
    save(found, tmp_path / "r.db")
    save(found_again := compare(log, ("bm25", "hybrid"), n=12), tmp_path / "r.db")
    with Results(tmp_path / "r.db") as results:
        assert results.datasets() == ["log/demo"]
        assert results.asked("log/demo") == list(found_again.rows)
        row = found_again.rows[0]
        text = results.text("log/demo", row.sample, row.evidence[0])
    assert text is not None
    assert text.text


# -- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nope", r"q\.jsonl:2: This is not JSON"),
        ("[1]", "no JSON object"),
        ({"question": "x", "evidnce": ["s01-01"]}, "did you mean 'evidence'"),
        ({"question": " ", "answer": "x"}, "missing or empty"),
        ({"question": 7, "answer": "x"}, "'question' is int"),
        ({"question": "x"}, 'Give "evidence"'),
        ({"question": "x", "evidence": "s01-01"}, "a list of episode ids"),
        ({"question": "x", "evidence": ["nobody"]}, "has no episode 'nobody'"),
        ({"question": "x", "answer": "y", "scope": "elsewhere"}, "Nothing is remembered in the scope 'elsewhere'"),
        ({"question": "x", "answer": "y", "scope": "a//b"}, "segment"),
        ({"question": "x", "answer": "y", "asked_at": "soon"}, "not a time"),
    ],
)
def test_a_line_that_cannot_be_asked_is_named_with_its_number(ask, line, said):
    with pytest.raises(FormatError, match=said) as refused:
        ask({"question": "x", "answer": "y"}, line)
    assert "q.jsonl:2: " in str(refused.value)


def test_evidence_that_is_never_recalled_is_refused_with_what_to_name(open_memory, tmp_path):
    memory = open_memory()
    old = memory.add("The code is 8264.").id
    new = memory.update(old, "The code is 9321.").id
    hidden = memory.add({"role": "system", "content": "You are kind."}).id
    (tmp_path / "q.jsonl").write_text(
        "".join(json.dumps({"question": "x", "evidence": [id]}) + "\n" for id in (old, hidden))
    )
    with pytest.raises(FormatError, match=f"corrected by '{new}'.*role 'system'"):
        compare(memory, ("bm25",), tmp_path / "q.jsonl")


def test_a_file_without_questions_is_refused(ask):
    with pytest.raises(FormatError, match="has no questions"):
        ask("", "  ")


def test_an_empty_log_and_a_tiny_one_say_what_to_do(open_memory):
    memory = open_memory()
    with pytest.raises(ParameterError, match="Nothing is remembered"):
        compare(memory, ("bm25",))
    memory.add("Only this.")
    with pytest.raises(ParameterError, match="--questions"):
        compare(memory, ("bm25",))


@pytest.mark.parametrize(
    ("systems", "error"),
    [
        (("hybird",), SystemNotFound),
        (("bm25", "bm25"), ParameterError),
        (("",), ParameterError),
        (("oracle",), ParameterError),
    ],
)
def test_systems_that_are_none_are_refused_before_anything_is_asked(log, systems, error):
    with pytest.raises(error):
        compare(log, systems)


# -- the command ------------------------------------------------------------------------------------------------


def command(*words: object, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["compare", *map(str, words)], env={"MNEMIC_EMBEDDER": "hashing"})
    assert result.exit_code == code, f"{words}: {result.exit_code}: {result.output} {result.exception!r}"
    return result


def test_the_command_shows_figures_differences_and_kinds(demo, tmp_path):
    shown = command("--log", demo, "--n", 30, "--out", tmp_path / "r.db", "--html", tmp_path / "r.html").stdout
    assert "hybrid less bm25: recall@10" in shown
    assert "compares systems on this log; its figures are no accuracies" in shown
    assert "Where they differ most" in shown
    assert (tmp_path / "r.db").exists()
    assert "<html" in (tmp_path / "r.html").read_text()


def test_the_command_prints_json_alone(demo):
    told = json.loads(command("--log", demo, "--n", 12, "--systems", "bm25,hybrid", "--json").stdout)
    assert told["systems"] == ["bm25", "hybrid"]
    assert told["parts"][0]["lines"][0]["n"] == told["parts"][0]["n"] <= 12
    assert all(kind["measures"] for kind in told["kinds"])


def test_the_command_refuses_with_one_line(tmp_path, demo):
    assert "There is no memory" in command("--log", tmp_path / "none.db", code=3).stderr
    assert "names" not in command("--log", demo, "--scope", "nobody", code=2).stdout
    with Memory.open(tmp_path / "tiny.db", embedder="hashing") as memory:
        memory.add("Only this.")
    assert "--questions" in command("--log", tmp_path / "tiny.db", code=2).stderr


# -- with a model ---------------------------------------------------------------------------------------------


@pytest.fixture
def talk(open_memory: Callable[..., Memory], tmp_path: Path) -> Any:
    """A log of two on which mem0 is attached with a model, and a file with a question of it."""
    memory = open_memory(tmp_path / "talk.db", llm=RuleLLM("rules:on the log"), background=False)
    memory.add({"content": "I moved to Porto in March.", "name": "Ann", "id": "porto"}, session="a")
    memory.add({"content": "Good for you!", "name": "Bob"}, session="a")
    memory.attach("mem0")
    (tmp_path / "q.jsonl").write_text('{"question": "Where does Ann live?", "evidence": ["porto"]}\n')
    return memory


def facts(llm: Any) -> Any:
    llm.rule("facts", {"facts": [{"text": "Ann lives in Porto.", "turns": [1]}]})
    llm.rule("memory", {"memory": [{"event": "ADD", "text": "Ann lives in Porto.", "fact": 0}]})
    return llm


def test_without_a_model_given_none_is_asked_whatever_a_system_is_attached_with(talk, tmp_path, monkeypatch):
    monkeypatch.setenv("MNEMIC_LLM", "openai:gpt-none?base_url=http://127.0.0.1:9/v1")
    found = compare(talk, ("bm25", "mem0"), tmp_path / "q.jsonl")
    assert {system: str(ran) for system, ran in found.ran.items()} == {
        "bm25": "without a model",
        "mem0": "without a model",
    }


def test_with_a_model_each_system_that_can_asks_it_and_the_output_says_so(talk, tmp_path):
    llm = facts(RuleLLM("rules:facts"))
    found = compare(talk, ("bm25", "mem0"), tmp_path / "q.jsonl", llm=llm)
    assert {system: str(ran) for system, ran in found.ran.items()} == {
        "bm25": "without a model",
        "mem0": "with rules:facts",
    }
    assert llm.calls > 0
    assert (found.run.settings["llm"], found.to_dict()["ran"]["mem0"]["told"]) == ("rules:facts", "with rules:facts")
    assert talk.stats()["llm"] == []  # the log itself asked nothing


def test_a_model_that_gives_no_usable_answer_is_told_as_well(talk, tmp_path):
    llm = RuleLLM("rules:mute")
    llm.answers("I would rather not say.")
    found = compare(talk, ("mem0",), tmp_path / "q.jsonl", llm=llm)
    assert str(found.ran["mem0"]) == "without an answer of rules:mute"


def test_a_model_that_is_down_stops_the_comparison_with_what_to_do(talk, tmp_path):
    llm = RuleLLM("rules:down")
    llm.answers(fails(503))
    with pytest.raises(StoreError, match=r"mem0 cannot take in.*LLMUnavailable"):
        compare(talk, ("mem0",), tmp_path / "q.jsonl", llm=llm)


def test_the_command_asks_a_model_where_it_is_told_to_and_only_there(talk, tmp_path, monkeypatch):
    pytest.importorskip("openai")
    talk.close()
    words = ["compare", "--systems", "bm25,mem0", "--log", str(tmp_path / "talk.db"), "--questions"]
    words.append(str(tmp_path / "q.jsonl"))
    with facts(ScriptedLLM()) as llm:
        spec = f"openai:scripted?base_url={llm.base_url}"
        monkeypatch.setenv("MNEMIC_LLM", spec)
        alone = CliRunner().invoke(app, words)
        assert (alone.exit_code, llm.requests) == (0, [])
        assert "mem0: without a model" in alone.output
        asked = CliRunner().invoke(app, [*words, "--llm", spec])
        assert (asked.exit_code, len(llm.requests) > 0) == (0, True)
        assert "bm25: without a model" in asked.output
        assert "mem0: with openai:scripted" in asked.output
