"""Language models for tests: scripted, deterministic, local. `ScriptedLLM` is a server, `RuleLLM` an object."""

from mnemic.testing.asked import Asked, Reply, fails
from mnemic.testing.injections import INJECTIONS, Injection
from mnemic.testing.malformed import MALFORMATIONS, malform
from mnemic.testing.rule_llm import RuleLLM
from mnemic.testing.rules import RecordedSessions, recorded_locomo
from mnemic.testing.script import Script
from mnemic.testing.scripted_llm import ScriptedLLM

__all__ = [
    "INJECTIONS",
    "MALFORMATIONS",
    "Asked",
    "Injection",
    "RecordedSessions",
    "Reply",
    "RuleLLM",
    "Script",
    "ScriptedLLM",
    "fails",
    "malform",
    "recorded_locomo",
]
