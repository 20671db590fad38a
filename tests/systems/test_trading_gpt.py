"""TradingGPT: layers that fade day by day, promotion, purging, profit and loss; and traders who decide."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import LLMUnavailable, ParameterError
from mnemic.systems.task_loop import Direct
from mnemic.systems.traders import Trader, debate
from mnemic.systems.trading_gpt import (
    LAYERS,
    Params,
    Standing,
    layer_of,
    standing_after,
)
from mnemic.systems.view import NoModel
from mnemic.testing import Asked, RuleLLM

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
FINMEM = Params(short_days=3.0, short_factor=0.92)
Open = Callable[..., Memory]


def trading(memory: Memory, **parameters: Any) -> Memory:
    asked = memory.attach("tradinggpt", **parameters)
    memory.consolidate()
    return asked


def event(memory: Memory, text: str, *, importance: float, layer: str = "short", id: str | None = None) -> None:
    memory.add(text, id=id, metadata={"importance": importance, "layer": layer})


def on_day(days: float) -> datetime:
    return START + timedelta(days=days)


# -- the daily step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "v0", "days", "q", "alpha"),
    [("short", 50.0, 12, 14.0, 0.9), ("middle", 75.0, 6, 90.0, 0.967), ("reflection", 80.0, 200, 365.0, 0.988)],
)
def test_recency_and_importance_have_closed_forms(layer: str, v0: float, days: int, q: float, alpha: float) -> None:
    now = standing_after(layer, v0, days, Params())
    assert (now.layer, now.age_days, now.is_purged) == (layer, days, False)
    assert now.recency(Params()) == pytest.approx(math.exp(-days / q))
    assert now.importance == pytest.approx(v0 * alpha**days)


def test_recency_of_the_first_step_is_that_of_one_day() -> None:
    assert standing_after("short", 50.0, 1, Params()).recency(Params()) == pytest.approx(math.exp(-1 / 14))


def test_a_short_event_of_high_importance_is_promoted_on_the_first_day_and_its_age_starts_anew() -> None:
    now = standing_after("short", 70.0, 1, Params())
    assert (now.layer, now.age_days, now.moves) == ("middle", 0, ((1, "middle"),))
    assert now.importance == pytest.approx(63.0)  # which promotion leaves as it is
    assert standing_after("short", 50.0, 1, Params()).layer == "short"


def test_a_very_important_event_rises_through_two_layers_in_a_day() -> None:
    assert standing_after("short", 90.0, 1, Params()).moves == ((1, "middle"), (1, "long"))


def test_an_event_is_promoted_on_the_day_on_which_profits_lift_it_over_the_bound() -> None:
    day_before = standing_after("short", 50.0, 0, Params(), {0: 5.0})
    assert (day_before.layer, day_before.importance) == ("short", 55.0)
    now = standing_after("short", 50.0, 1, Params(), {0: 5.0, 1: 15.0})
    assert (now.layer, now.age_days) == ("middle", 0)
    assert now.importance == pytest.approx(64.5)


def test_an_event_sinks_when_its_importance_falls_below_its_layers_bound() -> None:
    days = math.ceil(math.log(60 / 79) / math.log(0.967))
    before, after = (standing_after("middle", 79.0, at, Params()) for at in (days - 1, days))
    assert (before.layer, after.layer, after.age_days) == ("middle", "short", days)


def test_a_stale_event_is_purged_on_the_day_on_which_its_importance_crosses_the_bound() -> None:
    day = math.ceil(math.log(5 / 50) / math.log(0.9))
    assert not standing_after("short", 50.0, day - 1, Params()).is_purged
    purged = standing_after("short", 50.0, day + 5, Params())
    assert (purged.is_purged, purged.purged_on) == (True, day)


def test_a_stale_event_is_purged_on_the_day_on_which_its_recency_crosses_the_bound() -> None:
    day = math.ceil(3 * math.log(20))
    assert not standing_after("short", 55.0, day - 1, FINMEM).is_purged
    assert standing_after("short", 55.0, day, FINMEM).purged_on == day


def test_profits_do_not_bring_a_purged_event_back() -> None:
    assert standing_after("short", 50.0, 40, Params(), {35: 50.0}).purged_on == 22


def test_losses_that_leave_too_little_importance_purge_at_once() -> None:
    assert standing_after("short", 50.0, 3, Params(), {3: -35.0}).purged_on == 3


def by_the_day(layer: str, v: float, days: int, params: Params, gains: Mapping[int, float]) -> Standing:
    """The same, one day after the other."""
    now = Standing(layer, v)

    def settle(now: Standing, at: int) -> Standing:
        for _ in range(2):
            order, v = LAYERS.index(now.layer), now.importance
            if now.layer in ("short", "middle") and v >= (params.to_middle, params.to_long)[order]:
                now = replace(now, layer=LAYERS[order + 1], age_days=0, moves=(*now.moves, (at, LAYERS[order + 1])))
            elif now.layer in ("middle", "long") and v < (params.to_middle, params.to_long)[order - 1]:
                now = replace(now, layer=LAYERS[order - 1], moves=(*now.moves, (at, LAYERS[order - 1])))
        is_stale = now.recency(params) < params.least_recency or now.importance < params.least_importance
        return replace(now, is_purged=True, purged_on=at) if is_stale else now

    for at in range(days + 1):
        if at and not now.is_purged:
            factor = params.layers[now.layer].factor
            now = settle(replace(now, importance=now.importance * factor, age_days=now.age_days + 1), at)
        if at in gains and not now.is_purged:
            now = settle(replace(now, importance=now.importance + gains[at]), at)
    return now


@given(
    layer=st.sampled_from(LAYERS),
    v=st.integers(6, 100).map(lambda n: n + 0.137),
    days=st.integers(0, 400),
    gains=st.dictionaries(st.integers(0, 100), st.integers(-30, 60).map(float), max_size=4),
    params=st.sampled_from([Params(), FINMEM]),
)
def test_the_closed_form_is_what_comes_of_one_step_after_the_other(
    layer: str, v: float, days: int, gains: dict[int, float], params: Params
) -> None:
    closed, stepped = standing_after(layer, v, days, params, gains), by_the_day(layer, v, days, params, gains)
    assert replace(closed, importance=0.0) == replace(stepped, importance=0.0)
    assert closed.importance == pytest.approx(stepped.importance)


# -- layers and importance ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "text", "layer"),
    [
        ({"layer": "mid"}, "x", "middle"),
        ({"layer": "long"}, "a 10-Q", "long"),
        ({"source": "news"}, "the annual report is out", "short"),
        ({"source": "Quarterly_Report"}, "x", "middle"),
        ({"source": "10-K"}, "x", "long"),
        ({"layer": "attic"}, "x", "short"),
        ({}, "From the 10-K: revenue grew", "long"),
        ({}, "Q3 results beat estimates", "middle"),
        ({}, "Shares fell by 3 % today", "short"),
    ],
)
def test_an_events_layer_is_as_told_or_by_what_it_calls_itself(
    memory: Memory, metadata: dict[str, Any], text: str, layer: str
) -> None:
    assert layer_of(memory.add(text, metadata=metadata).episodes[0]) == layer


def test_importance_is_drawn_with_the_layers_probabilities_and_the_same_each_time(memory: Memory) -> None:
    memory.add([{"content": f"news {at}", "id": f"n{at}"} for at in range(2000)])
    trading(memory)
    drawn = [one.data["importance"] for one in memory.records(system="tradinggpt", limit=3000)]
    shares = {v: drawn.count(v) / 2000 for v in (50.0, 70.0, 90.0)}
    assert shares == pytest.approx({50.0: 0.5, 70.0: 0.45, 90.0: 0.05}, abs=0.04)
    memory.detach("tradinggpt")
    trading(memory)
    assert [one.data["importance"] for one in memory.records(system="tradinggpt", limit=3000)] == drawn
    trading(memory, seed=1)
    assert [one.data["importance"] for one in memory.records(system="tradinggpt", limit=3000)] != drawn


# -- recall ---------------------------------------------------------------------------------------------------


def test_the_score_is_similarity_recency_and_importance(memory: Memory) -> None:
    event(memory, "Tesla builds a factory", importance=50.0)
    asked = trading(memory)
    (hit,) = asked.search("Tesla builds a factory", asked_at=on_day(2))
    signals = {reason.signal: reason.value for reason in hit.reasons}
    assert signals == {
        "meaning": pytest.approx(1.0, abs=1e-3),
        "recency": pytest.approx(math.exp(-2 / 14)),
        "importance": pytest.approx(0.5 * 0.9**2),
    }
    assert hit.score == pytest.approx(sum(signals.values()) / 3)


def test_three_events_rank_by_the_sum_of_the_three(memory: Memory, clock: ManualClock) -> None:
    event(memory, "Tesla builds a factory in Berlin", importance=40.0, id="near")
    clock.set(on_day(4))
    event(memory, "Tesla shares fell", importance=55.0, id="young")
    event(memory, "Rice harvest in Laos", importance=55.0, id="far")
    asked = trading(memory)
    hits = asked.search("Tesla builds a factory in Berlin", asked_at=on_day(4))
    assert [hit.sources[0] for hit in hits] == ["near", "young", "far"]
    later = asked.search("Rice harvest", asked_at=on_day(4))
    assert [hit.sources[0] for hit in later] == ["far", "young", "near"]


def test_the_best_of_every_layer_are_recalled(memory: Memory) -> None:
    for layer, v in (("short", 50.0), ("middle", 70.0), ("long", 90.0), ("reflection", 70.0)):
        for at in range(3):
            event(memory, f"Tesla {layer} {at}", importance=v, layer=layer)
    notes = [hit.reasons[1].note.split()[0] for hit in trading(memory, top_k=2).search("Tesla", limit=20)]
    assert {layer: notes.count(layer) for layer in LAYERS} == {"short": 2, "middle": 2, "long": 2, "reflection": 2}


def test_purged_events_are_out_of_recall_and_stay_in_the_log(memory: Memory) -> None:
    event(memory, "Tesla builds a factory", importance=50.0, id="old")
    asked = trading(memory)
    assert [len(asked.search("Tesla", asked_at=on_day(day))) for day in (21, 22)] == [1, 0]
    assert [one.id for one in memory.list()] == ["old"]


def test_age_may_count_the_dates_of_the_log_instead_of_days(memory: Memory, clock: ManualClock) -> None:
    event(memory, "Tesla builds a factory", importance=50.0, id="t")
    asked = trading(memory, clock="dates")

    def age(day: float, **more: Any) -> list[str]:
        hits = asked.search("Tesla builds a factory", asked_at=on_day(day), **more)
        return [hit.reasons[1].note for hit in hits if hit.sources == ("t",)]

    assert age(0) == ["short layer, 0 days"]
    assert age(300) == ["short layer, 1 days"]  # the day on which it happened is over
    clock.set(on_day(200))
    event(memory, "Rice harvest in Laos", importance=50.0)
    event(memory, "Rice prices rise", importance=50.0)
    assert age(200) == ["short layer, 1 days"]
    assert age(300) == ["short layer, 2 days"]
    assert age(300, as_of=on_day(100)) == ["short layer, 1 days"]
    assert trading(memory).search("Tesla builds a factory", asked_at=on_day(300)).hits == ()


def test_profit_raises_an_event_loss_lowers_it_and_the_next_recall_changes(memory: Memory) -> None:
    event(memory, "Tesla opens a plant in Texas", importance=50.0, id="a")
    event(memory, "Tesla opens a plant in Nevada", importance=50.0, id="b")
    asked = trading(memory)

    def weights() -> dict[str, float]:
        return {hit.sources[0]: round(float(hit.reasons[2].note), 1) for hit in asked.search("Tesla opens a plant")}

    before = list(asked.search("Tesla opens a plant"))
    second = before[1]
    memory.feedback(second.id, "used", value=120.0)
    memory.feedback(before[0].sources[0], "used", value=-40.0)
    assert weights() == {second.sources[0]: 55.0, before[0].sources[0]: 45.0}
    assert asked.search("Tesla opens a plant")[0].id == second.id
    memory.feedback(second.id, "used")  # of which no profit is known
    assert weights()[second.sources[0]] == 55.0


@pytest.mark.parametrize(
    "bad", [{"short_days": 0}, {"long_factor": 1.0}, {"to_middle": 90.0}, {"top_k": -1}, {"clock": "x"}]
)
def test_parameters_out_of_range_are_refused(memory: Memory, bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        memory.attach("tradinggpt", **bad)


# -- traders --------------------------------------------------------------------------------------------------


def market() -> RuleLLM:
    """Buys what is important unless it is averse to risk; in a debate the seeking one gives in."""

    def decided(asked: Asked) -> dict[str, Any]:
        gives_in = asked.data["character"] == "risk seeking" and asked.shows("others")
        action = "hold" if gives_in or asked.data["character"] == "risk averse" else "buy"
        return {"action": action, "reason": "as I am", "events": ["0", "7", "x"]}

    llm = RuleLLM("rules:market")
    llm.rule("action", decided)
    return llm


def test_traders_decide_by_their_character_and_may_revise_in_a_debate(memory: Memory) -> None:
    event(memory, "Tesla builds a factory", importance=50.0, id="t")
    hits = list(trading(memory).search("Tesla"))
    ask = Direct(llm := market())
    bold, careful = Trader("Bo", ask, "risk seeking"), Trader("Cara", ask, "risk averse")
    alone = bold.decide("Buy Tesla?", hits)
    assert (alone.action, alone.events) == ("buy", (hits[0].id,))
    decided = debate("Buy Tesla?", [(bold, hits), (careful, hits)])
    assert [(one.trader, one.action) for one in decided] == [("Bo", "hold"), ("Cara", "hold")]
    shown = llm.requests[-1].data
    assert shown["others"] == [
        {"trader": "Bo", "action": "buy", "reason": "as I am", "events": ["Tesla builds a factory"]}
    ]


def test_a_decision_in_a_debate_names_what_stood_behind_the_others_reasons_too(memory: Memory) -> None:
    event(memory, "Tesla builds a factory", importance=50.0, id="t")
    event(memory, "Rice harvest in Laos", importance=50.0, id="r")
    event(memory, "Rice prices rise", importance=50.0, id="p")
    asked, ask = trading(memory), Direct(market())
    own, rice = list(asked.search("Tesla", limit=1)), list(asked.search("Rice", limit=2))
    decided = debate("Buy?", [(Trader("Bo", ask), own), (Trader("Cara", ask), rice)], top=1)
    assert [sorted(one.sources) for one in decided] == [["p", "r", "t"]] * 2


def test_a_decision_becomes_a_reflection(memory: Memory) -> None:
    event(memory, "Tesla builds a factory", importance=50.0)
    decision = Trader("Bo", Direct(market())).decide("Buy Tesla?", list(trading(memory).search("Tesla")))
    memory.add([decision.message()])
    hits = memory.system("tradinggpt").search("Bo decided to buy")
    assert (hits[0].text, hits[0].reasons[1].note.split()[0]) == (
        "Bo decided to buy: as I am",
        "reflection",
    )


def test_a_trader_needs_a_model_and_a_character_that_there_is() -> None:
    with pytest.raises(LLMUnavailable):
        Trader("Bo", NoModel()).decide("Buy?", [])
    with pytest.raises(ParameterError):
        Trader("Bo", NoModel(), "reckless")  # type: ignore[arg-type]
