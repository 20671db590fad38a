"""From a word in the settings to a language model: "openai:MODEL", "anthropic:MODEL", with settings as a query.

A model's id is a spec too, without its address; its `spec` is the one that it was opened with. A spec stands in
configurations, stores and logs, so no key may stand in it: it names the environment variable that holds one. Opening
sends nothing.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from mnemic.errors import ParameterError
from mnemic.models.llm import LLM

if TYPE_CHECKING:
    from mnemic.models.anthropic_chat import AnthropicChat
    from mnemic.models.openai_chat import OpenAIChat

VARIABLE = "MNEMIC_LLM"
FORMS = (
    "openai:MODEL",
    "anthropic:MODEL",
    "openai:MODEL?base_url=http://localhost:11434/v1&temperature=0.2&price_in=0.15&price_out=0.6",
)
_TEXTS = frozenset({"base_url", "structured", "label"})
_NUMBERS = frozenset({"temperature", "timeout_s", "max_pause_s", "price_in", "price_out"})
_WHOLE = frozenset({"seed", "max_tries", "concurrency"})
_JSON = "extra_body"
_KEY = "api_key_env"  # the name of the variable that holds the key
_FAMILIES = ("openai", "anthropic")
_OPENAI_ALONE = frozenset({"seed", "structured", _JSON})


def open_llm(spec: str | LLM | None = None) -> LLM | None:
    """The model that `spec` names; None is what $MNEMIC_LLM names, and no model where that is empty or "none".

    "none" is no model, whatever the environment says. An object with `id` and `complete` is returned as it is.
    Raises ParameterError for anything else, and what the model itself raises: for a missing key or package, say.
    """
    if spec is None:
        spec = default_llm()
    if not isinstance(spec, str):
        return _checked(spec)
    if spec == "none":
        return None
    family, _, name = spec.partition(":")
    model, _, query = name.partition("?")
    if family not in _FAMILIES or not model:
        shown = spec.partition("?")[0]
        raise ParameterError(f"{shown!r} is not a language model. It can be {', '.join(FORMS)}, none, or an object.")
    opened = _client(family)(model, **_settings(family, query))
    opened.spec = spec
    return opened


def default_llm() -> str:
    """What $MNEMIC_LLM says; "none" where it says nothing."""
    return os.environ.get(VARIABLE, "").strip() or "none"


def _client(family: str) -> Callable[..., OpenAIChat | AnthropicChat]:
    """The class of a family's client, imported when it is wanted: its retries bring asyncio along."""
    if family == "openai":
        from mnemic.models.openai_chat import OpenAIChat

        return OpenAIChat
    from mnemic.models.anthropic_chat import AnthropicChat

    return AnthropicChat


def _settings(family: str, query: str) -> dict[str, object]:
    settings: dict[str, object] = {}
    known = _TEXTS | _NUMBERS | _WHOLE | {_KEY, _JSON}
    known = known if family == "openai" else known - _OPENAI_ALONE
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "api_key":
            raise ParameterError(f"A spec holds no key. Name the environment variable that has it: {_KEY}=MY_KEY.")
        if name == "base_url" and "@" in value:
            raise ParameterError(f"A spec holds no password. Leave it out of base_url, and give a key by {_KEY}.")
        if name not in known or name in settings:
            fault = "stands there twice" if name in settings else "is not one"
            raise ParameterError(
                f"Of the settings of an {family} model, {name!r} {fault}. They are {', '.join(sorted(known))}."
            )
        settings[name] = value if name in _TEXTS | {_KEY} else _object(value) if name == _JSON else _number(name, value)
    if (variable := settings.pop(_KEY, None)) is not None:
        settings["api_key"] = os.environ.get(str(variable), "")
        if not settings["api_key"]:
            raise ParameterError(f"The model's key is to be in ${variable}, which is not set. Set it.")
    return settings


def _number(name: str, value: str) -> float:
    try:
        return int(value) if name in _WHOLE else float(value)
    except ValueError:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise ParameterError(f"The model's setting {name} is {kind}; {value[:40]!r} is none.") from None


def _object(value: str) -> dict[str, object]:
    try:
        read = json.loads(value)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise ParameterError(f'The model\'s setting {_JSON} is a JSON object, such as {{"reasoning_effort": "low"}}.')
    return read


def _checked(llm: LLM) -> LLM:
    missing = [name for name in ("id", "complete") if inspect.getattr_static(llm, name, None) is None]
    if missing:
        raise ParameterError(
            f"{type(llm).__name__} was given as a language model and has no {', no '.join(missing)}. "
            f"Give an object with id and complete, or one of {', '.join(FORMS)}."
        )
    return llm
