"""What is measured: a system by its id, with parameters where they differ from its defaults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mnemic.errors import ParameterError
from mnemic.systems.registry import create

NONE, ORACLE = "none", "oracle"  # made by the harness: nothing at all, and the evidence itself
CONTROLS = ("full", "recent", "bm25", "dense", "rrf", "grep", "random", NONE, ORACLE)


@dataclass(frozen=True, slots=True)
class Spec:
    """One system with parameters, and the label under which its figures stand."""

    label: str
    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether the harness itself answers."""
        return self.id in (NONE, ORACLE)


def parse_spec(text: str) -> Spec:
    """A system and its parameters from "hybrid" or "hybrid:time=0+names=0".

    Raises SystemNotFound and ParameterError, with what there is.

    >>> parse_spec("hybrid:neighbours=1+time=0.0").parameters
    {'neighbours': 1, 'time': 0.0}
    """
    label = text.strip()
    id, _, settings = label.partition(":")
    parameters: dict[str, Any] = {}
    for part in filter(None, settings.split("+")):
        name, equals, value = part.partition("=")
        if not equals:
            raise ParameterError(f"{text!r}: write parameters as hybrid:time=0+names=0.")
        parameters[name.strip()] = _value(value.strip())
    spec = Spec(label, id, parameters)
    if spec.is_ours and parameters:
        raise ParameterError(f"{id!r} is made by the harness and takes no parameters.")
    if not spec.is_ours:
        create(id, parameters)
    return spec


def with_controls(names: Iterable[str], seed: int = 0) -> list[Spec]:
    """The systems named, each once, and then every control that is not among them."""
    specs = [parse_spec(name) for name in dict.fromkeys((*names, *CONTROLS))]
    return [Spec(one.label, one.id, {"seed": seed}) if one.label == "random" else one for one in specs]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
