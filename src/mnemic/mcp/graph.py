"""A knowledge graph kept in the log: entities, their observations, relations. Each is one episode.

The graph has no state of its own. Every part is an episode of the session "knowledge-graph" that says in words what it
is ("Alice (person)", "Alice: likes tea", "Alice knows Bob"), carries the part in its metadata, and has an id made from
what it is. So the log's own rule, that an id sent again with the same content changes nothing and with other content is
refused, makes every creation atomic between processes, without a lock:

- an entity's id is made from its name alone, and its content has its type and a digest of the observations it began
  with: of two processes that create it at once, one creates all of it and the other nothing;
- an observation counts only when it came after its entity in the log: one that a slower process added to an entity
  which was just deleted is no part of the graph, and does not come back with a new entity of that name;
- deleting forgets episodes, and looks again until there is nothing left to forget.

A part whose id does not follow from what it says, such as one that somebody wrote by hand, is not counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mnemic.errors import EpisodeNotFound, IdConflict, NotFound, StoreBusy
from mnemic.integrations.handle import Handle
from mnemic.model import Episode

SESSION = "knowledge-graph"
_PAGE = 1000
_ROUNDS = 100  # of looking again, before giving up against writers that never rest

Seqs: TypeAlias = dict[str, int]  # id -> position in the log


@dataclass(frozen=True, slots=True)
class Entity:
    """Something with a name, a type, and what was observed of it."""

    name: str
    entity_type: str
    observations: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """In the words of the protocol."""
        return {"name": self.name, "entityType": self.entity_type, "observations": list(self.observations)}


@dataclass(frozen=True, slots=True)
class Relation:
    """How one entity relates to another, by their names."""

    from_name: str
    to_name: str
    relation_type: str

    def to_dict(self) -> dict[str, Any]:
        """In the words of the protocol."""
        return {"from": self.from_name, "to": self.to_name, "relationType": self.relation_type}


@dataclass(frozen=True, slots=True)
class Graph:
    """Entities and relations, in the order in which they were made."""

    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """In the words of the protocol."""
        return {
            "entities": [entity.to_dict() for entity in self.entities],
            "relations": [relation.to_dict() for relation in self.relations],
        }

    def searched(self, query: str) -> Graph:
        """The entities with the text, in any case, in their name, type or an observation; and the relations of any of them."""
        wanted = query.lower()
        return self._of(
            entity
            for entity in self.entities
            if any(wanted in text.lower() for text in (entity.name, entity.entity_type, *entity.observations))
        )

    def opened(self, names: Iterable[str]) -> Graph:
        """The entities of those names, and the relations of any of them."""
        wanted = set(names)
        return self._of(entity for entity in self.entities if entity.name in wanted)

    def _of(self, entities: Iterable[Entity]) -> Graph:
        chosen = tuple(entities)
        names = {entity.name for entity in chosen}
        ends = (one for one in self.relations if one.from_name in names or one.to_name in names)
        return Graph(chosen, tuple(ends))


class KnowledgeGraph:
    """The knowledge graph of a handle's scope."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def read(self) -> Graph:
        """All of it."""
        return self._parts().graph()

    def create_entities(self, entities: Iterable[Entity]) -> list[Entity]:
        """Make those whose name is not there yet, with their observations, all in one transaction; the ones made."""
        wanted: dict[str, Entity] = {}
        for entity in entities:
            wanted.setdefault(entity.name, _without_repeats(entity))
        for is_last in _rounds():
            parts = self._parts()
            fresh = [entity for name, entity in wanted.items() if name not in parts.entities]
            if not fresh:
                return []
            messages = [message for entity in fresh for message in _messages_of(entity)]
            made = self._add(parts, messages, is_last=is_last)
            if made is not None:
                return [entity for entity in fresh if _entity_id(entity.name) in made]
        raise _busy()

    def create_relations(self, relations: Iterable[Relation]) -> list[Relation]:
        """Make those that are not there yet; the ones made."""
        wanted = list(dict.fromkeys(relations))
        for is_last in _rounds():
            parts = self._parts()
            fresh = [one for one in wanted if _relation_id(one) not in parts.relations]
            if not fresh:
                return []
            made = self._add(parts, [_relation_message(one) for one in fresh], is_last=is_last)
            if made is not None:
                return [one for one in fresh if _relation_id(one) in made]
        raise _busy()

    def add_observations(self, observations: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, list[str]]]:
        """Add what is not observed yet of each named entity; what was added to each.

        Raises NotFound, with nothing added, when one of the entities is not there.
        """
        for is_last in _rounds():
            parts = self._parts()
            for name, _ in observations:
                if name not in parts.entities:
                    raise _unknown(name)
            fresh = _fresh(parts, observations)
            messages = [_observation_message(name, content) for name, contents in fresh for content in contents]
            made = self._add(parts, messages, is_last=is_last) if messages else set()
            if made is None:
                continue
            if self._is_still(parts, {name for name, contents in fresh if contents}):
                return [(name, [one for one in new if _observation_id(name, one) in made]) for name, new in fresh]
            self._forget(made)  # an entity was deleted while we added to it: then all of this did not happen
        raise _busy()

    def delete_entities(self, names: Iterable[str]) -> list[str]:
        """Delete entities with their observations and relations; the names that were there. Silent about the others."""
        wanted = dict.fromkeys(names)
        there: set[str] = set()
        for _ in _rounds():
            parts = self._parts()
            there |= wanted.keys() & parts.entities.keys()
            ids = [_entity_id(name) for name in wanted if name in parts.entities]
            ids += [id for id, (name, _) in parts.observed.items() if name in wanted]
            ids += [id for id, one in parts.relations.items() if one.from_name in wanted or one.to_name in wanted]
            if not self._forget(ids):
                return [name for name in wanted if name in there]
        raise _busy()

    def delete_observations(self, deletions: Iterable[tuple[str, Sequence[str]]]) -> int:
        """Delete observations of entities; how many were there."""
        ids = {_observation_id(name, content) for name, contents in deletions for content in contents}
        return self._delete(ids, _Parts.current)

    def delete_relations(self, relations: Iterable[Relation]) -> int:
        """Delete relations; how many were there."""
        ids = {_relation_id(one) for one in relations}
        return self._delete(ids, lambda parts: set(parts.relations))

    def merge(self, graph: Graph) -> tuple[int, int, int]:
        """Bring in another graph: (entities, observations, relations) that were not here. Doing it again changes nothing."""
        together: dict[str, Entity] = {}
        for one in graph.entities:
            earlier = together.get(one.name)
            known = earlier.observations if earlier else ()
            kind = earlier.entity_type if earlier else one.entity_type
            together[one.name] = _without_repeats(Entity(one.name, kind, (*known, *one.observations)))
        made = self.create_entities(together.values())
        names = {entity.name for entity in made}
        rest = [(one.name, one.observations) for one in together.values() if one.name not in names]
        added = self.add_observations(rest) if rest else []
        n_observed = sum(len(one.observations) for one in made) + sum(len(contents) for _, contents in added)
        return len(made), n_observed, len(self.create_relations(graph.relations))

    # -- inside -------------------------------------------------------------------------------------------

    def _parts(self) -> _Parts:
        parts = _Parts()
        for episode in self._episodes():
            parts.take(episode)
        return parts

    def _episodes(self) -> Iterator[Episode]:
        after = 0
        while page := self._handle.list(session=SESSION, limit=_PAGE, after=after):
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].seq

    def _add(self, parts: _Parts, messages: list[dict[str, Any]], *, is_last: bool) -> set[str] | None:
        """The ids that are new; None when somebody else was faster with something different."""
        leftover = parts.leftover()
        self._forget([message["id"] for message in messages if message["id"] in leftover])
        try:
            added = self._handle.add(messages, role="user", session=SESSION)
        except IdConflict:
            if is_last:
                raise
            return None
        return {episode.id for episode, is_new in zip(added, added.is_new, strict=True) if is_new}

    def _is_still(self, parts: _Parts, names: Iterable[str]) -> bool:
        """Whether the entities are those that were read."""
        try:
            return all(self._handle.get(_entity_id(name)).seq == parts.entities[name].seq for name in names)
        except EpisodeNotFound:
            return False

    def _forget(self, ids: Iterable[str]) -> bool:
        """Forget all of these; whether there was anything to do."""
        wanted = list(ids)
        if not wanted:
            return False
        try:
            self._handle.forget(wanted)
        except EpisodeNotFound:  # somebody forgot one of them first, and then nothing was forgotten: each for itself
            for id in wanted:
                try:
                    self._handle.forget(id)
                except EpisodeNotFound:
                    continue
        return True

    def _delete(self, ids: set[str], counted: Callable[[_Parts], set[str]]) -> int:
        gone: set[str] = set()
        for _ in _rounds():
            parts = self._parts()
            gone |= ids & counted(parts)
            if not self._forget(ids & parts.seqs.keys()):
                return len(gone)
        raise _busy()


@dataclass(slots=True)
class _Named:
    entity_type: str
    seq: int


@dataclass(slots=True)
class _Parts:
    """What the log has of the graph, by id; entities by name."""

    entities: dict[str, _Named] = field(default_factory=dict)
    observed: dict[str, tuple[str, str]] = field(default_factory=dict)
    relations: dict[str, Relation] = field(default_factory=dict)
    seqs: Seqs = field(default_factory=dict)

    def take(self, episode: Episode) -> None:
        """Count this episode, if it is a part."""
        match episode.metadata.get("graph"):
            case {"kind": "entity", "name": str(name), "entityType": str(kind)} if episode.id == _entity_id(name):
                self.entities[name] = _Named(kind, episode.seq)
            case {"kind": "observation", "entity": str(name), "content": str(content)} if episode.id == _observation_id(
                name, content
            ):
                self.observed[episode.id] = (name, content)
            case {"kind": "relation", "from": str(start), "to": str(end), "relationType": str(kind)} if (
                episode.id == _relation_id(one := Relation(start, end, kind))
            ):
                self.relations[episode.id] = one
            case _:
                return
        self.seqs[episode.id] = episode.seq

    def current(self) -> set[str]:
        """Ids of the observations whose entity was there before them."""
        return {
            id
            for id, (name, _) in self.observed.items()
            if name in self.entities and self.entities[name].seq < self.seqs[id]
        }

    def leftover(self) -> set[str]:
        """Ids of the others: their entity was deleted."""
        return self.observed.keys() - self.current()

    def graph(self) -> Graph:
        """As the caller sees it."""
        current = self.current()
        contents: dict[str, list[str]] = {name: [] for name in self.entities}
        for id, (name, content) in self.observed.items():
            if id in current:
                contents[name].append(content)
        entities = (Entity(name, one.entity_type, tuple(contents[name])) for name, one in self.entities.items())
        return Graph(tuple(entities), tuple(self.relations.values()))


def _fresh(parts: _Parts, observations: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, list[str]]]:
    """What of it is not observed yet, each content once."""
    seen = parts.current()
    fresh = []
    for name, contents in observations:
        new = []
        for content in contents:
            if (id := _observation_id(name, content)) not in seen:
                seen.add(id)
                new.append(content)
        fresh.append((name, new))
    return fresh


def _without_repeats(entity: Entity) -> Entity:
    return Entity(entity.name, entity.entity_type, tuple(dict.fromkeys(entity.observations)))


def _messages_of(entity: Entity) -> list[dict[str, Any]]:
    began = _digest(*entity.observations)
    part = {"kind": "entity", "name": entity.name, "entityType": entity.entity_type, "began": began}
    text = f"{entity.name} ({entity.entity_type})" if entity.entity_type else entity.name
    own = {"id": _entity_id(entity.name), "content": text, "metadata": {"graph": part}}
    return [own, *(_observation_message(entity.name, content) for content in entity.observations)]


def _observation_message(name: str, content: str) -> dict[str, Any]:
    part = {"kind": "observation", "entity": name, "content": content}
    return {"id": _observation_id(name, content), "content": f"{name}: {content}", "metadata": {"graph": part}}


def _relation_message(one: Relation) -> dict[str, Any]:
    part = {"kind": "relation", **one.to_dict()}
    text = f"{one.from_name} {one.relation_type} {one.to_name}"
    return {"id": _relation_id(one), "content": text, "metadata": {"graph": part}}


def _entity_id(name: str) -> str:
    return f"kg-entity-{_digest(name)}"


def _observation_id(name: str, content: str) -> str:
    return f"kg-observation-{_digest(name, content)}"


def _relation_id(one: Relation) -> str:
    return f"kg-relation-{_digest(one.from_name, one.to_name, one.relation_type)}"


def _digest(*texts: str) -> str:
    # JSON, so that no text can run into the next; it writes half a character as \ud800, which encodes
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).hexdigest()


def _rounds() -> Iterator[bool]:
    """Whether a round is the last."""
    return (n == _ROUNDS - 1 for n in range(_ROUNDS))


def _unknown(name: str) -> NotFound:
    return NotFound(
        f"Entity with the name {name[:80]!r} not found. Nothing was added. Make it with create_entities; read_graph and "
        "search_nodes show which there are."
    )


def _busy() -> StoreBusy:
    return StoreBusy("Other writers changed the same part of the graph again and again. Try again in a moment.")
