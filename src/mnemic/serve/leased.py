"""A handle for those who keep one for longer than a call: every verb leases the tenant for as long as it runs.

A tenant that nobody uses is closed, so a plain handle may not be kept. This one may; and it does what its holder's key
allows and nothing else, whatever is called on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from mnemic.errors import StoreError
from mnemic.integrations.handle import Handle
from mnemic.memory.ask import resolve
from mnemic.model import join_scope
from mnemic.serve.access import Principal
from mnemic.serve.problems import told
from mnemic.systems.registry import DEFAULT, system_class

if TYPE_CHECKING:
    from mnemic.serve.server import Server

NEEDS = {
    **dict.fromkeys(["add", "remember", "update", "import_", "consolidate"], "write"),
    **dict.fromkeys(["forget", "delete", "delete_all", "reset"], "forget"),
    **dict.fromkeys(["attach", "detach"], "admin"),
    **dict.fromkeys(["search", "recall", "context", "why_not", "get", "list", "get_all", "history", "find"], "read"),
    **dict.fromkeys(["sessions", "records", "links", "attached", "scopes", "stats", "export"], "read"),
}
_MAKES = ("add", "remember", "import_")
_IDS = ("user_id", "agent_id", "run_id", "app_id")


class LeasedMemory:
    """The verbs of `Memory` on one scope of a server, for one principal."""

    path = None

    def __init__(self, server: Server, who: Principal, scope: str, system: str = DEFAULT) -> None:
        self._server = server
        self._who = who
        self.scope_path = scope
        self.system_id = system

    def __repr__(self) -> str:
        return f"<LeasedMemory scope={self.scope_path!r} system={self.system_id!r}>"

    def scope(self, path: str) -> LeasedMemory:
        """A handle on a scope below this one."""
        return LeasedMemory(self._server, self._who, join_scope(self.scope_path, path), self.system_id)

    def system(self, id: str) -> LeasedMemory:
        """A handle whose searches another system answers."""
        system_class(id)
        return LeasedMemory(self._server, self._who, self.scope_path, id)

    def export_lines(self, *, include_children: bool = True) -> Iterator[str]:
        """The lines of an export; the tenant is leased until the last one."""
        self._who.must("read", self.scope_path)
        with self._server.tenants.lease(self.scope_path) as memory:
            yield from memory.export_lines(include_children=include_children)

    def close(self) -> None:
        """Nothing: what is leased was given back."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in NEEDS:
            raise AttributeError(f"A memory on a server has no {name!r}. It has: {', '.join(sorted(NEEDS))}.")

        def verb(*given: Any, **named: Any) -> Any:
            ids = {one: named.get(one) for one in (*_IDS, "filters")}
            place = resolve(self.scope_path, **ids)
            self._who.must(NEEDS[name], place.scope)
            leased = self._server.tenants.lease(place.scope, handle_on=self.scope_path, create=name in _MAKES)
            try:
                with self._server.timed(_OPERATIONS.get(name, name), place.scope), leased as memory:
                    handle = memory if self.system_id == DEFAULT else memory.system(self.system_id)
                    done = getattr(handle, name)(*given, **named)
            except StoreError as error:
                raise type(error)(told(error)) from error  # names of files are for the log alone
            if NEEDS[name] == "write":
                self._server.jobs.touch(place.scope)
            elif NEEDS[name] == "forget" and not named.get("dry_run"):
                self._server.jobs.forget(place.scope)
            return done

        return verb


_OPERATIONS = {
    "remember": "add",
    "recall": "search",
    "delete": "forget",
    "delete_all": "forget",
    "reset": "forget",
    "get_all": "list",
    "find": "get",
    "import_": "import",
    "attached": "stats",
}


def leased(server: Server, who: Principal, scope: str) -> Handle:
    """The same, as what integrations are built on."""
    return cast(Handle, LeasedMemory(server, who, scope))
