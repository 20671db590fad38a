"""Counters, gauges and histograms, as Prometheus reads them (text format 0.0.4). Nothing is sent: a server asks.

    registry = Registry()
    durations = operation_durations(registry)
    with timed(durations, "search"):
        memory.search("tea")
    print(registry.render())

A metric names the values that each of its labels may take, and counts any other as "other". So there is never a series
for each scope, user or id: their number cannot grow, and nothing that is remembered stands in a metric.
"""

from __future__ import annotations

import math
import re
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from mnemic.errors import ParameterError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # bounds of buckets
OPERATIONS = (
    *("add", "update", "search", "context", "why_not", "get", "list", "history", "forget", "attach", "detach"),
    *("consolidate", "records", "links", "sessions", "scopes", "stats", "import", "export", "backup", "chat"),
)
MOST_SERIES = 10_000

Labels = Mapping[str, Sequence[str]]
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class Metric:
    """What the three kinds have in common: a name, what it means, and its labels with the values that each may take."""

    kind = ""

    def __init__(self, name: str, help: str, labels: Labels | None = None) -> None:
        self.name = name
        self.help = help
        self.labels = {label: frozenset(map(str, values)) for label, values in (labels or {}).items()}
        self.lock = threading.Lock()
        if not _NAME.fullmatch(name):
            raise ParameterError(f"The metric {name!r} has no name that Prometheus takes. Use letters, digits and '_'.")
        for label in self.labels:
            if not _LABEL.fullmatch(label) or label == "le":
                raise ParameterError(f"The label {label!r} of {name} is no name for one. Use letters, digits and '_'.")
        if math.prod(len(values) + 1 for values in self.labels.values()) > MOST_SERIES:
            raise ParameterError(
                f"The labels of {name} make more than {MOST_SERIES} series. Name fewer values, or fewer labels."
            )

    def samples(self) -> list[str]:
        """The lines of its values, sorted by their labels."""
        raise NotImplementedError

    def key(self, given: Mapping[str, object]) -> tuple[str, ...]:
        """The values of the labels, in order, each one of those that were named. Raises ParameterError for other labels."""
        if given.keys() != self.labels.keys():
            raise ParameterError(
                f"{self.name} has the labels {sorted(self.labels)}; {sorted(given)} were given. Give each once."
            )
        values = ((_text(given[label]), allowed) for label, allowed in self.labels.items())
        return tuple(value if value in allowed else OTHER for value, allowed in values)

    def line(self, key: tuple[str, ...], value: float, suffix: str = "", more: str = "") -> str:
        """One sample."""
        pairs = [f'{label}="{_escaped(each)}"' for label, each in zip(self.labels, key, strict=True)]
        inside = ",".join([*pairs, more] if more else pairs)
        return f"{self.name}{suffix}{'{' + inside + '}' if inside else ''} {_number(value)}"


class Counter(Metric):
    """What only grows: its name ends in `_total`."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Labels | None = None) -> None:
        super().__init__(name, help, labels)
        if not name.endswith("_total"):
            raise ParameterError(
                f"The counter {name} must end in '_total', as Prometheus has it. Call it {name}_total."
            )
        self._values: dict[tuple[str, ...], float] = {} if self.labels else {(): 0.0}

    def add(self, amount: float = 1.0, **labels: object) -> None:
        """Count on. Raises ParameterError for less than 0."""
        if not amount >= 0.0:
            raise ParameterError(f"{self.name} only grows; {amount} was given. Use a gauge for what goes down.")
        key = self.key(labels)
        with self.lock:
            self._values[key] = self._values.get(key, 0.0) + amount

    def samples(self) -> list[str]:
        """One line for each combination of labels that was counted."""
        with self.lock:
            found = sorted(self._values.items())
        return [self.line(key, value) for key, value in found]


class Gauge(Metric):
    """What goes up and down: set, or read when a server asks."""

    kind = "gauge"

    def __init__(
        self, name: str, help: str, labels: Labels | None = None, read: Callable[[], float] | None = None
    ) -> None:
        super().__init__(name, help, labels)
        if read is not None and self.labels:
            raise ParameterError(f"The gauge {name} is read, so it has no labels. Leave them out, or set it.")
        self._read = read
        self._values: dict[tuple[str, ...], float] = {}

    def set(self, value: float, **labels: object) -> None:
        """It is this now."""
        key = self.key(labels)
        with self.lock:
            self._values[key] = float(value)

    def add(self, amount: float = 1.0, **labels: object) -> None:
        """It is more by this, or less."""
        key = self.key(labels)
        with self.lock:
            self._values[key] = self._values.get(key, 0.0) + amount

    def samples(self) -> list[str]:
        """One line for each combination of labels that was set."""
        if self._read is not None:
            try:
                return [self.line((), float(self._read()))]
            except Exception:  # what cannot be read now must not hide all other metrics
                return [self.line((), math.nan)]
        with self.lock:
            found = sorted(self._values.items())
        return [self.line(key, value) for key, value in found]


class Histogram(Metric):
    """How often a value fell under each bound, how many there were, and their sum."""

    kind = "histogram"

    def __init__(self, name: str, help: str, labels: Labels | None = None, buckets: Sequence[float] = SECONDS) -> None:
        super().__init__(name, help, labels)
        self.buckets = tuple(float(bound) for bound in buckets if bound != math.inf)
        if not self.buckets or list(self.buckets) != sorted(set(self.buckets)) or math.isnan(sum(self.buckets)):
            raise ParameterError(f"The buckets of {name} must be ascending numbers, each once; {buckets!r} was given.")
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, **labels: object) -> None:
        """Count one value."""
        key = self.key(labels)
        place = bisect_left(self.buckets, value)  # a value that equals a bound is under it
        with self.lock:
            self._counts.setdefault(key, [0] * (len(self.buckets) + 1))[place] += 1
            self._sums[key] = self._sums.get(key, 0.0) + value

    def samples(self) -> list[str]:
        """For each combination of labels its buckets, their sum and their number."""
        with self.lock:
            found = [(key, list(counts), self._sums[key]) for key, counts in sorted(self._counts.items())]
        lines = []
        for key, counts, total in found:
            n = 0
            for bound, count in zip((*self.buckets, math.inf), counts, strict=True):
                n += count
                lines.append(self.line(key, n, "_bucket", f'le="{_number(bound)}"'))
            lines += [self.line(key, total, "_sum"), self.line(key, n, "_count")]
        return lines


M = TypeVar("M", bound=Metric)


class Registry:
    """The metrics of one server. Safe to use from many threads."""

    def __init__(self) -> None:
        self._metrics: dict[str, Metric] = {}
        self._lock = threading.Lock()

    def register(self, metric: M) -> M:
        """Take up a metric, and hand it back. Raises ParameterError for a name that is taken."""
        with self._lock:
            if metric.name in self._metrics:
                raise ParameterError(f"The metric {metric.name} is registered already. Use that one, or another name.")
            self._metrics[metric.name] = metric
        return metric

    def counter(self, name: str, help: str, labels: Labels | None = None) -> Counter:
        """A new counter."""
        return self.register(Counter(name, help, labels))

    def gauge(
        self, name: str, help: str, labels: Labels | None = None, read: Callable[[], float] | None = None
    ) -> Gauge:
        """A new gauge; `read` is called when a server asks."""
        return self.register(Gauge(name, help, labels, read))

    def histogram(
        self, name: str, help: str, labels: Labels | None = None, buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """A new histogram."""
        return self.register(Histogram(name, help, labels, buckets))

    def render(self) -> str:
        """All metrics in Prometheus' text format, to be sent as CONTENT_TYPE."""
        with self._lock:
            metrics = sorted(self._metrics.values(), key=lambda metric: metric.name)
        lines = []
        for metric in metrics:
            told = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
            lines += [f"# HELP {metric.name} {told}", f"# TYPE {metric.name} {metric.kind}", *metric.samples()]
        return "\n".join(lines) + "\n" if lines else ""


def operation_durations(registry: Registry) -> Histogram:
    """`mnemic_operation_duration_seconds{operation,success}`, to be used with `timed`."""
    return registry.histogram(
        "mnemic_operation_duration_seconds",
        "How long an operation took, and whether it succeeded.",
        {"operation": OPERATIONS, "success": ("true", "false")},
    )


@contextmanager
def timed(durations: Histogram, operation: str) -> Iterator[None]:
    """Observe how long what is inside takes; an error that passes through is a failure."""
    started = time.perf_counter()
    is_done = False
    try:
        yield
        is_done = True
    finally:
        durations.observe(time.perf_counter() - started, operation=operation, success=is_done)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
