"""The text that Prometheus reads: its format, its bounds, and that nothing remembered can stand in it."""

from __future__ import annotations

import math
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.serve.prometheus import CONTENT_TYPE, Histogram, Registry, operation_durations, timed

LINE = re.compile(
    r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?P<labels>([a-zA-Z_]\w*="([^"\\\n]|\\\\|\\"|\\n)*",?)+)\})? '
    r"(?P<value>NaN|[+-]Inf|-?\d+(\.\d+)?(e[+-]?\d+)?)"
)


def test_the_text_is_what_the_format_says() -> None:
    registry = Registry()
    asked = registry.counter("mnemic_asked_total", "Questions,\nwith a \\.", {"door": ["rest", "mcp"]})
    registry.counter("mnemic_dropped_total", "None so far.")
    registry.gauge("mnemic_open", "Open now.").set(2.5)
    took = registry.histogram("mnemic_took_seconds", "How long.", {"door": ["rest"]}, buckets=(0.1, 1))
    asked.add(door="rest")
    asked.add(2, door="mcp")
    for value in (0.0625, 0.1, 0.5, 7):
        took.observe(value, door="rest")
    assert registry.render() == (
        "# HELP mnemic_asked_total Questions,\\nwith a \\\\.\n"
        "# TYPE mnemic_asked_total counter\n"
        'mnemic_asked_total{door="mcp"} 2\n'
        'mnemic_asked_total{door="rest"} 1\n'
        "# HELP mnemic_dropped_total None so far.\n"
        "# TYPE mnemic_dropped_total counter\n"
        "mnemic_dropped_total 0\n"
        "# HELP mnemic_open Open now.\n"
        "# TYPE mnemic_open gauge\n"
        "mnemic_open 2.5\n"
        "# HELP mnemic_took_seconds How long.\n"
        "# TYPE mnemic_took_seconds histogram\n"
        'mnemic_took_seconds_bucket{door="rest",le="0.1"} 2\n'
        'mnemic_took_seconds_bucket{door="rest",le="1"} 3\n'
        'mnemic_took_seconds_bucket{door="rest",le="+Inf"} 4\n'
        'mnemic_took_seconds_sum{door="rest"} 7.6625\n'
        'mnemic_took_seconds_count{door="rest"} 4\n'
    )
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
    assert Registry().render() == ""


def test_a_label_takes_only_the_values_that_were_named() -> None:
    registry = Registry()
    asked = registry.counter("asked_total", "Asked.", {"scope": ["one"]})
    for n in range(500):
        asked.add(scope=f"acme/user:{n}")
    assert 'asked_total{scope="other"} 500\n' in registry.render()
    assert "acme" not in registry.render()


def test_labels_that_could_make_too_many_series_are_refused() -> None:
    names = [str(n) for n in range(200)]
    with pytest.raises(ParameterError, match="Name fewer values"):
        Registry().counter("asked_total", "Asked.", {"a": names, "b": names})


@given(st.text(max_size=20), st.floats(allow_nan=True, allow_infinity=True))
def test_whatever_a_label_and_a_value_are_each_line_can_be_read(label: str, value: float) -> None:
    registry = Registry()
    registry.gauge("seen", f"Seen: {label}", {"what": [label]}).set(value, what=label)
    told, kind, sample = registry.render().removesuffix("\n").split("\n")
    assert told.startswith("# HELP seen ")
    assert kind == "# TYPE seen gauge"
    found = LINE.fullmatch(sample)
    assert found
    shown = found["labels"].removeprefix('what="').removesuffix('"')
    unescape = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
    assert re.sub(r'\\[\\"n]', lambda match: unescape[match[0]], shown) == label
    read = float(found["value"])
    assert read == value or (math.isnan(read) and math.isnan(value))


@given(st.lists(st.floats(0, 100), max_size=30))
def test_buckets_are_cumulative_and_the_last_is_the_count(values: list[float]) -> None:
    took = Histogram("took_seconds", "How long.", buckets=(0.5, 1, 50))
    for value in values:
        took.observe(value)
    read = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in took.samples()}
    for bound in (0.5, 1, 50, math.inf):
        shown = {0.5: "0.5", 1: "1", 50: "50", math.inf: "+Inf"}[bound]
        assert read.get(f'took_seconds_bucket{{le="{shown}"}}', 0) == sum(value <= bound for value in values)
    assert read.get("took_seconds_count", 0) == len(values)
    assert read.get("took_seconds_sum", 0) == pytest.approx(sum(values))


def test_a_gauge_is_read_when_it_is_asked_for_and_hides_nothing_when_it_fails() -> None:
    registry = Registry()
    sizes = iter([3.0, 4.0])
    registry.gauge("a_size", "Now.", read=lambda: next(sizes))
    registry.gauge("b_size", "Always.").set(1)
    assert "a_size 3\n" in registry.render()
    assert "a_size 4\n" in registry.render()
    assert registry.render().endswith("a_size NaN\n# HELP b_size Always.\n# TYPE b_size gauge\nb_size 1\n")


def test_operations_are_timed_with_their_success() -> None:
    registry = Registry()
    durations = operation_durations(registry)
    with timed(durations, "search"):
        pass
    with pytest.raises(LookupError), timed(durations, "add"):
        raise LookupError
    text = registry.render()
    assert 'mnemic_operation_duration_seconds_count{operation="search",success="true"} 1\n' in text
    assert 'mnemic_operation_duration_seconds_count{operation="add",success="false"} 1\n' in text


def test_nothing_is_lost_when_many_threads_count() -> None:
    registry = Registry()
    asked = registry.counter("asked_total", "Asked.", {"door": ["rest"]})
    took = registry.histogram("took_seconds", "How long.")

    def work() -> None:
        for _ in range(500):
            asked.add(door="rest")
            took.observe(0.01)
            registry.render()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 'asked_total{door="rest"} 2000\n' in registry.render()
    assert "took_seconds_count 2000\n" in registry.render()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda registry: registry.counter("asked", "Asked."), "asked_total"),
        (lambda registry: registry.gauge("a b", "No name."), "letters, digits"),
        (lambda registry: registry.gauge("a", "No label.", {"le": ["1"]}), "no name for one"),
        (lambda registry: registry.gauge("a", "No label.", {"__a": ["1"]}), "no name for one"),
        (lambda registry: registry.histogram("a", "No order.", buckets=(2, 1)), "ascending"),
        (lambda registry: registry.gauge("there", "Again."), "registered already"),
        (lambda registry: registry.counter("a_total", "A.").add(-1), "only grows"),
        (lambda registry: registry.counter("a_total", "A.", {"door": ["x"]}).add(), "has the labels"),
        (lambda registry: registry.gauge("a", "A.", {"door": ["x"]}, read=lambda: 1.0), "no labels"),
    ],
)
def test_what_prometheus_would_not_take_is_refused(wrong, said) -> None:
    registry = Registry()
    registry.gauge("there", "First.")
    with pytest.raises(ParameterError, match=said):
        wrong(registry)
