"""All systems by name. To add one: write its file, add its line here; everything else finds it by this table."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from mnemic.errors import ParameterError, SystemNotFound
from mnemic.systems.contract import Card, MemorySystem

SYSTEMS: dict[str, str] = {
    "hybrid": "mnemic.systems.hybrid:Hybrid",
    "recent": "mnemic.systems.recent:Recent",
    "bm25": "mnemic.systems.bm25:BM25",
    "dense": "mnemic.systems.dense:Dense",
    "rrf": "mnemic.systems.rrf:ReciprocalRank",
    "full": "mnemic.systems.full:Full",
    "grep": "mnemic.systems.grep:Grep",
    "random": "mnemic.systems.random_order:RandomOrder",
    "documents": "mnemic.systems.documents:Documents",
    "lightmem": "mnemic.systems.light_mem:LightMem",
    "light": "mnemic.systems.light:Light",
    "mark": "mnemic.systems.mark:Mark",
    "ram": "mnemic.systems.ram:Ram",
    "mem0": "mnemic.systems.mem0:Mem0",
    "mem0-additive": "mnemic.systems.mem0_additive:Mem0Additive",
    "mem0-graph": "mnemic.systems.mem0_graph:Mem0Graph",
    "keep-me-updated": "mnemic.systems.keep_me_updated:KeepMeUpdated",
    "a-mem": "mnemic.systems.a_mem:AMem",
    "think-in-memory": "mnemic.systems.think_in_memory:ThinkInMemory",
    "key-value-brain": "mnemic.systems.key_value_brain:KeyValueBrain",
    "salm-social": "mnemic.systems.salm_social:SalmSocial",
    "memtree": "mnemic.systems.mem_tree:MemTree",
    "memorybank": "mnemic.systems.memory_bank:MemoryBank",
    "sage": "mnemic.systems.sage:Sage",
    "h-mem": "mnemic.systems.h_mem:HMem",
    "tradinggpt": "mnemic.systems.trading_gpt:TradingGPT",
    "theanine": "mnemic.systems.theanine:Theanine",
    "memgas": "mnemic.systems.mem_gas:MemGAS",
    "context-time-memory": "mnemic.systems.context_time_memory:ContextTimeMemory",
    "malp": "mnemic.systems.malp:Malp",
    "structural-memory": "mnemic.systems.structural_memory:StructuralMemory",
    "memos": "mnemic.systems.memos:MemOS",
    "factual-decomposition": "mnemic.systems.factual_decomposition:FactualDecomposition",
    "echo": "mnemic.systems.echo:Echo",
    "mem-alpha": "mnemic.systems.mem_alpha:MemAlpha",
    "salm-cognitive": "mnemic.systems.salm_cognitive:SalmCognitive",
}
DEFAULT = "hybrid"


def system_class(id: str) -> type[MemorySystem]:
    """The class of a system. Raises SystemNotFound, with the nearest name."""
    if id not in SYSTEMS:
        near = difflib.get_close_matches(id, SYSTEMS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SystemNotFound(f"There is no system {id!r}.{hint} `mnemic systems` lists them: {', '.join(SYSTEMS)}.")
    module, name = SYSTEMS[id].split(":")
    found: type[MemorySystem] = getattr(importlib.import_module(module), name)
    return found


def create(id: str, parameters: Mapping[str, Any] | None = None) -> MemorySystem:
    """A system with the given parameters, its paper's defaults for the rest. Raises ParameterError for unknown ones."""
    kind = system_class(id)
    if not parameters:
        return kind()
    known = [field.name for field in dataclasses.fields(kind.params_type)] if kind.params_type else []
    unknown = sorted(set(parameters) - set(known))
    if kind.params_type is None or unknown:
        raise ParameterError(
            f"The system {id!r} has no parameter {', '.join(unknown) or list(parameters)}. It has: {', '.join(known) or 'none'}."
        )
    return kind(kind.params_type(**parameters))  # type: ignore[call-arg]


def cards() -> list[Card]:
    """The cards of all systems, in the order of the table."""
    return [system_class(id).card for id in SYSTEMS]
