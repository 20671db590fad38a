"""`mnemic keys`: made, listed, revoked; the secret is shown once, on standard output."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mnemic.cli.main import app
from mnemic.serve.control import Control
from mnemic.serve.keys import Keys

from .conftest import Run


@pytest.fixture
def data(db: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = db.parent / "data"
    monkeypatch.setenv("MNEMIC_DATA", str(folder))
    return folder


def keys_in(data: Path) -> list[Any]:
    with Control(data / "server.db") as control:
        return Keys(control).list()


def test_the_secret_alone_stands_on_standard_output_and_opens_the_door(run: Run, data: Path) -> None:
    made = run("keys", "create", "--name", "tutor", "--scope", "acme", "--scope", "beta", "--verbs", "read, forget")
    with Control(data / "server.db") as control:
        key = Keys(control).check(made.stdout.strip())
    assert key is not None
    assert (key.name, key.scopes, key.verbs) == ("tutor", ("acme", "beta"), {"read", "forget"})
    assert made.stdout.count("\n") == 1
    assert made.stdout.strip() not in made.stderr
    assert "cannot be shown again" in made.stderr


def test_json_has_the_secret_once_and_lists_never_have_it(run: Run, data: Path) -> None:
    made = json.loads(run("keys", "create", "--name", "one", "--scope", "", "--json").stdout)
    assert made["verbs"] == ["read", "write"]
    listed = json.loads(run("keys", "list", "--json").stdout)
    assert listed == [{name: value for name, value in made.items() if name != "secret"} | {"state": "active"}]
    shown = run("keys", "list").stdout
    assert made["id"] in shown
    assert "everything" in shown
    assert made["secret"].rpartition("_")[2] not in shown


def test_the_folder_is_named_in_full_and_whether_it_is_new(run: Run, data: Path) -> None:
    words = ("keys", "create", "--name", "one", "--scope", "a")
    assert f"in {data}, new:" in run(*words).stderr
    assert f"in {data}:" in run(*words).stderr


def test_a_folder_named_by_nobody_is_told_in_full(run: Run, tmp_path: Path) -> None:
    told = run("keys", "create", "--name", "one", "--scope", "a").stderr
    assert f"in {tmp_path / 'mnemic-data'}, new:" in told


def test_a_key_that_reaches_nothing_is_not_made(run: Run, data: Path) -> None:
    refused = run("keys", "create", "--name", "one", code=2)
    assert "--scope" in refused.stderr
    assert not data.exists()


@pytest.mark.parametrize(
    "words",
    [("--verbs", "all"), ("--verbs", ""), ("--expires", "2001-01-01"), ("--expires", "soon"), ("--expires", "0d")],
)
def test_bad_input_is_one_line_and_makes_no_key(run: Run, data: Path, words: tuple[str, ...]) -> None:
    refused = run("keys", "create", "--name", "one", "--scope", "a", *words, code=2)
    assert refused.stderr.count("\n") == 1
    assert not (data / "server.db").exists() or keys_in(data) == []


@pytest.mark.parametrize(
    ("said", "lasts"), [("90m", timedelta(minutes=90)), ("30d", timedelta(days=30)), ("2w", timedelta(days=14))]
)
def test_a_key_expires_when_it_was_said_to(run: Run, data: Path, said: str, lasts: timedelta) -> None:
    run("keys", "create", "--name", "one", "--scope", "a", "--expires", said)
    (key,) = keys_in(data)
    assert abs(key.expires_at - key.created_at - lasts) < timedelta(seconds=5)


def test_a_day_means_its_end(run: Run, data: Path) -> None:
    run("keys", "create", "--name", "one", "--scope", "a", "--expires", "2999-12-31")
    assert keys_in(data)[0].expires_at == datetime(2999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def test_what_was_revoked_is_listed_only_with_all(run: Run, data: Path) -> None:
    for name in ("one", "two"):
        run("keys", "create", "--name", name, "--scope", "a")
    first, second = keys_in(data)
    assert first.id in run("keys", "revoke", first.id).stdout
    assert [one["id"] for one in json.loads(run("keys", "list", "--json").stdout)] == [second.id]
    assert "--all" in run("keys", "list").stderr
    assert [one["state"] for one in json.loads(run("keys", "list", "--all", "--json").stdout)] == ["revoked", "active"]


def test_an_unknown_key_stops_the_rest(run: Run, data: Path) -> None:
    run("keys", "create", "--name", "one", "--scope", "a")
    (key,) = keys_in(data)
    refused = CliRunner().invoke(app, ["keys", "revoke", key.id, "nobody"])
    assert refused.exit_code != 0
    assert "mnemic keys list" in refused.stderr
    assert keys_in(data)[0].revoked_at is None


def test_a_folder_without_a_server_is_named_and_none_is_made(run: Run, data: Path) -> None:
    assert str(data) in run("keys", "list", code=3).stderr
    run("keys", "revoke", "one", code=3)
    assert not data.exists()
