"""What happens at the same time as a model answers: forgetting, attaching, detaching, other handles, budgets, outages."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.errors import LLMUnavailable
from mnemic.memory import background
from mnemic.model import Cue, Episode, Hit, Record
from mnemic.models.budget import Budget
from mnemic.models.llm import Completion
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.feedback import heard
from mnemic.systems.registry import SYSTEMS
from mnemic.systems.view import View
from mnemic.testing import Asked, Reply, RuleLLM

SECRET = "Zanzibarquux"
Opens = Callable[..., Memory]


@dataclass(frozen=True)
class Gist:
    gist: str


@dataclass(frozen=True)
class Words:
    word: str = "gist"


class Scribe(MemorySystem):
    """Asks for the gist of each episode, and in a recall what of the episodes in sight fits the question."""

    card = Card(id="scribe", title="Scribe", year=2024, family="test", summary="Gists.", source="", needs=("llm",))
    params_type = Words

    def __init__(self, params: Words | None = None) -> None:
        self.params = params or Words()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft, said = view.draft(), heard(episodes)
        prompts = [Prompt("Write the gist of the turn.", {"turns": turns([one])}) for one in said]
        for one, answer in zip(said, view.ask.many("gist", prompts, Gist), strict=True):
            text = f"{self.params.word}: {answer.gist if answer else 'offline'}"
            draft.put(
                Record(
                    id=record_id("scribe", one.id),
                    system="scribe",
                    scope=view.scope,
                    kind="gist",
                    text=text,
                    sources=(one.id,),
                    recorded_at=one.recorded_at,
                    data={BY: "llm" if answer else "offline"},
                )
            )
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        near = view.tail_hits(cue, 0)
        shown = Shown([hit.text for hit in near], tuple(hit.id for hit in near))
        view.ask("pick", Prompt("Which fits?", {"question": Shown(cue.text), "near": shown}), Gist)
        return view.record_hits(view.made.scores(view.query_vector(cue), as_of=cue.as_of), cue)


@pytest.fixture(autouse=True)
def scribe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "scribe", f"{__name__}:Scribe")
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(background, "LONGEST_PAUSE_S", 0.1)


def parrot(name: str = "parrot") -> RuleLLM:
    """Says again whatever it is shown."""
    llm = RuleLLM(f"rules:{name}")
    llm.rule("gist", lambda asked: {"gist": f"{name} {asked.data}"})
    return llm


class Slow:
    """A parrot that waits in its first answers until it may go on."""

    def __init__(self, name: str = "slow", *, is_usable: bool = True, only: str = "") -> None:
        self.reading, self.may_go = threading.Event(), threading.Event()
        self.llm = RuleLLM(f"rules:{name}")

        def answer(asked: Asked) -> dict[str, str] | Reply:
            if only in str(asked.data):
                self.reading.set()
                self.may_go.wait(5)
            said = f"{name} {asked.data}"
            return {"gist": said} if is_usable else Reply(value=f"no JSON: {said.replace('{', '(')}")

        self.llm.rule("gist", answer)

    def while_reading(self, does: Callable[[], object]) -> None:
        assert self.reading.wait(5)
        does()
        self.may_go.set()


def in_thread(does: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=does)
    thread.start()
    return thread


def texts(memory: Memory) -> list[str]:
    return sorted(one.text for one in memory._shared.store.records.records("scribe", memory.scope_path))


def the_secret(memory: Memory) -> str:
    return next(one.id for one in memory.list() if SECRET in one.text)


# -- forgetting -----------------------------------------------------------------------------------------------


def test_what_a_recall_of_the_scope_above_was_shown_goes_too(open_memory: Opens, tmp_path: Path) -> None:
    llm = parrot()
    memory = open_memory(tmp_path / "memory.db", llm=llm, background=False)
    memory.attach("scribe")
    alice = memory.scope("acme/alice")
    alice.add(f"My secret is {SECRET}.")
    memory.scope("acme").add("The office is in Porto.")
    memory.consolidate()
    memory.scope("acme").system("scribe").search("secret", include_children=True)
    assert any(SECRET in str(asked.data.get("near")) for asked in llm.requests)
    alice.forget(the_secret(alice))
    assert memory.find_traces(SECRET) == []


@pytest.mark.parametrize("is_usable", [True, False])
def test_what_is_forgotten_while_a_recall_asks_leaves_nothing(
    open_memory: Opens, tmp_path: Path, is_usable: bool
) -> None:
    slow = Slow(is_usable=is_usable, only="question")
    memory = open_memory(tmp_path / "memory.db", llm=slow.llm, background=False)
    memory.add([f"My secret is {SECRET}.", "tea"])
    memory.attach("scribe")
    thread = in_thread(lambda: memory.system("scribe").search("secret"))
    slow.while_reading(lambda: memory.forget(the_secret(memory)))
    thread.join()
    memory.scrub()
    assert memory.find_traces(SECRET) == []


@pytest.mark.parametrize("attempt", [1, 3])
def test_an_unusable_answer_about_what_was_forgotten_meanwhile_is_in_no_failure(
    open_memory: Opens, tmp_path: Path, attempt: int
) -> None:
    slow = Slow(is_usable=False, only=SECRET)
    memory = open_memory(tmp_path / "memory.db", llm=slow.llm, background=False)
    memory.add([f"My secret is {SECRET}."])
    memory.attach("scribe")
    slow.may_go.set()
    for _ in range(attempt - 1):
        memory.consolidate()
    slow.reading.clear()
    slow.may_go.clear()
    thread = in_thread(memory.consolidate)
    slow.while_reading(lambda: memory.forget(the_secret(memory)))
    thread.join()
    memory.scrub()
    assert (memory.find_traces(SECRET), memory.stats()["failures"]) == ([], 0)


def test_a_system_that_this_version_does_not_know_is_in_the_way_of_no_forgetting(
    open_memory: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Memory.open(tmp_path / "memory.db", embedder="hashing", llm=parrot(), background=False) as memory:
        memory.add([f"My secret is {SECRET}.", "tea"])
        memory.attach("scribe")
        memory.consolidate()
    monkeypatch.delitem(SYSTEMS, "scribe")
    memory = open_memory(tmp_path / "memory.db")
    assert "SystemNotFound" in str(memory.consolidate()["scribe"]["error"])
    memory.forget(the_secret(memory))
    assert memory.find_traces(SECRET) == []


# -- attaching ------------------------------------------------------------------------------------------------


def test_what_a_model_answers_after_another_took_its_place_is_not_written(open_memory: Opens) -> None:
    slow, other = Slow(), parrot("other")
    memory = open_memory(llm=slow.llm)
    memory.add(["tea", "figs"])
    memory.attach("scribe")
    slow.while_reading(lambda: memory.attach("scribe", llm=other))
    memory.consolidate()
    assert [text.split()[1] for text in texts(memory)] == ["other", "other"]


def test_what_a_model_answers_after_its_system_was_detached_is_not_written(open_memory: Opens, tmp_path: Path) -> None:
    slow = Slow()
    memory = open_memory(tmp_path / "memory.db", llm=slow.llm)
    memory.add(["tea", "figs"])
    memory.attach("scribe")
    slow.while_reading(lambda: memory.detach("scribe"))
    memory.close()  # waits for what is under way
    assert slow.llm.calls
    assert texts(open_memory(tmp_path / "memory.db")) == []


def test_what_was_made_without_a_model_before_a_system_was_attached_is_made_anew(open_memory: Opens) -> None:
    memory = open_memory(background=False)
    memory.add("tea")
    memory.system("scribe").search("tea")
    assert texts(memory) == ["gist: offline"]
    memory.attach("scribe", llm=parrot())
    memory.consolidate()
    assert texts(memory)[0].startswith("gist: parrot")


def test_a_handle_follows_the_parameters_with_which_another_attaches_a_system(
    open_memory: Opens, tmp_path: Path
) -> None:
    one, other = open_memory(tmp_path / "memory.db"), open_memory(tmp_path / "memory.db")
    one.add("tea")
    one.attach("scribe", word="note")
    one.consolidate()
    other.attach("scribe", word="line")
    one.add("figs")
    one.consolidate()
    assert texts(one) == ["line: offline", "line: offline"]


# -- budgets and outages --------------------------------------------------------------------------------------


class Counting:
    """Takes a moment for every answer; 100 tokens in, 10 out."""

    id, price_in, price_out = "counting:x", 1.0, 2.0

    def __init__(self, says: str = '{"gist": "tea"}', *, is_up: bool = True) -> None:
        self.calls, self.says, self.is_up = 0, says, is_up
        self._lock = threading.Lock()

    def complete(self, messages: object, *, schema: object = None, max_tokens: int = 2048) -> Completion:
        with self._lock:
            self.calls += 1
        time.sleep(0.01)
        if not self.is_up:
            raise LLMUnavailable("It is down.")
        return Completion(text=self.says, tokens_in=100, tokens_out=10)

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("says", ['{"gist": "tea"}', "no JSON"])
@pytest.mark.parametrize(
    ("budget", "most"),
    [
        (Budget(calls_per_day=1), 1),
        (Budget(calls_per_day=6), 6),
        (Budget(usd_per_day=0.0003), 3),
        (Budget(tokens_per_day=3000), 8),
    ],
    ids=["one", "six", "money", "tokens"],
)
def test_a_budget_is_kept_by_all_who_ask_at_once_and_by_those_who_ask_again(
    open_memory: Opens, says: str, budget: Budget, most: int
) -> None:
    llm = Counting(says)
    memory = open_memory(llm=llm, budget=budget, background=False)
    memory.add([f"turn {n}" for n in range(20)])
    memory.attach("scribe")
    for _ in range(3):
        memory.consolidate()
    assert 0 < llm.calls <= most
    (spent,) = memory.stats()["llm"]
    assert (spent["calls"], spent["tokens_in"]) == (llm.calls, 100 * llm.calls)
    assert spent["usd"] == pytest.approx(llm.calls * 120 / 1e6)


def test_a_memory_that_may_not_write_keeps_to_its_budget_as_long_as_it_is_open(
    open_memory: Opens, tmp_path: Path
) -> None:
    llm = Counting()
    before = open_memory(tmp_path / "memory.db", llm=llm, background=False)
    before.attach("scribe")
    before.add("tea")
    memory = open_memory(tmp_path / "memory.db", llm=llm, budget=Budget(calls_per_day=2), read_only=True)
    for n in range(5):
        memory.system("scribe").search(f"question {n}")
    assert llm.calls == 2


def test_a_model_that_is_down_is_not_asked_all_that_waits(open_memory: Opens) -> None:
    llm = Counting(is_up=False)
    memory = open_memory(llm=llm, background=False)
    memory.add([f"turn {n}" for n in range(40)])
    memory.attach("scribe")
    assert "LLMUnavailable: It is down." in str(memory.consolidate()["scribe"]["error"])
    assert llm.calls <= 8
    llm.is_up = True
    memory.consolidate()
    assert len(texts(memory)) == 40
