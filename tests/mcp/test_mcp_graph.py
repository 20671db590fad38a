"""The knowledge graph in the log: what is there already is left alone, what is deleted stays deleted, whoever writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import InvalidEpisode, NotFound
from mnemic.mcp.graph import SESSION, Entity, Graph, KnowledgeGraph, Relation

ALICE = Entity("Alice", "person", ("likes tea",))
BOB = Entity("Bob", "person")


@pytest.fixture
def scope(memory: Memory) -> Memory:
    return memory.scope("acme/alice")


@pytest.fixture
def graph(scope: Memory) -> KnowledgeGraph:
    return KnowledgeGraph(scope)


def test_each_part_is_one_readable_episode(scope: Memory, graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE, BOB])
    graph.create_relations([Relation("Alice", "Bob", "knows")])
    episodes = scope.list(session=SESSION)
    assert [one.text for one in episodes] == ["Alice (person)", "Alice: likes tea", "Bob (person)", "Alice knows Bob"]
    assert all(set(one.metadata) == {"graph"} for one in episodes)
    assert scope.search("Who likes tea?")[0].text == "Alice: likes tea"


def test_an_existing_name_is_ignored_with_its_type_and_observations(graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE])
    made = graph.create_entities([Entity("Alice", "dog", ("barks",)), BOB, Entity("Bob", "cat")])
    assert made == [BOB]
    assert graph.read() == Graph((ALICE, BOB))


def test_repeats_in_one_call_are_made_once(graph: KnowledgeGraph) -> None:
    assert graph.create_entities([Entity("A", "x", ("1", "1"))]) == [Entity("A", "x", ("1",))]
    knows = Relation("A", "A", "is")
    assert graph.create_relations([knows, knows]) == [knows]
    assert graph.create_relations([knows]) == []
    assert graph.add_observations([("A", ["2", "2"]), ("A", ["2", "3"])]) == [("A", ["2"]), ("A", ["3"])]


def test_an_unknown_entity_stops_all_additions(graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE])
    with pytest.raises(NotFound, match=r"Zed.* not found.*create_entities"):
        graph.add_observations([("Alice", ["new"]), ("Zed", ["x"])])
    assert graph.read() == Graph((ALICE,))


def test_deleting_an_entity_takes_its_observations_and_relations(scope: Memory, graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE, BOB])
    graph.create_relations([Relation("Alice", "Bob", "knows"), Relation("Bob", "Alice", "knows")])
    assert graph.delete_entities(["Alice", "nobody"]) == ["Alice"]
    assert graph.read() == Graph((BOB,))
    assert [one.text for one in scope.list()] == ["Bob (person)"]
    assert graph.delete_entities(["Alice"]) == []


def test_an_entity_that_comes_back_does_not_bring_its_past(graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE])
    graph.delete_entities(["Alice"])
    graph.create_entities([Entity("Alice", "cat")])
    assert graph.read() == Graph((Entity("Alice", "cat"),))
    graph.add_observations([("Alice", ["likes tea"])])
    assert graph.read() == Graph((Entity("Alice", "cat", ("likes tea",)),))


def test_an_observation_left_of_a_deleted_entity_is_not_of_the_next(scope: Memory, graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE])
    entity = scope.list(limit=1)[0]
    scope.forget(entity.id)  # by hand, so that the observation stays
    assert graph.read() == Graph()
    graph.create_entities([Entity("Alice", "cat")])
    assert graph.read() == Graph((Entity("Alice", "cat"),))
    assert graph.add_observations([("Alice", ["likes tea"])]) == [("Alice", ["likes tea"])]
    assert graph.read() == Graph((Entity("Alice", "cat", ("likes tea",)),))


def test_search_finds_text_in_any_case_and_relations_with_one_end(graph: KnowledgeGraph) -> None:
    carol = Entity("Carol", "Robot")
    graph.create_entities([ALICE, BOB, carol])
    knows, likes = Relation("Alice", "Bob", "knows"), Relation("Bob", "Carol", "likes")
    graph.create_relations([knows, likes])
    assert graph.read().searched("TEA") == Graph((ALICE,), (knows,))
    assert graph.read().searched("robot") == Graph((carol,), (likes,))
    assert graph.read().searched("") == graph.read()
    assert graph.read().opened(["Bob", "nobody"]) == Graph((BOB,), (knows, likes))


def test_a_part_that_somebody_wrote_by_hand_is_not_counted(scope: Memory, graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE])
    forged = {"graph": {"kind": "entity", "name": "Alice", "entityType": "ghost", "began": ""}}
    scope.add("Alice (ghost)", session=SESSION, metadata=forged)
    scope.add("noise", session=SESSION, metadata={"graph": ["no", "part"]})
    assert graph.read() == Graph((ALICE,))


def test_two_scopes_have_two_graphs(memory: Memory, graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE])
    other = KnowledgeGraph(memory.scope("acme/bob"))
    assert other.read() == Graph()
    assert other.create_entities([Entity("Alice", "cat")]) == [Entity("Alice", "cat")]
    assert graph.read() == Graph((ALICE,))


def test_what_cannot_be_kept_is_refused_whole(graph: KnowledgeGraph) -> None:
    with pytest.raises(InvalidEpisode):
        graph.create_entities([BOB, Entity("half \ud800", "x")])
    assert graph.read() == Graph()


class Between:
    """A handle on which somebody else does something just before the first call of a verb."""

    def __init__(self, handle: Memory, verb: str, meanwhile: Any) -> None:
        self._handle, self._verb, self._meanwhile = handle, verb, meanwhile

    def __getattr__(self, name: str) -> Any:
        if name == self._verb and self._meanwhile:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return getattr(self._handle, name)


def test_of_two_that_create_a_name_at_once_one_wins_with_everything(scope: Memory, graph: KnowledgeGraph) -> None:
    mine = Entity("Alice", "person", ("likes coffee",))
    slow: Any = Between(scope, "add", lambda: graph.create_entities([ALICE]))
    assert KnowledgeGraph(slow).create_entities([mine, BOB]) == [BOB]
    assert graph.read() == Graph((ALICE, BOB))


def test_the_same_entity_created_twice_at_once_is_reported_once(scope: Memory, graph: KnowledgeGraph) -> None:
    slow: Any = Between(scope, "add", lambda: graph.create_entities([ALICE]))
    assert KnowledgeGraph(slow).create_entities([ALICE]) == []
    assert graph.read() == Graph((ALICE,))


def test_an_addition_to_an_entity_deleted_meanwhile_is_refused_and_undone(scope: Memory, graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE])
    slow: Any = Between(scope, "add", lambda: graph.delete_entities(["Alice"]))
    with pytest.raises(NotFound, match="Alice"):
        KnowledgeGraph(slow).add_observations([("Alice", ["late"])])
    assert scope.list() == []


def test_an_observation_added_while_its_entity_is_deleted_goes_too(scope: Memory, graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE])
    slow: Any = Between(scope, "forget", lambda: graph.add_observations([("Alice", ["late"])]))
    assert KnowledgeGraph(slow).delete_entities(["Alice"]) == ["Alice"]
    assert scope.list() == []


def test_two_that_delete_at_once_both_succeed(scope: Memory, graph: KnowledgeGraph) -> None:
    graph.create_entities([ALICE, BOB])
    slow: Any = Between(scope, "forget", lambda: graph.delete_entities(["Alice"]))
    assert KnowledgeGraph(slow).delete_entities(["Alice", "Bob"]) == ["Alice", "Bob"]
    assert graph.read() == Graph()


def test_merging_again_changes_nothing(graph: KnowledgeGraph) -> None:
    other = Graph((ALICE, BOB, Entity("Alice", "person", ("plays chess",))), (Relation("Alice", "Bob", "knows"),))
    assert graph.merge(other) == (2, 2, 1)
    assert graph.merge(other) == (0, 0, 0)
    assert graph.merge(Graph((Entity("Bob", "person", ("new",)),))) == (0, 1, 0)


NAMES = st.sampled_from(["a", "b", "c: d", "c"])
WORDS = st.sampled_from(["x", "y", "d: x"])
RELATIONS = st.builds(Relation, NAMES, NAMES, WORDS)
CALLS = st.lists(
    st.one_of(
        st.tuples(
            st.just("create"),
            st.lists(st.builds(Entity, NAMES, WORDS, st.lists(WORDS, max_size=2).map(tuple)), max_size=2),
        ),
        st.tuples(st.just("relate"), st.lists(RELATIONS, max_size=2)),
        st.tuples(st.just("observe"), st.lists(st.tuples(NAMES, st.lists(WORDS, max_size=2)), max_size=2)),
        st.tuples(st.just("delete"), st.lists(NAMES, max_size=2)),
        st.tuples(st.just("unobserve"), st.lists(st.tuples(NAMES, st.lists(WORDS, max_size=2)), max_size=2)),
        st.tuples(st.just("unrelate"), st.lists(RELATIONS, max_size=2)),
    ),
    max_size=8,
)


class Plain:
    """What the reference server does, with dictionaries."""

    def __init__(self) -> None:
        self.entities: dict[str, tuple[str, list[str]]] = {}
        self.relations: list[Relation] = []

    def create(self, entities: list[Entity]) -> None:
        for one in entities:
            self.entities.setdefault(one.name, (one.entity_type, list(dict.fromkeys(one.observations))))

    def relate(self, relations: list[Relation]) -> None:
        self.relations += [one for one in dict.fromkeys(relations) if one not in self.relations]

    def observe(self, additions: list[tuple[str, list[str]]]) -> None:
        if all(name in self.entities for name, _ in additions):
            for name, contents in additions:
                known = self.entities[name][1]
                known += [one for one in dict.fromkeys(contents) if one not in known]

    def delete(self, names: list[str]) -> None:
        self.entities = {name: one for name, one in self.entities.items() if name not in names}
        self.relations = [one for one in self.relations if one.from_name not in names and one.to_name not in names]

    def unobserve(self, deletions: list[tuple[str, list[str]]]) -> None:
        for name, contents in deletions:
            if name in self.entities:
                kind, known = self.entities[name]
                self.entities[name] = (kind, [one for one in known if one not in contents])

    def unrelate(self, relations: list[Relation]) -> None:
        self.relations = [one for one in self.relations if one not in relations]

    def graph(self) -> Graph:
        entities = (Entity(name, kind, tuple(known)) for name, (kind, known) in self.entities.items())
        return Graph(tuple(entities), tuple(self.relations))


@settings(max_examples=40)
@given(calls=CALLS)
def test_any_calls_leave_the_graph_that_the_reference_server_would_have(calls: list[tuple[str, Any]]) -> None:
    plain = Plain()
    with Memory.open(None, embedder="hashing") as memory:
        graph = KnowledgeGraph(memory.scope("a"))
        verbs = {
            "create": graph.create_entities,
            "relate": graph.create_relations,
            "observe": graph.add_observations,
            "delete": graph.delete_entities,
            "unobserve": graph.delete_observations,
            "unrelate": graph.delete_relations,
        }
        for verb, argument in calls:
            getattr(plain, verb)(argument)
            try:
                verbs[verb](argument)
            except NotFound:
                assert verb == "observe"
            assert graph.read() == plain.graph()
