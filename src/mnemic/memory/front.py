"""The front door of the library: `Memory`, and what it is asked.

    memory = Memory.open("agent.db")
    alice = memory.scope("acme/alice")
    alice.add("I moved to Porto in March.", session="monday")
    print(alice.search("Where does she live?")[0].text)
    print(alice.context("Where does she live?", budget_tokens=500))

A `Memory` is a handle on one scope of an open store. Handles are cheap, share everything, and may be used from many
threads. Nothing is sent anywhere but to an embedding endpoint that was asked for; nothing is written outside the path
that was given: the file itself, SQLite's -wal and -shm beside it, and a folder of index files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TextIO

from mnemic.clock import Clock, SystemClock, parse_time
from mnemic.errors import (
    EditConflict,
    EpisodeNotFound,
    InvalidEpisode,
    ParameterError,
)
from mnemic.filters import compile_filter
from mnemic.memory import forget as forgetting
from mnemic.memory import made, transfer
from mnemic.memory.ask import ask, resolve
from mnemic.memory.choose import is_storable, listed, selector
from mnemic.memory.choose_model import LLM_KEY
from mnemic.memory.consolidate import consolidate
from mnemic.memory.forget import Receipt
from mnemic.memory.intake import Draft, Message, Time, checked_id, checked_json, checked_text, drafts_from
from mnemic.memory.judged import check_judged
from mnemic.memory.reindex import reindex
from mnemic.memory.remember import Added, correct, episode_from, remember
from mnemic.memory.results import Context, Version
from mnemic.memory.shared import Shared, store_path
from mnemic.memory.transfer import Imported
from mnemic.memory.why_not import WhyNot, why_not
from mnemic.model import ECHO, Cue, Episode, Hit, Link, Recall, Record, Session, join_scope
from mnemic.model import new_id as fresh_id
from mnemic.models.budget import Budget
from mnemic.models.embedder import Embedder
from mnemic.models.llm import LLM
from mnemic.models.open_llm import default_llm
from mnemic.models.resolve import open_embedder
from mnemic.ops.echo import Echo
from mnemic.ops.pack import pack
from mnemic.store.rows import has_same_content
from mnemic.store.sqlite import SqliteStore
from mnemic.systems.feedback import Verdict, feedback_message
from mnemic.systems.registry import DEFAULT, create, system_class
from mnemic.text.tokens import TokenCounter, count_tokens

Embeds = str | Embedder | None
Episodes = list[Episode]  # names for what Memory.list would hide from type checkers inside the class
Paths = list[Path]
Versions = list[Version]
Sessions = list[Session]
Records = list[Record]
Links = list[Link]
Rows = list[dict[str, Any]]
CONTEXT_HITS = 60  # how many hits compete for a place in a context block
_ID_NAMES = ("user_id", "agent_id", "run_id", "app_id")
MARKED_SOURCES = 4  # of a record in a context block: each mark takes a few tokens


class Memory:
    """A memory for agents: one scope of an open store. Made with `Memory.open`, and from another with `scope`."""

    def __init__(self, shared: Shared, scope: str = "", system: str = DEFAULT) -> None:
        if not isinstance(shared, Shared):
            raise ParameterError(f"A memory is opened with Memory.open({str(shared)!r}), not with Memory(...).")
        self._shared = shared
        self._scope = scope
        self._system = system

    # -- opening and closing ------------------------------------------------------------------------------

    @classmethod
    def open(
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
    ) -> Memory:
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
        where = None if path is None or path == ":memory:" else store_path(path, read_only)
        clock = clock or SystemClock()
        if where is None or not where.exists():
            embedder = open_embedder(embedder)  # before a file is made: what cannot be opened leaves nothing behind
        store = SqliteStore(where, clock=clock, read_only=read_only, durability=durability, timeout_s=busy_timeout_s)
        try:
            shared = Shared(store, embedder, clock, index_memory_mb, budget, background=background)
            shared.models.default = shared.models.choose(llm if llm is not None else default_llm())
            return cls(shared)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Write what waits and release the files, for all handles of this store. Calling it again does nothing."""
        self._shared.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = self._shared.store.path or "in memory"
        return f"<Memory {str(where)!r} scope={self._scope!r} system={self._system!r}>"

    # -- handles ------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The file; None for a store in memory."""
        return self._shared.store.path

    @property
    def scope_path(self) -> str:
        """The scope that this handle is on."""
        return self._scope

    @property
    def index_bytes(self) -> int:
        """How much memory the indexes of this store take at the moment, about."""
        return self._shared.index_bytes

    @property
    def system_id(self) -> str:
        """The system that answers this handle's searches."""
        return self._system

    def scope(self, path: str) -> Memory:
        """A handle on the scope `path` inside this one, such as "acme/alice"; nothing is shared with its siblings."""
        return Memory(self._shared, join_scope(self._scope, path), self._system)

    def system(self, id: str) -> Memory:
        """A handle on the same scope whose searches another system answers, such as "bm25"."""
        self._shared.system(id)
        return Memory(self._shared, self._scope, id)

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

        A message is `{"role": ..., "content": ...}` as chat APIs have it, and may carry its own name, timestamp, session, id
        and metadata; the arguments hold for messages that do not say. An `id` makes a retry harmless: the same content
        again changes nothing, other content is an IdConflict. Naive times are UTC; without any, it happened now.
        user_id, agent_id and app_id choose a scope below this one; run_id is the session; timestamp is occurred_at. infer is
        accepted for familiarity: nothing is inferred here, what was said is kept as it was.

        Raises InvalidEpisode, InvalidTime, InvalidScope, IdConflict and StoreError, and EpisodeNotFound for feedback on what is
        not there; then nothing was written.
        """
        place = resolve(self._scope, user_id, agent_id, run_id, app_id)
        drafts = drafts_from(
            messages,
            role=role,
            actor=actor,
            session=session or place.session,
            occurred_at=occurred_at if occurred_at is not None else timestamp,
            metadata=metadata,
            id=id,
        )
        for draft in drafts if place.metadata else ():
            draft.metadata = {**draft.metadata, **place.metadata}
        check_judged(self._shared, place.scope, drafts)
        added = remember(self._shared, place.scope, drafts, show_progress=show_progress)
        self._shared.observe_behind_others(place.scope)
        return added

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

        Compare-and-set: an id names one version, so when somebody else has corrected it since you read it, this raises
        EditConflict with the id that is current, and writes nothing. `metadata` replaces; without `text` the text stays.
        `new_id` names the correction and makes a retry harmless: the same correction again changes nothing.
        """
        scope = resolve(self._scope, user_id, agent_id, run_id, app_id).scope
        old = self._one(scope, id)
        text = old.text if text is None else checked_text(text)
        if not text and not old.parts:
            raise InvalidEpisode("The text is empty. To forget the episode, call forget().")
        draft = Draft(
            text,
            role=old.role,
            actor=old.actor,
            session=old.session,
            occurred_at=old.occurred_at if occurred_at is None else parse_time(occurred_at),
            id=fresh_id() if new_id is None else checked_id(new_id),
            metadata=old.metadata if metadata is None else _with_agent(old, checked_json(metadata, "metadata")),
            parts=old.parts,
        )
        echo = Echo(old.echo_of, "correction") if old.origin == ECHO else None  # what only repeated still does
        episode = episode_from(draft, scope, self._shared.clock.now(), echo, supersedes=id)
        appended = correct(self._shared, episode)
        if appended is None:
            current = self._shared.store.superseding(scope, id)
            if current is not None and current.id == new_id and has_same_content(episode, current):
                return current
            now = f"it is now {current.id!r}" if current else "it was forgotten"
            raise EditConflict(
                f"The episode {id!r} changed since you read it: {now}. Nothing was written. Read it and try again."
            )
        self._shared.observe_behind_others(scope)
        return replace(episode, seq=appended.seqs[0])

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

        It is an episode of the log, never recalled itself. Systems whose memories grow stronger by use, or learn from being
        wrong, observe it; others pass it over. note: a hint, an explanation or the right answer. value: a measure, such as
        a profit. Raises ParameterError, and EpisodeNotFound for an id that is neither an episode nor a record of this scope.
        """
        message = feedback_message(ids, verdict, note, value)
        added = self.add([message], session=session, occurred_at=occurred_at, id=id)
        return added.episodes[0]

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

        since, until: a window on when things happened; a date as `until` means its whole day. as_of: only what was
        recorded by then, ranked as it would have been. asked_at: what "yesterday" in the query is relative to; `as_of` where
        that is given. filters: metadata and own fields, in either common dialect (see `mnemic.filters`). include_children also
        searches the scopes below.
        top_k is limit. Raises ParameterError, InvalidFilter, InvalidTime and InvalidScope.
        """
        cue = self._cue(
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
            ids=(user_id, agent_id, run_id, app_id),
        )
        return ask(self._shared, self._system, cue)

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

        count: how tokens are counted; the default is a stated rule near what common tokenizers give. max_tokens is
        budget_tokens. The rest is as in `search`. Empty when nothing is remembered or nothing fits.
        """
        budget = budget_tokens if max_tokens is None else max_tokens
        if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
            raise ParameterError(f"budget_tokens={budget!r}: give a whole number of at least 1.")
        cue = self._cue(
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
            ids=(user_id, agent_id, run_id, app_id),
        )
        recall = ask(self._shared, self._system, cue, note=False)
        block = pack(recall.hits, budget, self._mark, count)
        shown = {citation.id for citation in block.citations}
        self._shared.note_recall(cue.scope, [hit.episode for hit in recall.hits if hit.episode and hit.id in shown])
        return Context(block.text, block.citations, block.tokens, recall)

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

        text_or_id: an episode's id, or what it says, about. The rest is as in `search`. `remedy` of the answer has the
        arguments to search with instead. Nothing is noted as recalled.
        """
        if not isinstance(text_or_id, str):
            raise ParameterError(f"text_or_id is {type(text_or_id).__name__}; an id or a text is expected.")
        given = {
            "limit": limit,
            "top_k": top_k,
            "threshold": threshold,
            "filters": filters,
            "session": session,
            "since": since,
            "until": until,
            "as_of": as_of,
            "asked_at": asked_at,
            "include_children": include_children,
            "user_id": user_id,
            "agent_id": agent_id,
            "run_id": run_id,
            "app_id": app_id,
        }
        return why_not(self._shared, self._system, partial(self._cue_with, query), given, text_or_id)

    # -- reading ------------------------------------------------------------------------------------------

    def get(
        self, id: str, *, user_id: str | None = None, agent_id: str | None = None, app_id: str | None = None
    ) -> Episode:
        """The episode of that id in this scope. Raises EpisodeNotFound."""
        return self._one(resolve(self._scope, user_id, agent_id, None, app_id).scope, id)

    def find(self, id: str) -> Episodes:
        """The episodes of that id in this scope and those below it; an id names one episode in each scope."""
        return self._shared.store.find(self._scope, id) if is_storable(id) else []

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
        for name, number, least in (("limit", limit, 1), ("after", after, 0)):
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number < 2**62:
                raise ParameterError(f"{name}={number!r}: give a whole number of at least {least}.")
        place = resolve(self._scope, user_id, agent_id, run_id, app_id, filters)
        session = session or place.session
        return listed(
            self._shared,
            place.scope,
            selector(None, session, since, until, place.filters),
            session=session,
            after=after,
            limit=limit,
            newest_first=newest_first,
        )

    def get_all(self, *, limit: int = 100, filters: Mapping[str, Any] | None = None, **ids: Any) -> dict[str, Any]:
        """What is remembered now, newest first, in the shape that users of other memory libraries know.

        `{"results": [...]}`, without echoes and what was corrected since; `list` has those too.
        """
        user, agent, run, app = (ids.get(name) for name in ("user_id", "agent_id", "run_id", "app_id"))
        scope = resolve(self._scope, user, agent, run, app, filters).scope
        results: Rows = []
        before = 0
        while len(results) < limit:
            page = self.list(limit=1000, after=before, newest_first=True, filters=filters, **ids)
            newer = self._shared.store.all_superseding(scope, [episode.id for episode in page])
            superseded = {episode.supersedes for episode in newer}
            results += [
                Hit(score=0.0, episode=episode).to_dict()
                for episode in page
                if episode.id not in superseded and episode.origin != ECHO
            ]
            if len(page) < 1000:
                break
            before = page[-1].seq
        return {"results": results[:limit]}

    def sessions(self, *, limit: int = 100, after: int = 0, newest_first: bool = False, **ids: Any) -> Sessions:
        """The sessions of this scope by when they began in the log, a page at a time.

        For the next page pass the last one's `first_seq` as `after`; newest first, its `last_seq`.
        """
        for name, number, least in (("limit", limit, 1), ("after", after, 0)):
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number < 2**62:
                raise ParameterError(f"{name}={number!r}: give a whole number of at least {least}.")
        scope = resolve(self._scope, *(ids.pop(name, None) for name in _ID_NAMES)).scope
        if ids:
            raise ParameterError(f"sessions() has no argument {min(ids)!r}.")
        return self._shared.store.sessions(scope, after=after, limit=limit, newest_first=newest_first)

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

        A system observes what it has not seen before its records are read. include_retired: also what was superseded since.
        after: the id of the last record of the page before, for which the system must be named. Raises SystemNotFound.
        """
        if after is not None and (system is None or include_children):
            raise ParameterError("A page after a record is one of a system in one scope: name the system.")
        paths = list(self._shared.store.scopes(self._scope)) if include_children else [self._scope]
        return made.records(
            self._shared,
            paths,
            system,
            ids,
            kind=kind,
            current_only=not include_retired,
            after=after,
            limit=made.checked_limit(limit),
        )

    def links(self, *, system: str | None = None, include_children: bool = False, limit: int = 10_000) -> Links:
        """The edges that systems made between records or episodes of this scope. Raises SystemNotFound."""
        paths = list(self._shared.store.scopes(self._scope)) if include_children else [self._scope]
        return made.links(self._shared, paths, system, made.checked_limit(limit))

    def history(
        self, id: str, *, user_id: str | None = None, agent_id: str | None = None, app_id: str | None = None
    ) -> Versions:
        """Every text that this memory had, oldest first, from any of its ids. Raises EpisodeNotFound."""
        scope = resolve(self._scope, user_id, agent_id, None, app_id).scope
        versions = forgetting.with_versions(self._shared, scope, [self._one(scope, id)])
        return [
            Version(
                one,
                "UPDATE" if one.supersedes else "ADD",
                versions[place - 1].text if place and one.supersedes else None,
            )
            for place, one in enumerate(versions)
        ]

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

        Every version of a forgotten memory goes, with its echoes and all that was made from it, from every file of the
        store. dry_run says what would go. Raises EpisodeNotFound for an id that is not there, and ParameterError when
        nothing is chosen.
        """
        place = resolve(self._scope, user_id, agent_id, run_id, app_id, filters)
        if id is not None and (not isinstance(id, Iterable) or not all(isinstance(one, str) for one in id)):
            raise ParameterError(f"An id is text; {id!r} was given. Give one id or a list of them.")
        ids = None if id is None else {id} if isinstance(id, str) else set(id)
        session = session or place.session
        criteria = (ids is not None, session, place.filters, since, until)
        if not any(criteria) and not everything:
            raise ParameterError(
                "Nothing was chosen to forget. Give an id, a session, filters, a time, or everything=True."
            )
        if everything and any(criteria):
            raise ParameterError("everything=True forgets the whole scope; give it alone, or leave it out to choose.")
        keep = selector(ids, session, since, until, place.filters)
        paths = list(self._shared.store.scopes(place.scope)) if include_children else [place.scope]
        found: dict[str, Episodes] = {}
        for path in paths:
            if ids is not None and len(ids) <= 1000:
                chosen = [one for one in self._shared.store.get(path, sorted(filter(is_storable, ids))) if keep(one)]
            else:
                chosen = forgetting.selected(self._shared, path, keep)
            found[path] = forgetting.with_versions(self._shared, path, chosen)
        missing = (ids or set()) - {one.id for chosen in found.values() for one in chosen}
        if missing:
            raise EpisodeNotFound(
                f"No episode {min(missing, key=str)!r} in the scope {place.scope!r}. Nothing was forgotten."
            )
        found = forgetting.with_echoes(self._shared, found)
        if dry_run:
            receipts = [forgetting.preview(self._shared, path, chosen) for path, chosen in found.items()]
        else:
            receipts = [
                forgetting.forget(self._shared, path, chosen, drop_scope=everything and path in paths)
                for path, chosen in found.items()
            ]
        return forgetting.together(place.scope, receipts, self._shared.clock.now(), dry_run=dry_run)

    def delete(self, id: str, **ids: Any) -> Receipt:
        """Forget one memory: `forget(id)`."""
        return self.forget(id, **ids)

    def delete_all(self, **ids: Any) -> Receipt:
        """Forget everything of a user, agent or run, or, on a handle of a scope and without arguments, of this scope.

        Raises ParameterError for an id that is None, and on the root handle without an id: a name that got lost on its way
        must not erase what is not meant.
        """
        lost = [name for name, id in ids.items() if id is None]
        if lost or (not ids and not self._scope):
            said = f"{lost[0]} is None" if lost else "No id was given"
            raise ParameterError(
                f"{said}. Nothing was forgotten. To forget a whole scope, say forget(everything=True)."
            )
        is_part = any(name in ids for name in ("run_id", "session", "filters", "since", "until"))
        if is_part or resolve(self._scope, *(ids.get(name) for name in _ID_NAMES)).filters:
            return self.forget(**ids)  # part of a scope
        return self.forget(everything=True, **ids)

    def reset(self) -> Receipt:
        """Forget everything in this scope and in every scope below it."""
        return self.forget(everything=True, include_children=True)

    def find_traces(self, text: str) -> Paths:
        """The files of this store in which the bytes of `text` stand: after forgetting it, none."""
        return forgetting.find_traces(self._shared, text)

    def scrub(self) -> bool:
        """Empty the write-ahead log, so that nothing forgotten stands in it; False while a reader stands in the way."""
        self._shared.must_write()
        return forgetting.scrub(self._shared)

    # -- systems ------------------------------------------------------------------------------------------

    def attach(self, system: str, *, llm: str | LLM | None = None, **parameters: Any) -> Memory:
        """Let a system observe this store's log from its beginning, and go on; a handle whose searches it answers.

        llm: the model that it asks, as in `open`; the memory's own where it has one; "none" for its offline path. Its id is
        kept: where the store is opened without that model, the system waits with what it would have observed. A system
        without a model makes its records when it is first asked, or when `consolidate` is called; one with a model in the
        background, or in `consolidate`, which waits. Attaching it again with other parameters or another model starts its
        records anew. Raises SystemNotFound and ParameterError.
        """
        create(system, parameters)
        self._shared.must_write()
        model = self._shared.models.choose(llm) if "llm" in system_class(system).card.needs else None
        if model is not None:
            parameters[LLM_KEY] = model.id
        records = self._shared.store.records
        if (
            records.attached().get(system, {}) != parameters
        ):  # what it made before, asked without being attached, is of no model
            records.reset(system)
        records.attach(system, parameters, self._shared.clock.now())
        self._shared.models.give(system, model)
        self._shared.forget_system(system)
        for scope in self._shared.store.scopes() if model is not None else ():
            self._shared.background.wake(system, scope)
        return self.system(system)

    def detach(self, system: str) -> None:
        """Drop a system and everything it made; the log is not touched."""
        self._shared.must_write()
        self._shared.store.records.detach(system)
        self._shared.models.give(system, None)
        self._shared.forget_system(system)

    def attached(self) -> dict[str, dict[str, Any]]:
        """The systems that are attached to this store, with the parameters that were given."""
        return self._shared.store.records.attached()

    def consolidate(
        self, *, include_children: bool = True, retry_failed: bool = False
    ) -> dict[str, dict[str, int | str]]:
        """Let every attached system observe what it has not seen and do its offline work, in this scope and those below.

        It waits for what systems ask their models. retry_failed: ask again what a model answered in no usable form; a system
        that went on without such an answer makes its records anew, from the answers that are kept and these.

        Returns what each did, by system: episodes observed, and the error that stopped it in a scope, if any. Episodes that
        still wait for their vectors are embedded.
        """
        paths = list(self._shared.store.scopes(self._scope)) if include_children else [self._scope]
        reports: dict[str, dict[str, int | str]] = {}
        for name, done in consolidate(self._shared, paths, retry_failed=retry_failed).items():
            reports[name] = {"observed": done.observed}
            if done.errors:
                path, error = list(done.errors.items())[-1]
                reports[name]["error"] = f"{path}: {error}" if path else error
        return reports

    # -- the store ----------------------------------------------------------------------------------------

    def claim_name(self, name: str) -> str:
        """Give this store a name, if it has none yet; the name it has. It travels with the file and its backups."""
        return self._shared.store.meta("name") or self._shared.store.claim_meta("name", name)

    def scopes(self) -> dict[str, int]:
        """This scope and those below it that hold anything, with their number of episodes."""
        return self._shared.store.scopes(self._scope)

    def stats(self) -> dict[str, Any]:
        """What this scope, or for the root handle the whole store, holds; and the embedder."""
        self._shared.flush_recalls()
        counts = self._shared.store.counts(self._scope or None)
        return {
            **counts,
            "scope": self._scope,
            "embedder": self._shared.store.meta("embedder") or self._shared.embedder.id,
            "attached": list(self._shared.store.records.attached()),
            "llm": [asdict(one) for one in self._shared.store.answers.spent(scope=self._scope or None)],
        }

    def import_(self, path: str | Path, format: str | None = None, *, show_progress: bool = False) -> Imported:
        """Read a past from a file or folder into this scope; see `mnemic.formats`.

        Importing it again changes nothing, but for bringing back what was forgotten of it.

        format: one of `mnemic.formats.registry.FORMATS`; without it, it is told from the content. What could not be read is in
        the result's `problems`, with file and line.
        """
        imported = transfer.import_file(self._shared, self._scope, path, format, show_progress=show_progress)
        self._shared.observe_behind_others(self._scope)
        return imported

    def export(self, path: str | Path | TextIO, *, include_children: bool = True) -> int:
        """Write this scope, and those below it, as JSON Lines; how many episodes it wrote. `import_` reads it back."""
        if isinstance(path, str | Path):
            return transfer.export_file(self._shared, self._scope, Path(path), include_children=include_children)
        return transfer.export(self._shared, self._scope, path, include_children=include_children)

    def backup(self, path: str | Path) -> Path:
        """Write a consistent copy of the whole store to a new file, while it stays in use; the file, once it is on disk.

        The copy is a store like any other. Raises ParameterError for a file that exists.
        """
        return transfer.backup_file(self._shared, Path(path))

    def export_lines(self, *, include_children: bool = True) -> Iterator[str]:
        """The lines that `export` writes, one by one."""
        return transfer.export_lines(self._shared, self._scope, include_children=include_children)

    @staticmethod
    def reindex(path: str | Path, embedder: Embeds = None, *, show_progress: bool = False, again: bool = False) -> int:
        """Embed a store's episodes with another embedder; without one, what still waits, with the store's own. How many it did.

        Interrupted, it goes on at the next call. `again` embeds everything anew.
        """
        store = SqliteStore(store_path(path, read_only=False))
        try:
            own = store.meta("embedder") if embedder is None else None
            return reindex(store, open_embedder(embedder, stored_id=own), show_progress=show_progress, again=again)
        finally:
            store.close()

    # -- the words of others ------------------------------------------------------------------------------

    remember = add
    recall = search

    # -- inside -------------------------------------------------------------------------------------------

    def _one(self, scope: str, id: str) -> Episode:
        found = self._shared.store.get(scope, [id]) if is_storable(id) else []
        if not found:
            raise EpisodeNotFound(
                f"No episode {id!r} in the scope {scope!r}. Ids belong to a scope: give the user_id it was added with, or ask "
                "the handle of its scope. `list` shows what is here, `scopes` where else something is."
            )
        return found[0]

    def _mark(self, hit: Hit) -> str:
        """The mark of the episode; for a record, the marks of the first episodes that it came from."""
        if hit.episode:
            return self._shared.marks.of(hit.episode.seq)
        sources = self._shared.store.get(hit.scope, hit.sources[:MARKED_SOURCES])
        return "".join(self._shared.marks.of(source.seq) for source in sources)

    def _cue_with(self, query: str, given: Mapping[str, Any]) -> Cue:
        """The cue of a search with arguments by name."""
        rest = {name: value for name, value in given.items() if name not in ("limit", "top_k", *_ID_NAMES)}
        user, agent, run, app = (given[name] for name in _ID_NAMES)
        limit = given["limit"] if given["top_k"] is None else given["top_k"]
        return self._cue(query, limit, ids=(user, agent, run, app), **rest)

    def _cue(
        self,
        query: str,
        limit: int,
        *,
        threshold: float,
        filters: Mapping[str, Any] | None,
        session: str | None,
        since: Time | None,
        until: Time | None,
        as_of: Time | None,
        asked_at: Time | None,
        include_children: bool,
        ids: tuple[str | None, str | None, str | None, str | None],
    ) -> Cue:
        if not isinstance(query, str):
            raise ParameterError(f"The query is {type(query).__name__}; text is expected.")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ParameterError(f"limit={limit!r}: give a whole number of at least 1.")
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0.0 <= threshold <= 1.0:
            raise ParameterError(f"threshold={threshold!r}: scores lie between 0 and 1.")
        place = resolve(self._scope, *ids, filters)
        if place.filters:
            compile_filter(place.filters)
        known = self._shared.clock.now() if as_of is None else parse_time(as_of, end_of_day=True)
        return Cue(
            text=query,
            scope=place.scope,
            # a question about an earlier time was asked then, unless the caller says otherwise
            asked_at=known if asked_at is None else parse_time(asked_at),
            limit=limit,
            include_children=include_children,
            session=session or place.session,
            since=None if since is None else parse_time(since),
            until=None if until is None else parse_time(until, end_of_day=True),
            as_of=None if as_of is None else parse_time(as_of, end_of_day=True),
            filters=place.filters,
            threshold=threshold,
        )


def _with_agent(old: Episode, metadata: dict[str, Any]) -> dict[str, Any]:
    """New metadata, with the agent that the episode belongs to: a correction moves no memory from one agent to another."""
    kept = {"agent_id": old.metadata["agent_id"]} if "agent_id" in old.metadata else {}
    return {**{name: value for name, value in metadata.items() if name != "agent_id" or not kept}, **kept}
