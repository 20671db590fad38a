"""The formats by name, and telling which one a file has.

A new format is a module with a reader and a test of a `Sample`, and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mnemic.errors import FormatError
from mnemic.formats.chatgpt import is_chatgpt, read_chatgpt
from mnemic.formats.claude import is_claude, read_claude
from mnemic.formats.graphiti import is_graphiti, is_zep, read_graphiti
from mnemic.formats.langgraph import is_langgraph, read_langgraph
from mnemic.formats.letta import is_letta, read_letta
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.locomo import is_locomo, read_locomo
from mnemic.formats.markdown import is_markdown, read_markdown
from mnemic.formats.mbox import is_mbox, read_mbox
from mnemic.formats.mem0 import is_mem0, read_mem0
from mnemic.formats.message import Message, Problem
from mnemic.formats.mnemic_jsonl import is_mnemic, read_mnemic
from mnemic.formats.openai_jsonl import is_openai, read_openai
from mnemic.formats.source import Sample, sample
from mnemic.formats.transcript import is_transcript, read_transcript


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that can be imported."""

    name: str
    description: str
    read: Callable[[Path, Limits], Iterator[Message | Problem]]
    matches: Callable[[Sample], bool]


# In the order in which they are tried: the most particular first.
FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("mnemic", "Mnemic's own export (.jsonl)", read_mnemic, is_mnemic),
        Format("chatgpt", "ChatGPT's data export (.zip, or conversations.json)", read_chatgpt, is_chatgpt),
        Format("claude", "Claude's data export (.zip, or conversations.json)", read_claude, is_claude),
        Format("locomo", "LoCoMo benchmark conversations (.json)", read_locomo, is_locomo),
        Format(
            "langgraph",
            "A LangGraph store: items (.json, .jsonl), SqliteStore's file, table as .csv",
            read_langgraph,
            is_langgraph,
        ),
        Format("letta", "Letta: agent files (.af), messages, passages, blocks (.json, .jsonl)", read_letta, is_letta),
        Format("mem0", "mem0: memories (.json, .jsonl), history.db", read_mem0, is_mem0),
        Format(
            "graphiti", "Graphiti and Zep: episodes and facts of a graph (.json, .jsonl)", read_graphiti, is_graphiti
        ),
        Format("zep", "Zep: sessions or threads with messages, facts, users (.json, .jsonl)", read_graphiti, is_zep),
        Format("markdown", "Markdown journals: a file, or a folder of them", read_markdown, is_markdown),
        Format("openai", "OpenAI-style messages (.jsonl, .json)", read_openai, is_openai),
        Format("mbox", "Mail (.mbox, .eml)", read_mbox, is_mbox),
        Format(
            "transcript", "Transcripts: 'Name: text', IRC, WhatsApp, podcasts (.txt)", read_transcript, is_transcript
        ),
    )
}


def sniff(path: str | Path, limits: Limits = LIMITS) -> str | None:
    """The name of the format that `path` seems to have, None where it looks like none."""
    looked_at = sample(Path(path), limits)
    return next((one.name for one in FORMATS.values() if one.matches(looked_at)), None)


def read(path: str | Path, format: str | None = None, *, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """What is in `path`, in the format that is named or else told from its content, within the limits.

    Raises FormatError at once where the format is unknown, and OSError where `path` cannot be opened.
    """
    path = Path(path)
    path.stat()  # now, not at the first message
    name = format or sniff(path, limits)
    if name not in FORMATS:
        known = "; ".join(f"{one.name}: {one.description}" for one in FORMATS.values())
        asked = f"{format!r} is no format" if format else f"The format of {path.name!r} is not known"
        raise FormatError(f"{asked}. Name one of these. {known}.")
    return FORMATS[name].read(path, limits)
