"""Files and directories as a listing: a size and a path on each line, two levels deep."""

from __future__ import annotations

from collections.abc import Mapping

LEVELS = 2
LEFT_OUT = "node_modules"


def listing(root: str, sizes: Mapping[str, int]) -> str:
    """What is below `root`: itself first, then each directory before what it holds, sizes being those of all that is shown.

    sizes: the bytes of each file, by its path, all below `root`. Hidden names, and what is in them, are left out.

    >>> listing("/m", {"/m/a/x.md": 1536, "/m/.git/y": 7}).split("\\n")
    ['1.5K\\t/m', '1.5K\\t/m/a/', '1.5K\\t/m/a/x.md']
    """
    totals: dict[tuple[str, ...], int] = {(): 0}
    directories = set[tuple[str, ...]]()
    for path, size in sizes.items():
        segments = tuple(path.removeprefix(f"{root}/").split("/"))
        if any(segment.startswith(".") or segment == LEFT_OUT for segment in segments):
            continue
        for depth in range(len(segments) + 1):
            totals[segments[:depth]] = totals.get(segments[:depth], 0) + size
        directories |= {segments[:depth] for depth in range(1, len(segments))}
    lines = [f"{size_in_words(totals.pop(()))}\t{root}"]
    for segments in sorted(totals):
        if len(segments) <= LEVELS:
            end = "/" if segments in directories else ""
            lines.append(f"{size_in_words(totals[segments])}\t{'/'.join((root, *segments))}{end}")
    return "\n".join(lines)


def size_in_words(count: int) -> str:
    """A number of bytes, as people read it.

    >>> [size_in_words(count) for count in (0, 999, 1024, 1536, 3 * 2**20)]
    ['0B', '999B', '1K', '1.5K', '3M']
    """
    size, unit = float(count), "B"
    for larger in "KMG":
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + unit
