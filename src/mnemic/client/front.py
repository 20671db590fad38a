"""The front door to a server: `Client`, with the verbs of `Memory`.

    client = Client("http://127.0.0.1:8700")
    alice = client.scope("acme/alice")
    alice.add("I moved to Porto in March.", session="monday")
    print(alice.search("Where does she live?")[0].text)

A `Client` is a handle on one scope of a server. Verbs, arguments, answers and errors are those of `Memory`, so a program
moves from one to the other by changing how it opens its memory. Handles are cheap, share their connections, and may be
used from many threads. What a file on this machine is needed for is not here, and asking for it says so.

On a server each tenant, the first segment of a scope, has a store of its own: nothing reaches from the root handle into
tenants but `scopes`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

from mnemic import wire
from mnemic.client.asking import (
    MOST,
    condition,
    cursor_after,
    given,
    message,
    moment,
    place,
    question,
    whole,
)
from mnemic.client.connection import Connection, Verify, segment
from mnemic.client.waiting import wait_for
from mnemic.errors import EpisodeNotFound, FormatError, ParameterError
from mnemic.memory import Memory
from mnemic.memory.ask import resolve
from mnemic.memory.choose import is_storable, selector
from mnemic.memory.forget import Receipt
from mnemic.memory.front import CONTEXT_HITS, Episodes, Links, Records, Rows, Sessions, Versions
from mnemic.memory.intake import Message, Time, checked_id, checked_json, checked_text, drafts_from
from mnemic.memory.remember import Added
from mnemic.memory.results import Context
from mnemic.memory.transfer import Imported
from mnemic.memory.why_not import WhyNot
from mnemic.model import ECHO, Episode, Hit, Recall, join_scope, new_id
from mnemic.models.llm import LLM
from mnemic.systems.feedback import Verdict, feedback_message
from mnemic.systems.registry import DEFAULT, system_class
from mnemic.text.tokens import TokenCounter, count_tokens

T = TypeVar("T")
Several = list  # a name for what Client.list would hide from type checkers inside the class
Ids = list[str]
IDS_AT_ONCE = 100
LONGEST_NAME = 200
ABSENT = frozenset({"backup", "claim_name", "find_traces", "index_bytes", "open", "path", "reindex", "scrub"})


class Client:
    """A memory on a server: one scope of it. From it others are made with `scope`."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retries: int = 3,
        verify: Verify = True,
    ) -> None:
        """A handle on the root scope of the server at `base_url`, else at $MNEMIC_URL; nothing is sent yet.

        api_key: as `mnemic keys create` made it, else $MNEMIC_API_KEY; a server on this machine may need none.
        timeout_s: how long one request may take to connect, and the server between two pieces of its answer.
        retries: how often a request is sent again when the server cannot be reached, or is busy.
        verify: False trusts any certificate; a path or ssl.SSLContext trusts the authorities it names.

        Raises ParameterError, and DependencyMissing where httpx is not installed.
        """
        self._connection = Connection(base_url, api_key, timeout_s=timeout_s, retries=retries, verify=verify)
        self._scope = ""
        self._system = DEFAULT

    def _handle(self, scope: str, system: str) -> Client:
        made = Client.__new__(Client)
        made._connection, made._scope, made._system = self._connection, scope, system
        return made

    def close(self) -> None:
        """Close the connections, for all handles of this client. Calling it again does nothing."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._connection.address!r} scope={self._scope!r} system={self._system!r}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in ABSENT:
                raise AttributeError(
                    f"A Client has no {name!r}: that is of a memory's file, which is on the server. Use Memory.open(FILE), or "
                    "the command line, on that machine.",
                    name=name,
                    obj=self,
                )
            raise AttributeError(f"'Client' object has no attribute {name!r}", name=name, obj=self)

    # -- handles ------------------------------------------------------------------------------------------

    @property
    def scope_path(self) -> str:
        """The scope that this handle is on."""
        return self._scope

    @property
    def system_id(self) -> str:
        """The system that answers this handle's searches."""
        return self._system

    def scope(self, path: str) -> Client:
        """A handle on the scope `path` inside this one, such as "acme/alice"; nothing is shared with its siblings."""
        return self._handle(join_scope(self._scope, path), self._system)

    def system(self, id: str) -> Client:
        """A handle on the same scope whose searches another system answers, such as "bm25".

        One that the server does not have is a SystemNotFound when it is first asked.
        """
        return self._handle(self._scope, id)

    # -- remembering --------------------------------------------------------------------------------------

    def add(
        self,
        messages: Message | Iterable[Message],
        *,
        role: str | None = None,
        actor: str | None = None,
        session: str | None = None,
        occurred_at: Time | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        app_id: str | None = None,
        timestamp: Time | None = None,
        infer: bool = False,
        show_progress: bool = False,
    ) -> Added:
        """Remember a string, a message, or a list of messages; all or nothing, and durably once this returns.

        As `Memory.add`. Every message is sent with an id, so that a request that is sent again writes nothing twice.
        """
        where = resolve(self._scope, user_id, agent_id, run_id, app_id)
        drafts = drafts_from(
            messages,
            role=role,
            actor=actor,
            session=session or where.session,
            occurred_at=occurred_at if occurred_at is not None else timestamp,
            metadata=metadata,
            id=id,
        )
        body = {**place(self._scope, user_id, agent_id, run_id, app_id), "messages": [message(one) for one in drafts]}
        return self._connection.ask("POST", "/v1/episodes", wire.added_from, body=body, headers=_once())

    def update(
        self,
        id: str,
        text: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        occurred_at: Time | None = None,
        new_id: str | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        app_id: str | None = None,
    ) -> Episode:
        """Correct the episode of that id: a new one supersedes it, and its past stays in `history`.

        As `Memory.update`. A request that is sent again writes nothing twice, whether or not `new_id` is given.
        """
        body = given(
            **place(self._scope, user_id, agent_id, run_id, app_id),
            text=None if text is None else checked_text(text),
            metadata=None if metadata is None else checked_json(metadata, "metadata"),
            occurred_at=moment(occurred_at),
            new_id=None if new_id is None else checked_id(new_id),
        )
        path = f"/v1/episodes/{segment(_id(id))}"
        return self._connection.ask("PATCH", path, wire.episode_from, body=body, headers=_once())

    def feedback(
        self,
        ids: str | Iterable[str],
        verdict: Verdict,
        *,
        note: str = "",
        value: float | None = None,
        session: str | None = None,
        occurred_at: Time | None = None,
        id: str | None = None,
    ) -> Episode:
        """Say of recalled memories, by their hits' ids, that they were "used", "helpful", "unhelpful" or "wrong".

        As `Memory.feedback`.
        """
        message = feedback_message(ids, verdict, note, value)
        return self.add([message], session=session, occurred_at=occurred_at, id=id).episodes[0]

    # -- recalling ----------------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        top_k: int | None = None,
        threshold: float = 0.0,
        filters: Mapping[str, Any] | None = None,
        session: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        as_of: Time | None = None,
        asked_at: Time | None = None,
        include_children: bool = False,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        app_id: str | None = None,
    ) -> Recall:
        """The memories that answer `query`, best first, each with its score in [0, 1], its reasons and its sources.

        As `Memory.search`; a server gives 1,000 hits at most.
        """
        body = question(
            place(self._scope, user_id, agent_id, run_id, app_id),
            self._system,
            query,
            limit if top_k is None else top_k,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=include_children,
        )
        return self._connection.ask("POST", "/v1/search", wire.recall_from, body=body)

    def context(
        self,
        query: str,
        *,
        budget_tokens: int = 1000,
        max_tokens: int | None = None,
        limit: int = CONTEXT_HITS,
        count: TokenCounter = count_tokens,
        threshold: float = 0.0,
        filters: Mapping[str, Any] | None = None,
        session: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        as_of: Time | None = None,
        asked_at: Time | None = None,
        include_children: bool = False,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        app_id: str | None = None,
    ) -> Context:
        """What answers `query`, as a block of text for a prompt: dated, attributed, cited, within `budget_tokens`.

        As `Memory.context`, but the server counts the tokens, by its own rule: another `count` is a ParameterError.
        """
        if count is not count_tokens:
            raise ParameterError(
                "A token counter of your own cannot be sent to a server, which counts by its own rule. Leave `count` out and "
                "give budget_tokens some room, or use Memory."
            )
        budget = whole("budget_tokens", budget_tokens if max_tokens is None else max_tokens, 1)
        body = question(
            place(self._scope, user_id, agent_id, run_id, app_id),
            self._system,
            query,
            limit,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=include_children,
        )
        body |= {"budget_tokens": budget}
        return self._connection.ask("POST", "/v1/context", wire.context_from, body=body)

    def why_not(
        self,
        query: str,
        text_or_id: str,
        *,
        limit: int = 10,
        top_k: int | None = None,
        threshold: float = 0.0,
        filters: Mapping[str, Any] | None = None,
        session: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        as_of: Time | None = None,
        asked_at: Time | None = None,
        include_children: bool = False,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        app_id: str | None = None,
    ) -> WhyNot:
        """Why a search with these arguments did not recall an episode: what kept it out, and what would bring it in.

        As `Memory.why_not`.
        """
        if not isinstance(text_or_id, str):
            raise ParameterError(f"text_or_id is {type(text_or_id).__name__}; an id or a text is expected.")
        body = question(
            place(self._scope, user_id, agent_id, run_id, app_id),
            self._system,
            query,
            limit if top_k is None else top_k,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=include_children,
        )
        body |= {"text_or_id": text_or_id}
        return self._connection.ask("POST", "/v1/why-not", wire.why_not_from, body=body)

    # -- reading ------------------------------------------------------------------------------------------

    def get(
        self, id: str, *, user_id: str | None = None, agent_id: str | None = None, app_id: str | None = None
    ) -> Episode:
        """The episode of that id in this scope. Raises EpisodeNotFound."""
        where = place(self._scope, user_id, agent_id, None, app_id)
        return self._connection.ask("GET", f"/v1/episodes/{segment(_id(id))}", wire.episode_from, query=where)

    def find(self, id: str) -> Episodes:
        """The episodes of that id in this scope and those below it; an id names one episode in each scope."""
        if not is_storable(id):
            return []
        return self._connection.ask("GET", "/v1/find", _episodes, query={"scope": self._scope, "id": id})

    def list(
        self,
        *,
        limit: int = 100,
        after: int = 0,
        newest_first: bool = False,
        session: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        filters: Mapping[str, Any] | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        app_id: str | None = None,
    ) -> Episodes:
        """Episodes of this scope in the order of the log, a page at a time: pass the last one's `seq` as `after` for the next."""
        whole("limit", limit, 1)
        whole("after", after, 0)
        where = place(self._scope, user_id, agent_id, run_id, app_id)
        chosen = condition(where, filters)
        query = {
            **where,
            "session": session,
            "since": moment(since),
            "until": moment(until),
            "filters": None if chosen is None else json.dumps(chosen),
            "newest_first": bool(newest_first),
        }
        return self._rows("/v1/episodes", "episodes", wire.episode_from, query, limit, after)

    def get_all(self, *, limit: int = 100, filters: Mapping[str, Any] | None = None, **ids: Any) -> dict[str, Any]:
        """What is remembered now, newest first, in the shape that users of other memory libraries know.

        `{"results": [...]}`, without echoes and what was corrected since; `list` has those too.
        """
        return {"results": self._current(limit, filters, **ids)}

    def sessions(self, *, limit: int = 100, after: int = 0, newest_first: bool = False, **ids: Any) -> Sessions:
        """The sessions of this scope by when they began in the log, a page at a time.

        For the next page pass the last one's `first_seq` as `after`; newest first, its `last_seq`.
        """
        whole("limit", limit, 1)
        whole("after", after, 0)
        where = place(self._scope, *(ids.pop(name, None) for name in ("user_id", "agent_id", "run_id", "app_id")))
        if ids:
            raise ParameterError(f"sessions() has no argument {min(ids)!r}.")
        query = {**where, "newest_first": bool(newest_first)}
        return self._rows("/v1/sessions", "sessions", wire.session_from, query, limit, after)

    def records(
        self,
        *,
        system: str | None = None,
        kind: str | None = None,
        ids: Sequence[str] | None = None,
        include_retired: bool = True,
        include_children: bool = False,
        after: str | None = None,
        limit: int = 1000,
    ) -> Records:
        """What systems made of this scope's episodes, oldest first, each with its sources.

        As `Memory.records`; for more than 1,000 at once the system must be named, and one scope be meant.
        """
        is_paged = system is not None and not include_children
        if after is not None and not is_paged:
            raise ParameterError("A page after a record is one of a system in one scope: name the system.")
        whole("limit", limit, 1)
        query = {
            "scope": self._scope,
            "system": system,
            "kind": kind,
            "include_retired": bool(include_retired),
            "include_children": bool(include_children),
        }
        if ids is not None:
            return self._records_of([*ids], query, limit, after)
        found = self._rows("/v1/records", "records", wire.record_from, query, limit, after)
        if not is_paged and len(found) == MOST < limit:
            raise ParameterError(
                f"There are {MOST:,} records or more. Name the system, and ask scope by scope, to page."
            )
        return found

    def links(self, *, system: str | None = None, include_children: bool = False, limit: int = 10_000) -> Links:
        """The edges that systems made between records or episodes of this scope. Raises SystemNotFound."""
        query = {
            "scope": self._scope,
            "system": system,
            "include_children": bool(include_children),
            "limit": whole("limit", limit, 1),
        }
        return self._connection.ask("GET", "/v1/links", _links, query=query)

    def history(
        self, id: str, *, user_id: str | None = None, agent_id: str | None = None, app_id: str | None = None
    ) -> Versions:
        """Every text that this memory had, oldest first, from any of its ids. Raises EpisodeNotFound."""
        where = place(self._scope, user_id, agent_id, None, app_id)
        return self._connection.ask("GET", "/v1/history", _versions, query={**where, "id": _id(id)})

    # -- forgetting ---------------------------------------------------------------------------------------

    def forget(
        self,
        id: str | Sequence[str] | None = None,
        *,
        session: str | None = None,
        filters: Mapping[str, Any] | None = None,
        since: Time | None = None,
        until: Time | None = None,
        everything: bool = False,
        include_children: bool = False,
        dry_run: bool = False,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        app_id: str | None = None,
    ) -> Receipt:
        """Forget for good: by id (one or several), session, filters, time, or everything here; what is given must all hold.

        As `Memory.forget`. It is not sent again by itself when it is not known whether it arrived: ServerUnreachable says so.
        """
        if id is not None and (not isinstance(id, Iterable) or not all(isinstance(one, str) for one in id)):
            raise ParameterError(f"An id is text; {id!r} was given. Give one id or a list of them.")
        where = place(self._scope, user_id, agent_id, run_id, app_id)
        body = given(
            **where,
            id=id if id is None or isinstance(id, str) else [*id],
            session=session,
            filters=condition(where, filters),
            since=moment(since),
            until=moment(until),
            everything=bool(everything),
            include_children=bool(include_children),
            dry_run=bool(dry_run),
        )
        return self._connection.ask("POST", "/v1/forget", wire.receipt_from, body=body, is_repeatable=bool(dry_run))

    def delete(self, id: str, **ids: Any) -> Receipt:
        """Forget one memory: `forget(id)`."""
        return self.forget(id, **ids)

    def delete_all(self, **ids: Any) -> Receipt:
        """Forget everything of a user, agent or run, or, on a handle of a scope and without arguments, of this scope.

        Raises ParameterError for an id that is None, and on the root handle without an id: a name that got lost on its way
        must not erase what is not meant.
        """
        return Memory.delete_all(cast(Memory, self), **ids)  # it asks nothing of a handle but its scope and `forget`

    def reset(self) -> Receipt:
        """Forget everything in this scope and in every scope below it."""
        return self.forget(everything=True, include_children=True)

    # -- systems ------------------------------------------------------------------------------------------

    def attach(self, system: str, *, llm: str | LLM | None = None, **parameters: Any) -> Client:
        """Let a system observe the log of this scope's tenant from its beginning, and go on; a handle whose searches it answers.

        As `Memory.attach`, but that the server has the models: llm is None for its own, or "none". Raises ParameterError.
        """
        if llm not in (None, "none"):
            raise ParameterError(
                'A server asks its own model, which is set where it runs (MNEMIC_LLM). Leave llm out, or give "none".'
            )
        path, where = _system_path(system), {"scope": self._scope}
        body = {"parameters": parameters} if llm is None else {"parameters": parameters, "llm": llm}
        self._connection.ask("PUT", path, _attached, query=where, body=body)
        return self.system(system)

    def detach(self, system: str) -> None:
        """Drop a system and everything it made for this scope's tenant; the log is not touched."""
        self._connection.ask("DELETE", _system_path(system), _attached, query={"scope": self._scope})

    def attached(self) -> dict[str, dict[str, Any]]:
        """The systems that are attached to this scope's tenant, with the parameters that were given."""
        return self._connection.ask("GET", "/v1/systems", _attached, query={"scope": self._scope})

    def consolidate(
        self, *, include_children: bool = True, retry_failed: bool = False
    ) -> dict[str, dict[str, int | str]]:
        """Let every attached system observe what it has not seen and do its offline work, in this scope and those below.

        As `Memory.consolidate`, as a job of the server, which is waited for; how far it is goes to the log `mnemic.client`.
        The job goes on when nobody waits for it any more. Raises what kept it from being done.
        """
        return wait_for(
            self._connection, self._scope, include_children=bool(include_children), retry_failed=bool(retry_failed)
        )

    # -- the store ----------------------------------------------------------------------------------------

    def scopes(self) -> dict[str, int]:
        """This scope and those below it that hold anything, with their number of episodes; at the root, of all tenants."""
        found: dict[str, int] = {}
        cursor: str | None = None
        while True:
            query = {"prefix": self._scope, "limit": MOST, "cursor": cursor}
            page, cursor = self._connection.ask("GET", "/v1/scopes", _scopes, query=query)
            found |= page
            if cursor is None:
                return found

    def stats(self) -> dict[str, Any]:
        """What this scope holds; and the embedder."""
        return self._connection.ask("GET", "/v1/stats", dict, query={"scope": self._scope})

    def import_(self, path: str | Path, format: str | None = None, *, show_progress: bool = False) -> Imported:
        """Read a past from a file on this machine, which is sent up, into this scope; see `mnemic.formats`.

        As `Memory.import_`, but for a folder, which is to be packed as a .zip. Raises OSError for what cannot be read.
        """
        file = Path(path)
        if file.is_dir():
            raise FormatError(
                f"{file} is a folder, and one file is sent at a time. Pack it as a .zip, or give its files."
            )
        query = {"scope": self._scope, "format": format, "name": file.name[-LONGEST_NAME:]}
        return self._connection.upload(
            "/v1/import", wire.imported_from, query=query, file=file, show_progress=show_progress
        )

    def export(self, path: str | Path | TextIO, *, include_children: bool = True) -> int:
        """Write this scope, and those below it, as JSON Lines; how many episodes it wrote. `import_` reads it back."""
        if not isinstance(path, str | Path):
            return self._export(path, include_children=include_children)
        file = Path(path)
        draft = file.with_name(f"{file.name}.{os.getpid()}.part")
        try:
            with draft.open("w", encoding="utf-8") as out:
                written = self._export(out, include_children=include_children)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        return written

    def export_lines(self, *, include_children: bool = True) -> Iterator[str]:
        """The lines that `export` writes, one by one, as they come."""
        query = {"scope": self._scope, "include_children": bool(include_children)}
        return self._connection.lines("/v1/export", query)

    # -- the words of others ------------------------------------------------------------------------------

    remember = add
    recall = search

    # -- inside -------------------------------------------------------------------------------------------

    def _rows(
        self,
        path: str,
        name: str,
        read: Callable[[Any], T],
        query: Mapping[str, Any],
        limit: int,
        after: int | str | None,
    ) -> Several[T]:
        """As many rows of a listing as are wanted, behind a place in it, in as many pages as that takes."""
        rows: Several[T] = []
        cursor = cursor_after(after)

        def page(values: Any) -> tuple[Several[T], str | None]:
            return [read(one) for one in values[name]], values["next_cursor"]

        while len(rows) < limit:
            asked = {**query, "limit": min(limit - len(rows), MOST), "cursor": cursor}
            found, cursor = self._connection.ask("GET", path, page, query=asked)
            rows += found
            if cursor is None or not found:
                break
        return rows[:limit]

    def _records_of(self, ids: Ids, query: Mapping[str, Any], limit: int, after: str | None) -> Records:
        """Records by their ids, as many ids at once as a request takes."""
        found: Records = []
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = {**query, "id": ids[start : start + IDS_AT_ONCE]}
            found += self._rows("/v1/records", "records", wire.record_from, some, min(limit, MOST), after)
        if len(ids) > IDS_AT_ONCE:
            found.sort(key=lambda one: (one.scope, one.system, one.recorded_at, one.id))
        return found[:limit]

    def _current(
        self,
        limit: int,
        filters: Mapping[str, Any] | None,
        *,
        session: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        app_id: str | None = None,
    ) -> Rows:
        """Rows for `get_all`. Newest first, what supersedes an episode comes before it, so the log is read unfiltered."""
        where = resolve(self._scope, user_id, agent_id, run_id, app_id, filters)
        session = session or where.session
        keep = selector(None, session, since, until, where.filters)
        handle = self._handle(where.scope, self._system)
        superseded: set[str | None] = set()
        results: Rows = []
        before = 0
        while len(results) < limit:
            page = handle.list(limit=MOST, after=before, newest_first=True, session=session)
            for episode in page:
                if episode.id not in superseded and episode.origin != ECHO and keep(episode):
                    results.append(Hit(score=0.0, episode=episode).to_dict())
                superseded.add(episode.supersedes)
            if len(page) < MOST:
                break
            before = page[-1].seq
        return results[:limit]

    def _export(self, out: TextIO, *, include_children: bool) -> int:
        written = -1  # the header is no episode
        for line in self.export_lines(include_children=include_children):
            out.write(line)
            written += 1
        return written


def _once() -> dict[str, str]:
    """A key of its own for a write, the same however often the request is sent."""
    return {"Idempotency-Key": new_id()}


def _id(id: str) -> str:
    if not isinstance(id, str):
        raise EpisodeNotFound(f"No episode {id!r}: an id is text. `list` shows what is here.")
    return id


def _system_path(system: str) -> str:
    if not isinstance(system, str) or "/" in system or not system:
        system_class(system)  # which no system can be called
    return f"/v1/systems/{segment(system)}"


def _episodes(values: Any) -> Episodes:
    return [wire.episode_from(one) for one in values["episodes"]]


def _links(values: Any) -> Links:
    return [wire.link_from(one) for one in values["links"]]


def _versions(values: Any) -> Versions:
    return [wire.version_from(one) for one in values["versions"]]


def _attached(values: Any) -> dict[str, dict[str, Any]]:
    return {one["id"]: one["parameters"] or {} for one in values["systems"] if one["attached"]}


def _scopes(values: Any) -> tuple[dict[str, int], str | None]:
    return {one["scope"]: one["episodes"] for one in values["scopes"]}, values["next_cursor"]
