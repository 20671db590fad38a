"""The probe's questions point where they should, on logs whose structure is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.bench.probe import KINDS, LogQuestion, ScopeLog, make_probe
from mnemic.errors import ParameterError
from mnemic.model import Episode

START = datetime(2023, 5, 5, 9, tzinfo=UTC)


def episode(place: int, text: str, **fields: Any) -> Episode:
    at = START + timedelta(days=place // 6, minutes=place)
    own = {
        "id": f"e{place}",
        "scope": "",
        "session": f"s{place // 6}",
        "actor": "Ann",
        "occurred_at": at,
        "recorded_at": at,
    }
    return Episode(text=text, **{**own, **fields})


def log(*texts: str | tuple[str, dict[str, Any]], filler: int = 24, scope: str = "") -> ScopeLog:
    """The texts, each at the head of a session of its own, among fillers that have no word in common."""
    episodes: list[Episode] = []
    heads = dict(enumerate(texts))
    for place in range(filler):
        if place % 6 == 0 and (head := heads.pop(place // 6, None)) is not None:
            text, fields = head if isinstance(head, tuple) else (head, {})
            episodes.append(episode(place, text, scope=scope, **fields))
        else:
            episodes.append(episode(place, f"Qa{place} qb{place} qc{place}.", scope=scope))
    assert not heads
    return ScopeLog(scope, episodes)


def of_kind(kind: str, made: ScopeLog, **settings: Any) -> list[LogQuestion]:
    return [one for one in make_probe([made], **settings).questions if one.kind == kind]


def test_what_was_said_again_in_other_words_asks_for_the_first_time_and_is_held_out():
    made = log(
        "I sold the wooden sailboat to a dentist in Tromsø last winter.",
        "The dentist in Tromsø who bought my wooden sailboat has renamed it.",
    )
    (question,) = of_kind("paraphrase", made)
    assert (question.text, question.evidence) == (made.episodes[6].text, ("e0",))
    assert ("", "e6") in make_probe([made]).held_out


def test_a_paraphrase_without_common_words_is_found_by_its_vector():
    made = log("My automobile broke down near Ghent yesterday.", "The car stopped working close to that Belgian city.")
    vectors = np.eye(len(made.episodes), 64, dtype=np.float32)
    vectors[6] = vectors[0] * 0.9 + vectors[6] * np.sqrt(1 - 0.81)
    (question,) = of_kind("paraphrase", ScopeLog("", made.episodes, vectors))
    assert (question.text, question.evidence) == (made.episodes[6].text, ("e0",))
    assert of_kind("paraphrase", made) == []


def test_the_same_words_twice_are_no_paraphrase():
    said = "I sold the wooden sailboat to a dentist in Tromsø last winter."
    assert of_kind("paraphrase", log(said, said)) == []


def test_a_question_asks_for_the_turn_that_follows_it_and_is_held_out():
    made = log("Which colour did the harbour office choose for our mooring buoy?")
    reply = episode(1, "They went for orange, after a long vote.", actor="Bo")
    made = ScopeLog("", [made.episodes[0], reply, *made.episodes[2:]])
    probe = make_probe([made])
    (question,) = [one for one in probe.questions if one.kind == "reply"]
    assert (question.text, question.evidence) == (made.episodes[0].text, ("e1",))
    assert probe.held_out == {("", "e0")}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(episode(1, "They went for orange, after a long vote."), id="the same person goes on"),
        pytest.param(episode(1, "They chose it, but who paid for the paint?", actor="Bo"), id="another question"),
        pytest.param(episode(1, "They went for orange.", actor="Bo", session="other"), id="another session"),
    ],
)
def test_what_is_no_answer_makes_no_reply(reply: Episode):
    made = log("Which colour did the harbour office choose for our mooring buoy?")
    assert of_kind("reply", ScopeLog("", [made.episodes[0], reply, *made.episodes[2:]])) == []


def test_a_cloze_leaves_out_the_rarest_words_and_still_points_to_one_episode():
    made = log(
        "We watched the harvest moon rise over the old mill near Delft.",
        "The harvest was poor and the mill stood still.",
        "We watched the moon rise from an old boat.",
        "An old watched pot never sees the moon rise over the harvest at the mill.",
    )
    questions = [one for one in of_kind("cloze", made) if one.evidence == ("e0",)]
    assert [one.text for one in questions] == ["We watched the harvest moon rise over the old mill … …."]


def test_keywords_stand_together_in_one_episode_and_alone_in_others():
    made = log(
        "The violin teacher recommended a lighter bow.",
        "Her violin needs new strings.",
        "The teacher tied a bow around the parcel.",
    )
    questions = of_kind("keywords", made)
    assert "What was said about violin and teacher?" in [one.text for one in questions if one.evidence == ("e0",)]


def test_a_date_asks_for_everything_that_a_speaker_said_that_day():
    questions = {one.text: one.evidence for one in of_kind("date", log())}
    assert questions["What did Ann say on 6 May 2023?"] == tuple(f"e{place}" for place in range(6, 12))
    assert len(questions) == 4


def test_a_day_is_the_one_in_which_it_was_said_there():
    made = log()
    late = datetime.fromisoformat("2023-05-20T23:30:00-08:00")
    made = ScopeLog("", [*made.episodes, episode(24, "Fireworks!", occurred_at=late, actor=None)])
    questions = {one.text: one.evidence for one in of_kind("date", made)}
    assert questions["What was said on 20 May 2023?"] == ("e24",)


def test_a_rare_name_is_asked_for_with_a_word_that_stood_beside_it():
    made = log(
        "I met Ottoline at the bakery.",
        "We saw Ottoline leave by train.",
        "No train at noon.",
        "The bakery burnt down.",
    )
    questions = {one.text: one.evidence for one in of_kind("name", made)}
    assert questions["What was said about Ottoline and bakery?"] == ("e0",)
    assert questions["What was said about Ottoline and train?"] == ("e6",)


def test_what_nobody_is_shown_is_neither_asked_nor_asked_for():
    hidden = [
        episode(30, "You met Ottoline at the bakery.", role="system"),
        episode(31, "I met Ottoline at the bakery.", origin="echo", echo_of=("e0",)),
        episode(32, "I met Ottoline at the mill.", id="old"),
        episode(33, "I met Ottoline at the brewery.", supersedes="old"),
    ]
    made = log()
    probe = make_probe([ScopeLog("", [*made.episodes, *hidden])])
    pointed = {id for one in probe.questions for id in one.evidence}
    assert not pointed & {"e30", "e31", "old"}


def test_nothing_of_one_scope_is_asked_of_another():
    first = log("I met Ottoline at the bakery.", "The bakery burnt down.", scope="acme/alice")
    second = log("I met Ottoline at the mill.", "The mill burnt down.", scope="acme/bob")
    probe = make_probe([first, second])
    asked = {(one.scope, one.text) for one in probe.questions if one.kind == "name"}
    assert asked == {
        ("acme/alice", "What was said about Ottoline and bakery?"),
        ("acme/bob", "What was said about Ottoline and mill?"),
    }


def test_the_same_seed_gives_the_same_probe_and_another_seed_another():
    made = log()
    assert make_probe([made], n=12, seed=3) == make_probe([made], n=12, seed=3)
    assert make_probe([made], n=12, seed=3).questions != make_probe([made], n=12, seed=4).questions


@given(n=st.integers(1, 80), seed=st.integers(0, 5))
def test_whatever_is_asked_can_be_found_and_is_not_held_out(n: int, seed: int):
    made = log(
        "Which colour did the harbour office choose for our mooring buoy?",
        "I sold the wooden sailboat to a dentist in Tromsø last winter.",
        "The dentist in Tromsø who bought my wooden sailboat has renamed it.",
        filler=48,
    )
    probe = make_probe([made], n=n, seed=seed)
    there = {one.id for one in made.episodes} - {id for _, id in probe.held_out}
    assert 1 <= len(probe.questions) <= n
    assert len({one.id for one in probe.questions}) == len(probe.questions)
    assert all(one.evidence and set(one.evidence) <= there for one in probe.questions)
    assert sum(probe.counts.values()) == len(probe.questions)
    assert len(probe.held_out) <= len(made.episodes) / 10


def test_each_kind_says_what_it_measures():
    assert all(kind.measures for kind in KINDS)
    assert len({kind.id for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("episodes", [0, 1, 19])
def test_a_tiny_log_is_refused_with_what_to_do(episodes: int):
    with pytest.raises(ParameterError, match=f"holds {episodes} episodes .* --questions"):
        make_probe([ScopeLog("", log().episodes[:episodes])])


def test_a_log_that_yields_nothing_says_so():
    said = [episode(place, f"zz{place}", occurred_at=START, session=None) for place in range(30)]
    with pytest.raises(ParameterError, match="No question can be made"):
        make_probe([ScopeLog("", said)])
