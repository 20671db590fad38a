"""The TypeScript client: its types, its own tests against a real server, and what its package holds.

Runs where node is and its development packages are installed (`npm ci` in clients/typescript). The slow test installs them.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "clients/typescript"
NPM = shutil.which("npm")
DIST = ["client", "connection", "errors", "index", "schema", "types"]

needs_npm = pytest.mark.skipif(NPM is None, reason="npm is not on this machine")
needs_packages = pytest.mark.skipif(
    NPM is None or not (PACKAGE / "node_modules/typescript").exists(),
    reason="run `npm ci` in clients/typescript first",
)


def npm(*arguments, cwd=PACKAGE, **environment):
    done = subprocess.run(
        [NPM, *arguments],
        cwd=cwd,
        env={**os.environ, "npm_config_update_notifier": "false", "npm_config_loglevel": "error", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_packages
def test_the_types_are_what_the_servers_document_gives():
    npm("run", "generate", "--", "--check")


@needs_packages
def test_the_types_allow_what_they_should_and_refuse_what_they_should():
    npm("run", "check")


@needs_packages
def test_it_passes_its_own_tests_against_a_running_server(url):
    said = npm("test", MNEMIC_URL=url, NO_PROXY="127.0.0.1")
    assert int(re.search(r"^# pass (\d+)$|^ℹ pass (\d+)$", said, re.M)[0].split()[-1]) >= 15
    assert re.search(r"(#|ℹ) fail 0$", said, re.M)


@needs_packages
def test_the_package_holds_the_client_and_nothing_else():
    npm("run", "build")
    packed = json.loads(npm("pack", "--dry-run", "--json", "--ignore-scripts"))[0]
    files = {one["path"] for one in packed["files"]}
    assert files == {"LICENSE", "README.md", "package.json"} | {
        f"dist/{name}{end}" for name in DIST for end in (".js", ".d.ts")
    }


def test_the_package_needs_nothing_at_run_time_and_says_what_it_is():
    said = json.loads((PACKAGE / "package.json").read_text())
    assert (said["name"], said["license"], said["type"]) == ("@mnemic/client", "Apache-2.0", "module")
    assert "dependencies" not in said


def test_the_licence_is_ours():
    assert (PACKAGE / "LICENSE").read_bytes() == (PACKAGE / "../../LICENSE").read_bytes()


@pytest.mark.slow
@needs_npm
def test_from_a_fresh_checkout_it_is_installed_built_and_tested(url, tmp_path):
    copy = tmp_path / "typescript"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    npm("ci", "--no-audit", "--no-fund", cwd=copy)
    npm("run", "check", cwd=copy)
    npm("test", cwd=copy, MNEMIC_URL=url, NO_PROXY="127.0.0.1")
    npm("pack", "--ignore-scripts", cwd=copy)
    assert [one.name for one in copy.glob("*.tgz")] == ["mnemic-client-0.1.0.tgz"]
