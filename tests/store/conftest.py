"""Every store that keeps the contract. Another implementation is one more line in STORES."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mnemic.store.contract import Store
from mnemic.store.sqlite import SqliteStore

STORES: dict[str, Callable[[Path], Store]] = {
    "sqlite-file": lambda folder: SqliteStore(folder / "memory.db"),
    "sqlite-memory": lambda folder: SqliteStore(None),
}
KEPT = {"sqlite-file"}  # what was written is there again when the store is opened again


@dataclass
class Opener:
    """Opens a store of one kind: each place is one store."""

    kind: str
    folder: Path
    opened: list[Store] = field(default_factory=list)

    def __call__(self, place: str = "one") -> Store:
        folder = self.folder / place
        folder.mkdir(exist_ok=True)
        self.opened.append(STORES[self.kind](folder))
        return self.opened[-1]

    @property
    def keeps(self) -> bool:
        return self.kind in KEPT

    def again(self, store: Store) -> Store:
        """The store as it is after closing and opening it; where nothing is kept, as it is."""
        if not self.keeps:
            return store
        store.close()
        return self()


@pytest.fixture(params=STORES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    opener = Opener(request.param, tmp_path)
    yield opener
    for store in opener.opened:
        store.close()


@pytest.fixture
def store(open_store: Opener) -> Store:
    return open_store()
