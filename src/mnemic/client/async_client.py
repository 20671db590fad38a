"""`Client` for asyncio: the same verbs, each run in a thread of a small pool.

Made from `client/front.py` by `tools/make_async.py`; change that and run it again. A call that is cancelled is not
waited for any more, but a request that was sent is answered.

    client = AsyncClient("http://127.0.0.1:8700")
    await client.scope("acme/alice").add("I moved to Porto in March.")
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TextIO, TypeVar

from mnemic.client.connection import Verify
from mnemic.client.front import Client
from mnemic.memory.forget import Receipt
from mnemic.memory.front import CONTEXT_HITS, Episodes, Links, Records, Sessions, Versions
from mnemic.memory.intake import Message, Time
from mnemic.memory.remember import Added
from mnemic.memory.results import Context
from mnemic.memory.transfer import Imported
from mnemic.memory.why_not import WhyNot
from mnemic.model import Episode, Recall
from mnemic.models.llm import LLM
from mnemic.systems.feedback import Verdict
from mnemic.text.tokens import TokenCounter, count_tokens

P = ParamSpec("P")
T = TypeVar("T")
WORKERS = 16  # requests that are under way side by side


class AsyncClient:
    """A memory on a server, for agents that run in an event loop; made like `Client`."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retries: int = 3,
        verify: Verify = True,
    ) -> None:
        """As `Client`."""
        self._client = Client(base_url, api_key, timeout_s=timeout_s, retries=retries, verify=verify)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="mnemic-client")

    @classmethod
    def _on(cls, client: Client, pool: ThreadPoolExecutor) -> AsyncClient:
        made = cls.__new__(cls)
        made._client, made._pool = client, pool
        return made

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(call, *args, **kwargs))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Async{repr(self._client)[1:]}"

    async def close(self) -> None:
        """Close the connections, for all handles of this client. Calling it again does nothing."""
        await self._run(self._client.close)
        self._pool.shutdown(wait=False)

    @property
    def scope_path(self) -> str:
        """The scope that this handle is on."""
        return self._client.scope_path

    @property
    def system_id(self) -> str:
        """The system that answers this handle's searches."""
        return self._client.system_id

    def scope(self, path: str) -> AsyncClient:
        """A handle on the scope `path` inside this one, such as "acme/alice"; nothing is shared with its siblings."""
        return self._on(self._client.scope(path), self._pool)

    def system(self, id: str) -> AsyncClient:
        """A handle on the same scope whose searches another system answers, such as "bm25".

        One that the server does not have is a SystemNotFound when it is first asked.
        """
        return self._on(self._client.system(id), self._pool)

    async def add(
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
        return await self._run(
            self._client.add,
            messages,
            role=role,
            actor=actor,
            session=session,
            occurred_at=occurred_at,
            metadata=metadata,
            id=id,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
            timestamp=timestamp,
            infer=infer,
            show_progress=show_progress,
        )

    async def update(
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
        return await self._run(
            self._client.update,
            id,
            text,
            metadata=metadata,
            occurred_at=occurred_at,
            new_id=new_id,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
        )

    async def feedback(
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
        return await self._run(
            self._client.feedback, ids, verdict, note=note, value=value, session=session, occurred_at=occurred_at, id=id
        )

    async def search(
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
        return await self._run(
            self._client.search,
            query,
            limit=limit,
            top_k=top_k,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=include_children,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
        )

    async def context(
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
        return await self._run(
            self._client.context,
            query,
            budget_tokens=budget_tokens,
            max_tokens=max_tokens,
            limit=limit,
            count=count,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=include_children,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
        )

    async def why_not(
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
        return await self._run(
            self._client.why_not,
            query,
            text_or_id,
            limit=limit,
            top_k=top_k,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=include_children,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
        )

    async def get(
        self, id: str, *, user_id: str | None = None, agent_id: str | None = None, app_id: str | None = None
    ) -> Episode:
        """The episode of that id in this scope. Raises EpisodeNotFound."""
        return await self._run(self._client.get, id, user_id=user_id, agent_id=agent_id, app_id=app_id)

    async def find(self, id: str) -> Episodes:
        """The episodes of that id in this scope and those below it; an id names one episode in each scope."""
        return await self._run(self._client.find, id)

    async def list(
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
        return await self._run(
            self._client.list,
            limit=limit,
            after=after,
            newest_first=newest_first,
            session=session,
            since=since,
            until=until,
            filters=filters,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
        )

    async def get_all(
        self, *, limit: int = 100, filters: Mapping[str, Any] | None = None, **ids: Any
    ) -> dict[str, Any]:
        """What is remembered now, newest first, in the shape that users of other memory libraries know.

        `{"results": [...]}`, without echoes and what was corrected since; `list` has those too.
        """
        return await self._run(self._client.get_all, limit=limit, filters=filters, **ids)

    async def sessions(self, *, limit: int = 100, after: int = 0, newest_first: bool = False, **ids: Any) -> Sessions:
        """The sessions of this scope by when they began in the log, a page at a time.

        For the next page pass the last one's `first_seq` as `after`; newest first, its `last_seq`.
        """
        return await self._run(self._client.sessions, limit=limit, after=after, newest_first=newest_first, **ids)

    async def records(
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
        return await self._run(
            self._client.records,
            system=system,
            kind=kind,
            ids=ids,
            include_retired=include_retired,
            include_children=include_children,
            after=after,
            limit=limit,
        )

    async def links(self, *, system: str | None = None, include_children: bool = False, limit: int = 10000) -> Links:
        """The edges that systems made between records or episodes of this scope. Raises SystemNotFound."""
        return await self._run(self._client.links, system=system, include_children=include_children, limit=limit)

    async def history(
        self, id: str, *, user_id: str | None = None, agent_id: str | None = None, app_id: str | None = None
    ) -> Versions:
        """Every text that this memory had, oldest first, from any of its ids. Raises EpisodeNotFound."""
        return await self._run(self._client.history, id, user_id=user_id, agent_id=agent_id, app_id=app_id)

    async def forget(
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
        return await self._run(
            self._client.forget,
            id,
            session=session,
            filters=filters,
            since=since,
            until=until,
            everything=everything,
            include_children=include_children,
            dry_run=dry_run,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            app_id=app_id,
        )

    async def delete(self, id: str, **ids: Any) -> Receipt:
        """Forget one memory: `forget(id)`."""
        return await self._run(self._client.delete, id, **ids)

    async def delete_all(self, **ids: Any) -> Receipt:
        """Forget everything of a user, agent or run, or, on a handle of a scope and without arguments, of this scope.

        Raises ParameterError for an id that is None, and on the root handle without an id: a name that got lost on its way
        must not erase what is not meant.
        """
        return await self._run(self._client.delete_all, **ids)

    async def reset(self) -> Receipt:
        """Forget everything in this scope and in every scope below it."""
        return await self._run(self._client.reset)

    async def attach(self, system: str, *, llm: str | LLM | None = None, **parameters: Any) -> AsyncClient:
        """Let a system observe the log of this scope's tenant from its beginning, and go on; a handle whose searches it answers.

        As `Memory.attach`, but that the server has the models: llm is None for its own, or "none". Raises ParameterError.
        """
        return self._on(await self._run(self._client.attach, system, llm=llm, **parameters), self._pool)

    async def detach(self, system: str) -> None:
        """Drop a system and everything it made for this scope's tenant; the log is not touched."""
        return await self._run(self._client.detach, system)

    async def attached(self) -> dict[str, dict[str, Any]]:
        """The systems that are attached to this scope's tenant, with the parameters that were given."""
        return await self._run(self._client.attached)

    async def consolidate(
        self, *, include_children: bool = True, retry_failed: bool = False
    ) -> dict[str, dict[str, int | str]]:
        """Let every attached system observe what it has not seen and do its offline work, in this scope and those below.

        As `Memory.consolidate`, as a job of the server, which is waited for; how far it is goes to the log `mnemic.client`.
        The job goes on when nobody waits for it any more. Raises what kept it from being done.
        """
        return await self._run(self._client.consolidate, include_children=include_children, retry_failed=retry_failed)

    async def scopes(self) -> dict[str, int]:
        """This scope and those below it that hold anything, with their number of episodes; at the root, of all tenants."""
        return await self._run(self._client.scopes)

    async def stats(self) -> dict[str, Any]:
        """What this scope holds; and the embedder."""
        return await self._run(self._client.stats)

    async def import_(self, path: str | Path, format: str | None = None, *, show_progress: bool = False) -> Imported:
        """Read a past from a file on this machine, which is sent up, into this scope; see `mnemic.formats`.

        As `Memory.import_`, but for a folder, which is to be packed as a .zip. Raises OSError for what cannot be read.
        """
        return await self._run(self._client.import_, path, format, show_progress=show_progress)

    async def export(self, path: str | Path | TextIO, *, include_children: bool = True) -> int:
        """Write this scope, and those below it, as JSON Lines; how many episodes it wrote. `import_` reads it back."""
        return await self._run(self._client.export, path, include_children=include_children)

    remember = add

    recall = search
