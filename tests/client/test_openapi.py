"""The server's OpenAPI document beside the TypeScript client is that of the server."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_document_that_is_committed_is_what_the_server_gives():
    done = subprocess.run([sys.executable, ROOT / "tools/make_openapi.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_is_the_document_that_a_running_server_sends(url):
    import httpx

    committed = json.loads((ROOT / "clients/typescript/openapi.json").read_text(encoding="utf-8"))
    assert httpx.get(f"{url}/openapi.json", trust_env=False).json() == committed
