"""The dictionaries that mem0's verbs return, made of episodes; and what metadata and messages may say in them."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from mnemic.errors import ParameterError
from mnemic.integrations.places import Place
from mnemic.model import Episode, Hit

IDENTITIES = ("user_id", "agent_id", "run_id", "actor_id", "app_id")
EXPIRES = "expiration_date"
_ID_OF_SEGMENT = {"app": "app_id", "user": "user_id", "agent": "agent_id"}
_NOT_OF_A_MESSAGE = {"id", "metadata", "session", "session_id", "run_id"}


class ValidationError(ParameterError):
    """Input refused before anything was written, with mem0's fields: message, error_code, details, suggestion."""

    def __init__(self, message: str, error_code: str, details: Mapping[str, Any], suggestion: str) -> None:
        super().__init__(f"{message} {suggestion}")
        self.message = message
        self.error_code = error_code
        self.details = dict(details)
        self.suggestion = suggestion
        self.debug_info: dict[str, Any] = {}


def memory_item(place: Place) -> dict[str, Any]:
    """A memory as `get` returns it."""
    item = _item(place.current, place.first, place.scope)
    return {**_core(item), "score": None, **item}


def listed_item(place: Place) -> dict[str, Any]:
    """A memory as `get_all` lists it: without a score."""
    return _item(place.current, place.first, place.scope)


def found_item(hit: Hit, first: Episode | None, scope: str, *, explain: bool, threshold: float) -> dict[str, Any]:
    """A memory as `search` returns it; `first` is its first version, None for what a system made of episodes."""
    if first is not None and hit.episode is not None:
        item = _item(hit.episode, first, scope)
    else:
        moment = hit.occurred_at.isoformat()
        core = {"id": hit.id, "memory": hit.text, "hash": _hash(hit.text), "metadata": {"kind": hit.kind}}
        item = {**core, "created_at": moment, "updated_at": moment, **_ids_of(scope)}
    found = {**_core(item), "score": hit.score, **item}
    if explain:
        found["score_details"] = _score_details(hit, threshold)
    return found


def history_rows(place: Place) -> list[dict[str, Any]]:
    """What `history` returns: a row for each version, oldest first."""
    return [
        {
            "id": version.episode.id,
            "memory_id": place.first.id,
            "old_memory": version.old_memory,
            "new_memory": version.episode.text,
            "event": version.event,
            "created_at": place.first.occurred_at.isoformat(),
            "updated_at": version.episode.recorded_at.isoformat(),
            "is_deleted": False,
            "actor_id": version.episode.actor,
            "role": version.episode.role,
        }
        for version in place.versions
    ]


def added_item(episode: Episode, *, is_new: bool) -> dict[str, Any]:
    """What `add` says of one message."""
    return {
        "id": episode.id,
        "memory": episode.text,
        "event": "ADD" if is_new else "NONE",
        "actor_id": episode.actor,
        "role": episode.role,
    }


def messages_from(messages: Any) -> list[Mapping[str, Any]]:
    """The messages to keep, system messages left out as mem0 does. Raises ValidationError."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    elif isinstance(messages, Mapping):
        messages = [messages]
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        raise ValidationError(
            "The messages must be str, dict, or list[dict].",
            "VALIDATION_003",
            {"provided_type": type(messages).__name__, "valid_types": ["str", "dict", "list[dict]"]},
            "Convert your input to a string, dictionary, or list of dictionaries.",
        )
    return [message for message in messages if message.get("role") != "system"]


def message_with(message: Mapping[str, Any], id: str) -> dict[str, Any]:
    """The message under an id of ours; where it belongs is said by the call, never by the message."""
    kept = {key: value for key, value in message.items() if key not in _NOT_OF_A_MESSAGE}
    own = message.get("metadata")
    metadata = {"metadata": without_identities(own, "a message's metadata")} if isinstance(own, Mapping) else {}
    return {**kept, **metadata, "id": id}


def without_identities(
    metadata: Mapping[str, Any], where: str, unchanged: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Metadata without the ids that say whose a memory is, so that it cannot move one to somebody else; warns of them."""
    moved = [key for key in IDENTITIES if key in metadata and metadata[key] != (unchanged or {}).get(key)]
    if moved:
        warnings.warn(
            f"{', '.join(moved)} in {where} was left out: whose a memory is, is said by the arguments of add().",
            UserWarning,
            stacklevel=4,
        )
    return {key: value for key, value in metadata.items() if key not in IDENTITIES}


def expiration(value: Any) -> str | None:
    """The day as mem0 writes it, YYYY-MM-DD. Raises ParameterError."""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if value is None or isinstance(value, date):
        return value.isoformat() if value else None
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError) as error:
        raise ParameterError(f"expiration_date={value!r}: give a day as YYYY-MM-DD, or None to clear it.") from error


def is_expired(episode: Episode | None, today: date) -> bool:
    """Whether its day has passed; on the day itself it has not."""
    day = episode.metadata.get(EXPIRES) if episode is not None else None
    try:
        return day is not None and date.fromisoformat(str(day)) < today
    except ValueError:
        return False


def _item(current: Episode, first: Episode, scope: str) -> dict[str, Any]:
    ids = {**_ids_of(scope), "agent_id": current.metadata.get("agent_id") or _ids_of(scope).get("agent_id")}
    promoted = {
        "user_id": ids.get("user_id"),
        "agent_id": ids.get("agent_id"),
        "run_id": current.session,
        "app_id": ids.get("app_id"),
        "actor_id": current.actor,
        "role": current.role,
        EXPIRES: current.metadata.get(EXPIRES),
    }
    rest = {key: value for key, value in current.metadata.items() if key not in ("agent_id", EXPIRES)}
    return {
        "id": first.id,
        "memory": current.text,
        "hash": _hash(current.text),
        "metadata": rest or None,
        "created_at": first.occurred_at.isoformat(),
        "updated_at": (current.recorded_at if current.supersedes else first.occurred_at).isoformat(),
        **{key: value for key, value in promoted.items() if value is not None},
    }


def _core(item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that stand before the score, so that the keys come in mem0's order."""
    return {key: item[key] for key in ("id", "memory", "hash", "metadata")}


def _ids_of(scope: str) -> dict[str, str]:
    """The ids that a scope below the handle stands for: "user:alice" is the user alice."""
    pairs: Iterable[tuple[str, str, str]] = (segment.partition(":") for segment in scope.split("/"))
    return {_ID_OF_SEGMENT[kind]: id for kind, colon, id in pairs if colon and kind in _ID_OF_SEGMENT}


def _hash(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _score_details(hit: Hit, threshold: float) -> dict[str, Any]:
    """mem0's keys, as far as our signals answer to them, and all signals with their weights."""
    values = {reason.signal: round(reason.value, 4) for reason in hit.reasons}
    return {
        "semantic_score": values.get("meaning"),
        "bm25_score": values.get("words"),
        "entity_boost": values.get("names"),
        "raw_score": hit.score,
        "max_possible_score": 1.0,
        "final_score": hit.score,
        "threshold": threshold,
        "signals": hit.to_dict()["score_details"],
    }
