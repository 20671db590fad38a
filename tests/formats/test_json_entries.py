"""Lists within an object: as json reads them, one after another, each with the fields that stand around it."""

import gzip
import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemic.formats import Limits, Problem
from mnemic.formats.json_entries import Entry, entries

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
rows = st.dictionaries(st.sampled_from(["id", "x", "rows"]), values, max_size=3)


def found_in(path: Path) -> list[Any]:
    return [
        (one.list_name, one.location, one.value, dict(one.around)) if isinstance(one, Entry) else one.location
        for one in entries(path, ("rows", "inner"))
    ]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=values, after=values, listed=st.lists(rows, max_size=4), indent=st.sampled_from([None, 1]))
def test_an_object_s_list_is_read_with_its_fields_wherever_they_stand(
    tmp_path: Path, before: Any, after: Any, listed: list[dict[str, Any]], indent: int | None
) -> None:
    path = write(tmp_path / "a.json", json.dumps({"before": before, "rows": listed, "after": after}, indent=indent))
    around = {"before": before, "after": after}
    first, *found = found_in(path)
    assert first == ("", "a.json", around, {})
    outer = [one for one in found if one[1].count(".rows[") == 1]
    nested = [isinstance(row.get("rows"), list) and any(isinstance(one, dict) for one in row["rows"]) for row in listed]
    expected = [
        {key: value for key, value in row.items() if key != "rows"} if is_nested else row
        for row, is_nested in zip(listed, nested, strict=True)
    ]
    assert [(one[0], one[2], one[3]) for one in outer] == [("rows", row, around) for row in expected]


def test_lists_within_lists_know_all_that_stands_around_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps({"rows": [{"inner": [{"n": 1}, 2], "id": "r"}], "by": "me"}))
    assert found_in(path) == [
        ("", "a.json", {"by": "me"}, {}),
        ("rows", "a.json.rows[0]", {"id": "r"}, {"by": "me"}),
        ("inner", "a.json.rows[0].inner[0]", {"n": 1}, {"by": "me", "id": "r"}),
        ("inner", "a.json.rows[0].inner[1]", 2, {"by": "me", "id": "r"}),
    ]


@pytest.mark.parametrize("pack", ["plain", "gz", "zip"])
def test_archives_are_read_twice_side_by_side_as_well(tmp_path: Path, pack: str) -> None:
    text = json.dumps({"rows": [{"n": 1}], "by": "me"})
    path = tmp_path / {"plain": "a.json", "gz": "a.json.gz", "zip": "a.zip"}[pack]
    if pack == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("b.json", text)
            archive.writestr("c.jsonl", text + "\n{}\n")
    else:
        path.write_bytes(gzip.compress(text.encode()) if pack == "gz" else text.encode())
    assert [one[3] for one in found_in(path) if one[0] == "rows"] == [{"by": "me"}] * (2 if pack == "zip" else 1)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('{"rows": [1, nope, 3], "by": "me"}', ["a.json", 1, "a.json.rows[1]", 3]),
        ('{"rows": [1], "by": nope}', ["a.json", 1, "a.json.by"]),
        ('{"by": nope, "rows": [1]}', ["a.json", "a.json.by", 1]),
        ('{"rows": [1', ["a.json", 1, "a.json.rows[1]", "a.json"]),
        ('{"rows": [1] "by": 2}', ["a.json", 1]),
        ('{by: 1, "rows": [1]}', ["a.json[0]"]),
        ('{"rows" [1]}', ["a.json[0]"]),
        ('{"a": 1}{"rows": [2]}', ["a.json", "a.json[1]", 2]),
        ('[{"rows": [{"n": 1}]}, 2]', ["a.json[0]", {"n": 1}, 2]),
        ("7", ["a.json[0]"]),
        ('"nope"', ["a.json"]),
        ("", []),
        ("nope", ["a.json[0]"]),
    ],
)
def test_what_is_bad_is_named_and_the_rest_is_read_where_it_can_be(
    tmp_path: Path, text: str, places: list[Any]
) -> None:
    found = list(entries(write(tmp_path / "a.json", text), ("rows",)))
    assert [
        one.location.split(" ")[0]
        if isinstance(one, Problem) or (isinstance(one.value, dict) and "n" not in one.value)
        else one.value
        for one in found
    ] == places


def test_lines_are_told_by_the_first_one_and_a_bad_one_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", '\n{"n": 1}\n{"n": \n{"rows": [{"n": 2}], "by": 1}\n' + "[" * 100_000 + "\n")
    assert found_in(path) == [
        ("", "a.txt:2", {"n": 1}, {}),
        "a.txt:3",
        ("", "a.txt:4", {"by": 1}, {}),
        ("rows", "a.txt:4.rows[0]", {"n": 2}, {"by": 1}),
        "a.txt:5",
    ]


def test_fields_without_end_are_refused(tmp_path: Path) -> None:
    many = ", ".join(f'"k{n}": "{"x" * 50}"' for n in range(1000))
    found = list(entries(write(tmp_path / "a.json", f"{{{many}}}"), ("rows",), limits=Limits(entry_bytes=1000)))
    assert [isinstance(one, Problem) and "longer than 1000 bytes" in one.reason for one in found] == [True]


def test_a_big_list_in_an_object_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("w") as file:
        file.write('{"rows": [')
        for number in range(20_000):
            file.write(("," if number else "") + json.dumps({"id": number, "memory": "word " * 150}))
        file.write('], "by": "me"}')
    assert path.stat().st_size > 14 << 20
    tracemalloc.start()
    try:
        n_read = sum(one.around == {"by": "me"} for one in entries(path, ("rows",)) if isinstance(one, Entry))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_read == 20_000
    assert peak_bytes < 3 << 20
