"""Formats by name; telling them apart; hostile and damaged files, which never raise anything but FormatError."""

import gzip
import json
import os
import random
import zipfile
from pathlib import Path

import pytest

from mnemic import formats
from mnemic.errors import FormatError
from mnemic.formats import FORMATS, Limits, Message, Problem, read, sniff
from mnemic.formats.message import digest, excerpt, make_id, whole

LINES = '{"role": "user", "content": "one"}\n{"role": "user", "content": "two"}\n'
SEEDS = {
    "mnemic": '{"format":"mnemic","version":1}\n{"id":"a","scope":"","text":"x","role":"user","parts":[{}],'
    '"occurred_at":"2024-05-01T10:00:00","recorded_at":"2024-05-01T10:00:00"}\n',
    "chatgpt": '[{"id":"c","title":"t","create_time":1.0,"current_node":"n","mapping":{"n":{"parent":null,"message":'
    '{"id":"m","author":{"role":"user"},"create_time":1.5,"content":{"content_type":"text","parts":["a",{"text":"b"}]}}}}}]',
    "claude": '[{"uuid":"c","name":"n","created_at":"2024-05-01","chat_messages":[{"uuid":"m","sender":"human",'
    '"text":"x","content":[{"type":"text","text":"y"}],"attachments":[{"file_name":"f"}],"files":[]}]}]',
    "locomo": '[{"sample_id":"s","qa":[{"question":"q","evidence":["D1:1"],"category":1}],"conversation":'
    '{"session_1_date_time":"1:56 pm on 8 May, 2023","session_1":[{"dia_id":"D1:1","text":"t","speaker":"A"}]}}]',
    "langgraph": '{"namespace":["m","alice"],"key":"k","value":{"content":{"content":"t"},"kind":"Memory"},"created_at":"2024-05-01",'
    '"updated_at":"2024-05-02T10:00:00+00:00"}\n',
    "letta": '{"agents":[{"id":"agent-0","name":"Sam","agent_type":"letta_v1_agent","block_ids":["block-0"],"messages":[{"role":"user",'
    '"content":[{"type":"text","text":"hi"}],"created_at":"2024-05-01","id":"message-0","tool_calls":[{"function":{"name":"f"}}]}]}],'
    '"blocks":[{"id":"block-0","label":"human","value":"v","limit":9}]}',
    "mem0": '{"results":[{"id":"m1","memory":"Likes tea","user_id":"alice","agent_id":"tutor","run_id":"r","created_at":"2024-05-01",'
    '"updated_at":null,"metadata":{"topic":"tea"},"score":0.5}]}',
    "graphiti": '[{"uuid":"e1","name":"LIKES","fact":"Ann likes tea","episodes":["p1"],"valid_at":"2024-05-01","group_id":"g",'
    '"created_at":"2024-05-02","attributes":{}},{"uuid":"p1","content":"a: b","source":"message","source_description":"chat"}]',
    "zep": '{"sessions":[{"session_id":"s","user_id":"u","messages":[{"uuid":"m","role":"Ann","role_type":"user","content":"hi",'
    '"created_at":"2024-05-01"}],"facts":["Ann likes tea"]}],"users":[{"user_id":"u","email":"a@b.example"}]}',
    "markdown": "---\ndate: 2024-05-01\ntags: [a]\n---\n# 2024-05-02\n\ntext\n\n```\ncode\n```\n",
    "openai": '{"role":"user","content":[{"type":"text","text":"a"}],"time":1714557600}\n{"messages":[{"role":"user","content":"b"}]}\n',
    "mbox": "From a Wed May  1\nFrom: =?utf-8?q?a?= <a@b>\nDate: Wed, 1 May 2024 12:00:00 +0200\nContent-Type: text/html; "
    "charset=utf-8\nReferences: <a@b> <c@d>\n\n<p>x</p>\n> y\n",
    "transcript": "[10:22] <ann> a\n12/05/2023, 21:44 - Ann: b\n2024-05-01 10:22 c\nAnn (1m 2s): d\n--- 2024-05-01\n* ann e\n",
}


def test_the_public_names_are_those_exported() -> None:
    assert sorted(formats.__all__) == ["FORMATS", "Format", "Limits", "Message", "Problem", "read", "sniff"]
    assert all(hasattr(formats, name) for name in formats.__all__)
    assert set(SEEDS) == set(FORMATS)


def test_an_unknown_format_is_refused_at_once_with_those_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\x00\x01")
    with pytest.raises(FormatError, match=r"not known.*chatgpt.*transcript"):
        read(path)
    with pytest.raises(FormatError, match="'diary' is no format"):
        read(path, "diary")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere.json")


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_each_format_is_told_by_its_content_and_read_without_a_problem(tmp_path: Path, name: str) -> None:
    suffix = {"markdown": ".md", "mnemic": ".jsonl", "openai": ".jsonl"}.get(name, ".dat")
    path = tmp_path / f"file{suffix}"
    path.write_text(SEEDS[name])
    assert sniff(path) == name
    found = list(read(path))
    assert found
    assert [one for one in found if isinstance(one, Problem)] == []
    assert found == list(read(path))


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_damaged_files_raise_nothing_but_format_error(tmp_path: Path, name: str) -> None:
    draw = random.Random(name)
    paths = [tmp_path / "file.txt", tmp_path / "file.json"]  # openai_jsonl reads the latter as an array
    words = [
        b"null",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"\\ud83d",
        b"\xff",
        b"9" * 20,
        b":",
        b",",
        b"\n",
        b"-1e999",
        b"NaN",
    ]
    for _ in range(150):
        content = bytearray(SEEDS[name].encode())
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(content))
            content[at : at + draw.choice([0, 1, 6])] = draw.choice(words)
        path = draw.choice(paths)
        path.write_bytes(content)
        try:
            found = list(read(path, name))
        except FormatError:
            continue
        for one in found:
            if isinstance(one, Message):
                json.dumps([one.text, one.id, one.actor, one.metadata, one.parts], allow_nan=False).encode()
            else:
                str(one).encode()


def test_a_bomb_stops_at_the_limit_and_what_came_before_it_stands(tmp_path: Path) -> None:
    bomb = LINES.encode() + b" " * (8 << 20)
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.jsonl", bomb)
    squeezed = tmp_path / "log.jsonl.gz"
    squeezed.write_bytes(gzip.compress(bomb))
    for path in (packed, squeezed):
        *messages, problem = read(path, "openai", limits=Limits(unpacked_bytes=1 << 20))
        assert [one.text for one in messages if isinstance(one, Message)] == ["one", "two"]
        assert isinstance(problem, Problem)
        assert "unpacks to more than 1048576 bytes" in problem.reason


def test_a_cut_archive_gives_what_it_holds_and_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.gz"
    noise = "".join(json.dumps({"role": "user", "content": os.urandom(40).hex()}) + "\n" for _ in range(2000))
    path.write_bytes(gzip.compress(noise.encode())[:60_000])
    *messages, problem = read(path, "openai")
    assert len(messages) > 500
    assert isinstance(problem, Problem)
    damaged = tmp_path / "a.zip"
    with zipfile.ZipFile(damaged, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.jsonl", noise)
    content = bytearray(damaged.read_bytes())
    content[20_000:20_040] = b"\xff" * 40
    damaged.write_bytes(content)
    assert any("damaged" in one.reason for one in read(damaged, "openai") if isinstance(one, Problem))


def test_an_archive_without_such_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.jpg", b"x")
    with pytest.raises(FormatError, match="holds no file"):
        list(read(path, "chatgpt"))


def test_a_line_over_the_limit_is_a_problem_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"role": "user", "content": "' + "x" * 5000 + '"}\n' + LINES)
    found = list(read(path, limits=Limits(entry_bytes=1000)))
    assert [one.location for one in found] == ["log.jsonl:1", "log.jsonl:2", "log.jsonl:3"]
    assert isinstance(found[0], Problem)


@pytest.mark.parametrize("name", ["markdown", "transcript", "mbox"])
@pytest.mark.parametrize("unit", ["# ", " ", ">", "<attached: ", "* ", "12:00 ", "a: ", "=== a has ", "(1m ", "-"])
def test_a_long_line_of_one_thing_costs_no_more_than_its_length(tmp_path: Path, name: str, unit: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("From x\nAnn: " + unit * 200_000 + "x\n# " + unit * 200_000 + "x\n")
    list(read(path, name))  # a pattern that backtracks would not come to an end


def test_utf16_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(LINES, encoding="utf-16")
    with pytest.raises(FormatError, match="Save it as UTF-8"):
        list(read(path, "openai"))


def test_halves_that_stand_side_by_side_become_one_character() -> None:
    message = Message(
        text="\ud83d\ude00", id="a", location="f:1", metadata={"\ud83d\ude00": ["\ud83d\ude00", float("nan")]}
    )
    assert whole(message) == Message(text="😀", id="a", location="f:1", metadata={"😀": ["😀", None]})
    assert isinstance(whole(Message(text="ok", id="a", location="f:1", parts=({"k": "\ude00"},))), Problem)


def test_deep_metadata_is_a_problem() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    assert isinstance(whole(Message(text="ok", id="a", location="f:1", metadata={"k": deep})), Problem)
    assert len(excerpt(deep)) < 100


def test_ids_keep_their_parts_apart() -> None:
    assert make_id("f", "a", "b") == "f:a:b"
    assert make_id("f", "a:b", "c") != make_id("f", "a", "b:c")
    assert digest("a", "bc") != digest("ab", "c")


def test_real_transcripts_are_read_where_they_are_at_hand(tmp_path: Path) -> None:
    named = os.environ.get("MNEMIC_SHARED_DATA")
    folder = (Path(named) if named else Path(__file__).parents[3] / "shared" / "data") / "dialogues"
    if not folder.exists():
        pytest.skip("the dialogues are not here; set MNEMIC_SHARED_DATA")
    podcast = [one for one in read(folder / "podcast_transcript.txt") if isinstance(one, Message)]
    assert len(podcast) == 140
    assert (podcast[2].actor, podcast[2].metadata) == ("1", {"offset_s": 63})
    with zipfile.ZipFile(folder / "ubuntu-irc.zip") as archive:
        log = tmp_path / "2004-11-15_03.ascii.txt"
        log.write_bytes(archive.read("dev/2004-11-15_03.ascii.txt"))
    found = list(read(log))
    assert [one for one in found if isinstance(one, Problem)] == []
    spoken = [one for one in found if isinstance(one, Message) and "kind" not in one.metadata]
    assert len(spoken) == sum(line.startswith("[") for line in log.read_text().splitlines())
