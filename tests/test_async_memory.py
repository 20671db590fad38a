"""The asyncio front door has the same verbs as the plain one and does the same."""

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from mnemic import AsyncMemory, Memory
from mnemic.errors import IdConflict, StoreClosed

ROOT = Path(__file__).parents[1]


def public(kind):
    return {name for name in vars(kind) if not name.startswith("_")} - {
        "export_lines"
    }  # an iterator waits in its thread


def test_the_async_front_door_has_the_verbs_of_the_plain_one():
    assert public(AsyncMemory) == public(Memory)


@pytest.mark.parametrize("name", sorted(name for name in public(Memory) if inspect.isfunction(getattr(Memory, name))))
def test_a_verb_has_the_same_parameters_in_both(name):
    plain, other = inspect.signature(getattr(Memory, name)), inspect.signature(getattr(AsyncMemory, name))
    assert [(one.name, one.kind, one.default) for one in plain.parameters.values()] == [
        (one.name, one.kind, one.default) for one in other.parameters.values()
    ]


def test_the_async_front_door_is_what_the_tool_makes():
    pytest.importorskip("ruff", reason="ruff formats the made file")
    done = subprocess.run([sys.executable, ROOT / "tools/make_async.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_episodes_added_at_once_from_many_tasks_are_all_kept(tmp_path):
    async def run():
        async with await AsyncMemory.open(tmp_path / "a.db", embedder="hashing") as memory:
            alice = memory.scope("acme/alice")
            added = await asyncio.gather(*(alice.add(f"note number {number}") for number in range(40)))
            hits = await asyncio.gather(*(alice.search(f"note number {number}", limit=1) for number in (3, 17)))
            return {one.id for one in added}, [recall[0].text for recall in hits], await memory.scopes()

    ids, texts, scopes = asyncio.run(run())
    assert len(ids) == 40
    assert texts == ["note number 3", "note number 17"]
    assert scopes == {"acme/alice": 40}


def test_errors_come_through_and_the_loop_goes_on_meanwhile(tmp_path):
    async def run():
        memory = await AsyncMemory.open(tmp_path / "a.db", embedder="hashing")
        await memory.add("one", id="x")
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with pytest.raises(IdConflict):
            await memory.add("two", id="x")
        ticking.cancel()
        await memory.close()
        with pytest.raises((StoreClosed, RuntimeError)):
            await memory.search("one")
        return ticks

    assert asyncio.run(run()) > 0


def test_attach_and_system_give_async_handles(tmp_path):
    async def run():
        async with await AsyncMemory.open(embedder="hashing") as memory:
            await memory.add("tea at four")
            assert isinstance(await memory.attach("bm25"), AsyncMemory)
            return [(await memory.system("bm25").search("tea")).system, str(await memory.context("tea"))[:8]]

    assert asyncio.run(run()) == ["bm25", "Memories"]
