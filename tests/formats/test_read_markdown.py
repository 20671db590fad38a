"""Markdown journals: days from headings, front matter and names; ids that survive edits elsewhere."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.dates import date_at_start, date_within
from mnemic.formats.markdown import read_markdown

JOURNAL = """# Journal

Undated.

## 2024-05-01 – Lisbon

Walked to the river.
Ate well.

- one
- two

### 14:30 Lunch

```
# no heading

code
```

## Thursday, 2 May 2024

---

Rain.
"""


def messages(path: Path) -> list[Message]:
    return [one for one in read_markdown(path) if isinstance(one, Message)]


def test_paragraphs_lists_and_fences_are_messages_under_dated_headings(tmp_path: Path) -> None:
    path = tmp_path / "diary.md"
    path.write_text(JOURNAL, encoding="utf-8")
    assert sniff(path) == "markdown"
    lisbon, thursday = "2024-05-01 – Lisbon", "Thursday, 2 May 2024"
    assert [
        (one.location, one.text, one.occurred_at, one.session, one.metadata["headings"]) for one in messages(path)
    ] == [
        ("diary.md:3", "Undated.", None, "diary.md", ["Journal"]),
        (
            "diary.md:7",
            "Walked to the river.\nAte well.",
            datetime(2024, 5, 1, tzinfo=UTC),
            "2024-05-01",
            ["Journal", lisbon],
        ),
        ("diary.md:10", "- one\n- two", datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01", ["Journal", lisbon]),
        (
            "diary.md:15",
            "```\n# no heading\n\ncode\n```",
            datetime(2024, 5, 1, 14, 30, tzinfo=UTC),
            "2024-05-01",
            ["Journal", lisbon, "14:30 Lunch"],
        ),
        ("diary.md:25", "Rain.", datetime(2024, 5, 2, tzinfo=UTC), "2024-05-02", ["Journal", thursday]),
    ]


def test_a_folder_is_read_with_the_folders_below_and_days_come_from_names_and_front_matter(tmp_path: Path) -> None:
    (tmp_path / "2024").mkdir()
    (tmp_path / ".obsidian").mkdir()
    (tmp_path / ".obsidian" / "x.md").write_text("hidden")
    (tmp_path / "2024" / "2024-05-03 trip.md").write_text("Sun.")
    (tmp_path / "idea.md").write_text("---\ndate: 2024-06-01\ntags: [a, '#b']\n---\nTry it.\n")
    (tmp_path / "list.md").write_text("---\ntags:\n  - c\n---\n\nLater.\n")
    assert sniff(tmp_path) == "markdown"
    assert [(one.metadata, one.text, one.session) for one in read(tmp_path) if isinstance(one, Message)] == [
        ({"file": "idea.md", "tags": ["a", "b"]}, "Try it.", "2024-06-01"),
        ({"file": "list.md", "tags": ["c"]}, "Later.", "list.md"),
        ({"file": "2024/2024-05-03 trip.md"}, "Sun.", "2024-05-03"),
    ]


def test_a_rule_on_the_first_line_is_no_front_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("---\nText: kept\n")
    assert [one.text for one in messages(path)] == ["---\nText: kept"]


def test_an_entry_written_above_leaves_the_other_ids_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("## 2024-05-01\n\nsame\n\nsame\n")
    before = [one.id for one in messages(path)]
    path.write_text("## 2024-05-02\n\nnew\n\n## 2024-05-01\n\nsame\n\nsame\n")
    assert [one.id for one in messages(path)][1:] == before
    assert len(set(before)) == 2


def test_bad_bytes_and_dates_are_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"---\ndate: someday\n---\none\n\n\xff\n\ntwo\n")
    found = list(read_markdown(path))
    assert [one.location if isinstance(one, Problem) else one.text for one in found] == [
        "a.md: date",
        "one",
        "a.md:6",
        "two",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2024-06-03",
        "[[2024-06-03]]",
        "Monday, 3 June 2024",
        "June 3, 2024",
        "3rd of June 2024 x",
        "20240603",
        "2024/6/3",
        "Mon Jun 03 2024",
    ],
)
def test_dates_are_read_as_people_write_them(text: str) -> None:
    found = date_at_start(text)
    assert found is not None
    assert found[0].isoformat() == "2024-06-03"


def test_what_is_no_date_is_none() -> None:
    assert [date_at_start(text) for text in ("Plan for 2024-05-01", "2024-13-01", "May 2024", "30 February 2024")] == [
        None
    ] * 4
    assert [date_within(text) for text in ("a12024-05-01x.md", "id-120240501.md", "x_2024-05-01.md")][:2] == [
        None,
        None,
    ]
