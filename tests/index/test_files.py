"""Index files: whole or not there, for the store and the embedder they were made for, and gone when they must be."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.index.files import IndexFiles

ARRAYS = {
    "numbers": np.arange(7, dtype=np.int64),
    "halves": np.arange(12, dtype=np.float16).reshape(4, 3),
    "none": np.empty((0, 5), np.float32),
    "flags": np.array([True, False]),
    "small": np.array([65535], np.uint16),
}


@pytest.fixture
def files(tmp_path: Path) -> IndexFiles:
    return IndexFiles(tmp_path / "index", "store embedder")


def told(arrays: dict | None) -> dict | None:
    return arrays and {name: (array.dtype.str, array.shape, array.tolist()) for name, array in arrays.items()}


@pytest.mark.parametrize("scopes", [(1,), (1, 2, 900), tuple(range(500))])
def test_arrays_come_back_as_they_were(files: IndexFiles, scopes: tuple[int, ...]) -> None:
    assert files.load(scopes, 3) is None
    assert files.save(scopes, 3, ARRAYS)
    assert told(files.load(scopes, 3)) == told(ARRAYS)
    assert len(list(files.folder.iterdir())) == 1


def test_a_file_is_for_its_scopes_its_vectors_its_store_and_its_embedder_only(files: IndexFiles) -> None:
    files.save((1, 2), 3, ARRAYS)
    assert files.load((1,), 3) is files.load((2, 1), 3) is files.load((1, 2), 4) is None
    assert IndexFiles(files.folder, "store another embedder").load((1, 2), 3) is None
    (files.folder / "9.index").write_bytes(next(files.folder.iterdir()).read_bytes())  # under another's name
    assert files.load((9,), 3) is None


def saved(folder: Path) -> tuple[IndexFiles, Path, bytes]:
    files = IndexFiles(folder, "me")
    files.save((1,), 0, ARRAYS)
    path = folder / "1.index"
    return files, path, path.read_bytes()


def test_a_file_cut_anywhere_is_not_there(tmp_path: Path) -> None:
    files, path, whole = saved(tmp_path)
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert files.load((1,), 0) is None
    path.write_bytes(whole + b"x")
    assert files.load((1,), 0) is None
    path.write_bytes(whole)
    assert told(files.load((1,), 0)) == told(ARRAYS)


def test_a_file_with_any_bit_turned_is_not_there(tmp_path: Path) -> None:
    files, path, whole = saved(tmp_path)

    @settings(max_examples=150)
    @given(st.integers(0, 8 * len(whole) - 1))
    def check(bit: int) -> None:
        turned = bytearray(whole)
        turned[bit // 8] ^= 1 << bit % 8
        path.write_bytes(turned)
        assert files.load((1,), 0) is None

    check()


def test_a_file_whose_end_never_reached_the_disk_is_not_there(tmp_path: Path) -> None:
    files, path, whole = saved(tmp_path)
    for kept in range(0, len(whole), 64):
        path.write_bytes(whole[:kept].ljust(len(whole), b"\0"))
        assert files.load((1,), 0) is None


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_nonsense_is_not_there(tmp_path_factory, nonsense: bytes) -> None:
    folder = tmp_path_factory.mktemp("nonsense")
    for content in (nonsense, b"MNEMIDX1" + nonsense):
        (folder / "1.index").write_bytes(content)
        assert IndexFiles(folder, "me").load((1,), 0) is None


def test_a_file_of_another_version_is_not_there(tmp_path: Path) -> None:
    files, path, whole = saved(tmp_path)
    path.write_bytes(whole.replace(b"MNEMIDX1", b"MNEMIDX2"))
    assert files.load((1,), 0) is None


def test_saving_again_replaces_the_file_whole(files: IndexFiles) -> None:
    files.save((1,), 0, ARRAYS)
    files.save((1,), 0, {"other": np.ones(3)})
    assert told(files.load((1,), 0)) == told({"other": np.ones(3)})
    assert [file.name for file in files.folder.iterdir()] == ["1.index"]


def test_a_save_that_fails_leaves_the_file_that_was_there_and_nothing_else(
    files: IndexFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.save((1,), 0, ARRAYS)

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", fail)
    assert files.save((1,), 0, {"other": np.ones(3)}) is False
    assert told(files.load((1,), 0)) == told(ARRAYS)
    assert [file.name for file in files.folder.iterdir()] == ["1.index"]


def test_drop_takes_every_file_in_which_the_scope_has_a_part_and_no_other(files: IndexFiles) -> None:
    for scopes in ((1,), (2,), (1, 2), (2, 3), (12,)):
        files.save(scopes, 0, ARRAYS)
    files.drop((1,))
    left = {scopes for scopes in ((1,), (2,), (1, 2), (2, 3), (12,)) if files.load(scopes, 0) is not None}
    assert left == {(2,), (2, 3), (12,)}
    files.drop((99,))
    assert len(list(files.folder.iterdir())) == 3


def test_drop_takes_what_cannot_be_read_and_what_was_only_begun(files: IndexFiles) -> None:
    files.save((2,), 0, ARRAYS)
    (files.folder / "1.index.123.draft").write_bytes(b"begun")
    (files.folder / "many-1-2.index").write_bytes(b"MNEMIDX1" + b"\xff" * 8 + b"not a header")
    (files.folder / "nonsense.index").write_bytes(b"")
    files.drop((1,))
    assert [file.name for file in files.folder.iterdir()] == ["2.index"]


def test_files_of_other_names_are_left_alone(files: IndexFiles) -> None:
    files.save((1,), 0, ARRAYS)
    (files.folder / "notes.txt").write_text("mine")
    (files.folder / "é\n.db").write_text("mine")
    files.drop((1,))
    assert {file.name for file in files.folder.iterdir()} == {"notes.txt", "é\n.db"}


def test_dropping_and_clearing_where_there_is_no_folder_does_nothing(files: IndexFiles) -> None:
    files.drop((1,))
    files.clear()
    assert not files.folder.exists()


def test_clear_takes_the_folder(files: IndexFiles) -> None:
    files.save((1,), 0, ARRAYS)
    files.clear()
    assert not files.folder.exists()
