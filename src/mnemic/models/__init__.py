"""Models behind small seams: embedders. Heavy packages are imported where they are used."""

from mnemic.models.embedder import CachedEmbedder, Embedder
from mnemic.models.hashing import HashingEmbedder
from mnemic.models.local import SentenceTransformerEmbedder
from mnemic.models.minilm import MiniLM
from mnemic.models.remote import RemoteEmbedder
from mnemic.models.resolve import open_embedder

__all__ = [
    "CachedEmbedder",
    "Embedder",
    "HashingEmbedder",
    "MiniLM",
    "RemoteEmbedder",
    "SentenceTransformerEmbedder",
    "open_embedder",
]
