"""Numbers of things, as messages say them."""

from __future__ import annotations


def counted(n: int, one: str, many: str = "") -> str:
    """So many of them.

    >>> counted(1, "episode"), counted(12345, "episode"), counted(0, "memory", "memories")
    ('1 episode', '12,345 episodes', '0 memories')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
