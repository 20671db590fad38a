"""What all doors of one running server share: tenants, keys, jobs, metrics, and the one way to reach a memory.

Every request goes through `memory`: it finds out who asks, refuses what the key does not reach, counts and times the
operation, and leases the tenant. A door that reached a memory otherwise would be a hole in the wall between tenants.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from mnemic.clock import Clock
from mnemic.errors import Unauthenticated
from mnemic.memory import Memory
from mnemic.memory.ask import resolve
from mnemic.models.resolve import open_embedder
from mnemic.serve.access import ANYONE, Principal, secret_in
from mnemic.serve.control import FILE, Control
from mnemic.serve.job_queue import STATES
from mnemic.serve.jobs import Jobs, Pace
from mnemic.serve.keys import Keys
from mnemic.serve.limits import Rates
from mnemic.serve.logins import Logins
from mnemic.serve.prometheus import Registry, operation_durations, timed
from mnemic.serve.run import make_folder, only_one
from mnemic.serve.settings import Settings
from mnemic.serve.tenants import Tenants, tenant_of
from mnemic.telemetry import Operation, span

RECALLS = ("search", "context", "why_not")
PATIENCE_S = 0.25  # how long a recall waits for its turn: one that takes longer holds nobody up
SPANS: dict[str, Operation] = {
    "add": "create_memory",
    "import": "create_memory",
    "search": "search_memory",
    "context": "search_memory",
    "update": "update_memory",
    "forget": "delete_memory",
}


@dataclass(frozen=True, slots=True)
class Ids:
    """The scope and the ids of a request, as `Memory` takes them."""

    scope: str = ""
    user_id: str | None = None
    agent_id: str | None = None
    run_id: str | None = None
    app_id: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Those that are given, as keyword arguments of a verb."""
        given = {"user_id": self.user_id, "agent_id": self.agent_id, "run_id": self.run_id, "app_id": self.app_id}
        return {name: value for name, value in given.items() if value is not None}


class Server:
    """One data folder, served."""

    def __init__(self, settings: Settings, clock: Clock, holds_folder: bool = False) -> None:
        make_folder(settings.data)
        self._folder = ExitStack()
        if not holds_folder:
            self._folder.enter_context(only_one(settings.data))
        self.settings = settings
        self.clock = clock
        self.uploads = settings.data / "uploads"
        self.uploads.mkdir(exist_ok=True)
        for left in self.uploads.iterdir():  # of imports that a crash cut short
            shutil.rmtree(left)
        self.control = Control(settings.data / FILE, clock)
        self.keys = Keys(self.control)
        self.embedder = open_embedder(settings.embedder)
        self.tenants = Tenants(settings, self.control, clock, self.embedder)
        pace = Pace(workers=settings.job_workers, quiet_s=settings.consolidate_after_s or 0.0)
        self.jobs = Jobs(self.control, self.tenants, clock, pace)
        self._turn = threading.Lock()
        self.logins = Logins()
        self.rates = Rates(settings.rate_per_s, settings.burst)
        self.metrics = Registry()
        self.durations = operation_durations(self.metrics)
        self.metrics.gauge("mnemic_open_tenants", "Tenant files that are open.", read=lambda: self.tenants.open_count)
        self.job_counts = self.metrics.gauge("mnemic_jobs", "Background jobs by state.", {"state": STATES})
        self.metrics.gauge("mnemic_index_bytes", "Memory of all indexes.", read=lambda: self.tenants.index_bytes)
        self.metrics.gauge(
            "mnemic_tenants_unreadable",
            "Tenants that could not be read when they were last asked; the log names them.",
            read=lambda: len(self.tenants.unreadable),
        )

    def principal(self, request: HTTPConnection) -> Principal:
        """Who asks; counted once for each request. Raises Unauthenticated and TooManyRequests."""
        known: Principal | None = getattr(request.state, "who", None)
        if known is None:
            known = self._principal(request)
            self.rates.take(known.key_id or (request.client.host if request.client else ""))
            request.state.who = known
        return known

    def knows(self, request: HTTPConnection) -> bool:
        """Whether somebody known asks. Not counted."""
        try:
            self._principal(request)
        except Unauthenticated:
            return False
        return True

    def principal_of(self, secret: str) -> Principal | None:
        """Whose key this is; None for one that is unknown, expired or revoked."""
        key = self.keys.check(secret)
        return None if key is None else Principal(key.id, key.name, tuple(key.scopes), frozenset(key.verbs))

    @contextmanager
    def memory(
        self,
        request: HTTPConnection,
        verb: str,
        ids: Ids,
        operation: str,
        *,
        filters: Mapping[str, Any] | None = None,
        create: Callable[[], object] | None = None,
    ) -> Iterator[Memory]:
        """A handle on `ids.scope`, for a caller who may `verb` where the ids point to. Pass the ids on to its verbs.

        create: the tenant is made if it is not there, once this check of the input has passed.
        Raises Unauthenticated, Forbidden, and what opening a tenant raises.
        """
        who = self.principal(request)
        scope = resolve(ids.scope, ids.user_id, ids.agent_id, ids.run_id, ids.app_id, filters).scope
        who.must(verb, scope)
        if create is not None and not self.tenants.exists(tenant_of(scope)):
            create()
        leased = self.tenants.lease(scope, handle_on=ids.scope, create=create is not None)
        with self.timed(operation, scope), leased as memory, self._in_turn(operation):
            yield memory

    @contextmanager
    def _in_turn(self, operation: str) -> Iterator[None]:
        """Let recalls run one after another: side by side they would only fight over Python's lock, and take longer all.

        Measured with eight clients on two cores: 155 a second in turn, 147 two at a time, 107 all at once.
        """
        has_turn = operation in RECALLS and self._turn.acquire(timeout=PATIENCE_S)
        try:
            yield
        finally:
            if has_turn:
                self._turn.release()

    @contextmanager
    def timed(self, operation: str, scope: str) -> Iterator[None]:
        """Count and time an operation, and trace it where that was set up."""
        with timed(self.durations, operation):
            if operation in SPANS:
                with span(SPANS[operation], scope):
                    yield
            else:
                yield

    def close(self) -> None:
        """Finish or put back background work, and close every file."""
        self.jobs.stop()
        self.tenants.close()
        self.control.close()
        self._folder.close()

    def _principal(self, request: HTTPConnection) -> Principal:
        secret = secret_in(request.headers)
        if secret is not None:
            known = self.principal_of(secret)
            if known is None:
                raise Unauthenticated(
                    "This key is not known, has expired or was revoked. Ask for a new one: `mnemic keys create`."
                )
            return known
        if (session := request.cookies.get(Logins.COOKIE)) is not None and (key_id := self.logins.key_id(session)):
            key = next((one for one in self.keys.list() if one.id == key_id), None)
            if key is not None and key.state(self.clock.now()) == "active":
                return Principal(key.id, key.name, tuple(key.scopes), frozenset(key.verbs))
        if self.settings.is_loopback and not self.keys.any():
            return ANYONE
        raise Unauthenticated(
            "No key was given. Send it as `Authorization: Bearer mnk_…`; `mnemic keys create` makes one."
        )
