"""The comparison with other memories measures what it says: its self-check catches bad adapters, its figures are right."""

import importlib
import json
import socket
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mnemic.bench.dataset import Key, Question, Sample, Turn
from mnemic.models.resolve import open_embedder

SPEEDS = (
    *("single_ms", "single_cpu_ms", "batch_per_s", "batch_cpu_ms", "search_p50_ms", "search_p95_ms"),
    *("search_cpu_ms", "disk_bytes"),
)
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    """A module of the benchmarks, which are scripts and no package."""
    for folder in (BENCHMARKS / "peers", BENCHMARKS):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return importlib.import_module(name)


measure, report, environments = load("measure"), load("report"), load("environments")


def load_runner() -> ModuleType:
    """peers.py itself: beside a folder of the same name, so found by its path."""
    spec = importlib.util.spec_from_file_location("peers_runner", BENCHMARKS / "peers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


runner = load_runner()


class Plain(measure.Adapter):
    """A memory that compares every vector and keeps its items in a JSON file."""

    def __init__(self, folder: Path, lookup: Any) -> None:
        super().__init__(folder, lookup)
        self.file = folder / "plain.json"
        self.spaces: dict[str, list[list[str]]] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def add_many(self, space: str, items: Sequence[Any]) -> None:
        self.spaces.setdefault(space, []).extend([item.id, item.text] for item in items)

    def search(self, space: str, query: str, k: int) -> list[str]:
        rows = self.spaces[space]
        scores = self.lookup.rows([text for _, text in rows]) @ self.lookup.rows([query])[0]
        return [rows[place][0] for place in np.argsort(-scores, kind="stable")[:k]]

    def count(self, space: str) -> int:
        return len(self.spaces[space])

    def save(self) -> None:
        self.file.write_text(json.dumps(self.spaces))


class Dropping(Plain):
    def add(self, space: str, item: Any) -> None:
        if item.id[-1] != "5":
            super().add(space, item)


class Capped(Plain):
    def search(self, space: str, query: str, k: int) -> list[str]:
        return super().search(space, query, min(k, 10))


class Leaking(Plain):
    def search(self, space: str, query: str, k: int) -> list[str]:
        return [*super().search(space, query, k - 1), super().search("other", query, 1)[0]]


class Forgetting(Plain):
    def save(self) -> None:
        self.file.write_text(json.dumps({space: rows[:-1] for space, rows in self.spaces.items()}))


class Shuffling(Plain):
    def search(self, space: str, query: str, k: int) -> list[str]:
        return super().search(space, query, k)[::-1]


def said(place: int) -> str:
    """Words that no other line has."""
    return " ".join(f"{stem}{chr(97 + place // 26)}{chr(97 + place % 26)}" for stem in ("topic", "matter", "thing"))


@pytest.fixture
def samples() -> list[dict[str, Any]]:
    """Two conversations of a hundred lines, as the peers are given them."""
    return [
        {
            "id": f"c{number}",
            "items": [
                {
                    "id": f"c{number}-{place:05d}",
                    "text": f"[2024-05-01 12:00] Mara: {said(place)}",
                    "said": said(place),
                    "speaker": "Mara",
                    "session": f"s{place // 20}",
                    "at": "2024-05-01T12:00:00+00:00",
                }
                for place in range(100)
            ],
            "questions": [{"id": f"c{number}-q0", "text": f"What of {said(3)}?"}],
        }
        for number in range(2)
    ]


@pytest.fixture
def lookup(samples: list[dict[str, Any]], tmp_path: Path) -> Any:
    texts = runner.texts_of(samples)
    np.save(tmp_path / "locomo.npy", open_embedder("hashing").embed(texts))
    (tmp_path / "locomo.texts.json").write_text(json.dumps(texts))
    return measure.Lookup(tmp_path, "locomo")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_a_faithful_memory_passes_the_self_check(samples: Any, lookup: Any, scratch: Path) -> None:
    assert measure.problems(Plain, lookup, samples, scratch) == []


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (Dropping, "items of"),
        (Capped, "different hits of 10 for k = 20"),
        (Leaking, "hits of another space"),
        (Forgetting, "reopened: "),
        (Shuffling, "does not find it first"),
    ],
)
def test_the_self_check_names_what_an_adapter_does_wrong(
    made: type[Any], fault: str, samples: Any, lookup: Any, scratch: Path
) -> None:
    assert any(fault in found for found in measure.problems(made, lookup, samples, scratch))


def test_a_memory_may_give_fewer_hits_only_where_it_says_why(samples: Any, lookup: Any, scratch: Path) -> None:
    class Honest(Capped):
        may_give_less = "it shows ten at most"

    assert measure.problems(Honest, lookup, samples, scratch) == []


@pytest.mark.parametrize("mode", ["Default", "Line", "Bm25", "Dense"])
def test_mnemic_passes_the_self_check_that_the_others_must_pass(
    mode: str, samples: Any, lookup: Any, scratch: Path
) -> None:
    adapter = getattr(load("with_mnemic"), mode)
    assert measure.problems(adapter, lookup, samples, scratch) == []


def test_retrieval_gives_the_hits_of_every_question_and_counts_the_vectors_asked_for(
    samples: Any, lookup: Any, scratch: Path
) -> None:
    found = measure.retrieval(Plain, lookup, samples, scratch)
    assert {id: len(hits) for id, hits in found["hits"].items()} == {"c0-q0": 20, "c1-q0": 20}
    assert all(hit.startswith(id[:2]) for id, hits in found["hits"].items() for hit in hits)
    assert found["vectors"] == 101  # `Plain` asks for those of all items at every search


def test_speed_is_measured_with_as_many_items_as_asked_for(samples: Any, lookup: Any, scratch: Path) -> None:
    seen = []

    class Counting(Plain):
        def close(self) -> None:
            seen.append(self.count("speed"))

    items = [item | {"id": f"{item['id']}-{copy}"} for copy in range(3) for item in samples[0]["items"]]
    world = {"items": items, "queries": [item["text"] for item in items[:110]]}
    found = load("speed").speed(Counting, lookup, world, 250, scratch)
    assert seen == [250] * 3
    assert found["size"] == 250
    assert found["runs"] == 3
    assert all(found[name] >= 0 for name in SPEEDS)


def test_a_memory_that_lost_items_gives_no_figure(samples: Any, lookup: Any, scratch: Path) -> None:
    class Losing(Plain):
        def add_many(self, space: str, items: Sequence[Any]) -> None:
            super().add_many(space, items[1:])

    with pytest.raises(SystemExit, match="missing"):
        measure.retrieval(Losing, lookup, samples, scratch)


def test_a_text_without_a_vector_is_an_error_and_never_a_made_up_vector(lookup: Any) -> None:
    with pytest.raises(LookupError, match="No vector was made"):
        lookup.rows(["a text that nobody announced"])


def test_another_machine_is_refused_and_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "REFUSED", [])
    with pytest.raises(OSError, match="may not be reached"):
        measure.refuse_network("socket.getaddrinfo", ("telemetry.example", 443))
    with socket.socket() as one, pytest.raises(OSError, match="may not be reached"):
        measure.refuse_network("socket.connect", (one, ("192.0.2.1", 443)))
    measure.refuse_network("socket.getaddrinfo", ("localhost", 1))
    assert measure.REFUSED == ["telemetry.example", "192.0.2.1"]


# -- what is given --------------------------------------------------------------------------------------------


@pytest.fixture
def sample() -> Sample:
    turns = (
        Turn(id="D1:1", text="Hello!", actor="Mara", session="s1", occurred_at=datetime(2023, 5, 8, 13, 56)),
        Turn(id="D1:2", text="I have a dog.", actor="Tobias", session="s1", occurred_at=datetime(2023, 5, 8, 13, 57)),
    )
    key = Key(evidence=("D1:2",), answers=("a dog",))
    question = Question(id="conv/q7", text="Who has a pet?", category="4", key=key)
    return Sample(id="conv", turns=turns, questions=(question,))


def test_everyone_gets_the_date_the_speaker_and_the_text(sample: Sample) -> None:
    assert runner.line(sample.turns[0]) == "[2023-05-08 13:56] Mara: Hello!"


def test_no_answer_and_no_id_of_the_dataset_is_given(sample: Sample) -> None:
    given = json.dumps(runner.neutral([sample]))
    assert not any(secret in given for secret in ("D1", "conv", "q7", '"4"', 'a dog"'))


def test_evidence_is_named_by_the_ids_that_were_given(sample: Sample) -> None:
    given, (asked,) = runner.neutral([sample]), runner.asked([sample])
    assert asked == report.Question(given[0]["questions"][0]["id"], 0, "4", (given[0]["items"][1]["id"],))


# -- environments ---------------------------------------------------------------------------------------------


def test_every_peer_has_pinned_packages_and_an_adapter() -> None:
    for peer in environments.PEERS:
        assert all("==" in requirement for requirement in peer.requirements), peer
        assert (BENCHMARKS / "peers" / peer.script).exists(), peer


def test_a_peer_that_cannot_be_installed_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "loads_extensions", lambda python: False)
    peer = next(one for one in environments.PEERS if one.needs_extensions)
    with pytest.raises(environments.NotInstalled, match="loads no extensions"):
        environments.prepare(peer, tmp_path, Path(sys.executable))


# -- the report -----------------------------------------------------------------------------------------------


@pytest.fixture
def found() -> dict[str, Any]:
    questions = [
        {"id": f"q{place}", "sample": place % 2, "category": str(1 + place % 4), "evidence": ["right"]}
        for place in range(40)
    ]

    def memory(hits: list[str], mode: str = "search()") -> dict[str, Any]:
        run = dict.fromkeys(SPEEDS, 2.0)
        run |= {
            "save_ms": 0.0,
            "rss_bytes": 2**20,
            "floor_commit_ms": 1.0,
            "floor_scan_ms": 0.1,
            "runs": 3,
            "size": 1000,
        }
        return {
            "search_mode": mode,
            "guarantee": "none",
            "is_kept": True,
            "retrieval": {"hits": {one["id"]: hits for one in questions}, "vectors": 1.0, "refused": []},
            "environment": {
                "versions": {"it": "1.0"},
                "import_s": 0.1,
                "import_rss_bytes": 0,
                "installed_bytes": 10**6,
                "packages": {"it": "1.0"},
            },
            "speed": [run],
        }

    return {
        "made_at": "2026-11-21T00:00:00+00:00",
        "machine": "a machine",
        "python": "3.11",
        "embedder": "a model",
        "sizes": [1000],
        "questions": questions,
        "memories": {
            "mnemic": memory(["right"]),
            "blind": memory(["wrong"]),
            "late": memory(["wrong"] * 5 + ["right"]),
            "absent": {"failed": "not installed: no such version"},
        },
    }


def test_recall_is_the_share_of_the_evidence_among_the_first_k() -> None:
    asked = [report.Question("q", 0, "1", ("a", "b")), report.Question("r", 0, "1", ("c",))]
    hits = {"q": ["a", "x", "b"], "r": ["y", "c"]}
    assert report.recall(hits, asked, 2).tolist() == [0.5, 1.0]
    assert report.recall(hits, asked, 3).tolist() == [1.0, 1.0]


def test_the_report_has_every_memory_with_its_difference_and_every_failure_with_its_reason(
    found: dict[str, Any],
) -> None:
    text = report.markdown(found)
    assert "| blind | .000 (.000 to .000) | -1.000 (-1.000 to -1.000) | behind |" in text
    assert "| late | .000 / 1.000 / 1.000 |" in text
    assert "| late | 1.000 (1.000 to 1.000) | +0.000 (+0.000 to +0.000) | a tie |" in text
    assert "- absent: not installed: no such version" in text


def test_the_same_figures_give_the_same_report(found: dict[str, Any]) -> None:
    assert report.markdown(found) == report.markdown(json.loads(json.dumps(found)))
