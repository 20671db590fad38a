"""The items of a LangGraph namespace, held in memory and brought up to date from its log before each use."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.columns import Column
from mnemic.integrations.handle import Handle
from mnemic.integrations.langgraph_names import Namespace, Place, key_of, note_of
from mnemic.model import Episode
from mnemic.systems.documents import KEPT_BESIDE, PUT, edit_in

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Expiry:
    """When an item ends unless it is read."""

    minutes: float
    at: datetime

    @classmethod
    def after(cls, minutes: float, now: datetime) -> Expiry:
        return cls(minutes, now + timedelta(minutes=minutes))

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Expiry | None:
        minutes, at = metadata.get("ttl_minutes"), metadata.get("expires_at")
        if not isinstance(minutes, int | float) or not isinstance(at, str):
            return None
        return cls(float(minutes), datetime.fromisoformat(at))

    def to_metadata(self) -> dict[str, Any]:
        return {"ttl_minutes": self.minutes, "expires_at": self.at.isoformat()}


@dataclass(eq=False, slots=True)
class Entry:
    """An item as the log has it."""

    namespace: Namespace
    key: str
    value: Mapping[str, Any]
    version: str
    seq: int
    created_at: datetime
    updated_at: datetime
    is_indexed: bool
    expiry: Expiry | None
    is_gone: bool = False  # another value took its place, or none

    # -- vectors


def checked_vector(vector: Sequence[float], dims: int | None) -> Vectors:
    checked = np.asarray(vector, np.float32)
    if checked.ndim != 1 or (dims is not None and len(checked) != dims) or not np.isfinite(checked).all():
        raise ParameterError(
            f"The embed function gave a vector of shape {checked.shape}; {dims or 'some'} finite numbers are expected. "
            "Set `dims` of the index to what it gives."
        )
    return checked


def packed(vectors: Sequence[Vectors]) -> dict[str, Any]:
    rows = np.stack(vectors).astype("<f4")
    return {"dims": rows.shape[1], "float32": base64.b64encode(rows.tobytes()).decode()}


def unpacked(packed: Any) -> Vectors | None:
    if not isinstance(packed, Mapping):
        return None
    return np.frombuffer(base64.b64decode(packed["float32"]), "<f4").astype(np.float32).reshape(-1, packed["dims"])
