"""The nouns: scopes, ids, and the shapes in which episodes, hits and recalls are read."""

from __future__ import annotations

import copy
import json
import pickle
import time
import unicodedata
import uuid
from dataclasses import fields
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import model
from mnemic.errors import InvalidScope
from mnemic.model import Cue, Episode, Hit, Reason, Recall, Record, check_scope, is_within, join_scope, new_id

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
EPISODE = Episode(text="tea", id="e1", scope="acme", occurred_at=NOW, recorded_at=NOW, actor="Anna", metadata={"k": 1})
RECORD = Record(
    id="r1", system="s", scope="acme", kind="fact", text="Anna likes tea", sources=("e1", "e2"), recorded_at=NOW
)
segments = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


# -- scopes ---------------------------------------------------------------------------------------------------


@given(path=st.text(max_size=20) | st.lists(segments, max_size=4).map("/".join))
def test_a_scope_is_given_back_as_it_is_or_refused_for_a_stated_reason(path: str) -> None:
    parts = path.split("/")
    is_fine = (
        unicodedata.is_normalized("NFC", path)
        and not any(unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp") for character in path)
        and (path == "" or not any(part in ("", ".", "..") or part != part.strip() for part in parts))
    )
    if is_fine:
        assert check_scope(path) == path
    else:
        with pytest.raises(InvalidScope):
            check_scope(path)


@pytest.mark.parametrize("wrong", [None, 5, b"a", ["a"]], ids=repr)
def test_what_is_no_text_is_no_scope(wrong: object) -> None:
    with pytest.raises(InvalidScope, match="is a path such as"):
        check_scope(wrong)  # type: ignore[arg-type]


def test_two_scopes_that_look_alike_are_not_both_accepted() -> None:
    looks = ["café", "cafe\u0301", "caf\u200bé", "café ", "\u2067café"]
    accepted = []
    for path in looks:
        try:
            accepted.append(check_scope(path))
        except InvalidScope:
            continue
    assert accepted == ["café"]


@pytest.mark.parametrize(
    ("parent", "child", "joined"), [("", "", ""), ("a", "", "a"), ("", "b", "b"), ("a", "b/c", "a/b/c")]
)
def test_joining_scopes(parent: str, child: str, joined: str) -> None:
    assert join_scope(parent, child) == joined
    assert is_within(joined, parent)


def test_a_scope_is_within_another_by_whole_segments() -> None:
    assert [
        is_within(*pair) for pair in (("a", "a"), ("a/b", "a"), ("ab", "a"), ("a", "a/b"), ("a", ""), ("", ""))
    ] == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]


# -- ids ------------------------------------------------------------------------------------------------------


def test_ids_are_uuids_of_version_7_in_the_order_in_which_they_were_made() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(5000)]
    after = time.time_ns() // 1_000_000
    parsed = [uuid.UUID(id) for id in made]
    assert {(one.version, one.variant) for one in parsed} == {(7, uuid.RFC_4122)}
    assert [str(one) for one in parsed] == made == sorted(set(made))
    assert before <= parsed[0].int >> 80 <= parsed[-1].int >> 80 <= after


def test_ids_go_on_growing_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    monkeypatch.setattr(model.time, "time_ns", lambda: 0)
    later = [new_id() for _ in range(3)]
    assert [first, *later] == sorted({first, *later})
    assert {uuid.UUID(id).version for id in later} == {7}


# -- shapes ---------------------------------------------------------------------------------------------------


def test_an_episode_as_a_dictionary_leaves_out_what_is_empty() -> None:
    assert EPISODE.to_dict() == {
        "id": "e1",
        "scope": "acme",
        "text": "tea",
        "role": "user",
        "occurred_at": "2024-05-01T12:00:00+00:00",
        "recorded_at": "2024-05-01T12:00:00+00:00",
        "actor": "Anna",
        "metadata": {"k": 1},
    }


def test_a_hit_on_a_record_speaks_of_the_record_and_its_sources() -> None:
    hit = Hit(score=0.5, record=RECORD, episode=EPISODE)
    assert (hit.id, hit.text, hit.kind, hit.scope, hit.sources, hit.occurred_at) == (
        "r1",
        "Anna likes tea",
        "fact",
        "acme",
        ("e1", "e2"),
        NOW,
    )
    assert (hit["memory"], hit["sources"], "role" in hit.to_dict()) == ("Anna likes tea", ["e1", "e2"], False)


def test_an_explanation_names_what_added_to_the_score_strongest_first() -> None:
    reasons = (Reason("words", 0.5, 0.2, "tea"), Reason("meaning", 0.9, 0.5), Reason("time", 0.0, 0.5))
    assert Hit(score=0.55, episode=EPISODE, reasons=reasons).explain() == "meaning 0.45, words 0.10 (tea)"


def test_a_recall_is_read_like_a_sequence_and_like_a_dictionary() -> None:
    hits = tuple(Hit(score=score, episode=EPISODE) for score in (0.9, 0.5))
    recall = Recall(cue=Cue(text="tea", scope="acme", asked_at=NOW), hits=hits, system="hybrid")
    assert (len(recall), list(recall), recall[0], recall[-1], recall[:1]) == (2, list(hits), hits[0], hits[1], hits[:1])
    assert [one["score"] for one in recall["results"]] == [0.9, 0.5]
    assert (recall["query"], recall["system"]) == ("tea", "hybrid")
    with pytest.raises(KeyError):
        recall["unheard"]
    with pytest.raises(IndexError):
        recall[2]
    json.dumps(recall.to_dict())


@pytest.mark.parametrize(
    "noun",
    [EPISODE, RECORD, Hit(score=1.0, episode=EPISODE), Reason("words", 1.0, 1.0)],
    ids=lambda one: type(one).__name__,
)
def test_nouns_are_frozen_and_can_be_copied_and_pickled(noun: object) -> None:
    assert copy.deepcopy(noun) == pickle.loads(pickle.dumps(noun)) == noun
    with pytest.raises(AttributeError):
        setattr(noun, fields(noun)[0].name, None)  # type: ignore[arg-type]
