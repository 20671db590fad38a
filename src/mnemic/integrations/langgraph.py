"""A LangGraph store on a Mnemic memory: `MnemicStore`, for `graph.compile(store=...)`.

    store = MnemicStore.open("agent.db", index={"dims": 384, "embed": embed, "fields": ["text"]})
    store.put(("memories", "alice"), "tea", {"text": "She likes green tea."})
    store.search(("memories", "alice"), query="what does she drink?")

A namespace is a scope below the handle's, one segment for each label; an item is a document of it (`mnemic.documents`), so
an item's past can be read, and deleting it forgets it for good. The vectors of an item stand beside its edit in the log,
as float32: they are written, kept and forgotten with the item, and its score is the exact cosine. For searches the items
of the namespaces that were searched are held in memory, brought up to date from the log at each call.

Where the stores of LangGraph differ among themselves: `created_at` survives an overwrite; results without a score are
the latest changed first; a namespace without items is not listed; a comparison with a missing field does not match; a
page of a search with a query goes on through the items without vectors where those with one end.
"""

from __future__ import annotations

import asyncio
import copy
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeGuard

from mnemic.clock import Clock, SystemClock
from mnemic.documents import Document, Documents, Put, checked_name
from mnemic.errors import DependencyMissing, ParameterError, StoreError, StoreReadOnly
from mnemic.integrations.handle import Handle
from mnemic.integrations.langgraph_names import (
    Namespace,
    Place,
    key_of,
    matches,
    name_of,
    namespace_of,
    note_of,
    scope_of,
)
from mnemic.integrations.langgraph_shelf import (
    Entry,
    Expiry,
    Shelf,
    Vectors,
    checked_vector,
    ends_at,
    latest_first,
    nearest_first,
    packed,
)
from mnemic.memory import Memory
from mnemic.memory.intake import Time, checked_json
from mnemic.model import check_scope
from mnemic.systems.documents import ID

try:
    from langgraph.store.base import (
        BaseStore,
        Embeddings,
        GetOp,
        IndexConfig,
        Item,
        ListNamespacesOp,
        MatchCondition,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
        ensure_embeddings,
        get_text_at_path,
        tokenize_path,
        validate_op_namespace,
    )
except ImportError as error:
    raise DependencyMissing(
        "MnemicStore needs langgraph-checkpoint. Install it with: pip install 'mnemic[langgraph]'"
    ) from error

_Scored = tuple[Entry, float | None]
OWN_EMBEDDER = "mnemic"  # as `index`, or its "embed": search by the handle's own embedder, and by words
_TOUCHED = "%ttl"  # the scope of what was read lately; no label is encoded as this
_STEP = 0.01  # a read moves an expiry when it moves it by this share of the item's life, so that few reads write
_TOUCHES_KEPT = 64  # versions of such a note before it is begun anew
_FEWEST = 64  # hits that are asked for at once


class MnemicStore(BaseStore):
    """LangGraph's `BaseStore` on a handle. Safe to use from several threads; several processes may share the file."""

    supports_ttl = True

    def __init__(
        self,
        handle: Handle,
        *,
        index: IndexConfig | Literal["mnemic"] | None = None,
        ttl: TTLConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        """A store of the items below the handle's scope.

        index: as LangGraph's stores take it: {"dims", "embed", "fields"}, where `embed` is an Embeddings object, a function
        or coroutine function of a list of texts, or a provider string; or "mnemic" (also as `embed`), for the handle's own
        embedder together with words. Without it nothing is embedded, and a query only filters.
        ttl: {"default_ttl", "refresh_on_read", "sweep_interval_minutes", "omit_expired"}, in minutes.
        """
        self.handle = handle
        self.ttl_config = ttl
        self._index = None if index is None else _Index.of(index)
        self._clock = clock or SystemClock()
        self._omits_expired = bool((ttl or {}).get("omit_expired", False))
        self._shelves: dict[Namespace, Shelf] = {}
        self._touched = Shelf()
        self._lock = threading.RLock()
        self._sweeper: tuple[threading.Thread, threading.Event] | None = None
        self._is_owner = False

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        index: IndexConfig | Literal["mnemic"] | None = None,
        ttl: TTLConfig | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> MnemicStore:
        """A store in a file of its own, or in one that is there; None keeps it in this process. `close` closes it.

        settings: those of `Memory.open`. Unless an embedder is given, or `index` is to use the memory's own, a new file has
        hashed n-grams for its other recalls, so that no model is loaded for them.
        """
        brings_none = index is not None and _Index.of(index).embeddings is None  # what is no index makes no file
        if not brings_none and "embedder" not in settings and not (path is not None and Path(path).exists()):
            settings["embedder"] = "hashing"
        if clock is not None:
            settings["clock"] = clock
        memory = Memory.open(path, **settings)
        try:
            store = cls(memory, index=index, ttl=ttl, clock=clock)
        except BaseException:
            memory.close()
            raise
        store._is_owner = True
        return store

    def close(self) -> None:
        """Stop the sweeper, and close the memory where `open` opened it."""
        self.stop_ttl_sweeper()
        if self._is_owner:
            self.handle.close()

    def __enter__(self) -> MnemicStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- LangGraph's two methods --------------------------------------------------------------------------

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do the operations; results in their order. Reads see what was there before; of two puts of a key the last counts."""
        plan = _Plan.of(ops, self._index)
        embeddings = self._index.embeddings if self._index else None
        if embeddings is not None and plan.texts:
            plan.note_vectors(embeddings.embed_documents(plan.texts))
        if embeddings is not None:
            plan.queries = {query: embeddings.embed_query(query) for query in plan.queries}
        return self._run(plan)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As `batch`; embeddings are awaited, and the rest runs in a thread."""
        plan = _Plan.of(ops, self._index)
        embeddings = self._index.embeddings if self._index else None
        if embeddings is not None and plan.texts:
            plan.note_vectors(await embeddings.aembed_documents(plan.texts))
        if embeddings is not None:
            found = await asyncio.gather(*(embeddings.aembed_query(query) for query in plan.queries))
            plan.queries = dict(zip(plan.queries, found, strict=True))
        return await asyncio.to_thread(self._run, plan)

    # -- what other stores do not have --------------------------------------------------------------------

    def history(self, namespace: Namespace, key: str) -> list[Item]:
        """Every value that an item has had since it was last made anew, oldest first; deleting an item ends its history."""
        versions = self._documents(namespace).history(name_of(str(key)))
        return [_item(namespace, one) for one in versions if _is_item(one)]

    def get_as_of(self, namespace: Namespace, key: str, as_of: Time) -> Item | None:
        """The item as it was at a time; None where there was none."""
        there = self._documents(namespace).get(name_of(str(key)), as_of=as_of)
        return _item(namespace, there) if _is_item(there) else None

    def delete_namespace(self, prefix: Namespace) -> int:
        """Forget every item of a namespace and of those below it, for good; how many there were."""
        validate_op_namespace(SearchOp(prefix))
        with self._lock:
            found = [(shelf.namespace, list(shelf.entries)) for shelf in self._shelves_below(prefix)]
            for namespace, keys in found:
                self._forget(namespace, keys)
        return sum(len(keys) for _, keys in found)

    def sweep_ttl(self) -> int:
        """Forget what has expired, for good; how many items it was."""
        now = self._clock.now()
        with self._lock:
            shelves, touches = self._shelves_below(()), self._touches()
            found = [
                (shelf.namespace, [key for key, entry in shelf.entries.items() if entry.is_over(touches, now)])
                for shelf in shelves
            ]
            for namespace, keys in found:
                if keys:
                    self._forget(namespace, keys)
        return sum(len(keys) for _, keys in found)

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> None:
        """Sweep every so many minutes (5, unless `ttl` says otherwise) in a thread, until `stop_ttl_sweeper` or `close`."""
        minutes = sweep_interval_minutes or (self.ttl_config or {}).get("sweep_interval_minutes") or 5
        self.stop_ttl_sweeper()
        ended = threading.Event()

        def sweep() -> None:
            while not ended.wait(60.0 * minutes):
                with suppress(StoreError):  # what has expired is still there the next time
                    self.sweep_ttl()

        thread = threading.Thread(target=sweep, name="mnemic-ttl", daemon=True)
        self._sweeper = (thread, ended)
        thread.start()

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop sweeping; whether the thread has ended."""
        if self._sweeper is None:
            return True
        thread, ended = self._sweeper
        ended.set()
        thread.join(timeout)
        if not thread.is_alive():
            self._sweeper = None
        return not thread.is_alive()

    # -- running a batch ----------------------------------------------------------------------------------

    def _run(self, plan: _Plan) -> list[Result]:
        results: list[Result] = [None] * len(plan.ops)
        touched: dict[Place, tuple[str, float, datetime]] = {}  # version, minutes, until when it would last so far
        with self._lock:
            for at, op in enumerate(plan.ops):
                if isinstance(op, GetOp):
                    results[at] = self._get(op, touched)
                elif isinstance(op, SearchOp):
                    results[at] = self._search(op, plan.queries.get(op.query or ""), touched)
                elif isinstance(op, ListNamespacesOp):
                    results[at] = self._list_namespaces(op)
            self._touch(touched)
            for namespace, puts in plan.puts.items():
                self._put(namespace, puts, plan)
        return results

    def _get(self, op: GetOp, touched: dict[Place, tuple[str, float, datetime]]) -> Item | None:
        document = self._documents(op.namespace).get(name_of(str(op.key)))
        if not _is_item(document):
            return None
        expiry = Expiry.of(document.metadata)
        if expiry is not None:
            place = (op.namespace, str(op.key))
            until = ends_at(place, document.version, expiry, self._touches())
            if self._omits_expired and until <= self._clock.now():
                return None
            if op.refresh_ttl:
                touched[place] = (document.version, expiry.minutes, until)
        return _item(op.namespace, document)

    def _search(
        self, op: SearchOp, query: Sequence[float] | None, touched: dict[Place, tuple[str, float, datetime]]
    ) -> list[SearchItem]:
        shelves = self._shelves_below(op.namespace_prefix)
        touches = self._touches() if any(shelf.has_expiring for shelf in shelves) else self._touched
        now = self._clock.now()

        def keep(found: _Scored) -> bool:
            entry, _ = found
            if self._omits_expired and entry.is_over(touches, now):
                return False
            return all(matches(entry.value.get(name), wanted) for name, wanted in (op.filter or {}).items())

        ranked: Iterable[_Scored]
        if op.query and self._index is not None:
            ranked = self._by_score(op, query, shelves)
        else:
            ranked = ((entry, None) for entry in latest_first(shelves))
        page = list(islice(filter(keep, ranked), op.offset, op.offset + op.limit))
        for entry, _ in page:
            if op.refresh_ttl and entry.expiry is not None:
                place = (entry.namespace, entry.key)
                until = ends_at(place, entry.version, entry.expiry, touches)
                touched[place] = (entry.version, entry.expiry.minutes, until)
        return [_search_item(entry, score) for entry, score in page]

    def _by_score(self, op: SearchOp, query: Sequence[float] | None, shelves: Sequence[Shelf]) -> Iterator[_Scored]:
        """Those with a score, best first, then the others, the latest first."""
        assert self._index is not None
        if self._index.embeddings is None:
            scored = self._recalled(op, shelves)
        else:
            assert query is not None
            scored = nearest_first(shelves, checked_vector(query, self._index.dims))
        seen = set()
        for entry, score in scored:
            seen.add(id(entry))
            yield entry, score
        yield from ((entry, None) for entry in latest_first(shelves) if id(entry) not in seen)

    def _recalled(self, op: SearchOp, shelves: Sequence[Shelf]) -> Iterator[tuple[Entry, float]]:
        """By the handle's own recall: every item that is indexed, with a score of 0 where nothing of the query is in it."""
        asked, limit = self._below(op.namespace_prefix).system(ID), max(_FEWEST, 4 * (op.offset + op.limit))
        left = {
            (self._below(shelf.namespace).scope_path, entry.version): entry
            for shelf in shelves
            for entry in reversed(shelf.entries.values())
            if entry.is_indexed
        }
        while left:
            hits = asked.search(op.query or "", limit=limit, include_children=True)
            for hit in hits:
                entry = left.pop((hit.scope, hit.sources[0]), None)
                if entry is not None:
                    yield entry, hit.score
            if len(hits) < limit:
                break
            limit *= 4  # a filter leaves out much of what is found
        yield from ((entry, 0.0) for entry in left.values())

    def _list_namespaces(self, op: ListNamespacesOp) -> list[Namespace]:
        conditions = op.match_conditions or ()
        known: Namespace = ()
        for condition in conditions:  # look no further than the labels that a prefix names
            if condition.match_type == "prefix":
                named = tuple(condition.path)
                known = max(known, named[: named.index("*")] if "*" in named else named, key=len)
        found = [
            namespace
            for namespace, episodes in self._namespaces_below(known).items()
            if all(_is_match(condition, namespace) for condition in conditions) and self._has_items(namespace, episodes)
        ]
        if op.max_depth is not None:
            found = list({namespace[: op.max_depth] for namespace in found})
        return sorted(found)[op.offset : op.offset + op.limit]

    def _has_items(self, namespace: Namespace, episodes: int) -> bool:
        if not self._omits_expired and namespace not in self._shelves:  # one is enough to know
            first = self._below(namespace).records(system=ID, kind="document", include_retired=False, limit=1)
            if not first or isinstance(first[0].data.get("value"), Mapping):
                return bool(first)
        shelf = self._synced(namespace, episodes)
        touches = self._touches() if self._omits_expired and shelf.has_expiring else self._touched
        now = self._clock.now()
        return any(not self._omits_expired or not one.is_over(touches, now) for one in shelf.entries.values())

    def _put(self, namespace: Namespace, puts: Mapping[str, PutOp], plan: _Plan) -> None:
        gone = [key for key, op in puts.items() if op.value is None]
        if gone:
            self._forget(namespace, gone)
        kept = []
        for key, op in puts.items():
            if op.value is None:
                continue
            texts = plan.indexed[namespace, key]
            vectors = [plan.vectors[text] for text in texts] if plan.vectors else []
            expiry = None if op.ttl is None else Expiry.after(op.ttl, self._clock.now())
            kept.append(
                Put(
                    name=name_of(key),
                    text="\n".join(dict.fromkeys(texts)),
                    value=plan.values[namespace, key],
                    metadata={} if expiry is None else expiry.to_metadata(),
                    vectors=packed(vectors) if vectors else None,
                )
            )
        if kept:
            self._documents(namespace).put_all(kept)

    def _forget(self, namespace: Namespace, keys: Sequence[str]) -> None:
        versions = self._documents(namespace).forget_all([name_of(key) for key in keys])
        if namespace in self._shelves:
            self._shelves[namespace].forget(keys, versions)
        touches = self._touches().entries
        if noted := [name for key in keys if (name := note_of((namespace, key))) in touches]:
            self._notes().forget_all(noted)

    # -- time to live -------------------------------------------------------------------------------------

    def _touch(self, touched: Mapping[Place, tuple[str, float, datetime]]) -> None:
        """Note that items were read, where that moves their end by enough to be worth a write."""
        now = self._clock.now()
        puts = []
        for place, (version, minutes, until) in touched.items():
            moved = now + timedelta(minutes=minutes)
            if moved - until >= _STEP * timedelta(minutes=minutes) and moved > until:
                puts.append(
                    Put(name=note_of(place), text="", value={"version": version, "expires_at": moved.isoformat()})
                )
        if not puts:
            return
        try:
            made = self._notes().put_all(puts)
        except StoreReadOnly:  # a reader prolongs nothing
            return
        long = [one.name for one in made if one.number >= _TOUCHES_KEPT]
        if long:
            self._notes().forget_all(long)
            self._notes().put_all([one for one in puts if one.name in long])

    def _touches(self) -> Shelf:
        """The notes of what was read lately: the version that was read, and when it ends since."""
        notes = self.handle.scope(_TOUCHED)
        self._touched.sync(notes, notes.scopes().get(notes.scope_path, 0))
        return self._touched

    def _notes(self) -> Documents:
        return Documents(self.handle.scope(_TOUCHED), clock=self._clock)

    # -- scopes -------------------------------------------------------------------------------------------

    def _below(self, namespace: Namespace) -> Handle:
        return self.handle.scope(scope_of(namespace)) if namespace else self.handle

    def _documents(self, namespace: Namespace) -> Documents:
        return Documents(self._below(namespace), clock=self._clock)

    def _namespaces_below(self, prefix: Namespace) -> dict[Namespace, int]:
        """The namespaces that are `prefix` or below it and have something in the log, with how many episodes."""
        root = self.handle.scope_path
        found: dict[Namespace, int] = {}
        for path, episodes in self._below(prefix).scopes().items():
            namespace = namespace_of(path.removeprefix(root).removeprefix("/") if root else path)
            if namespace is not None and episodes:
                found[namespace] = episodes
        return found

    def _shelves_below(self, prefix: Namespace) -> list[Shelf]:
        """The items of the namespaces that are `prefix` or below it, as they stand."""
        there = self._namespaces_below(prefix)
        for gone in [one for one in self._shelves if one[: len(prefix)] == prefix and one not in there]:
            del self._shelves[gone]
        return [self._synced(namespace, episodes) for namespace, episodes in there.items()]

    def _synced(self, namespace: Namespace, episodes: int) -> Shelf:
        has_vectors = self._index is not None and self._index.embeddings is not None
        shelf = self._shelves.setdefault(namespace, Shelf(namespace, has_vectors=has_vectors))
        shelf.sync(self._below(namespace), episodes)
        return shelf


# -- a batch, checked before anything is done -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Index:
    """What of an item is embedded, and by what."""

    embeddings: Embeddings | None  # None: by the handle's own embedder
    dims: int | None
    fields: tuple[str, ...]

    @classmethod
    def of(cls, config: IndexConfig | Literal["mnemic"]) -> _Index:
        settings: IndexConfig = {"embed": OWN_EMBEDDER} if isinstance(config, str) else config
        fields = tuple(settings.get("fields") or ["$"])
        embed = settings.get("embed")
        if isinstance(embed, str) and embed == OWN_EMBEDDER:
            return cls(None, None, fields)
        return cls(ensure_embeddings(embed), settings.get("dims"), fields)

    def texts(self, op: PutOp, value: Mapping[str, Any]) -> list[str]:
        """The texts of an item that are embedded, one for each place in it that a path leads to."""
        if op.index is False:
            return []
        paths = self.fields if op.index is None else op.index
        found = (get_text_at_path(value, path if path == "$" else tokenize_path(path)) for path in paths)
        return [text for texts in found for text in texts]


@dataclass(slots=True)
class _Plan:
    """A batch of operations: what is to be read, written and embedded."""

    ops: list[Op]
    puts: dict[Namespace, dict[str, PutOp]] = field(default_factory=dict)  # of several of a key the last
    values: dict[Place, Mapping[str, Any]] = field(default_factory=dict)
    indexed: dict[Place, list[str]] = field(default_factory=dict)
    queries: dict[str, Sequence[float]] = field(default_factory=dict)
    vectors: dict[str, Vectors] = field(default_factory=dict)  # by text
    dims: int | None = None

    @classmethod
    def of(cls, ops: Iterable[Op], index: _Index | None) -> _Plan:
        """Raises InvalidNamespaceError, InvalidEpisode and ParameterError for what cannot be done; all are ValueErrors."""
        plan = cls(list(ops), dims=None if index is None else index.dims)
        for op in plan.ops:
            if not isinstance(op, GetOp | SearchOp | PutOp | ListNamespacesOp):
                raise ParameterError(f"{type(op).__name__} is no operation of a store.")
            validate_op_namespace(op)
            if isinstance(op, SearchOp) and op.query and index is not None:
                plan.queries[op.query] = ()
            if isinstance(op, PutOp):
                _check_ttl(op.ttl)
                of_namespace = plan.puts.setdefault(op.namespace, {})
                of_namespace.pop(str(op.key), None)
                of_namespace[str(op.key)] = op
        for namespace, puts in plan.puts.items():
            check_scope(scope_of(namespace))
            for key, op in puts.items():
                checked_name(name_of(key))
                if op.value is not None:
                    value = plan.values[namespace, key] = checked_json(op.value, "value")
                    plan.indexed[namespace, key] = [] if index is None else index.texts(op, value)
        return plan

    @property
    def texts(self) -> list[str]:
        """What is to be embedded, each text once."""
        return list(dict.fromkeys(text for texts in self.indexed.values() for text in texts))

    def note_vectors(self, vectors: Sequence[Sequence[float]]) -> None:
        """The vectors of `texts`."""
        texts = self.texts
        if len(vectors) != len(texts):
            raise ParameterError(f"The embed function gave {len(vectors)} vectors for {len(texts)} texts.")
        self.vectors = {text: checked_vector(one, self.dims) for text, one in zip(texts, vectors, strict=True)}


def _check_ttl(minutes: float | None) -> None:
    if minutes is None:
        return
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 <= minutes < math.inf:
        raise ParameterError(f"ttl={minutes!r}: give a number of minutes, 0 or more, or None for ever.")


# -- items, filters and conditions ----------------------------------------------------------------------------


def _is_item(document: Document | None) -> TypeGuard[Document]:
    return document is not None and not document.is_deleted and isinstance(document.value, Mapping)


def _item(namespace: Namespace, document: Document) -> Item:
    return Item(
        value=dict(document.value),
        key=key_of(document.name),
        namespace=namespace,
        created_at=document.created_at,
        updated_at=document.updated_at,
    )


def _is_match(condition: MatchCondition, namespace: Namespace) -> bool:
    path = tuple(condition.path)
    if condition.match_type not in ("prefix", "suffix"):
        raise ParameterError(f"match_type={condition.match_type!r}: give 'prefix' or 'suffix'.")
    if len(path) > len(namespace):
        return False
    labels = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in ("*", label) for wanted, label in zip(path, labels, strict=True))


def _search_item(entry: Entry, score: float | None) -> SearchItem:
    return SearchItem(
        namespace=entry.namespace,
        key=entry.key,
        value=copy.deepcopy(dict(entry.value)),
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        score=score,
    )
