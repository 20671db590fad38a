"""Which model answers for which system of an open store.

A system that is attached with a model keeps its id beside its parameters, since what it makes is of that model. The id
alone opens nothing: a file may come from elsewhere, and what stands in it must not decide where texts are sent. So whoever
opens the store says which model there is. Where it is not the one that the system is attached with, the system waits with
what it would have observed, as its failure says, and does not go on with half of its records made another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mnemic.errors import LLMUnavailable
from mnemic.models.llm import LLM, Completion
from mnemic.models.open_llm import open_llm
from mnemic.models.prompt import Message
from mnemic.store.contract import Store

LLM_KEY = "llm"  # under which an attachment keeps the id of its model
NONE = "none"  # the name that says: no model, whatever the memory has


class Models:
    """The models of one open store: the memory's own, and those of its systems."""

    def __init__(self, store: Store, default: LLM | None) -> None:
        self.default = default
        self._store = store
        self._given: dict[str, LLM] = {}  # by system
        self._opened: list[LLM] = []  # here, from words

    def choose(self, llm: str | LLM | None) -> LLM | None:
        """The model that an attachment asks for: the one given, the memory's own for None, none for "none"."""
        if llm == NONE:
            return None
        if llm is None:
            return self.default
        model = open_llm(llm)
        if isinstance(llm, str) and model is not None:
            self._opened.append(model)
        return model

    def give(self, system: str, llm: LLM | None) -> None:
        """The system asks this one as long as the store is open here."""
        if llm is None:
            self._given.pop(system, None)
        else:
            self._given[system] = llm

    def of(self, system: str) -> LLM | None:
        """The model of a system; None for one that is not attached, which costs nothing and is only tried."""
        id = self._store.records.attached().get(system, {}).get(LLM_KEY)
        if id is None:
            return None
        for llm in (self._given.get(system), self.default):
            if llm is not None and llm.id == id:
                return llm
        return _Missing(system, id)

    @property
    def are_any(self) -> bool:
        """Whether there is any model here; where there is none, nobody needs to look who waits for one."""
        return self.default is not None or bool(self._given)

    def is_missing(self, system: str) -> bool:
        """Whether the system is attached with a model that this store was opened without."""
        return isinstance(self.of(system), _Missing)

    def asking(self) -> list[str]:
        """The attached systems that have a model."""
        return [system for system, values in self._store.records.attached().items() if LLM_KEY in values]

    def close(self) -> None:
        """Give up what is under way, and release what was opened here. A model that was given stays its owner's."""
        for llm in self._opened:
            llm.close()


class _Missing:
    """A model that this store was opened without: whoever asks it learns what to do."""

    def __init__(self, system: str, id: str) -> None:
        self.id = id
        self._system = system

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        raise LLMUnavailable(
            f"The system {self._system!r} is attached with the model {self.id!r}, and this memory was opened without it. Open "
            "it with llm=..., or set MNEMIC_LLM; or attach the system again, with another model or with llm='none'."
        )

    def close(self) -> None:
        """Nothing was opened."""


def without_llm(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """An attachment's parameters without the id of its model."""
    return {name: value for name, value in (parameters or {}).items() if name != LLM_KEY}
