"""Our own export comes back as it went out."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemic.errors import FormatError
from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.mnemic_jsonl import read_mnemic
from mnemic.model import Episode

HEADER = '{"format": "mnemic", "version": 1, "made_at": "2024-05-01T00:00:00+00:00"}'
EPISODE = {
    "id": "e1",
    "scope": "acme",
    "text": "hi",
    "role": "user",
    "occurred_at": "2024-05-01T10:00:00+00:00",
    "recorded_at": "2024-05-01T10:00:00+00:00",
}

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
offsets = st.integers(-12 * 60, 12 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=offsets)
objects = st.dictionaries(texts, values, max_size=3)
episodes = st.builds(
    Episode,
    text=texts,
    id=texts.filter(bool),
    scope=texts,
    occurred_at=times,
    recorded_at=times,
    role=texts,
    actor=st.none() | texts,
    session=st.none() | texts,
    metadata=objects,
    parts=st.lists(objects, max_size=3).map(tuple),
    supersedes=st.none() | texts,
    origin=st.just("observed"),
) | st.builds(
    Episode,
    text=texts,
    id=texts,
    scope=texts,
    occurred_at=times,
    recorded_at=times,
    origin=st.just("echo"),
    echo_of=st.lists(texts, max_size=3).map(tuple),
)


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines), encoding="utf-8")
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(episodes, max_size=4), st.booleans())
def test_every_episode_comes_back_as_it_was(tmp_path: Path, given_episodes: list[Episode], is_ascii: bool) -> None:
    written = [json.dumps(one.to_dict(), ensure_ascii=is_ascii) for one in given_episodes]
    found = list(read_mnemic(write(tmp_path / "e.jsonl", HEADER, *written)))
    assert all(isinstance(one, Message) for one in found)
    names = [name for name in Episode.__dataclass_fields__ if name != "seq"]
    assert [[getattr(one, name) for name in names] for one in found] == [
        [getattr(one, name) for name in names] for one in given_episodes
    ]
    assert [one.occurred_at.utcoffset() for one in found] == [one.occurred_at.utcoffset() for one in given_episodes]


def test_records_and_links_are_counted_and_bad_lines_reported(tmp_path: Path) -> None:
    path = write(
        tmp_path / "e.jsonl",
        HEADER,
        {"type": "record", "id": "r"},
        EPISODE,
        {"type": "link"},
        {"type": "record"},
        EPISODE | {"id": 7, "parts": "x"},
        "{",
        EPISODE | {"id": "e2", "mood": "fine"},
    )
    assert sniff(path) == "mnemic"
    assert [str(one) if isinstance(one, Problem) else one.id for one in read(path)] == [
        "e1",
        "e.jsonl:6: It is no episode: id, parts missing or of the wrong type. "
        "({'id': 7, 'occurred_at': '2024-05-01T10:00:00+00:00', 'parts': 'x', 'recorded_at…)",
        "e.jsonl:7: It is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1). ({)",
        "e.jsonl:8: The fields mood are not known; the rest is kept.",
        "e2",
        "e.jsonl: Lines of the type link were passed over (1); systems make those again.",
        "e.jsonl: Lines of the type record were passed over (2); systems make those again.",
    ]


@pytest.mark.parametrize("first", ['{"format": "mnemic", "version": 2}', '{"format": "other"}', "nonsense", "[]"])
def test_another_header_is_refused(tmp_path: Path, first: str) -> None:
    with pytest.raises(FormatError):
        list(read_mnemic(write(tmp_path / "e.jsonl", first, EPISODE)))


def test_times_keep_the_offset_they_were_said_in(tmp_path: Path) -> None:
    (found,) = read_mnemic(write(tmp_path / "e.jsonl", HEADER, EPISODE | {"occurred_at": "2024-05-01T10:00:00+05:30"}))
    assert isinstance(found, Message)
    assert found.occurred_at is not None
    assert found.occurred_at.isoformat() == "2024-05-01T10:00:00+05:30"
    assert found.occurred_at == datetime(2024, 5, 1, 4, 30, tzinfo=UTC)
