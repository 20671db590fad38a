"""`mnemic serve` as a process: it starts, tells what it does, refuses what would be unsafe, and ends without loss."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
COMMAND = [sys.executable, "-c", "from mnemic.cli.main import run; run()"]
SECRET_TEXT = "the orchid is in locker 8264"


class Process:
    """A server that was started, and what it writes."""

    def __init__(self, folder: Path, *words: str) -> None:
        known = {key: value for key, value in os.environ.items() if not key.startswith("MNEMIC_")}
        self.data = folder / "data"
        self._popen = subprocess.Popen(
            [*COMMAND, "serve", "--data", str(self.data), "--port", "0", "--log-format", "json", *words],
            cwd=folder,
            env=known | {"MNEMIC_EMBEDDER": "hashing"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def _read(self) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self.lines.append(line)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait_until_ready(self) -> Process:
        """Once it answers."""
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at and self._popen.poll() is None:
            if not self.url and (found := re.search(r'"url": "([^"]+)"', "".join(self.lines))):
                self.url = found[1]
            if self.url:
                with suppress(OSError):
                    urllib.request.urlopen(f"{self.url}/healthz", timeout=5).close()
                    return self
            time.sleep(0.02)
        raise AssertionError("".join(self.lines))

    def end(self, number: int) -> int:
        """Send a signal; the exit code."""
        self._popen.send_signal(number)
        return self.join()

    def join(self) -> int:
        code = self._popen.wait(60)
        self._reader.join(10)
        assert self._popen.stderr is not None
        self._popen.stderr.close()
        return code

    def kill(self) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
            self.join()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and parsed body."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or "null")

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*words: str) -> Process:
        started.append(Process(tmp_path, *words))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def mnemic(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("MNEMIC_")}
    return subprocess.run([*COMMAND, *words], cwd=folder, env=known, capture_output=True, text=True, timeout=60)


def new_key(folder: Path, *words: str) -> str:
    made = mnemic(folder, "keys", "create", "--name", "tester", "--data", "data", *words)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def may_open_enough_files(pid: int) -> bool:
    """Whether the process has raised its limit as far as it may."""
    limits = Path(f"/proc/{pid}/limits")
    if not limits.exists():
        return True
    soft, hard = re.search(r"Max open files\s+(\S+)\s+(\S+)", limits.read_text()).groups()  # type: ignore[union-attr]
    return soft == hard or int(soft) >= 65_536


def test_a_server_answers_logs_without_secrets_and_leaves_with_0(start: Callable[..., Process], tmp_path: Path) -> None:
    secret = new_key(tmp_path, "--scope", "acme")
    server = start().wait_until_ready()
    sent = {"authorization": f"Bearer {secret}"}
    assert server.ask("POST", "/v1/episodes", {"scope": "acme", "messages": SECRET_TEXT}, **sent)[0] == 201
    status, found = server.ask("GET", "/v1/episodes?scope=acme&session=orchid", **sent)
    assert (status, found["episodes"]) == (200, [])
    assert (
        server.ask("POST", "/v1/episodes", {"scope": "acme", "messages": "x"}, authorization="Bearer mnk_no_no")[0]
        == 401
    )
    assert may_open_enough_files(server.pid)
    assert server.end(signal.SIGTERM) == 0
    requests = [one for one in server.events if one["message"] == "request"]
    assert [(one["method"], one["path"], one["status"]) for one in requests] == [
        ("POST", "/v1/episodes", 201),
        ("GET", "/v1/episodes", 200),
        ("POST", "/v1/episodes", 401),
    ]
    key_id = secret.split("_")[1]
    assert [one["key"] for one in requests] == [key_id, key_id, None]
    assert all(one["ms"] >= 0 and one["level"] == "info" for one in requests)
    said = "".join(server.lines)
    assert secret.rpartition("_")[2] not in said
    assert "orchid" not in said
    assert server.events[-1]["message"] == "stopped"


@pytest.mark.slow
def test_a_key_revoked_by_the_command_line_is_refused_at_once(start: Callable[..., Process], tmp_path: Path) -> None:
    secret = new_key(tmp_path, "--scope", "acme")
    server = start().wait_until_ready()
    sent = {"authorization": f"Bearer {secret}"}
    assert server.ask("GET", "/v1/episodes?scope=acme", **sent)[0] == 200
    assert mnemic(tmp_path, "keys", "revoke", secret.split("_")[1], "--data", "data").returncode == 0
    assert server.ask("GET", "/v1/episodes?scope=acme", **sent)[0] == 401


@pytest.mark.slow
def test_an_interrupt_ends_it_gracefully_too(start: Callable[..., Process]) -> None:
    server = start().wait_until_ready()
    assert server.end(signal.SIGINT) == 0
    assert not list(server.data.rglob("*-wal"))  # every file was closed


def greeting_of(server: Process) -> list[str]:
    """The lines of a server that logs as text, once it has greeted."""
    ends_at = time.monotonic() + 60
    while "Ctrl-C" not in "".join(server.lines) and time.monotonic() < ends_at:
        time.sleep(0.02)
    return server.lines


def test_a_person_is_told_where_to_look_who_may_ask_and_where_the_data_is(start: Callable[..., Process]) -> None:
    server = start("--log-format", "text")
    first, second, third = greeting_of(server)[:3]
    url = re.search(r"The inspector: (http://127\.0\.0\.1:\d+)/", first)
    assert url is not None
    assert "No key was made: only this machine may ask" in second
    assert str(server.data.absolute()) in third
    server.url = url[1]
    assert server.ask("GET", "/v1/scopes")[0] == 200  # it is said once it is so
    assert server.end(signal.SIGINT) == 0
    (line,) = [line for line in server.lines if "/v1/scopes" in line]
    assert "key" not in line


def test_keys_that_travel_in_the_clear_are_warned_of_once(start: Callable[..., Process], tmp_path: Path) -> None:
    new_key(tmp_path, "--scope", "acme")
    server = start("--log-format", "text", "--host", "0.0.0.0")
    assert "Keys are needed" in greeting_of(server)[1]
    assert server.end(signal.SIGTERM) == 0
    (line,) = [line for line in server.lines if "in the clear" in line]
    assert "WARNING" in line


def test_a_warning_in_the_log_has_no_place_in_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    import logging
    import warnings

    from mnemic.serve.run import log_warnings

    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger("mnemic.serve").addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            log_warnings()
            warnings.warn("the weights are missing", UserWarning, stacklevel=1)
    finally:
        logging.getLogger("mnemic.serve").removeHandler(handler)
    assert capsys.readouterr().err == "the weights are missing\n"


def test_nobody_else_is_let_in_without_keys(start: Callable[..., Process]) -> None:
    server = start("--host", "0.0.0.0")
    assert server.join() == 2
    assert "mnemic keys create" in "".join(server.lines)
    assert len(server.lines) == 1


@pytest.mark.slow
def test_one_folder_is_served_once(start: Callable[..., Process]) -> None:
    first = start().wait_until_ready()
    second = start()
    assert second.join() == 3
    assert "Another server" in "".join(second.lines)
    first.kill()
    start().wait_until_ready()  # a killed server leaves no lock


def test_a_port_in_use_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = mnemic(tmp_path, "serve", "--data", "data", "--port", str(port))
    assert refused.returncode == 2
    assert f"Port {port}" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--tls-cert", "cert.pem"), "--tls-key"),
        (("--tls-cert", "cert.pem", "--tls-key", "key.pem"), "PEM"),
        (("--log-format", "xml"), "text or json"),
        (("--rate", "0"), "more than 0"),
        (("--embedder", "nothing-of-this-kind"), "minilm"),
    ],
)
def test_what_cannot_be_served_is_one_line_before_anything_listens(
    tmp_path: Path, words: tuple[str, ...], remedy: str
) -> None:
    refused = mnemic(tmp_path, "serve", "--data", "data", "--port", "0", *words)
    assert refused.returncode in (2, 3), refused.stderr
    assert remedy in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("not an address", 0)])
def test_an_address_of_another_machine_is_refused_with_what_to_do(host: str, port: int) -> None:
    from mnemic.errors import ParameterError
    from mnemic.serve.run import bound

    with pytest.raises(ParameterError, match="--host"), bound(host, port):
        pass


def test_settings_are_shown_without_starting_anything(tmp_path: Path) -> None:
    shown = mnemic(tmp_path, "serve", "--data", "data", "--rate", "5", "--json")
    assert json.loads(shown.stdout)["rate_per_s"] == 5.0
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill_and_only_that(start: Callable[..., Process]) -> None:
    acknowledged: list[str] = []
    for generation in range(3):
        server = start().wait_until_ready()

        def write(place: int, server: Process = server, generation: int = generation) -> None:
            with suppress(OSError, ValueError, http.client.HTTPException):  # killed in the middle of an answer
                for n in range(10_000):
                    id = f"g{generation}-{place}-{n}"
                    if server.ask("POST", "/v1/episodes", {"scope": f"t{place}", "messages": id, "id": id})[0] == 201:
                        acknowledged.append(id)

        writers = [threading.Thread(target=write, args=(place,)) for place in range(3)]
        before = len(acknowledged)
        for one in writers:
            one.start()
        while len(acknowledged) < before + 30:
            time.sleep(0.005)
        server.kill()
        for one in writers:
            one.join()
    server = start().wait_until_ready()
    kept = []
    for place in range(3):
        cursor = ""
        while cursor is not None:
            after = f"&cursor={cursor}" if cursor else ""
            page = server.ask("GET", f"/v1/episodes?scope=t{place}&limit=1000{after}")[1]
            kept += [one["text"] for one in page["episodes"]]
            cursor = page["next_cursor"]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))


@pytest.mark.slow
def test_a_backup_of_a_running_server_can_be_served(start: Callable[..., Process], tmp_path: Path) -> None:
    server = start().wait_until_ready()
    assert server.ask("POST", "/v1/episodes", {"scope": "acme", "messages": SECRET_TEXT})[0] == 201
    assert mnemic(tmp_path, "backup", "b.tar.gz", "--data", "data").returncode == 0
    assert server.end(signal.SIGTERM) == 0
    (tmp_path / "data").rename(tmp_path / "lost")
    assert mnemic(tmp_path, "restore", "b.tar.gz", "--data", "data").returncode == 0
    again = start().wait_until_ready()
    assert [one["text"] for one in again.ask("GET", "/v1/episodes?scope=acme")[1]["episodes"]] == [SECRET_TEXT]
