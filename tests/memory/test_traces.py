"""After forgetting, the bytes are in no file of the store; before it, find_traces finds them, also those of long texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS, FRAGILE
from systems.worlds import START

Open = Callable[..., Memory]
SECRET = "Zanzibar quokka 4711 passphrase"
PARTS_OF_IT = [SECRET, "Zanzibar", "quokka", "zanzibar"]  # the index keeps words in lower case


def traces(memory: Memory) -> dict[str, list[str]]:
    return {part: [file.name for file in memory.find_traces(part)] for part in PARTS_OF_IT if memory.find_traces(part)}


def fill(memory: Memory) -> None:
    memory.add([f"tea number {at} with {at * 7919} leaves" for at in range(60)], session="before")
    memory.add(
        {"content": SECRET, "id": "secret", "name": "Quentin Quokka", "metadata": {"k": f"about {SECRET}"}},
        session="quokka session",
    )
    memory.add(f"more on the {SECRET}", id="too")
    memory.add([f"coffee number {at}" for at in range(60)], session="after")


@pytest.mark.parametrize("size", [31, 200, 300, 1_000, 5_000, 20_000, 3_000_000])
def test_a_text_of_any_length_is_found_before_and_gone_after_it_is_forgotten(
    open_memory: Open, tmp_path: Path, size: int
) -> None:
    memory = open_memory(tmp_path / "memory.db")
    text = "".join(f"{at * 7919:x}-" for at in range(size // 4 + 4))[:size]
    memory.add({"content": text, "id": "e", "metadata": {"pad": "p" * (size % 5_000)}})
    assert [file.name for file in memory.find_traces(text)] != []
    memory.forget("e")
    assert memory.find_traces(text) == []
    memory.close()
    assert [file.name for file in tmp_path.iterdir() if text[:60].encode() in file.read_bytes()] == []


def test_a_forgotten_episode_leaves_no_bytes_behind(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    fill(memory)
    memory.search("quokka passphrase")
    memory.context("quokka passphrase")
    assert set(traces(memory)) == set(PARTS_OF_IT)
    memory.forget(["secret", "too"])
    assert traces(memory) == {}


def test_a_forgotten_scope_leaves_no_bytes_behind_not_even_its_name(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.scope("Zanzibar/quokka").add(SECRET)
    memory.scope("Zanzibar").reset()
    assert (traces(memory), memory.scopes()) == ({}, {})


def test_a_superseded_text_goes_with_its_correction(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.add(SECRET, id="secret")
    memory.forget(memory.update("secret", "nothing to see").id)
    assert traces(memory) == {}


def test_records_failures_and_echo_memory_leave_no_bytes_behind(
    open_memory: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, where in {"digest": FOR_TESTS["digest"], **FRAGILE}.items():
        monkeypatch.setitem(SYSTEMS, name, where)
    memory = open_memory(tmp_path / "memory.db")
    fill(memory)
    memory.add(f"a bomb: {SECRET}", id="bomb")  # Fragile quotes it in its error
    for name in ("digest", "fragile"):
        memory.attach(name)
    assert "error" in memory.consolidate()["fragile"]
    memory.forget(["secret", "too", "bomb"])
    assert traces(memory) == {}
    memory.consolidate()
    assert traces(memory) == {}


def test_index_files_hold_the_words_before_and_not_after(
    open_memory: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnemic.index.library.WORTH_A_FILE", 50)
    path = tmp_path / "memory.db"
    memory = open_memory(path)
    fill(memory)
    memory.search("quokka")
    memory.search("quokka", include_children=True)
    memory.close()
    memory = open_memory(path)
    folder = tmp_path / "memory.db.index"
    assert [file for file in memory.find_traces("zanzibar") if file.parent == folder] == sorted(folder.iterdir()) != []
    memory.forget(["secret", "too"])
    assert traces(memory) == {}
    memory.search("quokka")
    memory.close()
    assert [
        file.name for file in tmp_path.rglob("*") if file.is_file() and b"zanzibar" in file.read_bytes().lower()
    ] == []


def test_echoes_of_a_forgotten_episode_leave_no_bytes_behind(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.add(SECRET, id="secret")
    echo = memory.add(str(memory.context("quokka")), role="assistant")
    assert echo.echoes != []
    assert memory.forget("secret").ids == ("secret", echo.id)
    assert traces(memory) == {}


def test_echoes_that_a_scope_above_keeps_go_with_what_they_repeat(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.scope("acme/alice").add(SECRET, id="secret")
    acme = memory.scope("acme")
    acme.add({"role": "assistant", "content": str(acme.context("quokka", include_children=True))})
    assert memory.scope("acme/alice").forget("secret", dry_run=True).episodes == 2
    memory.scope("acme/alice").forget("secret")
    assert (traces(memory), memory.scopes()) == ({}, {"acme": 0, "acme/alice": 0})


def test_a_memory_without_a_file_has_no_traces(memory: Memory) -> None:
    memory.add(SECRET)
    assert memory.find_traces(SECRET) == []


@given(
    said=st.lists(
        # the snowman: no name of the schema, which stands in every file
        st.text(st.characters(codec="utf-8"), min_size=12, max_size=400).map(lambda text: f"\N{SNOWMAN}{text}"),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    data=st.data(),
)
@settings(max_examples=25)
def test_whatever_was_said_its_bytes_go_and_the_rest_stays(
    said: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gone = data.draw(st.sets(st.sampled_from(range(len(said))), min_size=1))
    path = tmp_path_factory.mktemp("traces") / "memory.db"
    with Memory.open(path, embedder="hashing", clock=ManualClock(START), durability="normal") as memory:
        for at, text in enumerate(said):
            memory.add(text, id=f"e{at}")
        memory.forget([f"e{at}" for at in gone])
        left = [text for at, text in enumerate(said) if at not in gone]
        assert [one.text for one in memory.list()] == left
        whole = "\x00".join(left)
        for at in gone:
            if said[at] not in whole and not any(piece in whole for piece in (said[at][:40], said[at][-40:])):
                assert memory.find_traces(said[at]) == []
