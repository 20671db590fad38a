"""backup and restore: whole, checked, never over something; and no backup is trusted."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import FormatError, MnemicError, NotAStore, ParameterError, StoreCorrupt, StoreFull
from mnemic.serve.archive import LeftOut, check
from mnemic.serve.backup import back_up, copy_file
from mnemic.serve.control import Control
from mnemic.serve.keys import Keys
from mnemic.serve.restore import restore

from .conftest import AsJson, Run

START = datetime(2024, 5, 1, tzinfo=UTC)
SHAPES = ["friday", "friday.tar", "friday.tar.gz"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "data"
    (folder / "tenants").mkdir(parents=True)
    with Control(folder / "server.db") as control:
        Keys(control).create("one", ["acme"], ["read"])
        for tenant, texts in (("acme", 3), ("beta", 2)):
            control.claim_tenant(tenant, f"t-{tenant}.db")
            with Memory.open(folder / "tenants" / f"t-{tenant}.db", embedder="hashing") as memory:
                memory.scope(tenant).add([f"{tenant} says {n}" for n in range(texts)])
                memory.scope(tenant).search("says")
    (folder / "uploads").mkdir()
    (folder / "uploads" / "half").write_text("half a file")
    return folder


@pytest.fixture
def data(tmp_path: Path, template: Path) -> Path:
    """A server's folder with two tenants, a key, and caches."""
    return shutil.copytree(template, tmp_path / "data")


def texts_in(data: Path, tenant: str) -> list[str]:
    with Memory.open(data / "tenants" / f"t-{tenant}.db", embedder="hashing") as memory:
        return [one.text for one in memory.scope(tenant).list()]


def names_of(backup: Path) -> set[str]:
    if backup.is_dir():
        return {one.relative_to(backup).as_posix() for one in backup.rglob("*") if one.is_file()}
    with tarfile.open(backup) as tar:
        return set(tar.getnames())


# -- a server's folder ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_backed_up_comes_back(data: Path, tmp_path: Path, shape: str) -> None:
    made = back_up(data, tmp_path / shape, START)
    assert names_of(tmp_path / shape) == {"manifest.json", "server.db", "tenants/t-acme.db", "tenants/t-beta.db"}
    assert {one.path: one.episodes for one in made.files} == {
        "tenants/t-acme.db": 3,
        "tenants/t-beta.db": 2,
        "server.db": None,
    }
    shutil.rmtree(data)
    assert restore(tmp_path / shape, data) == made
    assert texts_in(data, "acme") == ["acme says 0", "acme says 1", "acme says 2"]
    assert texts_in(data, "beta") == ["beta says 0", "beta says 1"]
    with Control(data / "server.db") as control:
        assert [key.name for key in Keys(control).list()] == ["one"]
        assert control.tenants() == ["acme", "beta"]
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["data", shape])


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
@pytest.mark.parametrize("shape", SHAPES)
def test_backups_and_what_is_restored_are_for_their_owner_alone(data: Path, tmp_path: Path, shape: str) -> None:
    back_up(data, tmp_path / shape, START)
    restore(tmp_path / shape, tmp_path / "again")
    for top in (tmp_path / shape, tmp_path / "again"):
        for one in [top, *top.rglob("*")]:
            assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0, one


def test_a_backup_made_while_tenants_write_is_of_one_moment_each(data: Path, tmp_path: Path) -> None:
    stop, added = threading.Event(), []

    def write() -> None:
        with Memory.open(data / "tenants" / "t-acme.db", embedder="hashing") as memory:
            while not stop.is_set():
                memory.scope("acme").add([f"more {len(added)} {n}" for n in range(5)])
                added.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(added) < 2:
            pass
        made = [back_up(data, tmp_path / f"b{n}", START) for n in range(3)]
    finally:
        stop.set()
        writer.join()
    counts = [next(item.episodes or 0 for item in one.files if "acme" in item.path) for one in made]
    assert all((count - 3) % 5 == 0 for count in counts)  # never half of a call
    assert counts == sorted(counts)


def test_a_tenant_with_a_name_and_no_file_is_empty(data: Path, tmp_path: Path) -> None:
    with Control(data / "server.db") as control:
        control.claim_tenant("gone", "t-gone.db")
    back_up(data, tmp_path / "b.tar", START)
    restore(tmp_path / "b.tar", tmp_path / "again")
    assert not (tmp_path / "again" / "tenants" / "t-gone.db").exists()


def test_a_backup_overwrites_nothing_and_lies_outside(data: Path, tmp_path: Path) -> None:
    (tmp_path / "there.tar").write_text("mine")
    for target in (tmp_path / "there.tar", data / "inside", tmp_path / "no" / "b.tar"):
        with pytest.raises(ParameterError):
            back_up(data, target, START)
    with pytest.raises(ParameterError, match="no server's folder"):
        back_up(tmp_path / "data" / "uploads", tmp_path / "b", START)
    assert (tmp_path / "there.tar").read_text() == "mine"


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[8192 * 3 : 8192 * 5] = b"\xff" * (8192 * 2)
    file.write_bytes(content)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_damaged_tenant_is_named_and_the_others_are_saved(data: Path, tmp_path: Path, shape: str) -> None:
    damage(data / "tenants" / "t-acme.db")
    made = back_up(data, tmp_path / shape, START)
    assert made.left_out == (LeftOut("tenants/t-acme.db", "StoreCorrupt"),)
    assert names_of(tmp_path / shape) == {"manifest.json", "server.db", "tenants/t-beta.db"}
    assert check(tmp_path / shape) == made
    assert restore(tmp_path / shape, tmp_path / "again") == made
    assert texts_in(tmp_path / "again", "beta") == ["beta says 0", "beta says 1"]
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["again", "data", shape])


def test_without_the_servers_own_file_there_is_no_backup(data: Path, tmp_path: Path) -> None:
    (data / "server.db").write_bytes(b"x" * 40_000)
    with pytest.raises((StoreCorrupt, NotAStore)):
        back_up(data, tmp_path / "b.tar", START)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("name", ["friday.zip", "friday.db", "friday.tar.bz2", "friday.7z", "friday.gz"])
def test_a_name_that_promises_another_kind_of_file_is_refused(data: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ParameterError, match=r"\.tar\.gz"):
        back_up(data, tmp_path / name, START)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize("name", ["2026.11.21", "v1.2-final", "friday", "FRIDAY.TGZ"])
def test_dates_and_versions_are_names_of_folders(data: Path, tmp_path: Path, name: str) -> None:
    made = back_up(data, tmp_path / name, START)
    assert check(tmp_path / name) == made


def test_a_restore_overwrites_nothing(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "b", START)
    before = texts_in(data, "acme")
    with pytest.raises(ParameterError, match="overwrites nothing"):
        restore(tmp_path / "b", data)
    assert texts_in(data, "acme") == before
    (tmp_path / "empty").mkdir()
    restore(tmp_path / "b", tmp_path / "empty")
    assert texts_in(tmp_path / "empty", "acme") == before


def test_a_volume_that_cannot_be_renamed_over_is_filled(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    back_up(data, tmp_path / "b.tar", START)
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path).name == "volume")
    inode = (tmp_path / "volume").stat().st_ino
    restore(tmp_path / "b.tar", tmp_path / "volume")
    assert (tmp_path / "volume").stat().st_ino == inode
    assert sorted(one.name for one in (tmp_path / "volume").iterdir()) == ["server.db", "tenants"]


def test_a_disk_without_room_is_noticed_before_anything_is_written(
    data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    back_up(data, tmp_path / "b.tar", START)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(StoreFull, match="Nothing was written"):
        restore(tmp_path / "b.tar", tmp_path / "again")
    assert not (tmp_path / "again").exists()


# -- backups that are not to be trusted -------------------------------------------------------------------------


def tampered(backup: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> Path:
    """The backup with its members changed."""
    with tarfile.open(backup) as tar:
        members = [(one, tar.extractfile(one).read()) for one in tar.getmembers()]  # type: ignore[union-attr]
    change(members)
    made = backup.with_name("tampered.tar")
    with tarfile.open(made, "w") as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return made


def signed(values: dict[str, Any]) -> bytes:
    """A manifest with the digest that it should have, so that it is refused for what it says and not for that."""
    rest = {name: value for name, value in values.items() if name != "sha256"}
    return json.dumps(rest | {"sha256": hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}).encode()


def renamed(to: str, *, in_manifest: bool) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[0][0].name = to
        if in_manifest:
            said = json.loads(members[-1][1])
            said["files"][0]["path"] = to
            members[-1] = (members[-1][0], signed(said))

    return change


def added(**fields: Any) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        one = tarfile.TarInfo("tenants/extra.db")
        for name, value in fields.items():
            setattr(one, name, value)
        members.append((one, b"x" if one.isreg() else b""))

    return change


def said(**fields: Any) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        values = json.loads(members[-1][1]) | fields
        members[-1] = (members[-1][0], signed(values))

    return change


def damaged_content(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    content = bytearray(members[0][1])
    content[len(content) // 2] ^= 1
    members[0] = (members[0][0], bytes(content))


TRICKS: dict[str, Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]] = {
    "up": renamed("../../evil.db", in_manifest=True),
    "up, below": renamed("tenants/../../evil.db", in_manifest=True),
    "absolute": renamed("/tmp/evil.db", in_manifest=True),
    "windows": renamed("tenants\\..\\evil.db", in_manifest=True),
    "hidden": renamed("tenants/.db", in_manifest=True),
    "elsewhere": renamed("evil.db", in_manifest=True),
    "dot": renamed("./tenants/t-acme.db", in_manifest=False),
    "unknown": added(),
    "link": added(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": added(type=tarfile.LNKTYPE, linkname="server.db"),
    "link in place": added(name="tenants/t-acme.db", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "device": added(type=tarfile.CHRTYPE),
    "folder": added(name="tenants", type=tarfile.DIRTYPE),
    "twice": added(name="server.db"),
    "missing": lambda members: members.pop(0),  # type: ignore[dict-item, return-value]
    "no server": lambda members: members.pop(-2),  # type: ignore[dict-item, return-value]
    "no manifest": lambda members: members.pop(-1),  # type: ignore[dict-item, return-value]
    "damaged": damaged_content,
    "format": said(format="other"),
    "newer": said(version=2),
    "a field changed": lambda members: members.append(
        ((last := members.pop())[0], last[1].replace(b"2024-05-01", b"2025-05-01"))
    ),
    "no files": said(files=[]),
    "files are text": said(files="all"),
    "left out of a backup, elsewhere": said(left_out=[{"path": "../../evil.db", "reason": "StoreCorrupt"}]),
    "left out and there": said(left_out=[{"path": "tenants/t-acme.db", "reason": "StoreCorrupt"}]),
    "left out is text": said(left_out="all"),
    "manifest is a list": lambda members: members.append((members.pop()[0], b"[]")),
    "manifest is no JSON": lambda members: members.append((members.pop()[0], b"{")),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_nothing_is_written_from_a_backup_that_is_not_what_it_says(data: Path, tmp_path: Path, trick: str) -> None:
    back_up(data, tmp_path / "b.tar", START)
    bad = tampered(tmp_path / "b.tar", TRICKS[trick])
    before = {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*")}
    with pytest.raises((StoreCorrupt, FormatError)) as refused:
        restore(bad, tmp_path / "again")
    assert len(str(refused.value).splitlines()) == 1
    assert {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("shape", ["friday.tar", "friday.tar.gz"])
def test_a_backup_that_was_cut_short_is_refused(data: Path, tmp_path: Path, shape: str) -> None:
    back_up(data, tmp_path / shape, START)
    content = (tmp_path / shape).read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9):
        (tmp_path / shape).write_bytes(content[: int(len(content) * share)])
        with pytest.raises((StoreCorrupt, FormatError)):
            restore(tmp_path / shape, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("shape", ["b.tar", "b.tar.gz"])
def test_a_flipped_bit_is_noticed_or_changes_nothing(data: Path, tmp_path: Path, shape: str) -> None:
    made = back_up(data, tmp_path / shape, START)
    content = (tmp_path / shape).read_bytes()
    noticed = 0
    for place in range(200, len(content) - 8, len(content) // 25):
        changed = bytearray(content)
        changed[place] ^= 0x40
        (tmp_path / shape).write_bytes(changed)
        try:
            assert check(tmp_path / shape) == made  # what fills a block up may be anything
        except (StoreCorrupt, FormatError):
            noticed += 1
    assert noticed > 15


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
def test_a_link_in_a_folder_is_not_followed(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "b", START)
    real = tmp_path / "b" / "tenants" / "t-acme.db"
    real.rename(tmp_path / "elsewhere.db")
    real.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(StoreCorrupt):
        restore(tmp_path / "b", tmp_path / "again")


def test_what_is_no_backup_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("hello " * 500)
    (tmp_path / "text.tar.gz").write_bytes(gzip.compress(b"hello " * 500))
    (tmp_path / "folder").mkdir()
    for name in ("text.tar", "text.tar.gz", "folder"):
        with pytest.raises((FormatError, StoreCorrupt)):
            restore(tmp_path / name, tmp_path / "again")
    with pytest.raises(ParameterError):
        restore(tmp_path / "nothing", tmp_path / "again")


# -- one memory -------------------------------------------------------------------------------------------------


def test_only_a_whole_memory_is_copied(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "other.db").executescript(
        "CREATE TABLE t (a); INSERT INTO t VALUES (1)"
    ).connection.close()
    (tmp_path / "text.db").write_text("hello " * 500)
    for name in ("other.db", "text.db"):
        with pytest.raises(NotAStore):
            copy_file(tmp_path / name, tmp_path / "copy.db")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other.db", "text.db"]


@pytest.mark.usefixtures("story")
def test_a_memory_is_backed_up_and_comes_back_under_another_name(run: Run, as_json: AsJson, tmp_path: Path) -> None:
    assert "3 episodes" in run("backup", "friday.db").stdout
    assert "3 episodes" in run("restore", "friday.db", "--check").stdout
    assert as_json("restore", "friday.db", "--db", "again.db")["episodes"] == 3
    assert [one["id"] for one in as_json("list", "--db", "again.db")["episodes"]] == ["m1", "t1", "m2"]
    assert run("doctor", "again.db").exit_code == 0


@pytest.mark.usefixtures("story")
def test_neither_command_overwrites_anything(run: Run, tmp_path: Path, db: Path) -> None:
    run("backup", "friday.db")
    before = (tmp_path / "friday.db").read_bytes()
    run("backup", "friday.db", code=2)
    run("restore", "friday.db", code=2)
    assert (tmp_path / "friday.db").read_bytes() == before
    for left in ("-wal", ".index"):
        (tmp_path / f"again.db{left}").write_text("left")
        assert f"again.db{left}" in run("restore", "friday.db", "--db", "again.db", code=2).stderr
        (tmp_path / f"again.db{left}").unlink()
    assert not (tmp_path / "again.db").exists()


# -- the commands on a folder -----------------------------------------------------------------------------------


def test_a_folder_is_backed_up_checked_and_restored(run: Run, as_json: AsJson, data: Path, tmp_path: Path) -> None:
    told = run("backup", "friday.tar.gz", "--data", str(data))
    assert "5 episodes of 2 tenants" in told.stdout
    assert "keep the folder" in told.stderr
    checked = as_json("restore", "friday.tar.gz", "--check")
    assert (checked["episodes"], checked["format"], len(checked["files"])) == (5, "mnemic-backup", 3)
    assert "Restored 5 episodes" in run("restore", "friday.tar.gz", "--data", "again").stdout
    assert texts_in(tmp_path / "again", "beta") == ["beta says 0", "beta says 1"]


def test_a_damaged_tenant_makes_the_exit_code_1_and_is_named(
    run: Run, as_json: AsJson, data: Path, tmp_path: Path
) -> None:
    damage(data / "tenants" / "t-acme.db")
    told = run("backup", "b.tar.gz", "--data", str(data), code=1)
    assert "2 episodes of 1 tenant," in told.stdout
    assert "tenants/t-acme.db is not in the backup" in told.stderr
    assert "tenants/t-acme.db" in run("restore", "b.tar.gz", "--check").stderr
    assert as_json("backup", "c.tar.gz", "--data", str(data), code=1)["left_out"] == [
        {"path": "tenants/t-acme.db", "reason": "StoreCorrupt"}
    ]
    assert "tenants/t-acme.db" in run("restore", "b.tar.gz", "--data", "again").stderr


def test_an_unknown_suffix_is_bad_usage_and_makes_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    assert ".zip" in run("backup", "x.zip", "--data", str(data), code=2).stderr
    assert not (tmp_path / "x.zip").exists()


def test_what_is_meant_must_be_plain(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MNEMIC_DATA", str(data))  # beside MNEMIC_DB
    assert "Give one" in run("backup", "b.tar", code=2).stderr
    assert "Give one" in run("backup", "b.tar", "--data", str(data), "--db", "x.db", code=2).stderr
    run("backup", "b.tar", "--data", str(data))
    assert "--data" in run("restore", "b.tar", "--db", "x.db", code=2).stderr
    monkeypatch.delenv("MNEMIC_DB")
    run("backup", "c")
    assert (tmp_path / "c" / "manifest.json").exists()


def test_what_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    assert "--data" in run("backup", "b.tar", "--data", "nowhere", code=2).stderr
    assert "There is no memory" in run("backup", "b.db", code=3).stderr
    assert "no backup" in run("restore", "nothing.tar", code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_every_error_is_ours(data: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("a file")
    for target in (tmp_path / "plain" / "b.tar", Path("/proc/nowhere/b.tar")):
        with pytest.raises(MnemicError):
            back_up(data, target, START)
