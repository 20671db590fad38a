"""A program that ends with an open memory: it does not wait for a model, and what was not answered is asked again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.systems.registry import SYSTEMS
from mnemic.testing import Reply, ScriptedLLM

TESTS = Path(__file__).parents[1]
SLOW_S = 60.0
OPENED = """
import sys, time
from mnemic import Memory
from mnemic.systems.registry import SYSTEMS
SYSTEMS["scribe"] = "memory.scribe:Scribe"
class Slow:
    id, asked = "slow", 0
    def complete(self, messages, *, schema=None, max_tokens=2048):
        self.asked += 1
        time.sleep(60)
    def close(self): pass
path, spec, is_asked = sys.argv[1:]
slow = Slow()
memory = Memory.open(path, embedder="hashing", llm=spec if spec != "slow" else slow)
memory.add(["tea", "coffee", "milk"])
"""
IN_THE_BACKGROUND = OPENED + 'memory.attach("scribe")\n'
IN_A_THREAD = (
    OPENED
    + """
import threading
memory._shared.background.wake = lambda *_: None
memory.attach("scribe")
threading.Thread(target=memory.consolidate, daemon=True).start()
"""
)
ENDS = """
while not (slow.asked if spec == "slow" else __import__("os").path.exists(is_asked)):
    time.sleep(0.01)
print("over", flush=True)
"""


def ends_in(program: str, path: Path, spec: str, asked: Path) -> float:
    """Seconds from the program's last line to the end of its process."""
    env = os.environ | {"PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", program + ENDS, str(path), spec, str(asked)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "over\n"
        over = time.monotonic()
        assert process.wait(timeout=SLOW_S / 2) == 0
        return time.monotonic() - over


@pytest.mark.parametrize("program", [IN_THE_BACKGROUND, IN_A_THREAD], ids=["in the background", "in a thread"])
def test_a_program_ends_promptly_while_a_model_of_its_own_answers(tmp_path: Path, program: str) -> None:
    assert ends_in(program, tmp_path / "memory.db", "slow", tmp_path / "asked") < SLOW_S / 6


def test_a_program_ends_promptly_while_an_endpoint_answers_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    monkeypatch.setitem(SYSTEMS, "scribe", "memory.scribe:Scribe")
    path, asked = tmp_path / "memory.db", tmp_path / "asked"
    is_slow = [True]

    def answer(_: object) -> Reply:
        asked.touch()
        return Reply(value={"gist": "g"}, delay_s=SLOW_S if is_slow[0] else 0.0)

    with ScriptedLLM() as llm:
        llm.answers(answer)
        spec = f"openai:scripted?base_url={llm.base_url}"
        assert ends_in(IN_THE_BACKGROUND, path, spec, asked) < SLOW_S / 6
        is_slow[0] = False
        with Memory.open(path, embedder="hashing", llm=spec, background=False) as memory:
            assert [one.text for one in memory.list()] == ["tea", "coffee", "milk"]
            assert memory.consolidate() == {"scribe": {"observed": 3}}
            assert [one.text for one in memory.records(system="scribe")] == ["g", "g", "g"]
