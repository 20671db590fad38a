"""A model's answer as an object: the form is told, the answer is read, repaired where that needs no guess, or asked again.

A form is a dataclass, nested perhaps. Every model is told it in words, in the system message, also where the endpoint has
a mode for schemas: so a prompt is the same for all endpoints. An answer is then read as JSON the way models
write it (`lenient_json`), and these repairs are made, none of which adds anything that was not said: names in other case or
with other separators, a bare list for a form with one list, numbers in quotes, whole numbers for text, null for what
may be left out. Of an answer that was cut the complete items of its lists are kept, where nothing else is missing. An
answer that might mean two things is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mnemic.errors import AnswerUnusable, LLMError, ParameterError
from mnemic.models.lenient_json import Broken, OpenDict, OpenList, is_open, json_values
from mnemic.models.llm import LLM, Completion
from mnemic.models.prompt import Message

if TYPE_CHECKING:
    from msgspec import inspect as kinds

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Structured(Generic[T]):
    """An answer, as an object and as it came, and what it took to get it."""

    value: T
    raw: str
    tokens_in: int = 0
    tokens_out: int = 0
    calls: int = 1
    is_cut: bool = False  # items may be missing at its end


def ask_structured(
    llm: LLM,
    messages: Sequence[Message],
    schema: type[T],
    *,
    max_tokens: int = 2048,
    attempts: int = 3,
    told: Callable[[Completion], None] | None = None,
) -> Structured[T]:
    """The model's answer as an object of `schema`.

    An answer that cannot be used is asked for again with its fault named, one that was cut with twice the tokens.
    told: called with every answer of the model, also those that cannot be used.
    Raises AnswerUnusable after so many attempts, and whatever `llm.complete` raises; either says what was spent before.
    """
    if attempts < 1:
        raise ParameterError(f"{attempts} attempts were allowed. Allow 1 or more.")
    first = with_schema(messages, schema)
    form, asked, limit = schema_of(schema), first, max_tokens
    tokens_in = tokens_out = 0
    for calls in range(1, attempts + 1):
        try:
            completion = llm.complete(asked, schema=form, max_tokens=limit)
        except LLMError as error:
            raise _with_cost(error, calls - 1, tokens_in, tokens_out) from None
        tokens_in, tokens_out = tokens_in + completion.tokens_in, tokens_out + completion.tokens_out
        if told is not None:
            told(completion)
        try:
            value, is_cut = read_answer(completion.text, schema)
        except Unreadable as fault:
            said = str(fault)
            if completion.is_cut or fault.is_cut:
                asked, limit = first, 2 * limit
            else:
                asked = [*first, *_again(completion.text, said)]
        else:
            return Structured(
                value=value,
                raw=completion.text,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                calls=calls,
                is_cut=is_cut,
            )
    unusable = AnswerUnusable(
        f"{llm.id} was asked {attempts} times for an answer in the form of {schema.__name__}, and none could be used; of the "
        f"last, {said}. Ask a model that follows JSON schemas, or allow more attempts or tokens.",
        raw=completion.text,
    )
    raise _with_cost(unusable, attempts, tokens_in, tokens_out)


def with_schema(messages: Sequence[Message], schema: type[Any]) -> list[Message]:
    """The messages with the form of the answer told at the end of the system message; once, however often this is called."""
    form = schema_of(schema)
    words = _words(form, form.get("$defs", {}), ())
    optional = ' Names with "?" may be left out.' if '"?: ' in words else ""
    told = f"Answer with one JSON object and nothing else. Its form:{optional}\n{words}"
    for place, one in enumerate(messages):
        if one.role == "system":
            if one.content.endswith(told):
                return list(messages)
            longer = Message(role="system", content=f"{one.content}\n\n{told}")
            return [*messages[:place], longer, *messages[place + 1 :]]
    return [Message(role="system", content=told), *messages]


def schema_of(schema: type[Any]) -> dict[str, Any]:
    """The JSON schema of a dataclass, an object at its root."""
    import msgspec

    made = _undescribed(msgspec.json.schema(schema))
    name = made.get("$ref", "").removeprefix("#/$defs/")
    if name not in made.get("$defs", {}):
        raise ParameterError(f"{schema!r} is no form of an answer. Give a dataclass.")
    root, others = made["$defs"][name], dict(made["$defs"])
    if f'"#/$defs/{name}"' not in str(root | {"$defs": others}).replace("'", '"'):
        del others[name]
    return {**root, "$defs": others} if others else dict(root)


def _undescribed(schema: Any) -> Any:
    """A schema without the docstrings of our classes, which say nothing to a model; what a field means stays."""
    if isinstance(schema, dict):
        docstring = "description" if "properties" in schema else None
        return {name: _undescribed(value) for name, value in schema.items() if name != docstring}
    return [_undescribed(one) for one in schema] if isinstance(schema, list) else schema


def parsed(text: str, schema: type[T]) -> T:
    """An answer that was usable before, as an object again. Raises AnswerUnusable where it no longer is."""
    try:
        return read_answer(text, schema)[0]
    except Unreadable as fault:
        raise AnswerUnusable(
            f"A kept answer is no longer in the form of {schema.__name__}: {fault}. Ask again.", text
        ) from None


class Unreadable(ValueError):
    """An answer that cannot be used, with its fault in words; is_cut: because it ends in the middle."""

    def __init__(self, fault: str, *, is_cut: bool = False) -> None:
        super().__init__(fault)
        self.is_cut = is_cut


class _Foreign(Unreadable):
    """JSON that was not meant as the answer."""


def read_answer(text: str, schema: type[T]) -> tuple[T, bool]:
    """An answer as an object, and whether it was cut and items may be missing at its end. Raises Unreadable."""
    import msgspec

    try:
        values = json_values(_without_thoughts(text))
    except Broken as broken:
        raise Unreadable(f"its JSON cannot be read: {broken}") from None
    kind = _kind(schema)
    found: list[tuple[Any, T]] = []
    foreign: _Foreign | None = None
    for read in values:
        try:
            fitted = _fitted(_rooted(read, kind), kind, "$")
            if is_open(read) and not _has_items(fitted):
                raise _cut("$")
            found.append((read, _converted(fitted, schema)))
        except _Foreign as one:
            foreign = one
        except msgspec.ValidationError as error:
            if isinstance(read, list):
                foreign = _Foreign(str(error))
                continue
            raise Unreadable(f"its JSON has another form: {error}") from None
    if not found:
        raise foreign or Unreadable("there is no JSON object in it")
    found = [
        one for one in found if one[0] or is_open(one[0])
    ] or found  # an empty one beside others is a way of speaking
    meant, value = found[0]
    if any(msgspec.to_builtins(other) != msgspec.to_builtins(value) for _, other in found[1:]):
        raise Unreadable(f"it holds {len(found)} different JSON values that could be meant")
    return value, is_open(meant)


def _with_cost(error: LLMError, calls: int, tokens_in: int, tokens_out: int) -> LLMError:
    error.calls += calls
    error.tokens_in += tokens_in
    error.tokens_out += tokens_out
    return error


def _again(answer: str, fault: str) -> list[Message]:
    """What follows an answer that cannot be used."""
    ask = f"This answer cannot be used: {fault}. Answer again with one JSON object of the form told, and nothing else."
    said = [Message(role="assistant", content=answer)] if answer.strip() else []
    return [*said, Message(role="user", content=ask)]


# -- reading ------------------------------------------------------------------------------------------------------


def _kind(schema: type[Any]) -> kinds.DataclassType:
    from msgspec import inspect as kinds

    kind = kinds.type_info(schema)
    assert isinstance(kind, kinds.DataclassType)
    return kind


def _converted(value: Any, schema: type[T]) -> T:
    """Strictly where that goes: only then are numbers and the like taken out of quotes."""
    import msgspec

    try:
        return msgspec.convert(value, schema)
    except msgspec.ValidationError:
        return msgspec.convert(value, schema, strict=False)


def _without_thoughts(text: str) -> str:
    """The text behind the thoughts that some models begin with."""
    if not text.lstrip().startswith("<think>"):
        return text
    _, end, answer = text.partition("</think>")
    if not end:
        raise Unreadable("it ends in the model's thoughts", is_cut=True)
    return answer


def _rooted(value: Any, kind: kinds.DataclassType) -> Any:
    """A bare list as the object that it stands for, and a list around the one object as that."""
    from msgspec import inspect as kinds

    if not isinstance(value, list):
        return value
    lists = {field.encode_name: bare for field in kind.fields if isinstance(bare := _bare(field.type), kinds.ListType)}
    if (
        len(value) == 1
        and _knows(kind, value[0])
        and not any(_knows(_bare(one.item_type), value[0]) for one in lists.values())
    ):
        return value[0]
    if len(lists) != 1:
        raise _Foreign("it is a list where an object should stand")
    return dict.fromkeys(lists, value)


def _knows(kind: kinds.Type, value: Any) -> bool:
    """Whether the value is an object that has a name of the form."""
    from msgspec import inspect as kinds

    if not isinstance(kind, kinds.DataclassType) or not isinstance(value, dict):
        return False
    return not {_folded(field.encode_name) for field in kind.fields}.isdisjoint(map(_folded, value))


def _fitted(value: Any, kind: kinds.Type, place: str) -> Any:
    """The value with names and texts as the form has them, and of what is open the complete items."""
    from msgspec import inspect as kinds

    kind = _bare(kind)
    if isinstance(kind, kinds.UnionType):
        others = [one for one in kind.types if not isinstance(one, kinds.NoneType)]
        kind = _bare(others[0]) if len(others) == 1 and value is not None else kind
    if isinstance(kind, kinds.DataclassType) and isinstance(value, dict):
        return _fitted_object(value, kind, place)
    if isinstance(kind, kinds.ListType) and isinstance(value, list):
        items = value[:-1] if isinstance(value, OpenList) and value and is_open(value[-1]) else value
        return [_fitted(item, kind.item_type, f"{place}[{at}]") for at, item in enumerate(items)]
    if is_open(value):
        raise _cut(place)
    if isinstance(kind, kinds.DictType) and isinstance(value, dict):
        return {name: _fitted(item, kind.value_type, f"{place}.{name}") for name, item in value.items()}
    if isinstance(kind, kinds.StrType) and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _fitted_object(value: dict[str, Any], kind: kinds.DataclassType, place: str) -> dict[str, Any]:
    from msgspec import inspect as kinds

    names = {field.encode_name: field for field in kind.fields}
    folded = {_folded(name): name for name in names}
    given: dict[str, Any] = {}
    for name, item in value.items():
        known = name if name in names else folded.get(_folded(name))
        if known is None or (known != name and known in value):
            continue
        if known in given:
            raise Unreadable(f"at {place}, {known!r} is given twice")
        if item is not None or names[known].required or _may_be_null(names[known].type):
            given[known] = _fitted(item, names[known].type, f"{place}.{known}")
    if value and not _knows(kind, value):
        raise _Foreign(f"the object at {place} has none of the names {', '.join(names)}")
    if isinstance(value, OpenDict):
        for name, field in names.items():
            if name not in given:
                if not isinstance(_bare(field.type), kinds.ListType):
                    raise _cut(f"{place}.{name}")
                given[name] = []
    return given


def _bare(kind: kinds.Type) -> kinds.Type:
    from msgspec import inspect as kinds

    while isinstance(kind, kinds.Metadata):
        kind = kind.type
    return kind


def _may_be_null(kind: kinds.Type) -> bool:
    from msgspec import inspect as kinds

    kind = _bare(kind)
    if isinstance(kind, kinds.UnionType):
        return any(_may_be_null(one) for one in kind.types)
    return isinstance(kind, kinds.NoneType | kinds.AnyType)


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()


def _has_items(value: Any) -> bool:
    """Whether any list in it has an item."""
    if isinstance(value, dict):
        return any(_has_items(one) for one in value.values())
    return isinstance(value, list) and bool(value)


def _cut(place: str) -> Unreadable:
    return Unreadable(f"it ends in the middle, before {place} is complete", is_cut=True)


# -- telling ------------------------------------------------------------------------------------------------------


def _words(form: Mapping[str, Any], named: Mapping[str, Any], inside: tuple[str, ...]) -> str:
    """A JSON schema in the short way that people write it.

    >>> _words({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}, {}, ())
    '{"a": integer, at least 1}'
    """
    inside = (*inside, form["title"]) if "properties" in form and "title" in form else inside
    words = _plain_words(form, named, inside)
    bounds = {"minimum": "at least", "maximum": "at most"}
    words += "".join(f", {said} {form[name]}" for name, said in bounds.items() if name in form)
    return f"{words} ({form['description']})" if form.get("description") else words


def _plain_words(form: Mapping[str, Any], named: Mapping[str, Any], inside: tuple[str, ...]) -> str:
    if "$ref" in form:
        name = form["$ref"].rpartition("/")[2]
        return f"<{name} again>" if name in inside else _words(named[name], named, inside)
    if "enum" in form:
        return " | ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in form["enum"])
    if "anyOf" in form:
        return " | ".join(_words(one, named, inside) for one in form["anyOf"])
    if "properties" in form:
        required = form.get("required", ())
        parts = [
            f'"{name}"{"" if name in required else "?"}: {_words(one, named, inside)}'
            for name, one in form["properties"].items()
        ]
        return f"{{{', '.join(parts)}}}"
    if "prefixItems" in form:
        return f"[{', '.join(_words(one, named, inside) for one in form['prefixItems'])}]"
    if form.get("type") == "array":
        return f"[{_words(form.get('items') or {}, named, inside)}, …]"
    if form.get("type") == "object":
        of = form.get("additionalProperties")
        return f"{{string: {_words(of, named, inside) if isinstance(of, Mapping) else 'any'}, …}}"
    kind = str(form.get("type", "any"))
    return f"{kind} ({form['format']})" if "format" in form else kind
