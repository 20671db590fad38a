"""`Memory` for asyncio: the same verbs, each run in a thread of a small pool.

Made from `memory/front.py` by `tools/make_async.py`; change that and run it again. A call that is cancelled is not
waited for any more, but a write that has begun is finished.

    memory = await AsyncMemory.open("agent.db")
    await memory.scope("acme/alice").add("I moved to Porto in March.")
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, ParamSpec, TextIO, TypeVar

from mnemic.clock import Clock
from mnemic.memory.forget import Receipt
from mnemic.memory.front import CONTEXT_HITS, Embeds, Episodes, Links, Memory, Paths, Records, Sessions, Versions
from mnemic.memory.intake import Message, Time
from mnemic.memory.remember import Added
from mnemic.memory.results import Context
from mnemic.memory.transfer import Imported
from mnemic.memory.why_not import WhyNot
from mnemic.model import Episode, Recall
from mnemic.models.budget import Budget
from mnemic.models.llm import LLM
from mnemic.systems.feedback import Verdict
from mnemic.text.tokens import TokenCounter, count_tokens

P = ParamSpec("P")
T = TypeVar("T")
WORKERS = 8  # searches that run side by side; writes share commits, whatever their number


class AsyncMemory:
    """A memory for agents that run in an event loop. Made with `await AsyncMemory.open(...)`."""

    def __init__(self, memory: Memory, pool: ThreadPoolExecutor) -> None:
        self._memory = memory
        self._pool = pool

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(call, *args, **kwargs))

    async def __aenter__(self) -> AsyncMemory:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Async{repr(self._memory)[1:]}"

    @classmethod
    async def open(
        cls,
        path: str | Path | None = None,
        *,
        embedder: Embeds = None,
        read_only: bool = False,
        durability: Literal["full", "normal"] = "full",
        busy_timeout_s: float = 30.0,
        index_memory_mb: int = 512,
        clock: Clock | None = None,
        llm: str | LLM | None = None,
        budget: Budget | None = None,
        background: bool = True,
    ) -> AsyncMemory:
        """Open a memory kept in the file `path`, made if it is not there; None, or ":memory:", keeps it in this process alone.

        embedder: "auto" (the one that made the store; else MiniLM, else hashed n-grams with a warning), "minilm",
        "hashing", "openai:MODEL", "sentence-transformers:NAME", or an object with embed, id and dim.
        durability: "full" survives a power cut; "normal" may lose the last moments then, and is faster.
        busy_timeout_s: how long a write waits for another process's before StoreBusy.
        index_memory_mb: how much memory the indexes may take together.
        llm: the model that attached systems ask unless they are given another, such as "openai:gpt-4o-mini" or an object with
        id and complete; without it $MNEMIC_LLM, and where that is not set none. "none" for none. The default system asks none.
        budget: what may be spent on models; see `mnemic.models.budget`.
        background: whether systems that ask a model observe in a thread of this process; else they do in `consolidate` alone.

        Raises StoreReadOnly, NotAStore, StoreTooNew, StoreCorrupt, EmbedderMismatch, WeightsMissing; each says what to do.
        """
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="mnemic")
        call = functools.partial(
            Memory.open,
            path,
            embedder=embedder,
            read_only=read_only,
            durability=durability,
            busy_timeout_s=busy_timeout_s,
            index_memory_mb=index_memory_mb,
            clock=clock,
            llm=llm,
            budget=budget,
            background=background,
        )
        try:
            return cls(await asyncio.get_running_loop().run_in_executor(pool, call), pool)
        except BaseException:
            pool.shutdown(wait=False)
            raise

    async def close(self) -> None:
        """Write what waits and release the files, for all handles of this store. Calling it again does nothing."""
        await self._run(self._memory.close)
        self._pool.shutdown(wait=False)

    @property
    def path(self) -> Path | None:
        """The file; None for a store in memory."""
        return self._memory.path

    @property
    def scope_path(self) -> str:
        """The scope that this handle is on."""
        return self._memory.scope_path

    @property
    def index_bytes(self) -> int:
        """How much memory the indexes of this store take at the moment, about."""
        return self._memory.index_bytes

    @property
    def system_id(self) -> str:
        """The system that answers this handle's searches."""
        return self._memory.system_id

    def scope(self, path: str) -> AsyncMemory:
        """A handle on the scope `path` inside this one, such as "acme/alice"; nothing is shared with its siblings."""
        return AsyncMemory(self._memory.scope(path), self._pool)

    def system(self, id: str) -> AsyncMemory:
        """A handle on the same scope whose searches another system answers, such as "bm25"."""
        return AsyncMemory(self._memory.system(id), self._pool)

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

        A message is `{"role": ..., "content": ...}` as chat APIs have it, and may carry its own name, timestamp, session, id
        and metadata; the arguments hold for messages that do not say. An `id` makes a retry harmless: the same content
        again changes nothing, other content is an IdConflict. Naive times are UTC; without any, it happened now.
        user_id, agent_id and app_id choose a scope below this one; run_id is the session; timestamp is occurred_at. infer is
        accepted for familiarity: nothing is inferred here, what was said is kept as it was.

        Raises InvalidEpisode, InvalidTime, InvalidScope, IdConflict and StoreError, and EpisodeNotFound for feedback on what is
        not there; then nothing was written.
        """
        return await self._run(
            self._memory.add,
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

        Compare-and-set: an id names one version, so when somebody else has corrected it since you read it, this raises
        EditConflict with the id that is current, and writes nothing. `metadata` replaces; without `text` the text stays.
        `new_id` names the correction and makes a retry harmless: the same correction again changes nothing.
        """
        return await self._run(
            self._memory.update,
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

        It is an episode of the log, never recalled itself. Systems whose memories grow stronger by use, or learn from being
        wrong, observe it; others pass it over. note: a hint, an explanation or the right answer. value: a measure, such as
        a profit. Raises ParameterError, and EpisodeNotFound for an id that is neither an episode nor a record of this scope.
        """
        return await self._run(
            self._memory.feedback, ids, verdict, note=note, value=value, session=session, occurred_at=occurred_at, id=id
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

        since, until: a window on when things happened; a date as `until` means its whole day. as_of: only what was
        recorded by then, ranked as it would have been. asked_at: what "yesterday" in the query is relative to; `as_of` where
        that is given. filters: metadata and own fields, in either common dialect (see `mnemic.filters`). include_children also
        searches the scopes below.
        top_k is limit. Raises ParameterError, InvalidFilter, InvalidTime and InvalidScope.
        """
        return await self._run(
            self._memory.search,
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

        count: how tokens are counted; the default is a stated rule near what common tokenizers give. max_tokens is
        budget_tokens. The rest is as in `search`. Empty when nothing is remembered or nothing fits.
        """
        return await self._run(
            self._memory.context,
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

        text_or_id: an episode's id, or what it says, about. The rest is as in `search`. `remedy` of the answer has the
        arguments to search with instead. Nothing is noted as recalled.
        """
        return await self._run(
            self._memory.why_not,
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
        return await self._run(self._memory.get, id, user_id=user_id, agent_id=agent_id, app_id=app_id)

    async def find(self, id: str) -> Episodes:
        """The episodes of that id in this scope and those below it; an id names one episode in each scope."""
        return await self._run(self._memory.find, id)

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
            self._memory.list,
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
        return await self._run(self._memory.get_all, limit=limit, filters=filters, **ids)

    async def sessions(self, *, limit: int = 100, after: int = 0, newest_first: bool = False, **ids: Any) -> Sessions:
        """The sessions of this scope by when they began in the log, a page at a time.

        For the next page pass the last one's `first_seq` as `after`; newest first, its `last_seq`.
        """
        return await self._run(self._memory.sessions, limit=limit, after=after, newest_first=newest_first, **ids)

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

        A system observes what it has not seen before its records are read. include_retired: also what was superseded since.
        after: the id of the last record of the page before, for which the system must be named. Raises SystemNotFound.
        """
        return await self._run(
            self._memory.records,
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
        return await self._run(self._memory.links, system=system, include_children=include_children, limit=limit)

    async def history(
        self, id: str, *, user_id: str | None = None, agent_id: str | None = None, app_id: str | None = None
    ) -> Versions:
        """Every text that this memory had, oldest first, from any of its ids. Raises EpisodeNotFound."""
        return await self._run(self._memory.history, id, user_id=user_id, agent_id=agent_id, app_id=app_id)

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

        Every version of a forgotten memory goes, with its echoes and all that was made from it, from every file of the
        store. dry_run says what would go. Raises EpisodeNotFound for an id that is not there, and ParameterError when
        nothing is chosen.
        """
        return await self._run(
            self._memory.forget,
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
        return await self._run(self._memory.delete, id, **ids)

    async def delete_all(self, **ids: Any) -> Receipt:
        """Forget everything of a user, agent or run, or, on a handle of a scope and without arguments, of this scope.

        Raises ParameterError for an id that is None, and on the root handle without an id: a name that got lost on its way
        must not erase what is not meant.
        """
        return await self._run(self._memory.delete_all, **ids)

    async def reset(self) -> Receipt:
        """Forget everything in this scope and in every scope below it."""
        return await self._run(self._memory.reset)

    async def find_traces(self, text: str) -> Paths:
        """The files of this store in which the bytes of `text` stand: after forgetting it, none."""
        return await self._run(self._memory.find_traces, text)

    async def scrub(self) -> bool:
        """Empty the write-ahead log, so that nothing forgotten stands in it; False while a reader stands in the way."""
        return await self._run(self._memory.scrub)

    async def attach(self, system: str, *, llm: str | LLM | None = None, **parameters: Any) -> AsyncMemory:
        """Let a system observe this store's log from its beginning, and go on; a handle whose searches it answers.

        llm: the model that it asks, as in `open`; the memory's own where it has one; "none" for its offline path. Its id is
        kept: where the store is opened without that model, the system waits with what it would have observed. A system
        without a model makes its records when it is first asked, or when `consolidate` is called; one with a model in the
        background, or in `consolidate`, which waits. Attaching it again with other parameters or another model starts its
        records anew. Raises SystemNotFound and ParameterError.
        """
        return AsyncMemory(await self._run(self._memory.attach, system, llm=llm, **parameters), self._pool)

    async def detach(self, system: str) -> None:
        """Drop a system and everything it made; the log is not touched."""
        return await self._run(self._memory.detach, system)

    async def attached(self) -> dict[str, dict[str, Any]]:
        """The systems that are attached to this store, with the parameters that were given."""
        return await self._run(self._memory.attached)

    async def consolidate(
        self, *, include_children: bool = True, retry_failed: bool = False
    ) -> dict[str, dict[str, int | str]]:
        """Let every attached system observe what it has not seen and do its offline work, in this scope and those below.

        It waits for what systems ask their models. retry_failed: ask again what a model answered in no usable form; a system
        that went on without such an answer makes its records anew, from the answers that are kept and these.

        Returns what each did, by system: episodes observed, and the error that stopped it in a scope, if any. Episodes that
        still wait for their vectors are embedded.
        """
        return await self._run(self._memory.consolidate, include_children=include_children, retry_failed=retry_failed)

    async def claim_name(self, name: str) -> str:
        """Give this store a name, if it has none yet; the name it has. It travels with the file and its backups."""
        return await self._run(self._memory.claim_name, name)

    async def scopes(self) -> dict[str, int]:
        """This scope and those below it that hold anything, with their number of episodes."""
        return await self._run(self._memory.scopes)

    async def stats(self) -> dict[str, Any]:
        """What this scope, or for the root handle the whole store, holds; and the embedder."""
        return await self._run(self._memory.stats)

    async def import_(self, path: str | Path, format: str | None = None, *, show_progress: bool = False) -> Imported:
        """Read a past from a file or folder into this scope; see `mnemic.formats`.

        Importing it again changes nothing, but for bringing back what was forgotten of it.

        format: one of `mnemic.formats.registry.FORMATS`; without it, it is told from the content. What could not be read is in
        the result's `problems`, with file and line.
        """
        return await self._run(self._memory.import_, path, format, show_progress=show_progress)

    async def export(self, path: str | Path | TextIO, *, include_children: bool = True) -> int:
        """Write this scope, and those below it, as JSON Lines; how many episodes it wrote. `import_` reads it back."""
        return await self._run(self._memory.export, path, include_children=include_children)

    async def backup(self, path: str | Path) -> Path:
        """Write a consistent copy of the whole store to a new file, while it stays in use; the file, once it is on disk.

        The copy is a store like any other. Raises ParameterError for a file that exists.
        """
        return await self._run(self._memory.backup, path)

    @staticmethod
    async def reindex(
        path: str | Path, embedder: Embeds = None, *, show_progress: bool = False, again: bool = False
    ) -> int:
        """Embed a store's episodes with another embedder; without one, what still waits, with the store's own. How many it did.

        Interrupted, it goes on at the next call. `again` embeds everything anew.
        """
        return await asyncio.to_thread(Memory.reindex, path, embedder, show_progress=show_progress, again=again)

    remember = add

    recall = search
