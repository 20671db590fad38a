"""Prompts that a user picks in their client: each puts what is remembered, as data, before a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mnemic.errors import ParameterError
from mnemic.integrations.handle import Handle
from mnemic.mcp import show
from mnemic.mcp.arguments import NAME, TEXT, Argument, read_arguments
from mnemic.model import NOTHING_RELEVANT

_BUDGET_TOKENS = 2000
_EPISODES = 100


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: what it is called and takes, and the text it becomes."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    write: Callable[[Handle, str], str]

    def text(self, handle: Handle, given: Mapping[str, str] | None) -> str:
        """The text for a handle's scope. Raises MnemicError."""
        (value,) = read_arguments(self.name, self.arguments, given).values()
        return self.write(handle, value or "")


def _recall(handle: Handle, question: str) -> str:
    return (
        f"{_known(handle, question)}\n\nAnswer this question from the memories above. Say from which date an answer is, and "
        f"when they do not hold it, say that it is not remembered.\n\nQuestion: {question}"
    )


def _summarise(handle: Handle, about: str) -> str:
    return (
        f"{_known(handle, about)}\n\nSummarise what the memories above say about the following: what holds now, what changed "
        f"and when, what is open. Leave out what they do not say.\n\nAbout: {about}"
    )


def _reflect(handle: Handle, session: str) -> str:
    found = handle.list(session=session, limit=_EPISODES, newest_first=True) if session else []
    if session and not found:
        raise ParameterError(
            f"There is no session {session[:80]!r} here. Leave session out to reflect on this conversation."
        )
    before = f"What is kept of the session:\n{show.block(map(show.of_episode, reversed(found)))}\n\n" if found else ""
    return (
        f"{before}This conversation is about to end. Look back over it: what did the user decide, prefer, correct or leave open, "
        "what did you find out, and what would you want to know at the beginning of the next one? Look with search_memories for "
        "what is already known. Add what is new with add_memory, one self-contained statement for each thing, with names and "
        "dates; correct what is out of date with update_memory. Leave out small talk, and secrets the user did not ask to keep. "
        "Then tell the user in a few lines what you stored."
    )


def _known(handle: Handle, query: str) -> str:
    found = handle.context(query, budget_tokens=_BUDGET_TOKENS)
    rows = [show.of_hit(hit) for hit in found.recall if hit.id in {one.id for one in found.citations}]
    if not rows:
        return "Nothing is remembered about this."
    doubt = f"{NOTHING_RELEVANT} The nearest of what is:\n" if found.recall.is_doubtful else ""
    return f"{doubt}{show.block(rows)}"


PROMPTS = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            "recall",
            "Recall",
            "Answer a question from what is remembered.",
            (Argument("question", TEXT, "What you want to know.", ("query", "q"), is_required=True),),
            _recall,
        ),
        Prompt(
            "summarise",
            "What is known about …",
            "Summarise what is remembered about somebody or something.",
            (Argument("about", TEXT, "Whom or what about.", ("topic", "subject", "query"), is_required=True),),
            _summarise,
        ),
        Prompt(
            "reflect",
            "Reflect and remember",
            "At the end of a conversation, store what is worth knowing in the next one.",
            (Argument("session", NAME, "A session of this memory to look back on, too.", ("session_id",)),),
            _reflect,
        ),
    )
}
