"""What can be read without a tool: a summary of the memory, its sessions, and the knowledge graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from mnemic.errors import NotFound
from mnemic.integrations.handle import Handle
from mnemic.mcp import show
from mnemic.mcp.graph import KnowledgeGraph
from mnemic.mcp.graph_tools import GRAPH_URI, as_json
from mnemic.model import Session
from mnemic.text.counting import counted

SUMMARY_URI, SESSIONS_URI = "memory://summary", "memory://sessions"
SESSION_TEMPLATE = "memory://sessions/{session}"
TEXT, JSON = "text/plain", "application/json"
_SESSIONS_LISTED, _SESSIONS_SHOWN, _EPISODES_SHOWN = 50, 500, 500
_SUMMARIES, _LATEST, _LATEST_SESSIONS = 5, 10, 10


@dataclass(frozen=True, slots=True)
class Listed:
    """A resource as it is listed."""

    uri: str
    name: str
    title: str
    description: str
    mime_type: str


_FIXED = (
    Listed(
        SUMMARY_URI, "summary", "Summary", "What this memory holds: counts, latest sessions, latest memories.", TEXT
    ),
    Listed(SESSIONS_URI, "sessions", "Sessions", "The conversations and runs in this memory, newest first.", JSON),
)
_GRAPH = Listed(GRAPH_URI, "knowledge-graph", "Knowledge graph", "All entities and relations.", JSON)


def session_uri(session: str) -> str:
    """Where one session can be read."""
    return f"{SESSIONS_URI}/{quote(session, safe='')}"


def listed(handle: Handle, *, with_graph: bool) -> list[Listed]:
    """The resources of the scope: the fixed ones, and its latest sessions."""
    latest = handle.sessions(limit=_SESSIONS_LISTED, newest_first=True)
    sessions = [
        Listed(session_uri(one.session), one.session, f"Session {one.session}", _told(one), TEXT) for one in latest
    ]
    return [*_FIXED, *([_GRAPH] if with_graph else []), *sessions]


def read(handle: Handle, uri: str, *, with_graph: bool) -> tuple[str, str]:
    """(media type, text) of a resource. Raises NotFound."""
    fixed: dict[str, tuple[str, Callable[[Handle], str]]] = {
        SUMMARY_URI: (TEXT, summary),
        SESSIONS_URI: (JSON, sessions),
    }
    if with_graph:
        fixed[GRAPH_URI] = (JSON, graph)
    if uri in fixed:
        media_type, text = fixed[uri]
        return media_type, text(handle)
    if uri.startswith(f"{SESSIONS_URI}/"):
        return TEXT, session(handle, unquote(uri.removeprefix(f"{SESSIONS_URI}/")))
    raise NotFound(f"There is no resource {uri[:80]!a}. There are: {', '.join(fixed)}, {SESSION_TEMPLATE}.")


def summary(handle: Handle) -> str:
    """What the scope holds, in a page."""
    numbers = handle.stats()
    lines = [
        f"This memory holds {counted(numbers['episodes'], 'episode')} in {counted(numbers['sessions'], 'session')}, and "
        f"{counted(numbers['records'], 'record')} made from them."
    ]
    if latest := handle.sessions(limit=_LATEST_SESSIONS, newest_first=True):
        lines += ["Latest sessions:", show.block({"session": one.session, "what": _told(one)} for one in latest)]
    if made := handle.records(kind="summary", include_retired=False)[-_SUMMARIES:]:
        lines += ["Summaries:", show.block(map(show.of_record, made))]
    if found := handle.get_all(limit=_LATEST)["results"]:
        lines += ["Latest memories, newest first:", show.block(map(show.of_row, found))]
    return "\n".join(lines)


def sessions(handle: Handle) -> str:
    """The scope's sessions as JSON, newest first."""
    found = handle.sessions(limit=_SESSIONS_SHOWN, newest_first=True)
    rows = [
        {
            "session": one.session,
            "uri": session_uri(one.session),
            "episodes": one.episodes,
            "began_at": one.began_at.isoformat(),
            "ended_at": one.ended_at.isoformat(),
        }
        for one in found
    ]
    return as_json({"sessions": rows})


def session(handle: Handle, name: str) -> str:
    """The episodes of a session as text, oldest first; of a long one the latest. Raises NotFound."""
    latest = handle.list(session=name, limit=_EPISODES_SHOWN, newest_first=True)
    if not latest:
        raise NotFound(f"There is no session {name[:80]!r} here. {SESSIONS_URI} lists those that there are.")
    said = "Episodes of the session, oldest first:"
    if len(latest) == _EPISODES_SHOWN:
        said = f"The latest {_EPISODES_SHOWN} episodes of the session, oldest first; recent with a time shows earlier ones:"
    return f"{said}\n{show.block(show.of_episode(one) for one in reversed(latest))}"


def graph(handle: Handle) -> str:
    """The knowledge graph as JSON."""
    return as_json(KnowledgeGraph(handle).read().to_dict())


def _told(one: Session) -> str:
    return f"{counted(one.episodes, 'episode')}, {one.began_at.date().isoformat()} to {one.ended_at.date().isoformat()}"
