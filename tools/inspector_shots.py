"""Pictures of the inspector on the demo conversation, for docs/inspector.md; needs Chromium.

    python tools/inspector_shots.py [FOLDER]

The same pages, sizes and texts every time; letters look as the machine's fonts do.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import uvicorn  # noqa: E402

from mnemic import Memory  # noqa: E402
from mnemic.clock import ManualClock, parse_time  # noqa: E402
from serve.chromium import Chromium  # noqa: E402
from serve.one_memory import OneMemory, app_over  # noqa: E402

SCOPE = "demo/mara"
FRAME = "What is the frame number of Mara's bicycle Gudrun?"
MOST_BYTES = 200_000
WHY = "document.querySelector('[data-why]').open = true"
AS_OF = "document.querySelector('.narrow').open = true"
MISSED = "document.getElementById('missed-title').scrollIntoView()"
TIED = "document.getElementById('around').scrollIntoView()"

# name: page, its query, what is done there first, width, height, dark
SHOTS = {
    "timeline": ("timeline", {}, "", 1080, 900, False),
    "search": ("search", {"q": FRAME}, WHY, 1080, 1000, False),
    "search-dark": (
        "search",
        {"q": "Where does Mara work?", "as_of": "2024-04-30T12:00:00", "limit": "5"},
        AS_OF,
        1080,
        1000,
        True,
    ),
    "why-not": ("search", {"q": "Where does Mara work?", "limit": "5", "missed": "s09-08"}, MISSED, 1080, 620, False),
    "around": ("episode", {"id": "s11-03"}, TIED, 1080, 760, False),
    "compare": ("compare", {"q": "Where does Mara work?"}, "", 1080, 960, False),
    "forget": ("forget", {"session": "s14"}, "", 1080, 560, False),
    "phone": ("search", {"q": FRAME}, WHY, 360, 780, False),
    "phone-dark": ("timeline", {}, "", 360, 780, True),
}


def main() -> None:
    """Take all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, _served(Path(data) / "demo.db") as base:
        browser = Chromium()
        try:
            for name, (page, query, act, width, height, dark) in SHOTS.items():
                browser.size(width, height, scale=2.0 if width < 500 else 1.0, dark=dark)
                browser.open(f"{base}/inspector/{page}?{urlencode({'scope': SCOPE, **query})}")
                if act:
                    browser.js(act)
                browser.js("document.activeElement.blur()")
                path = folder / f"inspector-{name}.png"
                browser.picture(path)
                print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
                if path.stat().st_size > MOST_BYTES:
                    raise SystemExit(f"{path.name} is larger than {MOST_BYTES} bytes. Make it smaller.")
        finally:
            browser.close()


@contextmanager
def _served(path: Path) -> Iterator[str]:
    """The inspector over the demo conversation, recorded as it was said."""
    lines = (ROOT / "src/mnemic/data/demo.jsonl").read_text("utf-8").splitlines()
    messages = [json.loads(line) for line in lines]
    clock = ManualClock(parse_time(messages[0]["timestamp"]))
    with Memory.open(path, clock=clock) as memory:
        for session in dict.fromkeys(message["session"] for message in messages):
            said = [message for message in messages if message["session"] == session]
            clock.set(parse_time(said[-1]["timestamp"]))
            memory.scope(SCOPE).add(said)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app_over(OneMemory(memory)), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


if __name__ == "__main__":
    main()
