"""How much an import takes from one file before it says no; what stands between a hostile file and this machine."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mnemic.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a file to be imported. What exceeds one becomes a Problem; what was read before it stands."""

    entry_bytes: int = 64 << 20  # one line, one element of a JSON array, one mail, one value of a database
    unpacked_bytes: int = 2 << 30  # a .gz, or one member of an archive, when unpacked
    archive_bytes: int = 8 << 30  # all members that are read of one archive together
    ratio: int = 200  # unpacked to packed; logs of JSON seldom reach 50
    ratio_free_bytes: int = 64 << 20  # the ratio is not looked at before so much was unpacked
    members: int = 100_000  # files in an archive or a folder
    name_length: int = 1000  # of a member's name
    folder_depth: int = 64  # folders within folders

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) < 1:
                raise ParameterError(f"{one.name}={getattr(self, one.name)!r}: give a whole number of at least 1.")


LIMITS = Limits()
