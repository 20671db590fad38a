"""The embedders of one server: each tenant gets the one that made its vectors, a new tenant the server's own.

Vectors of two embedders cannot be compared, so a server that was given another embedder, or found weights that it did not
have before, goes on with what each tenant's file says. An embedder is opened once, whoever asks for it, so that its weights
are in memory once.
"""

from __future__ import annotations

import threading

from mnemic.errors import EmbedderMismatch, MnemicError, WeightsMissing
from mnemic.models.embedder import Embedder
from mnemic.models.resolve import open_embedder
from mnemic.models.weights import INSTALL_WEIGHTS


class Embedders:
    """Embedders by id, opened at the first need."""

    def __init__(self, own: Embedder) -> None:
        self.own = own
        self._opened = {own.id: own}
        self._lock = threading.Lock()  # opening reads no weights, so nobody waits long

    def of(self, stored_id: str | None) -> Embedder:
        """The embedder whose id stands beside a tenant's vectors; the server's own where there are none yet.

        Raises EmbedderMismatch where it cannot be opened here; the message is for whoever asked, and names no file.
        """
        if stored_id is None:
            return self.own
        with self._lock:
            known = self._opened.get(stored_id)
            if known is None:
                known = self._opened[stored_id] = _opened(stored_id)
            return known


def _opened(stored_id: str) -> Embedder:
    try:
        found = open_embedder(stored_id=stored_id)
    except MnemicError as error:
        installs = f"install its weights there (`{INSTALL_WEIGHTS}`) and start it again, or " * (
            isinstance(error, WeightsMissing)
        )
        raise EmbedderMismatch(
            f"This tenant's vectors are of {stored_id}, which the server cannot open. Nothing was read or written, and other "
            f"tenants are not affected. Its operator can {installs}stop it and embed this tenant again: `mnemic reindex "
            "--data FOLDER --embedder NAME`."
        ) from error
    if found.id != stored_id:
        raise EmbedderMismatch(
            f"This tenant's vectors are of {stored_id}; the embedder of that name is {found.id} by now. Nothing was read or "
            "written, and other tenants are not affected. The server's operator can stop it and embed this tenant again: "
            "`mnemic reindex --data FOLDER --embedder NAME`."
        )
    return found
