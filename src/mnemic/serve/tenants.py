"""One file for each tenant, the first segment of a scope: opened when asked for, closed when idle.

A request leases its tenant's memory; what is leased is never closed. Opening and closing hold a lock of that tenant alone,
so no tenant waits for another. Which file belongs to which tenant is told by the file's name, and kept in the file as well:
a file that was put in another's place is refused. What cannot be read concerns its tenant alone: the log says it once, and
`unreadable` tells of it until it can be read again.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnemic.clock import Clock
from mnemic.errors import (
    EmbedderMismatch,
    MnemicError,
    NotAStore,
    StoreClosed,
    StoreCorrupt,
    StoreReadOnly,
    StoreTooNew,
)
from mnemic.memory import Memory
from mnemic.memory.shared import Shared
from mnemic.model import check_scope
from mnemic.models.embedder import Embedder
from mnemic.models.open_llm import open_llm
from mnemic.serve.control import Control
from mnemic.serve.embedders import Embedders
from mnemic.serve.settings import Settings
from mnemic.store.sqlite import SqliteStore

UNREADABLE = (
    StoreCorrupt,
    NotAStore,
    StoreTooNew,
    StoreReadOnly,
    EmbedderMismatch,
)  # of one tenant, until somebody acts
ROOT_FILE = "root.db"
_LOG = logging.getLogger("mnemic.serve.tenants")
_TIDY_EVERY_S = 1.0
_AHEAD = 16  # tenants above the most, while others are being closed
_LONGEST = 120  # bytes of an encoded name in a file name


def tenant_of(scope: str) -> str:
    """The tenant of a scope: its first segment; "" for the root scope, which is a tenant of its own."""
    return check_scope(scope).partition("/")[0]


def file_name(tenant: str) -> str:
    """The name of a tenant's file: lower-case ASCII, the same on every file system, different for different tenants.

    >>> file_name("acme"), file_name("Acme"), file_name("")
    ('t-acme.db', 't-%41cme.db', 'root.db')
    """
    if not tenant:
        return ROOT_FILE
    encoded = re.sub(rb"[^a-z0-9_-]", lambda one: b"%%%02x" % one.group()[0], tenant.encode()).decode()
    if len(encoded) > _LONGEST:
        encoded = f"{encoded[:40]}~{hashlib.blake2b(tenant.encode(), digest_size=16).hexdigest()}"
    return f"t-{encoded}.db"


class _Tenant:
    """A tenant's place in the table: its memory while it is open, and who uses it."""

    __slots__ = ("is_outdated", "leases", "memory", "turn", "used_at")

    def __init__(self) -> None:
        self.turn = threading.Lock()  # held while it is opened or closed
        self.memory: Memory | None = None
        self.leases = 0
        self.used_at = 0.0
        self.is_outdated = False  # its file was embedded again meanwhile

    def close(self) -> None:
        """Close its memory; called with `turn` held. What goes wrong is logged: everything acknowledged is in the file, and
        neither the janitor nor a request of another tenant may fail of it."""
        memory, self.memory, self.is_outdated = self.memory, None, False
        try:
            if memory is not None:
                memory.close()
        except Exception as error:
            _LOG.error("A tenant could not be closed cleanly: %s: %s", type(error).__name__, error)


class Tenants:
    """The memories of all tenants of a data folder."""

    def __init__(self, settings: Settings, control: Control, clock: Clock, embedder: Embedder) -> None:
        self.folder = settings.data / "tenants"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._settings = settings
        self._control = control
        self._clock = clock
        self._embedders = Embedders(embedder)
        self._llm = open_llm()  # what $MNEMIC_LLM names; whatever a tenant asks for, no other is asked
        self._unreadable: dict[str, str] = {}
        self._table: OrderedDict[str, _Tenant] = OrderedDict()  # least recently used first
        self._lock = threading.RLock()  # of the table and the counts, never held while a file is opened or closed
        self._is_closed = False
        self._wanted = threading.Event()
        self._janitor = threading.Thread(target=self._look_after, name="mnemic-tenants", daemon=True)
        self._janitor.start()
        self._nothing = Memory.open(None, embedder=embedder, clock=clock)  # what a tenant that is not there holds
        self.opened = 0  # how often a file was opened

    @contextmanager
    def lease(self, scope: str, *, handle_on: str | None = None, create: bool = False) -> Iterator[Memory]:
        """The memory of a scope, for as long as the block runs. A tenant that is not there is empty, unless `create`.

        handle_on: the scope that the handle is on, where ids given to its verbs lead from there to `scope`.
        Raises StoreClosed when the server is going down, EmbedderMismatch where the tenant's embedder cannot be opened, and
        what Memory.open raises.
        """
        name, on = tenant_of(scope), scope if handle_on is None else handle_on
        if not create and not self.exists(name):
            self._is_well(name)
            yield self._nothing.scope(on)
            return
        tenant = self._take(name)
        try:
            with tenant.turn:
                memory = tenant.memory
                if memory is None:
                    try:
                        memory = tenant.memory = self._opened(name)
                    except UNREADABLE as error:
                        self._is_ill(name, error)
                        raise
                    self._is_well(name)
            with self._followed(tenant):
                yield memory.scope(on)
        except (StoreCorrupt, NotAStore) as error:
            self._is_ill(name, error)
            raise
        finally:
            self._give_back(tenant)
            too_many = len(self._table) - self._settings.max_open_tenants
            if too_many > 0:
                self._wanted.set()  # another thread closes what is too many: closing flushes to the disk
            if too_many > _AHEAD:
                self.tidy()  # it does not keep up

    def exists(self, name: str) -> bool:
        """Whether anything was ever written for the tenant."""
        with self._lock:
            if name in self._table:
                return True
        return self.path_of(name).exists()

    def path_of(self, name: str) -> Path:
        """The tenant's file."""
        return self.folder / file_name(name)

    def names(self, prefix: str = "", after: str | None = None, limit: int = 100) -> list[str]:
        """Names of tenants in order, a page at a time."""
        return self._control.tenants(after=after, limit=limit, prefix=prefix)

    @property
    def unreadable(self) -> dict[str, str]:
        """Tenants that could not be read when they were last asked, with the name of the error."""
        with self._lock:
            return dict(self._unreadable)

    @property
    def open_count(self) -> int:
        """How many are open."""
        with self._lock:
            return sum(1 for one in self._table.values() if one.memory is not None)

    @property
    def index_bytes(self) -> int:
        """Memory that the indexes of all open tenants take, about."""
        with self._lock:
            memories = [one.memory for one in self._table.values() if one.memory is not None]
        return sum(memory.index_bytes for memory in memories)

    def tidy(self) -> None:
        """Close what is too many, too large together, or idle for too long; never what is leased."""
        for name in self._superfluous():
            self._close(name)

    def close(self) -> None:
        """Close every tenant; a lease that is still out gets StoreClosed at its next call."""
        with self._lock:
            self._is_closed = True
            tenants = list(self._table.values())
        self._wanted.set()
        self._janitor.join()
        for tenant in tenants:
            with tenant.turn:
                tenant.close()
        self._nothing.close()

    # -- inside -------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        """Tidy when asked, and now and then; the janitor's thread."""
        while not self._is_closed:
            self._wanted.wait(_TIDY_EVERY_S)
            self._wanted.clear()
            self.tidy()

    def _take(self, name: str) -> _Tenant:
        with self._lock:
            if self._is_closed:
                raise StoreClosed("The server is going down. Try again when it is back.")
            tenant = self._table.get(name)
            if tenant is None:
                tenant = self._table[name] = _Tenant()
            self._table.move_to_end(name)
            tenant.leases += 1
            return tenant

    def _give_back(self, tenant: _Tenant) -> None:
        with self._lock:
            tenant.leases -= 1
            tenant.used_at = time.monotonic()

    def _opened(self, name: str) -> Memory:
        path = self.path_of(name)
        self._control.claim_tenant(name, path.name)  # first: a name without a file is an empty tenant
        store = SqliteStore(path, clock=self._clock)
        try:
            embedder = self._embedders.of(store.meta("embedder"))
            shared = Shared(store, embedder, self._clock, self._settings.index_memory_mb)
            shared.models.default = self._llm
            memory = Memory(shared)
            _check_owner(memory, name)
        except BaseException:
            store.close()
            raise
        self.opened += 1
        return memory

    @contextmanager
    def _followed(self, tenant: _Tenant) -> Iterator[None]:
        """Open it again, for the next call, where another process has embedded its file with another embedder."""
        try:
            yield
        except EmbedderMismatch as error:
            tenant.is_outdated = True
            self._wanted.set()
            raise EmbedderMismatch(
                "This tenant was embedded again, with another embedder, while it was open. Nothing was written. Try again "
                "in a moment."
            ) from error

    def _is_ill(self, name: str, error: MnemicError) -> None:
        code = type(error).__name__
        with self._lock:
            is_known = self._unreadable.get(name) == code
            self._unreadable[name] = code
        if not is_known:
            _LOG.error("The tenant in %s cannot be read: %s: %s", file_name(name), code, error)

    def _is_well(self, name: str) -> None:
        if name in self._unreadable:
            with self._lock:
                self._unreadable.pop(name, None)

    def _superfluous(self) -> list[str]:
        with self._lock:
            free = [(name, one) for name, one in self._table.items() if not one.leases]
            now = time.monotonic()
            idle = [name for name, one in free if one.is_outdated or now - one.used_at > self._settings.idle_close_s]
            many = max(0, len(self._table) - self._settings.max_open_tenants)
            chosen = dict.fromkeys([*idle, *(name for name, _ in free[:many])])
            open_ones = [(name, one.memory) for name, one in self._table.items() if one.memory is not None]
        sizes = {name: memory.index_bytes for name, memory in open_ones}
        room = self._settings.index_memory_mb * 2**20
        total = sum(size for name, size in sizes.items() if name not in chosen)
        for name, _ in free[:-1]:  # the one used last stays, whatever its size
            if total <= room:
                break
            if name not in chosen and sizes.get(name):
                chosen[name] = None
                total -= sizes[name]
        return list(chosen)

    def _close(self, name: str) -> None:
        with self._lock:
            tenant = self._table.get(name)
        if tenant is None or not tenant.turn.acquire(blocking=False):
            return
        try:
            with self._lock:
                if tenant.leases or self._table.get(name) is not tenant:
                    return
            tenant.close()  # whoever leases it now waits for `turn`, and opens it again
            with self._lock:
                if not tenant.leases:
                    self._table.pop(name, None)
        finally:
            tenant.turn.release()


def _check_owner(memory: Memory, name: str) -> None:
    if memory.claim_name(name) != name:
        raise NotAStore(
            f"{memory.path} holds the memory of another tenant. Nothing was read or changed. Put back the right file, or "
            "restore a backup."
        )
