"""Which model answers for which system of an open store.

A system that is attached with a model keeps its name beside its parameters, so that whoever opens the store later goes on
with the same one. Where that cannot be opened, the system waits with what it would have observed, as its failure says,
and does not go on with half of its records made another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mnemic.errors import DependencyMissing, LLMUnavailable, ParameterError
from mnemic.models.llm import LLM, Completion
from mnemic.models.open_llm import open_llm
from mnemic.models.prompt import Message
from mnemic.store.contract import Store

LLM_KEY = "llm"  # under which an attachment keeps the name of its model
NONE = "none"  # the name that says: no model, whatever the memory has


class Models:
    """The models of one open store: the memory's own, and those of its systems."""

    def __init__(self, store: Store, default: LLM | None) -> None:
        self.default = default
        self._store = store
        self._given: dict[str, LLM] = {}  # by system, in this process
        self._opened: dict[str, LLM] = {}  # by name

    def choose(self, llm: str | LLM | None) -> LLM | None:
        """The model that an attachment asks for: the one given, the memory's own for None, none for "none"."""
        if llm == NONE:
            return None
        return self.default if llm is None else open_llm(llm)

    def give(self, system: str, llm: LLM | None) -> None:
        """The system asks this one as long as the store is open here."""
        if llm is None:
            self._given.pop(system, None)
        else:
            self._given[system] = llm

    def of(self, system: str, *, is_recall: bool) -> LLM | None:
        """The model of a system. One that is not attached asks the memory's own, and only in a recall."""
        attached = self._store.records.attached()
        if system not in attached:
            return self.default if is_recall else None
        name = attached[system].get(LLM_KEY)
        if name is None:
            return None
        given = self._given.get(system)
        if given is not None and name_of(given) == name:
            return given
        if self.default is not None and name_of(self.default) == name:
            return self.default
        if name not in self._opened:
            self._opened[name] = _opened(name)
        return self._opened[name]

    def asking(self) -> list[str]:
        """The attached systems that have a model."""
        return [system for system, values in self._store.records.attached().items() if LLM_KEY in values]

    def close(self) -> None:
        """Give up what is under way. A model that was given stays its owner's."""
        for llm in self._opened.values():
            llm.close()


class _Missing:
    """A model that cannot be opened here: whoever asks it learns why."""

    def __init__(self, name: str, reason: str) -> None:
        self.id = name
        self._reason = reason

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        raise LLMUnavailable(self._reason)

    def close(self) -> None:
        pass


def name_of(llm: LLM) -> str:
    """What opens the model again: the words that it was opened with, where it knows them, else its id."""
    return str(getattr(llm, "spec", "") or llm.id)


def without_llm(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """An attachment's parameters without the name of its model."""
    return {name: value for name, value in (parameters or {}).items() if name != LLM_KEY}


def _opened(name: str) -> LLM:
    try:
        return open_llm(name) or _Missing(name, f"There is no model {name!r}.")
    except (ParameterError, DependencyMissing) as error:
        return _Missing(
            name,
            f"This system is attached with the model {name!r}, which cannot be opened here: {error} Open the memory with "
            f"that model (llm=...), or attach the system again with another, or with llm='none' for its offline path.",
        )
