"""A mem0 configuration, read for what makes sense here: where the file lies, and which embedder; the rest is named.

    {"vector_store": {"provider": "qdrant", "config": {"path": "data", "collection_name": "support"}},
     "embedder": {"provider": "openai", "config": {"model": "text-embedding-3-small"}}}

The file is `mnemic.db` in the vector store's folder, or beside the history database; with the provider "mnemic" the path is
the file itself. A collection is a scope of its own. Warnings name keys, never values: a configuration holds secrets.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import ParameterError
from mnemic.integrations.handle import Handle
from mnemic.memory import Memory
from mnemic.models.embedder import Embedder
from mnemic.models.remote import RemoteEmbedder

FILE = "mnemic.db"
PATH_VARIABLE = "MNEMIC_DB"
_DEFAULT_COLLECTION = "mem0"
_OPENAI_MODEL = "text-embedding-3-small"
_OWN_EMBEDDERS = ("auto", "minilm", "hashing")
_LOCAL_ADDRESSES = {  # the key, and the address where it is not given: never somebody else's server
    "ollama": ("ollama_base_url", "http://localhost:11434"),
    "lmstudio": ("lmstudio_base_url", "http://localhost:1234"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What of a configuration is used, and the keys that are not."""

    path: Path
    scope: str = ""
    embedder: str | Embedder | None = None
    ignored: tuple[str, ...] = ()


def default_path() -> Path:
    """$MNEMIC_DB, or `mnemic.db` in the working directory."""
    return Path(os.environ.get(PATH_VARIABLE) or FILE)


def read_settings(config: Mapping[str, Any]) -> Settings:
    """What a configuration in mem0's shape asks for. Raises ParameterError for one that is in no such shape."""
    left = _Left(config)
    store = left.section("vector_store")
    provider, path = store.take("provider"), store.take("path", inside=True)
    if provider not in (None, "mnemic"):
        store.ignored.append("vector_store.provider")
    history = left.take("history_db_path")
    collection = store.take("collection_name", inside=True)
    embedder = _embedder(left.section("embedder"))
    if path is not None:
        where = Path(path) if provider == "mnemic" else Path(path) / FILE
    elif history is not None:
        where = Path(history).with_name(FILE)
    else:
        where = default_path()
    scope = "" if collection in (None, _DEFAULT_COLLECTION) else f"collection:{collection}"
    return Settings(where.expanduser(), scope, embedder, tuple(left.rest()))


def open_settings(settings: Settings) -> Handle:
    """The memory that the settings name, after a warning of what they name in vain; its folder is made if need be."""
    if settings.ignored:
        warnings.warn(
            f"Mnemic does not use these keys of the configuration: {', '.join(settings.ignored)}. What is added is kept "
            "verbatim, without a language model, in one file. Leave them out to silence this.",
            UserWarning,
            stacklevel=4,
        )
    settings.path.parent.mkdir(parents=True, exist_ok=True)
    memory = Memory.open(settings.path, embedder=settings.embedder)
    return memory.scope(settings.scope) if settings.scope else memory


class _Left:
    """A section of the configuration, and what of it nobody has taken yet."""

    def __init__(self, values: Any, name: str = "") -> None:
        if values is not None and not isinstance(values, Mapping):
            raise ParameterError(f"{name or 'The configuration'} is {type(values).__name__}; a dictionary is expected.")
        self.name = name
        self._values = dict(values or {})
        inside = self._values.pop("config", None) if name else None
        self._inside = _Left(inside, f"{name}.config") if inside is not None and not name.endswith(".config") else None
        self._sections: list[_Left] = []
        self.ignored: list[str] = []

    def section(self, name: str) -> _Left:
        self._sections.append(_Left(self._values.pop(name, None), name))
        return self._sections[-1]

    def take(self, name: str, *, inside: bool = False) -> Any:
        if inside:
            return self._inside.take(name) if self._inside else None
        return self._values.pop(name, None)

    def rest(self) -> list[str]:
        prefix = f"{self.name}." if self.name else ""
        parts = [*self._sections, *([self._inside] if self._inside else [])]
        return [*self.ignored, *(prefix + key for key in self._values), *(key for part in parts for key in part.rest())]


def _embedder(section: _Left) -> str | Embedder | None:
    provider = section.take("provider")
    if provider is None or provider in _OWN_EMBEDDERS:
        return None if provider is None else str(provider)
    if provider == "huggingface" and (model := section.take("model", inside=True)):
        return f"sentence-transformers:{model}"
    if provider == "openai":
        return RemoteEmbedder(
            section.take("model", inside=True) or _OPENAI_MODEL,
            base_url=section.take("openai_base_url", inside=True),
            api_key=section.take("api_key", inside=True),
            dimensions=section.take("embedding_dims", inside=True),
        )
    if provider in _LOCAL_ADDRESSES and (model := section.take("model", inside=True)):
        name, address = _LOCAL_ADDRESSES[provider]
        base_url = str(section.take(name, inside=True) or address).rstrip("/").removesuffix("/v1") + "/v1"
        return RemoteEmbedder(model, base_url=base_url, api_key="")
    section.ignored.append("embedder.provider")
    return None
