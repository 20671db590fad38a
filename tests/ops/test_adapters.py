"""Adapters: thresholds as documented, a bandit whose regret shrinks, forgetting by the curve."""

from __future__ import annotations

import random

import pytest

from mnemic.errors import ParameterError
from mnemic.ops.adapters import AllAlike, AllEpisodic, Decay, Evidence, NeverForgets, Place, Thresholds, Ucb


@pytest.mark.parametrize(
    ("evidence", "place"),
    [
        (Evidence(said=1), Place("episodic", "external")),
        (Evidence(said=2), Place("semantic", "external")),
        (Evidence(said=2, uses=4, stable_days=99), Place("semantic", "external")),
        (Evidence(said=2, uses=5, stable_days=29.9), Place("semantic", "external")),
        (Evidence(said=2, uses=5, stable_days=30), Place("semantic", "parameters")),
        (Evidence(said=2, uses=5, stable_days=30, unhelpful=1), Place("semantic", "parameters")),
        (Evidence(said=2, uses=5, stable_days=30, unhelpful=2), Place("episodic", "external")),
        (Evidence(said=9, successes=1, is_sequence=True), Place("episodic", "external")),
        (Evidence(successes=2, is_sequence=True), Place("procedural", "external")),
        (Evidence(successes=2, failures=3, is_sequence=True), Place("procedural", "external")),
        (Evidence(successes=2, failures=4, is_sequence=True), Place("episodic", "external")),
    ],
    ids=str,
)
def test_storage_promotes_and_demotes_at_its_thresholds(evidence: Evidence, place: Place) -> None:
    assert Thresholds().place(evidence).place == place
    assert AllEpisodic().place(evidence).place == Place()


def test_the_regret_of_the_bandit_shrinks_on_a_stream_with_two_stores() -> None:
    chances, steps = {"good": 0.8, "bad": 0.4}, 800
    regrets = []
    for seed in range(20):
        dice, counts, regret = random.Random(seed), dict.fromkeys(("bad", "good"), (0, 0)), []
        for _ in range(steps):
            store = Ucb().choice(counts)
            told, helped = counts[store]
            counts[store] = (told + 1, helped + (dice.random() < chances[store]))
            regret.append(chances["good"] - chances[store])
        regrets.append(regret)
    quarters = [sum(sum(one[at : at + 200]) for one in regrets) / len(regrets) for at in range(0, steps, 200)]
    assert quarters == sorted(quarters, reverse=True)
    assert quarters[-1] < quarters[0] / 3
    assert quarters[-1] < 0.1 * 0.2 * 200 * 2  # far below the 0.2 a step of choosing either at random


def test_a_store_whose_hits_helped_weighs_more_and_off_all_weigh_the_same() -> None:
    counts = {"one": (10, 9), "other": (10, 1)}
    weights = Ucb().weights(counts)
    assert weights["one"] == 1.0
    assert weights["other"] < 0.6
    assert AllAlike().weights(counts) == {"one": 1.0, "other": 1.0}


def test_what_is_left_falls_with_time_and_lasts_with_use() -> None:
    assert Decay().left(0.0, 0) == 1.0
    assert Decay().left(60.0, 0) < Decay().left(60.0, 3) < 1.0
    assert Decay().left(400.0, 0) == 0.0
    assert NeverForgets().left(400.0, 0) == 1.0


def test_thresholds_out_of_range_are_refused() -> None:
    for wrong in (
        lambda: Thresholds(repeats=0),
        lambda: Ucb(-1.0),
        lambda: Decay(scale_days=0.0),
        lambda: Decay(floor=1.0),
    ):
        with pytest.raises(ParameterError):
            wrong()
