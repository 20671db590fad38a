"""A LangGraph store: its items as `Item.dict()` (.json, .jsonl), SqliteStore's file, or PostgresStore's table as CSV.

A namespace is a path of scopes, ("memories", "alice") is memories/alice; what a scope cannot hold of a label is written
as %XX, as `mnemic.integrations.langgraph` does it. An item's text is the text it holds, under
one of the usual names, or else the whole value as JSON; the value's other fields are the metadata, so that a filter on
them still works, and `langgraph` in it has key, namespace and the text's field. occurred_at is created_at,
recorded_at is updated_at. Vectors are not read; what is remembered is embedded anew. Items past their time to live that
nobody swept are read as well, with their `expires_at`.

Ids: namespace and key, so an item that was changed and is imported again is reported, and what was there is kept.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnemic.errors import FormatError
from mnemic.formats.csv_rows import csv_rows
from mnemic.formats.json_entries import entries
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Message, Problem, excerpt, make_id, text_of, times_of, whole
from mnemic.formats.source import Sample, Source, open_sources, sample
from mnemic.formats.sqlite_source import MAGIC, is_sqlite, rows

_LISTS = ("items", "results")
_NEEDED = ("prefix", "key", "value")
_TEXTS = ("text", "content", "memory", "data", "fact", "summary", "value")  # the first that holds text
_PAGE = {"count", "total", "limit", "offset", "next"}  # what stands around a list of items
_TIMES = ("created_at", "updated_at")
_TTL = ("expires_at", "ttl_minutes")
_ITEM = (re.compile(r'"namespace"\s*:\s*\['), re.compile(r'"key"\s*:\s*"'), re.compile(r'"value"\s*:'))
_HEADER = re.compile(r'"?prefix"?,"?key"?,"?value"?[,\r\n]')
_CSV = re.compile(r".*\.csv", re.IGNORECASE)


def is_langgraph(sample: Sample) -> bool:
    """Whether it looks like this format."""
    if sample.head.startswith(MAGIC):
        return bool(re.search(r"CREATE TABLE (IF NOT EXISTS )?store \(", sample.head)) and "prefix" in sample.head
    if _HEADER.match(sample.head):
        return True
    return sample.head.lstrip()[:1] in ("{", "[") and all(one.search(sample.head) for one in _ITEM)


def read_langgraph(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The items in the order of the file."""
    if is_sqlite(path):
        for row in rows(path, "store", _NEEDED, limits):
            yield from [row] if isinstance(row, Problem) else _row(row.value, row.location)
        return
    looked_at = sample(path, limits)
    if _HEADER.match(looked_at.head) or _CSV.fullmatch(looked_at.name):
        for source in open_sources(path, _CSV, limits):
            yield from [source] if isinstance(source, Problem) else _table(source)
        return
    for entry in entries(path, _LISTS, limits=limits):
        if isinstance(entry, Problem):
            yield entry
        elif entry.list_name or not (isinstance(entry.value, dict) and entry.value.keys() <= _PAGE):
            yield from _item(entry.value, entry.location)


def _table(source: Source) -> Iterator[Message | Problem]:
    header: list[str] = []
    for found in csv_rows(source):
        if isinstance(found, Problem):
            yield found
        elif not header:
            header = [text_of(one) for one in found.values]
            if missing := [one for one in _NEEDED if one not in header]:
                raise FormatError(
                    f"{source.name!r} has no column {', '.join(missing)}. Export it with COPY store TO ... CSV HEADER."
                )
        elif len(found.values) != len(header):
            yield Problem(found.location, f"It has {len(found.values)} fields; the header has {len(header)}.")
        else:
            yield from _row(dict(zip(header, found.values, strict=True)), found.location)


def _row(row: Mapping[str, Any], location: str) -> Iterator[Message | Problem]:
    """A row of the table `store`: the labels joined by dots, the value as JSON."""
    try:
        value = json.loads(text_of(row["value"]))
    except RecursionError:
        yield Problem(location, "Its value is nested too deep.", excerpt(row["key"]))
    except ValueError as error:
        yield Problem(location, f"Its value is no JSON: {error}.", excerpt(row["value"]))
    else:
        single = {key: row[key] for key in (*_TIMES, *_TTL) if row.get(key) is not None}
        yield from _item(
            {"namespace": text_of(row["prefix"]).split("."), "key": row["key"], "value": value, **single}, location
        )


def _item(item: Any, location: str) -> Iterator[Message | Problem]:
    namespace = item.get("namespace") if isinstance(item, dict) else None
    if not (
        isinstance(item, dict)
        and isinstance(namespace, list)
        and namespace
        and all(isinstance(label, str) and label for label in namespace)
        and isinstance(item.get("key"), str)
        and isinstance(item.get("value"), dict)
    ):
        yield Problem(location, "It is no item: it needs a namespace of labels, a key and a value.", excerpt(item))
        return
    times, problems = times_of(item, _TIMES, location)
    yield from problems
    created_at, updated_at = times["created_at"], times["updated_at"]
    text, where, rest = text_in(item["value"])
    about = {"namespace": namespace, "key": item["key"], "field": where}
    about |= {key: item[key] for key in _TTL if item.get(key) is not None}
    yield whole(
        Message(
            text=text,
            id=make_id("langgraph", *namespace, item["key"]),
            location=location,
            occurred_at=created_at or updated_at,
            recorded_at=updated_at or created_at,
            metadata={**({"value": rest} if "langgraph" in rest else rest), "langgraph": about},
            scope=scope_of(namespace),
        )
    )


def scope_of(namespace: Sequence[str]) -> str:
    """The scope that a namespace is, one segment for each label.

    >>> scope_of(["memories", "a/b", "50 %"])
    'memories/a%2Fb/50 %25'
    """
    return "/".join(map(_encoded, namespace))


def _encoded(label: str) -> str:
    found = "".join(
        _escaped(one) if one in "%/." or _is_invisible(one) or (one.isspace() and at in (0, len(label) - 1)) else one
        for at, one in enumerate(label)
    )
    if unicodedata.is_normalized("NFC", found):
        return found
    return "".join(one if one.isascii() else _escaped(one) for one in found)


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp")


def text_in(value: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The text of an item's value, the field it stands in ("" where it is the whole value as JSON), and the other fields.

    >>> text_in({"kind": "Memory", "content": {"content": "Tea."}})
    ('Tea.', 'content.content', {'kind': 'Memory'})
    """
    for key in _TEXTS:
        one = value.get(key)
        if isinstance(one, str) and one.strip():
            return one, key, {name: rest for name, rest in value.items() if name != key}
        if isinstance(one, dict) and set(one) == {key} and isinstance(one[key], str) and one[key].strip():
            return one[key], f"{key}.{key}", {name: rest for name, rest in value.items() if name != key}
    try:
        return json.dumps(value, ensure_ascii=False), "", dict(value)
    except RecursionError:  # `whole` reports such content
        return excerpt(value), "", dict(value)
