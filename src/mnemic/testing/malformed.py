"""The ways in which a model's answer is no good, by name, each a function of the right answer and of a draw.

Most spoil the text that the model writes. Two spoil what the endpoint sends around it: "html", a page of some gateway
in the answer's place, and "invalid_utf8", bytes that are no text in its middle; in process both are LLMUnavailable, as
the library's clients say of an endpoint that does not keep to its protocol.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from mnemic.errors import ParameterError

PAGE = (
    "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
)
NO_TEXT = "\ue000"  # stands in a text where bytes that are no UTF-8 are to be sent

_ID_KEY = re.compile(r"(?:.*_)?(?:id|turn|source|index|number)s?", re.IGNORECASE)
_ELSEWHERE = (
    "Dazu wurde im Gespräch nichts Näheres gesagt.",
    "会話の内容はここには記されていません。",
    "Об этом в разговоре сказано не было.",
    "لم يُذكر شيء عن ذلك في المحادثة.",
    "No se dijo nada más sobre esto.",
)
_FREE_TEXT = re.compile(r"\S\s+\S|.{20}", re.DOTALL)


def malform(kind: str, text: str, draw: int) -> str:
    """The answer `text`, spoilt in the way that `kind` names; as it was where there is nothing to spoil in that way.

    draw: any number; it settles what the way leaves open, such as where the text is cut.
    Raises ParameterError for a kind that is none.

    >>> malform("trailing_comma", '{"facts": ["a"]}', 0)
    '{"facts": ["a"],}'
    """
    if kind not in _WAYS:
        raise ParameterError(f"{kind!r} is no malformation. Take one of {', '.join(MALFORMATIONS)}.")
    return _WAYS[kind](text, random.Random(draw))  # a generator of its own: seeded, and equal in every process


def _cut(text: str, chance: random.Random) -> str:
    stripped = text.strip()
    return stripped[: chance.randrange(1, len(stripped))] if len(stripped) > 1 else ""


def _fenced(text: str, chance: random.Random) -> str:
    return f"```json\n{text}\n```"


def _prose_around(text: str, chance: random.Random) -> str:
    return f"Sure! Here is what you asked for:\n\n{text}\n\nLet me know if {{anything}} should be changed."


def _trailing_comma(text: str, chance: random.Random) -> str:
    stripped = text.rstrip()
    return f"{stripped[:-1]},{stripped[-1]}" if stripped.endswith(("}", "]")) else text


def _single_quotes(text: str, chance: random.Random) -> str:
    value = _parsed(text)
    return text if value is None else repr(value)  # as Python writes it, so also True and None


def _wrong_types(text: str, chance: random.Random) -> str:
    value = _parsed(text)
    places = list(_places(value))
    if not places:
        return text
    holder, key = places[chance.randrange(len(places))]
    holder[key] = _of_another_type(holder[key])
    return _written(value)


def _of_another_type(value: Any) -> Any:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"about {value}"
        case str():
            return {"value": value}
        case list():
            return "; ".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in value)
        case dict():
            return list(value.values())
        case _:
            return 0


def _empty(text: str, chance: random.Random) -> str:
    return ""


def _refusal(text: str, chance: random.Random) -> str:
    return "I'm sorry, but I can't help with that."


def _html(text: str, chance: random.Random) -> str:
    return PAGE


def _invalid_utf8(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text) + 1)
    return text[:place] + NO_TEXT + text[place:]


def _other_keys(text: str, chance: random.Random) -> str:
    value = _parsed(text)
    if not isinstance(value, dict) or not value:
        return text
    return _written({f"the_{key}": inner for key, inner in value.items()})


def _list_for_object(text: str, chance: random.Random) -> str:
    value = _parsed(text)
    return _written([value]) if isinstance(value, dict) else text


def _other_language(text: str, chance: random.Random) -> str:
    value = _parsed(text)
    if value is None:
        return chance.choice(_ELSEWHERE) if text else text
    elsewhere = chance.choice(_ELSEWHERE)
    found = False
    for holder, key in list(_places(value)):
        if isinstance(holder[key], str) and _FREE_TEXT.search(holder[key]):
            holder[key] = elsewhere
            found = True
    return _written(value) if found else text


def _unknown_ids(text: str, chance: random.Random) -> str:
    value = _parsed(text)
    return text if value is None or not _lose_ids(value, False, chance) else _written(value)


def _lose_ids(value: Any, is_id: bool, chance: random.Random) -> bool:
    """Change what stands under a key such as "id", "turns" or "source_ids"; whether there was any."""
    keys: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    found = False
    for key in keys:
        names_id = is_id if isinstance(value, list) else _ID_KEY.fullmatch(key) is not None
        inner = value[key]
        if isinstance(inner, (dict, list)):
            found |= _lose_ids(inner, names_id, chance)
        elif names_id and isinstance(inner, (int, str)) and not isinstance(inner, bool):
            lost = chance.randrange(100_000, 1_000_000)
            value[key] = str(lost) if isinstance(inner, str) else lost
            found = True
    return found


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place below the root, as what holds it and the key there."""
    keys: list[Any] = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


def _parsed(text: str) -> Any:
    """The object or list that the text is; None where it is neither."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_WAYS: dict[str, Callable[[str, random.Random], str]] = {
    "cut": _cut,
    "fenced": _fenced,
    "prose_around": _prose_around,
    "trailing_comma": _trailing_comma,
    "single_quotes": _single_quotes,
    "wrong_types": _wrong_types,
    "empty": _empty,
    "refusal": _refusal,
    "html": _html,
    "invalid_utf8": _invalid_utf8,
    "other_keys": _other_keys,
    "list_for_object": _list_for_object,
    "other_language": _other_language,
    "unknown_ids": _unknown_ids,
}

MALFORMATIONS = tuple(_WAYS)
