"""A program that uses a memory's verbs sees the same on a server as in a file: the same answers, and the same refusals."""

import inspect
import io
import json
import re
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest

from mnemic import Memory
from mnemic.client import AsyncClient, Client
from mnemic.client.front import ABSENT
from mnemic.clock import ManualClock
from mnemic.errors import EpisodeNotFound, MnemicError
from mnemic.memory.results import Context
from mnemic.memory.why_not import WhyNot
from mnemic.model import Recall

from .conftest import START
from .serving import mnemic_at

LISBON = timezone(timedelta(hours=1))
VERBS = sorted(
    name for name in vars(Memory) if not name.startswith("_") and name not in ABSENT and callable(getattr(Memory, name))
)


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_has_the_same_parameters_in_both(name):
    plain, remote = inspect.signature(getattr(Memory, name)), inspect.signature(getattr(Client, name))
    assert list(plain.parameters.values()) == list(remote.parameters.values())
    assert plain.return_annotation.replace("Memory", "Client") == remote.return_annotation


@pytest.mark.parametrize("name", [name for name in VERBS if name != "export_lines"])
def test_a_verb_has_the_same_parameters_as_a_coroutine(name):
    plain, other = inspect.signature(getattr(Client, name)), inspect.signature(getattr(AsyncClient, name))
    assert list(plain.parameters.values()) == list(other.parameters.values())
    assert inspect.iscoroutinefunction(getattr(AsyncClient, name)) is (name not in ("scope", "system"))


def test_every_public_name_of_a_memory_is_in_the_client_or_said_to_be_absent(client):
    public = {name for name in vars(Memory) if not name.startswith("_")}
    assert {name for name in vars(Client) if not name.startswith("_")} == public - ABSENT
    for name in ABSENT:
        with pytest.raises(AttributeError, match=f"no '{name}'.*file, which is on the server"):
            getattr(client, name)
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = client.colour


# -- one scenario, twice ------------------------------------------------------------------------------------

TALK = [
    {"role": "user", "name": "Alice", "content": "I moved to Porto in March.", "id": "porto"},
    {"role": "assistant", "content": "How is the weather in Porto?", "id": "weather", "timestamp": "2024-04-02"},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Look at my cat."}, {"type": "image_url", "image_url": {"url": "x.png"}}],
        "tool_calls": [{"id": "t1"}],
        "metadata": {"topic": "cats", "deep": {"list": [1, 2.5, None, True, "é"]}, "n": 2**70},
        "id": "cat",
        "timestamp": datetime(2024, 4, 3, 18, 30, tzinfo=LISBON),
    },
]
STEPS = {
    "nothing yet": lambda m: [m.list(), m.get_all(), m.sessions(), m.scopes(), m.search("tea"), m.context("tea")],
    "add a text": lambda m: m.add("I drink green tea every morning.", id="tea", session="monday"),
    "add it again": lambda m: m.add("I drink green tea every morning.", id="tea", session="monday"),
    "add a talk": lambda m: m.add(TALK, session="tuesday", metadata={"topic": "life"}, actor="Bob"),
    "add nothing": lambda m: m.add([]),
    "add from a generator": lambda m: m.add(one for one in [{"content": "Rent is due on the first.", "id": "rent"}]),
    "add for others": lambda m: [
        m.add("My dog is called Rex.", id="rex", user_id="carol", agent_id="vet", run_id="visit"),
        m.add("The team meets at nine.", id="team", app_id="crm", agent_id="tutor"),
        m.add("By number.", id="7", user_id=42),
        m.add("At a time.", id="at", occurred_at=date(2024, 1, 5)),
        m.add("At another.", id="unix", timestamp=1714300000.25),
    ],
    "remember is add": lambda m: m.remember("I play the cello.", id="cello"),
    "search": lambda m: m.search("Where is the weather in Porto?"),
    "search with everything": lambda m: m.search(
        "tea",
        limit=50,
        top_k=3,
        threshold=0.01,
        filters={"OR": [{"topic": {"in": {"life"}}}, {"session": "monday"}], "occurred_at": {"$gte": date(2020, 1, 1)}},
        since=date(2020, 1, 1),
        until=date(2024, 5, 1),
        as_of="2024-05-02",
        asked_at=1714600000,
        include_children=True,
    ),
    "search in a session": lambda m: [m.search("tea", session="monday"), m.recall("tea", run_id="tuesday")],
    "search for a user": lambda m: m.search("dog", user_id="carol", agent_id="vet"),
    "search below": lambda m: m.search("the team meets", include_children=True),
    "another system": lambda m: [m.system("bm25").search("tea"), m.system("recent").search("tea", limit=2)],
    "context": lambda m: [
        m.context("tea and cats"),
        m.context("tea", max_tokens=60),
        m.context("tea", budget_tokens=1),
    ],
    "why not": lambda m: [
        m.why_not("tea", "tea"),
        m.why_not("cats", "tea", limit=1, since="2024-04-30"),
        m.why_not("cats", "nothing of the kind was ever said"),
    ],
    "get": lambda m: [m.get("cat"), m.get("rex", user_id="carol"), m.get("team", app_id="crm", agent_id="tutor")],
    "find": lambda m: [m.find("cat"), m.find("rex"), m.find("7"), m.find("nothing"), m.find("\ud800"), m.find(5)],
    "list": lambda m: [
        m.list(limit=2),
        m.list(limit=2, after=2),
        m.list(limit=3, newest_first=True),
        m.list(session="tuesday", since=datetime(2024, 4, 3), until="2024-04-03"),
        m.list(filters={"topic": "cats"}),
        m.list(user_id="carol", agent_id="vet"),
    ],
    "sessions": lambda m: [
        m.sessions(),
        m.sessions(limit=1),
        m.sessions(limit=1, after=1),
        m.sessions(newest_first=True),
    ],
    "update": lambda m: m.update("porto", "I moved to Lisbon in March.", new_id="lisbon"),
    "correct": lambda m: without_ids(
        m.update("tea", "I drink black tea.", metadata={"topic": "tea"}, occurred_at="2024-04-30")
    ),
    "history": lambda m: [without_ids(one.episode) for one in m.history("tea")],
    "get all": lambda m: [
        without_own_ids(m.get_all()),
        m.get_all(limit=1, filters={"topic": "cats"}),
        without_own_ids(m.get_all(filters={"topic": "tea"})),
        m.get_all(session="tuesday"),
        m.get_all(user_id="carol"),
    ],
    "attach": lambda m: [repr(m.attach("bm25"))[-30:], m.attached()],
    "attach with parameters": lambda m: [m.attach("recent").system_id, m.attached()],
    "records": lambda m: [m.records(), m.records(system="bm25"), m.links(), m.records(ids=["x"] * 250, system="bm25")],
    "detach": lambda m: [m.detach("recent"), m.attached()],
    "scopes": lambda m: m.scopes(),
    "stats": lambda m: {name: value for name, value in m.stats().items() if name != "bytes"},
    "export": lambda m: sorted(without_ids_in(line) for line in m.export_lines()),
    "export here alone": lambda m: (
        out := io.StringIO(),
        m.export(out, include_children=False),
        len(out.getvalue().splitlines()),
    )[1:],
    "forget, dry": lambda m: m.forget("cat", dry_run=True),
    "forget": lambda m: m.forget(["cat"]),
    "forget a session": lambda m: m.forget(session="tuesday", filters={"role": "user"}, since="2000-01-01"),
    "delete": lambda m: m.delete("rent"),
    "delete all of a user": lambda m: m.delete_all(user_id="carol"),
    "what is left": lambda m: [[without_ids(one) for one in m.list()], m.scopes()],
    "reset": lambda m: len(m.reset().ids),
    "nothing again": lambda m: [m.list(), m.scopes()],
}
REFUSED = {
    "no text": lambda m: m.add(""),
    "bytes": lambda m: m.add(b"tea"),
    "a number": lambda m: m.add(5),
    "half a character": lambda m: m.add("\ud800"),
    "a bad place in a list": lambda m: m.add(["fine", {"role": "user"}]),
    "one id for two": lambda m: m.add(["a", "b"], id="x"),
    "other content": lambda m: m.add("other", id="known"),
    "metadata that is no JSON": lambda m: m.add("x", metadata={"a": object()}),
    "a bad time": lambda m: m.add("x", occurred_at="soon"),
    "a bad user": lambda m: m.add("x", user_id="a/b"),
    "an empty user": lambda m: m.search("x", user_id=" "),
    "a bad scope": lambda m: m.scope("a//b"),
    "no query": lambda m: m.search(None),
    "no hits wanted": lambda m: m.search("x", limit=0),
    "a bad threshold": lambda m: m.search("x", threshold=float("nan")),
    "a truth as time": lambda m: m.search("x", since=True),
    "a bad filter": lambda m: m.search("x", filters={"a": {"$near": 1}}),
    "a filter that is a list": lambda m: m.list(filters=["a"]),
    "a filter that contradicts": lambda m: m.search("x", user_id="a", filters={"user_id": "b"}),
    "no budget": lambda m: m.context("x", budget_tokens=0),
    "why not what": lambda m: m.why_not("x", 5),
    "an unknown system": lambda m: m.system("nope").search("x"),
    "an unknown system to attach": lambda m: m.attach("nope"),
    "a system no one can name": lambda m: m.attach("a/b"),
    "a bad parameter": lambda m: m.attach("bm25", colour="red"),
    "records of an unknown system": lambda m: m.records(system="nope"),
    "a page of all systems": lambda m: m.records(after="x"),
    "an unknown id": lambda m: m.get("nothing"),
    "an id that is no text": lambda m: m.get(5),
    "an id like a path": lambda m: m.get("../x?y#z"),
    "history of nothing": lambda m: m.history("nothing"),
    "an update of nothing": lambda m: m.update("nothing", "x"),
    "an update that was overtaken": lambda m: (m.update("known", "mine"), m.update("known", "yours")),
    "an update without text": lambda m: m.update("known", ""),
    "a bad limit": lambda m: m.list(limit=True),
    "a bad place": lambda m: m.list(after=-1),
    "a session's argument": lambda m: m.sessions(colour="red"),
    "forget nothing": lambda m: m.forget(),
    "forget an unknown id": lambda m: m.forget(["known", "nothing"]),
    "forget a number": lambda m: m.forget(5),
    "forget everything and one": lambda m: m.forget("known", everything=True),
    "delete all of nobody": lambda m: m.delete_all(user_id=None),
    "a file that is not there": lambda m: m.import_("no such file"),
}
SAID_OTHERWISE = {
    "an id that is no text",
    "an update that was overtaken",
}  # the first is said before it is sent; ids differ


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A handle on a scope of a file, and one on the same scope of a server; and the clock that both go by."""
    folder, clock = tmp_path_factory.mktemp("both"), ManualClock(START)
    with (
        Memory.open(folder / "a.db", embedder="hashing", clock=clock) as memory,
        mnemic_at(folder / "server", clock) as (url, _),
        Client(url) as client,
    ):
        yield memory, client, clock


@pytest.fixture(scope="module")
def scenario(both):
    """What each step gave, in both."""
    memory, client, clock = both
    found = {}
    for name, step in STEPS.items():
        found[name] = [outcome(step, handle.scope("acme/alice")) for handle in (memory, client)]
        clock.advance(timedelta(hours=1))
    return found


@pytest.mark.parametrize("name", STEPS)
def test_a_step_gives_the_same_in_both(name, scenario):
    plain, remote = scenario[name]
    assert not isinstance(plain, MnemicError), plain
    assert comparable(remote) == comparable(plain)


@pytest.mark.parametrize("name", REFUSED)
def test_what_one_refuses_the_other_refuses_in_the_same_words(name, both):
    memory, client, _ = both
    said = []
    for handle in (memory, client):
        handle = handle.scope("beta")
        handle.reset()
        handle.add("what is known", id="known")
        said.append(outcome(REFUSED[name], handle))
    plain, remote = said
    assert isinstance(plain, Exception)
    assert type(remote) is type(plain)
    if name not in SAID_OTHERWISE:
        assert str(remote) == str(plain)


def test_the_types_of_answers_are_the_same(both):
    _, client, _ = both
    handle = client.scope("gamma")
    handle.add("I drink tea.", id="tea")
    context = handle.context("tea")
    assert type(context) is Context
    assert type(context.recall) is Recall
    assert context.citations[0].id == "tea"
    assert type(handle.why_not("tea", "tea")) is WhyNot
    assert handle.search("tea")["results"][0]["memory"] == "I drink tea."


def test_recalled_text_that_comes_back_is_an_echo_on_a_server_too(both):
    _, client, _ = both
    handle = client.scope("delta")
    handle.add("I drink tea every morning before I go to work.", id="tea")
    added = handle.add({"role": "assistant", "content": str(handle.context("tea"))})
    assert added.echoes[0].echo_of == ("tea",)


def test_consolidating_on_a_server_gives_what_it_gives_in_a_file(both):
    reports = []
    for handle in both[:2]:
        handle = handle.scope("epsilon")
        handle.add(["one", "two"])
        handle.scope("below").add("three")
        handle.attach("documents")
        reports.append(handle.consolidate(include_children=False)["documents"])
        reports.append(handle.consolidate()["documents"])
    assert reports == [{"observed": 2}, {"observed": 1}] * 2


def test_what_one_exports_the_other_imports(both, tmp_path):
    memory, client, _ = both
    for source, target in ((memory, client), (client, memory)):
        place = source.scope(f"zeta/{type(source).__name__}")
        place.add(TALK)
        place.scope("below").add("three", id="three")
        file = tmp_path / "out.jsonl"
        assert place.export(file) == 4
        into = target.scope("eta")
        done = into.import_(file)
        assert (done.added, done.skipped, done.scopes) == (4, 0, {"eta": 3, "eta/below": 1})
        assert into.import_(file).skipped == 4
        assert [one.text for one in into.list()] == [one.text for one in place.list()]
        assert into.get("cat").parts == place.get("cat").parts
        into.reset()
    assert [one.name for one in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_handle_of_one_scope_sees_nothing_of_another(both):
    _, client, _ = both
    client.scope("theta/a").add("a secret of a", id="secret")
    assert client.scope("theta/b").list() == []
    assert len(client.scope("theta/b").search("secret")) == 0
    with pytest.raises(EpisodeNotFound):
        client.scope("theta/b").get("secret")
    assert client.scope("theta").scopes() == {"theta/a": 1}
    assert client.scopes()["theta/a"] == 1


# -- comparing ----------------------------------------------------------------------------------------------


def outcome(step, handle):
    try:
        return step(handle)
    except Exception as error:
        return error


def comparable(value):
    """Without what cannot be the same: how long it took, and marks, which are of one store."""
    if isinstance(value, Context):
        cited = [(one.id, one.sources) for one in value.citations]
        return re.sub(r"\[m:[^\]]+\]", "[m]", str(value)), cited, comparable(value.recall)
    if isinstance(value, Recall):
        cue = replace(value.cue, filters=json.loads(json.dumps(value.cue.filters, default=as_json)))
        return replace(value, elapsed_ms=0.0, cue=cue)
    if isinstance(value, WhyNot):
        plain = value.to_dict()  # its changes may hold times, which travel as text
        return plain, value.episode, value.score, value.lacks, value.remedy is None
    if isinstance(value, list | tuple):
        return [comparable(one) for one in value]
    return value


def as_json(value):
    return sorted(value) if isinstance(value, set) else value.isoformat()


def without_ids(episode):
    """A correction whose id was not given has another one each time."""
    return replace(episode, id="", supersedes=None)


def without_own_ids(found):
    return [{name: value for name, value in one.items() if name not in ("id", "sources")} for one in found["results"]]


def without_ids_in(line):
    values = json.loads(line)
    return json.dumps({name: value for name, value in values.items() if name not in ("id", "supersedes")})
