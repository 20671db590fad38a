"""The elements of an array: as `json` reads them, whatever the reads return; bad ones skipped; little memory."""

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.formats import Limits, Message
from mnemic.formats.chatgpt import read_chatgpt
from mnemic.formats.json_stream import Element, elements, elements_of
from mnemic.formats.limits import LIMITS
from mnemic.formats.message import Problem
from mnemic.formats.source import Source

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


class Drops(io.BytesIO):
    """Gives a few bytes at each read, so that every cut between two reads is met."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(3)


def found_in(text: str | bytes, stream: type[io.BytesIO] = io.BytesIO, limits: Limits = LIMITS) -> list[Any]:
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    source = Source("f", cast(BinaryIO, stream(content)), limits)
    return [one.value if isinstance(one, Element) else one for one in elements_of(source)]


@settings(max_examples=150, deadline=None)
@given(st.lists(values, max_size=5), st.sampled_from([None, 1]), st.booleans())
def test_the_elements_are_those_that_json_reads(array: list[Any], indent: int | None, is_ascii: bool) -> None:
    text = json.dumps(array, indent=indent, ensure_ascii=is_ascii)
    assert found_in(text) == array
    assert found_in(text, Drops) == array


@pytest.mark.parametrize("stream", [io.BytesIO, Drops])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[1, {"a": nope}, 3]', [1, "f[1]", 3]),
        ('[1, {"a": "b\\"],[" "c"}, 3]', [1, "f[1]", 3]),
        ("[1, , 3]", [1, "f[1]", 3]),
        ("[1 2, 3]", ["f[0]", 3]),
        ("[{} {}, 3]", [{}, "f[1]", {}, 3]),
        ("[1}, 2]", ["f[0]", 2]),
        ('[1, {"a": ', [1, "f[1]", "f[2]"]),
        ("[1, 2", [1, 2, "f[2]"]),
        ("[1] [2]\n[]", [1, 2]),
        ('{"a": 1}', [{"a": 1}]),
        ('{"a": 1}\n{"a": 2}', [{"a": 1}, {"a": 2}]),
        ("", []),
        ("[]", []),
        ("[" + "9" * 5000 + ", 2]", ["f[0]", 2]),
    ],
)
def test_a_bad_element_is_reported_and_the_next_one_read(
    text: str, expected: list[Any], stream: type[io.BytesIO]
) -> None:
    found = [one.location.split(" ")[0] if isinstance(one, Problem) else one for one in found_in(text, stream)]
    assert found == expected


def test_an_element_nested_too_deep_is_reported_and_the_next_one_read() -> None:
    deep, other = found_in("[" + "[" * 100_000 + "]" * 100_000 + ", 2]")
    assert isinstance(deep, Problem)
    assert (deep.reason, other) == ("It is nested too deep.", 2)


def test_elements_know_their_index_and_byte() -> None:
    content = '[ "é", {"a": 1},\n2]'.encode()
    found = [one for one in elements_of(Source("f", io.BytesIO(content))) if isinstance(one, Element)]
    assert [(one.index, one.location, content[one.offset_bytes :][:2]) for one in found] == [
        (0, "f[0]", '"é'.encode()[:2]),
        (1, "f[1]", b'{"'),
        (2, "f[2]", b"2]"),
    ]


def test_an_element_over_the_limit_is_passed_over_without_being_held() -> None:
    long, other, last = found_in('["' + "x" * 700_000 + '", 2, 3]', limits=Limits(entry_bytes=100_000))
    assert isinstance(long, Problem)
    assert (other, last) == (2, 3)


@pytest.mark.parametrize("unit", ["[", '"', "[,", '{"a":', "\\\\"])
def test_an_element_whose_end_is_far_is_given_up_with_what_follows(unit: str) -> None:
    first, last = found_in('[1, ["' + unit * 2_000_000, limits=Limits(entry_bytes=100_000))
    assert first == 1
    assert isinstance(last, Problem)
    assert "no end in sight" in last.reason


def test_a_big_array_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    message = {"id": "m", "author": {"role": "user"}, "content": {"content_type": "text", "parts": ["word " * 400]}}
    n_conversations = 9000
    with path.open("w") as file:
        for index in range(n_conversations):
            mapping = {"n": {"id": "n", "parent": None, "message": message}}
            talk = {"conversation_id": f"c{index}", "current_node": "n", "mapping": mapping}
            file.write(("[" if index == 0 else ",") + json.dumps(talk))
        file.write("]")
    assert path.stat().st_size > 18 << 20
    tracemalloc.start()
    try:
        n_read = sum(isinstance(one, Message) for one in read_chatgpt(path))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_read == n_conversations
    assert peak_bytes < 2 << 20


def test_bytes_that_are_not_utf8_reach_the_message_they_stand_in(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf["ok", "\xff", "fine"]')
    assert [one.value for one in elements(path) if isinstance(one, Element)] == ["ok", "\udcff", "fine"]
