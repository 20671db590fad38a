"""Every noun travels as JSON without loss: what is sent is what is read."""

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from mnemic import wire
from mnemic.client.asking import cursor_after, message
from mnemic.formats.message import Problem
from mnemic.memory.forget import Receipt
from mnemic.memory.intake import drafts_from
from mnemic.memory.remember import Added
from mnemic.memory.results import Context, Version
from mnemic.memory.transfer import Imported
from mnemic.memory.why_not import Lack, Obstacle, WhyNot
from mnemic.model import ECHO, OBSERVED, Cue, Episode, Hit, Link, Reason, Recall, Record, Session
from mnemic.ops.pack import Citation
from mnemic.serve.problems import as_json

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
maybe = st.none() | names
counts = st.integers(0, 2**53)
shares = st.floats(0, 1)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(2, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC) | zones)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
metadata = st.dictionaries(texts, values, max_size=3)
several = st.lists(names, max_size=3).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=False)
episodes = st.one_of(
    st.builds(
        Episode,
        text=texts,
        id=names,
        scope=names,
        occurred_at=times,
        recorded_at=times,
        role=names,
        actor=maybe,
        session=maybe,
        metadata=metadata,
        parts=st.lists(metadata, max_size=2).map(tuple),
        supersedes=maybe,
        origin=st.just(origin),
        echo_of=several if origin == ECHO else st.just(()),
        seq=counts,
    )
    for origin in (OBSERVED, ECHO)
)
records = st.builds(
    Record,
    id=names,
    system=names,
    scope=names,
    kind=names,
    text=texts,
    sources=several,
    recorded_at=times,
    data=metadata,
    valid_from=st.none() | times,
    valid_to=st.none() | times,
    retired_at=st.none() | times,
    strength=shares,
)
links = st.builds(
    Link,
    id=names,
    system=names,
    scope=names,
    kind=names,
    from_id=names,
    to_id=names,
    sources=several,
    recorded_at=times,
    weight=shares,
    data=metadata,
)
sessions = st.builds(
    Session,
    session=names,
    scope=names,
    episodes=counts,
    began_at=times,
    ended_at=times,
    first_seq=counts,
    last_seq=counts,
)
cues = st.builds(
    Cue,
    text=texts,
    scope=names,
    asked_at=times,
    limit=counts,
    include_children=st.booleans(),
    session=maybe,
    since=st.none() | times,
    until=st.none() | times,
    as_of=st.none() | times,
    filters=st.none() | metadata.filter(bool),
    threshold=shares,
)
reasons = st.builds(Reason, names, numbers, numbers, texts)
hits = st.one_of(
    st.builds(
        Hit, score=shares, episode=episodes, reasons=st.lists(reasons, max_size=2).map(tuple), duplicates=several
    ),
    st.builds(Hit, score=shares, record=records, reasons=st.lists(reasons, max_size=2).map(tuple)),
    st.builds(Hit, score=shares, episode=episodes, record=records),
)
recalls = st.builds(
    Recall,
    cue=cues,
    hits=st.lists(hits, max_size=2).map(tuple),
    system=names,
    path=names,
    elapsed_ms=numbers,
    confidence=st.none() | shares,
)
citations = st.builds(Citation, names, names, several)
obstacles = st.builds(Obstacle, names, texts, metadata)
why_nots = st.one_of(
    st.builds(
        WhyNot,
        query=texts,
        wanted=texts,
        system=names,
        found_by=st.sampled_from(["id", "text", "words", "nothing"]),
        episode=st.none() | episodes,
        similarity=shares,
        rank=st.none() | counts if kept_out else counts,
        score=st.none() | shares if kept_out else shares,
        folded_into=maybe,
        limit=counts,
        last_score=st.none() | shares,
        obstacles=st.lists(obstacles, min_size=kept_out, max_size=2 * kept_out).map(tuple),
        lacks=st.lists(st.builds(Lack, names, shares, shares, shares), max_size=2).map(tuple),
    )
    for kept_out in (0, 1)
)


def travelled(values):
    return json.loads(as_json(values))


@given(episodes)
def test_an_episode(one):
    assert wire.episode_from(travelled(wire.episode_json(one))) == one


@given(records, links, sessions)
def test_records_links_and_sessions(record, link, session):
    assert wire.record_from(travelled(record.to_dict())) == record
    assert wire.link_from(travelled(link.to_dict())) == link
    assert wire.session_from(travelled(session.to_dict())) == session


@given(recalls)
def test_a_recall_with_its_cue_hits_and_reasons(one):
    assert wire.recall_from(travelled(wire.recall_json(one))) == one


@given(texts, st.lists(citations, max_size=2).map(tuple), counts, recalls)
def test_a_context_block(text, cited, tokens, recall):
    one = Context(text, cited, tokens, recall)
    found = wire.context_from(travelled(wire.context_json(one)))
    assert (str(found), found.citations, found.tokens, found.recall) == (text, cited, tokens, recall)


@given(st.lists(st.tuples(episodes, st.booleans()), max_size=3))
def test_what_an_add_did(pairs):
    one = Added(tuple(episode for episode, _ in pairs), tuple(is_new for _, is_new in pairs))
    assert wire.added_from(travelled(wire.added_json(one))) == one


@given(st.builds(Version, episodes, st.sampled_from(["ADD", "UPDATE"]), st.none() | texts))
def test_a_version(one):
    assert wire.version_from(travelled(wire.version_json(one))) == one


@given(
    st.builds(
        Receipt,
        scope=names,
        ids=several,
        at=times,
        records=counts,
        links=counts,
        answers=counts,
        rebuilt_systems=several,
        is_scrubbed=st.booleans(),
        is_dry_run=st.booleans(),
    )
)
def test_a_receipt(one):
    assert wire.receipt_from(travelled(one.to_dict())) == one


@given(
    st.builds(
        Imported,
        counts,
        counts,
        st.lists(st.builds(Problem, names, texts, texts), max_size=2),
        st.dictionaries(names, counts),
    )
)
def test_what_an_import_did(one):
    assert wire.imported_from(travelled(one.to_dict())) == one


@given(why_nots)
def test_why_something_was_not_recalled(one):
    assert wire.why_not_from(travelled(wire.why_not_json(one))) == one


# -- what the client makes itself ---------------------------------------------------------------------------

contents = st.one_of(
    texts.filter(bool),
    st.lists(texts | metadata | st.builds(lambda text: {"type": "text", "text": text}, texts), min_size=1, max_size=3),
)
messages = st.fixed_dictionaries(
    {"content": contents},
    optional={
        "role": names,
        "name": names,
        "session": names,
        "id": names,
        "metadata": metadata,
        "timestamp": times,
        "tool_calls": st.lists(metadata, max_size=1),
        "text": texts,
    },
)


@given(
    st.lists(messages | texts.filter(bool), max_size=3), maybe, maybe, maybe, st.none() | times, st.none() | metadata
)
def test_messages_become_the_same_episodes_on_the_server_as_they_would_here(said, role, actor, session, at, about):
    given = {"role": role, "actor": actor, "session": session, "occurred_at": at, "metadata": about, "id": None}
    try:
        here = drafts_from(said, **given)
    except ValueError:
        return  # refused before anything is sent
    nothing = dict.fromkeys(given)
    there = drafts_from(json.loads(json.dumps([message(one) for one in here])), **nothing)
    for one in here:
        one.is_client_id = True  # an id that was made here is sent
    assert there == here


@given(counts | names)
def test_a_cursor_is_what_the_server_makes_of_a_place_in_a_listing(place):
    from mnemic.serve.routes.answer import cursor_of, place_in

    if place:
        assert cursor_after(place) == cursor_of(place)
        assert place_in(cursor_after(place), type(place)) == place
