"""Forgetting curves: the formulas, and that draws follow from ids alone."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.ops.decay import (
    Strength,
    days,
    drawn,
    exponential,
    importance,
    keep_draw,
    persistence,
    recency,
    reinforced,
    retention,
    uniform,
)

times = st.floats(0.0, 1_000.0)
strengths = st.floats(1.0, 50.0)


@given(times, strengths, st.floats(0.1, 10.0))
def test_retention_is_the_exponential_of_time_over_scale_times_strength(t: float, s: float, c: float) -> None:
    assert retention(t, s, c) == pytest.approx(math.exp(-t / (c * s)))


@given(times, times, strengths)
def test_more_time_forgets_more_and_more_strength_forgets_less(t: float, more: float, s: float) -> None:
    assert retention(t + more, s) <= retention(t, s)
    assert retention(t, s) <= retention(t, s + 1.0)


def test_a_time_that_has_not_come_takes_nothing() -> None:
    assert retention(-3.0, 1.0) == 1.0


@pytest.mark.parametrize(("strength", "scale"), [(0.0, 1.0), (1.0, 0.0), (-1.0, -1.0), (math.nan, 1.0)])
def test_strength_and_scale_must_be_above_zero(strength: float, scale: float) -> None:
    with pytest.raises(ParameterError):
        retention(1.0, strength, scale)


def test_a_memory_recalled_n_times_has_strength_one_plus_n_and_its_time_starts_anew() -> None:
    memory = Strength(last_at=0.0)
    for day in (2.0, 5.0, 9.0):
        memory = memory.recalled(day)

    assert memory == Strength(last_at=9.0, uses=3)
    assert memory.value == reinforced(3) == 4.0
    assert memory.retention(now=9.0) == 1.0
    assert memory.retention(now=13.0) == pytest.approx(math.exp(-4.0 / 4.0))


def test_a_recall_told_late_strengthens_and_does_not_turn_the_clock_back() -> None:
    assert Strength(last_at=9.0).recalled(at=4.0) == Strength(last_at=9.0, uses=1)


def test_days_are_days() -> None:
    assert days(datetime(2024, 3, 1, 12, tzinfo=UTC)) - days(datetime(2024, 2, 28, tzinfo=UTC)) == 2.5


@pytest.mark.parametrize(("elapsed", "strength"), [(0.5, 1.0), (2.0, 1.0), (2.0, 4.0)])
def test_over_many_memories_the_share_that_is_kept_is_the_retention(elapsed: float, strength: float) -> None:
    expected = retention(elapsed, strength)
    kept = sum(keep_draw(f"m{at}", expected, seed=3) for at in range(20_000)) / 20_000

    assert kept == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 20_000))


@given(st.text(max_size=20), st.integers(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_what_is_lost_stays_lost_at_a_lower_retention(id: str, seed: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert keep_draw(id, high, seed) or not keep_draw(id, low, seed)
    assert keep_draw(id, 1.0, seed)
    assert not keep_draw(id, 0.0, seed)


def test_draws_are_the_same_in_every_process() -> None:
    # written down, so that stored memories are forgotten alike by every version
    assert [round(uniform(id, seed), 6) for id, seed in [("m1", 0), ("m1", 1), ("m2", 0)]] == [
        0.094593,
        0.526643,
        0.005342,
    ]


def test_values_are_drawn_in_proportion_to_their_weights() -> None:
    found = [drawn([50, 70, 90], [0.5, 0.45, 0.05], f"event {at}") for at in range(10_000)]

    assert found.count(50) / 10_000 == pytest.approx(0.5, abs=0.02)
    assert found.count(70) / 10_000 == pytest.approx(0.45, abs=0.02)
    assert found.count(90) / 10_000 == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("weights", [[], [1.0], [0.0, 0.0], [2.0, -1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ParameterError):
        drawn([1, 2], weights, "a")


@given(st.floats(0.0, 100.0), st.integers(0, 400), st.sampled_from([0.9, 0.92, 0.967, 0.988]))
def test_a_closed_form_equals_the_daily_steps(v0: float, n: int, factor: float) -> None:
    value = v0
    for _ in range(n):
        value *= factor

    assert importance(v0, factor, n) == exponential(v0, n, factor) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("stability", [14.0, 90.0, 365.0])
def test_recency_falls_to_one_over_e_after_the_stability_of_its_layer(stability: float) -> None:
    assert recency(stability, stability) == pytest.approx(1 / math.e)
    assert recency(stability * math.log(2), stability) == pytest.approx(0.5)


def test_persistence_adds_what_is_left_and_the_logarithm_of_use() -> None:
    found = persistence(30.0, 4, stability_days=60.0, recency_weight=0.5, use_weight=2.0)

    assert found == pytest.approx(0.5 * math.exp(-0.5) + 2.0 * math.log(5))
    assert persistence(400.0, 3, stability_days=30.0) > persistence(0.0, 0, stability_days=30.0)


def test_what_decays_does_not_grow() -> None:
    with pytest.raises(ParameterError):
        exponential(1.0, 2, 1.01)
