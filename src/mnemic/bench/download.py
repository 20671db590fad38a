"""Where the files of datasets are, and how they get there: a file that has an address is fetched and checked.

Nothing is fetched but by `download`. A file comes whole and with the right checksum, or not at all.
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO

from mnemic.bench.dataset import Dataset, File, Variant
from mnemic.errors import FormatError, ParameterError
from mnemic.progress import track

_CHUNK = 1 << 18
_TIMEOUT_S = 60.0


def data_folder(given: Path | None = None) -> Path:
    """Where datasets are looked for: as given, $MNEMIC_SHARED_DATA, ../shared/data beside the repository, ./data."""
    if given is not None:
        return given
    if named := os.environ.get("MNEMIC_SHARED_DATA"):
        return Path(named)
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    return beside if beside.is_dir() else Path("data")


def is_there(path: Path) -> bool:
    """Whether the file is there, as it is or packed: loaders take either."""
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(path.name + ".gz")
    return path.is_file() or other.is_file()


def missing(variant: Variant, folder: Path) -> list[File]:
    """The files of the variant that are not below the folder."""
    return [file for file in variant.files if not is_there(folder / file.path)]


def differing(variant: Variant, folder: Path) -> list[str]:
    """The paths of files that are there with another checksum than the one they should have."""
    there = ((file, folder / file.path) for file in variant.files if file.sha256)
    return [file.path for file, path in there if path.is_file() and sha256(path) != file.sha256]


def require_files(dataset: Dataset, variant: Variant, folder: Path) -> None:
    """Raise ParameterError, naming the paths and what to do, unless the files of the variant are there."""
    if not (lacking := missing(variant, folder)):
        return
    paths = ", ".join(str(folder / file.path) for file in lacking[:3]) + (
        f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    )
    given = [file for file in lacking if file.url is None]
    name = f"{dataset.id}/{variant.id}" if variant.id else dataset.id
    todo = f"Fetch with: mnemic bench download {name} --data {folder}" if len(given) < len(lacking) else ""
    if given:
        some = ", ".join(file.path for file in given[:3]) + (" and others" if len(given) > 3 else "")
        todo += (
            f". No address is known for {some}: get them by hand from {dataset.source}"
            if todo
            else (f"No address is known: get them by hand from {dataset.source}")
        )
    raise ParameterError(f"{name} lacks {paths}. {todo}. --data or $MNEMIC_SHARED_DATA names another folder.")


def download(variants: Sequence[Variant], folder: Path, *, show_progress: bool = False) -> dict[str, str]:
    """Fetch what is not there yet; what became of each file, by path: "there", "fetched" or "no address".

    Raises FormatError for a file that came with, or is there with, another checksum, and ParameterError for an address
    that does not answer.
    """
    done: dict[str, str] = {}
    for file in {file.path: file for variant in variants for file in variant.files}.values():
        path = folder / file.path
        if is_there(path):
            if file.sha256 and path.is_file() and sha256(path) != file.sha256:
                raise FormatError(f"{path} has another SHA-256 than {file.sha256}. Remove it, and download it again.")
            done[file.path] = "there"
        elif file.url is None:
            done[file.path] = "no address"
        else:
            _fetch(file.url, path, file.sha256, show_progress=show_progress)
            done[file.path] = "fetched"
    return done


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(url: str, path: Path, expected: str | None, *, show_progress: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        # an address is a constant of a dataset's description, never something that was typed
        with closing(urllib.request.urlopen(url, timeout=_TIMEOUT_S)) as answer, part.open("wb") as file:  # noqa: S310
            length = answer.headers.get("Content-Length")
            n_chunks = -(-int(length) // _CHUNK) if length else None
            for chunk in track(_chunks(answer), path.name, n_chunks, show=show_progress):
                file.write(chunk)
        if expected and (found := sha256(part)) != expected:
            raise FormatError(f"{url} gave a file with SHA-256 {found}, not {expected}. It was not kept.")
        os.replace(part, path)
    except urllib.error.URLError as error:
        raise ParameterError(
            f"{url} does not answer ({error.reason}). Get the file by hand and put it at {path}."
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _chunks(answer: IO[bytes]) -> Iterator[bytes]:
    while chunk := answer.read(_CHUNK):
        yield chunk
