"""Names between LangGraph and Mnemic: namespaces as scopes, keys as names of documents; and LangGraph's filters.

A label may be any text but for "." and NUL, and a scope's segment may not: what a segment cannot hold is written as %XX of
its UTF-8. It is reversible, and two namespaces are never one scope.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from mnemic.errors import ParameterError

Namespace = tuple[str, ...]
Place = tuple[Namespace, str]  # of an item: its namespace and key

_ESCAPED = re.compile("(?:%[0-9A-F]{2})+")


def scope_of(namespace: Namespace) -> str:
    """The scope that a namespace is: a segment for each label, what a scope cannot hold as %XX of its UTF-8.

    >>> scope_of(("memories", "a/b", "50 %"))
    'memories/a%2Fb/50 %25'
    """
    return "/".join(map(_encoded, namespace))


def namespace_of(scope: str) -> Namespace | None:
    """The inverse of `scope_of`; None for a scope that is no namespace.

    >>> namespace_of("memories/a%2Fb/50 %25"), namespace_of("%ttl")
    (('memories', 'a/b', '50 %'), None)
    """
    labels = tuple(map(_decoded, scope.split("/"))) if scope else ()
    return labels if all(labels) and scope_of(labels) == scope else None


def _encoded(label: str) -> str:
    last = len(label) - 1
    found = "".join(
        _escape(one) if one in "%/." or _is_invisible(one) or (at in (0, last) and one.isspace()) else one
        for at, one in enumerate(label)
    )
    if unicodedata.is_normalized("NFC", found):
        return found
    return "".join(one if one.isascii() else _escape(one) for one in found)


def _decoded(segment: str) -> str:
    def text(match: re.Match[str]) -> str:
        return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "surrogatepass")

    try:
        return _ESCAPED.sub(text, segment)
    except UnicodeDecodeError:
        return ""


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp")


def name_of(key: str) -> str:
    """The name of an item's document: its key, but that a name has at least one character."""
    return f"\0{key}" if not key or key.startswith("\0") else key


def key_of(name: str) -> str:
    return name.removeprefix("\0")


def note_of(place: Place) -> str:
    """The name of the note that an item was read: nothing of its key can be told from it."""
    return hashlib.blake2b(json.dumps([*place[0], place[1]]).encode(), digest_size=16).hexdigest()


# -- filters

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def matches(value: Any, wanted: Any) -> bool:
    """Whether a value, None where there is none, is what a filter wants. Raises ParameterError for an unknown operator.

    >>> matches({"age": 3, "name": "x"}, {"age": {"$gt": 2}}), matches(None, {"$gt": 2}), matches([1], [1])
    (True, False, True)
    """
    if isinstance(wanted, Mapping):
        if any(str(name).startswith("$") for name in wanted):
            return all(_holds(value, name, other) for name, other in wanted.items())
        return isinstance(value, Mapping) and all(matches(value.get(name), other) for name, other in wanted.items())
    if isinstance(wanted, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(wanted):
            return False
        return all(matches(one, other) for one, other in zip(value, wanted, strict=True))
    return bool(value == wanted)


def _holds(value: Any, name: str, wanted: Any) -> bool:
    if name == "$eq":
        return bool(value == wanted)
    if name == "$ne":
        return bool(value != wanted)
    if name not in _ORDERED:
        raise ParameterError(
            f"The filter has {name!r}, which is no operator. Known are $eq, $ne, {', '.join(_ORDERED)}."
        )
    if value is None or wanted is None:
        return False  # nothing stands before or behind what is not there
    try:
        return _ORDERED[name](float(value), float(wanted))
    except (TypeError, ValueError):
        both = isinstance(value, str) and isinstance(wanted, str)
        return both and _ORDERED[name](value, wanted)
