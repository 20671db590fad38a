"""A numpy array that grows at its end, by an eighth at a time, so that appending is cheap and little room is wasted.

A view taken earlier stays valid and unchanged: rows are only ever written behind its end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Column:
    """Rows of one type: numbers, or vectors of a fixed width."""

    __slots__ = ("_room", "_used")

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._room: NDArray[Any] = np.empty((0,) if width is None else (0, width), dtype)
        self._used = 0

    @classmethod
    def of(cls, rows: NDArray[Any]) -> Column:
        """A column that begins with these rows."""
        column = cls(rows.dtype, rows.shape[1] if rows.ndim == 2 else None)
        column._room, column._used = rows, len(rows)
        return column

    def clone(self) -> Column:
        """A column with the same rows and the same room; only the newest clone may be extended."""
        column = Column.__new__(Column)
        column._room, column._used = self._room, self._used
        return column

    def __len__(self) -> int:
        return self._used

    @property
    def values(self) -> NDArray[Any]:
        """The rows so far, as a view."""
        return self._room[: self._used]

    @property
    def nbytes(self) -> int:
        """Bytes held, spare room included."""
        return int(self._room.nbytes)

    def extend(self, rows: NDArray[Any]) -> None:
        """Append rows."""
        needed = self._used + len(rows)
        if needed > len(self._room) or not self._room.flags.writeable:
            room = np.empty((max(needed, self._used + self._used // 8 + 16), *self._room.shape[1:]), self._room.dtype)
            room[: self._used] = self._room[: self._used]
            self._room = room
        self._room[self._used : needed] = rows
        self._used = needed
