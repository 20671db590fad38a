"""Transcripts: each notation, continuation lines, days from headers and names, midnight, day or month first."""

from datetime import UTC
from pathlib import Path

import pytest

from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.transcript import MAX_TEXT_LENGTH, read_transcript


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def told(path: Path) -> list[tuple[str | None, str, str]]:
    return [
        (one.actor, one.text, one.occurred_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if one.occurred_at else "")
        for one in read_transcript(path)
        if isinstance(one, Message)
    ]


def test_names_and_text_with_lines_that_continue(tmp_path: Path) -> None:
    path = write(tmp_path / "talk.txt", "Ann: Hello\nand welcome.\n\nBob Lee: see http://a.example: fine\nAI: Noted.\n")
    assert sniff(path) == "transcript"
    assert told(path) == [
        ("Ann", "Hello\nand welcome.", ""),
        ("Bob Lee", "see http://a.example: fine", ""),
        ("AI", "Noted.", ""),
    ]
    assert [one.role for one in read(path) if isinstance(one, Message)] == ["user", "user", "assistant"]


@pytest.mark.parametrize(
    "line",
    [
        "[2024-05-01 10:22] Ann: hi",
        "2024-05-01 10:22:00 Ann: hi",
        "2024-05-01T12:22:00+02:00 <Ann> hi",
        "2024-05-01, 10:22 - Ann: hi",
        "[01/05/2024, 10:22:00] Ann: hi",
        "\u200e[01.05.24, 10:22:00] Ann: hi",
        "01/05/2024, 10:22 - Ann: hi",
        "5/1/24, 10:22\u202fAM - Ann: hi",
    ],
)
def test_each_dated_notation_is_read(tmp_path: Path, line: str) -> None:
    assert told(write(tmp_path / "chat.txt", line)) == [("Ann", "hi", "2024-05-01 10:22:00")]


def test_a_name_and_colon_without_a_time_continues_a_timed_message(tmp_path: Path) -> None:
    path = write(tmp_path / "c.txt", "[2024-05-01 10:22] Ann: bring\nMilk: two\n[2024-05-01 10:23] Bob: ok")
    assert told(path) == [("Ann", "bring\nMilk: two", "2024-05-01 10:22:00"), ("Bob", "ok", "2024-05-01 10:23:00")]


def test_irc_takes_its_day_from_the_name_passes_midnight_and_leaves_out_joins(tmp_path: Path) -> None:
    path = write(
        tmp_path / "2004-11-15_03.ascii.txt",
        "=== cat [~cat@host]  has joined #tea\n[23:58] <ann> late: is it?\n=== ann yawns\n[23:59] *** Joins: dog\n"
        "=== bob is now known as rob\n[00:01] <@rob> yes\n[00:02] * ann waves\n",
    )
    assert told(path) == [
        ("ann", "late: is it?", "2004-11-15 23:58:00"),
        ("ann", "yawns", "2004-11-15 23:58:00"),
        ("rob", "yes", "2004-11-16 00:01:00"),
        ("ann", "waves", "2004-11-16 00:02:00"),
    ]


def test_header_lines_set_the_day_of_the_clocks_below(tmp_path: Path) -> None:
    path = write(
        tmp_path / "log.txt",
        "--- Log opened Wed May 01 09:00:00 2024\n10:22 <ann> a\n--- Day changed Thu May 02 2024\n10:23 <ann> b\n",
    )
    assert told(path) == [("ann", "a", "2024-05-01 10:22:00"), ("ann", "b", "2024-05-02 10:23:00")]


def test_a_clock_without_a_day_is_kept_as_metadata(tmp_path: Path) -> None:
    (found,) = read_transcript(write(tmp_path / "log.txt", "[10:22] Ann: hi"))
    assert isinstance(found, Message)
    assert (found.occurred_at, found.metadata) == (None, {"clock": "10:22:00"})


def test_one_date_past_the_twelfth_tells_the_order_for_all(tmp_path: Path) -> None:
    first = "02/03/2024, 08:00 - Ann: early\n"
    assert told(write(tmp_path / "a.txt", first + "02/28/2024, 08:00 - Ann: late"))[0][2] == "2024-02-03 08:00:00"
    assert told(write(tmp_path / "b.txt", first + "28/03/2024, 08:00 - Ann: late"))[0][2] == "2024-03-02 08:00:00"


def test_whatsapp_notices_are_the_systems_and_files_become_parts(tmp_path: Path) -> None:
    path = write(
        tmp_path / "_chat.txt",
        "12/05/2023, 21:44 - Messages are end-to-end encrypted.\n12/05/2023, 21:45 - Ann: <Media omitted>\n"
        "12/05/2023, 21:46 - Bob: IMG-1.jpg (file attached)\nlook\n",
    )
    assert [(one.role, one.actor, one.text, one.parts) for one in read(path) if isinstance(one, Message)] == [
        ("system", None, "Messages are end-to-end encrypted.", ()),
        ("user", "Ann", "<Media omitted>", ({"type": "media", "omitted": True},)),
        ("user", "Bob", "IMG-1.jpg (file attached)\nlook", ({"type": "file", "name": "IMG-1.jpg"},)),
    ]


def test_offsets_count_from_the_day_where_it_is_known(tmp_path: Path) -> None:
    text = "0 (3s):\nHello.\n\nAnn (1h 2m 3s): Bye.\nBob (00:01:04): Well.\n"
    assert told(write(tmp_path / "pod 2024-05-01.txt", text)) == [
        ("0", "Hello.", "2024-05-01 00:00:03"),
        ("Ann", "Bye.", "2024-05-01 01:02:03"),
        ("Bob", "Well.", "2024-05-01 00:01:04"),
    ]


def test_bad_lines_are_reported_by_number_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(
        b"\xef\xbb\xbfno one yet\n[2024-05-01 10:22] Ann: a\n\xff\xfe broken\nb\n[2024-13-01 10:23] Bob: c\n"
    )
    found = list(read_transcript(path))
    assert [str(one).split(": ")[0] if isinstance(one, Problem) else one.text for one in found] == [
        "c.txt:1",
        "c.txt:3",
        "c.txt:5",
        "a\nb",
        "c",
    ]


def test_ids_are_the_same_each_time_and_differ_for_equal_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "c.txt", "Ann: hi\nAnn: hi\nBob: hi\n")
    ids = [one.id for one in read_transcript(path) if isinstance(one, Message)]
    assert ids == [one.id for one in read_transcript(path) if isinstance(one, Message)]
    assert len(set(ids)) == 3
    write(path, "Ann: hi\nAnn: hi\nBob: hi\nBob: more\n")
    assert [one.id for one in read_transcript(path) if isinstance(one, Message)][:3] == ids


def test_endless_continuation_becomes_several_messages(tmp_path: Path) -> None:
    path = write(tmp_path / "c.txt", "Ann: start\n" + ("x" * 1023 + "\n") * (2 * MAX_TEXT_LENGTH // 1024))
    found = [one for one in read_transcript(path) if isinstance(one, Message)]
    assert [one.actor for one in found] == ["Ann"] * len(found)
    assert len(found) in (2, 3)
    assert all(len(one.text) <= MAX_TEXT_LENGTH for one in found)
