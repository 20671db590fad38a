"""`mnemic reindex --data`: all tenants of a folder get other vectors, with no server running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.models.hashing import HASHING_ID, HashingEmbedder
from mnemic.serve.control import Control
from mnemic.serve.run import only_one

from .conftest import AsJson, Run


class Other(HashingEmbedder):
    """Hashed n-grams under another id, which no version can open by itself."""

    id = "other/1"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A server's folder with a tenant of hashed n-grams and one of another embedder."""
    folder = tmp_path / "data"
    (folder / "tenants").mkdir(parents=True)
    with Control(folder / "server.db") as control:
        for tenant, embedder in (("acme", HashingEmbedder()), ("beta", Other())):
            control.claim_tenant(tenant, f"t-{tenant}.db")
            with Memory.open(folder / "tenants" / f"t-{tenant}.db", embedder=embedder) as memory:
                memory.scope(tenant).add([f"{tenant} says {n}" for n in range(3)])
    return folder


def stats(data: Path, tenant: str) -> tuple[str, int]:
    with Memory.open(data / "tenants" / f"t-{tenant}.db", embedder="auto") as memory:
        numbers = memory.stats()
        return numbers["embedder"], numbers["waiting_vectors"]


def test_every_tenant_gets_the_embedder_that_was_named(run: Run, data: Path) -> None:
    assert "Embedded 3 episodes of 2 tenants" in run("reindex", "--data", str(data), "--embedder", "hashing").stdout
    assert [stats(data, tenant) for tenant in ("acme", "beta")] == [(HASHING_ID, 0)] * 2
    with Memory.open(data / "tenants" / "t-beta.db") as memory:
        assert memory.scope("beta").search("says 2")[0].text == "beta says 2"
    assert "Embedded 6 episodes" in run("reindex", "--data", str(data), "--embedder", "hashing", "--again").stdout


def test_without_a_name_each_keeps_its_own_and_one_that_cannot_is_named(
    as_json: AsJson, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNEMIC_EMBEDDER")
    done = {one["path"]: one for one in as_json("reindex", "--data", str(data), "--again", code=1)["tenants"]}
    acme, beta = done["tenants/t-acme.db"], done["tenants/t-beta.db"]
    assert (acme["embedded"], acme["embedder"], acme["problem"]) == (3, HASHING_ID, None)
    assert (beta["embedded"], beta["before"]) == (0, "other/1")
    assert beta["problem"].startswith("EmbedderMismatch")


def test_a_damaged_tenant_is_named_and_does_not_stop_the_others(run: Run, data: Path) -> None:
    (data / "tenants" / "t-acme.db").write_bytes(b"\xff" * 40_000)
    told = run("reindex", "--data", str(data), "--embedder", "hashing", code=1)
    assert "tenants/t-acme.db was not embedded" in told.stderr
    assert "Embedded 3 episodes of 1 tenant:" in told.stdout
    assert stats(data, "beta") == (HASHING_ID, 0)


def test_it_is_refused_while_a_server_holds_the_folder(run: Run, data: Path) -> None:
    with only_one(data):
        assert "Another server" in run("reindex", "--data", str(data), "--embedder", "hashing", code=3).stderr
    with Memory.open(data / "tenants" / "t-beta.db", embedder=Other()) as memory:
        assert memory.stats()["waiting_vectors"] == 0


@pytest.mark.parametrize("words", [("--data", "nowhere"), ("--data", "data", "--db", "x.db")])
def test_what_is_meant_must_be_there_and_plain(run: Run, data: Path, words: Any) -> None:
    assert "--data" in run("reindex", *words, code=2).stderr
