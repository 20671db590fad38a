"""The files of an agent's memory: what each command answers, what it refuses, and that nothing is lost."""

import hashlib
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import EditConflict, EpisodeNotFound, MnemicError, ParameterError
from mnemic.memory_files import MemoryFiles


@pytest.fixture
def files(memory):
    return MemoryFiles(memory.scope("acme/alice"), actor="tutor")


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


# -- the answers of the protocol ------------------------------------------------------------------------------


def test_an_empty_memory_is_an_empty_directory(files):
    assert files.view("/memories") == (
        "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items and node_modules:\n"
        "0B\t/memories"
    )


def test_a_directory_shows_two_levels_with_sizes_and_no_hidden_names(files):
    files.create("/memories/b.md", "12345")
    files.create("/memories/a/deep/er/x.md", "x" * 1536)
    files.create("/memories/a/y.md", "")
    files.create("/memories/.secret", "s")
    files.create("/memories/a/.git/x", "s")
    files.create("/memories/node_modules/x", "s")
    assert files.view("/memories/").split("\n")[1:] == [
        "1.5K\t/memories",
        "1.5K\t/memories/a/",
        "1.5K\t/memories/a/deep/",
        "0B\t/memories/a/y.md",
        "5B\t/memories/b.md",
    ]
    assert files.view("/memories/a").split("\n")[1:] == [
        "1.5K\t/memories/a",
        "1.5K\t/memories/a/deep/",
        "1.5K\t/memories/a/deep/er/",
        "0B\t/memories/a/y.md",
    ]
    assert files.read("/memories/.secret").text == "s"


def test_a_file_is_shown_with_numbered_lines(files):
    files.create("/memories/f", "tea\nmilk\nrice\n")
    head = "Here's the content of /memories/f with line numbers:\n"
    assert files.view("/memories/f") == f"{head}     1\ttea\n     2\tmilk\n     3\trice\n     4\t"
    assert files.view("/memories/f", [2, 3]) == f"{head}     2\tmilk\n     3\trice"
    assert files.view("/memories/f", [3, -1]) == f"{head}     3\trice\n     4\t"
    assert files.view("/memories/f", [1, 99]) == files.view("/memories/f")


@pytest.mark.parametrize("view_range", [[1], [1, 2, 3], ["1", 2], [3, 2], [9, 10], "12", [1, -2], [True, 2], 5])
def test_a_range_that_is_none_is_refused(files, view_range):
    files.create("/memories/f", "a\nb\nc")
    with pytest.raises(ParameterError, match="view_range"):
        files.view("/memories/f", view_range)


def test_the_other_commands_answer_in_the_protocols_words(files):
    assert files.create("/memories/a/f", "tea\nmilk\nrice\nsalt\noil") == "File created successfully at: /memories/a/f"
    assert files.str_replace("/memories/a/f", "rice", "bread\nbutter") == (
        "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n"
        "     1\ttea\n     2\tmilk\n     3\tbread\n     4\tbutter\n     5\tsalt\n     6\toil"
    )
    assert files.insert("/memories/a/f", 0, "list\n") == "The file /memories/a/f has been edited."
    assert files.read("/memories/a/f").text == "list\ntea\nmilk\nbread\nbutter\nsalt\noil\n"
    assert files.rename("/memories/a", "/memories/b/c") == "Successfully renamed /memories/a to /memories/b/c"
    assert files.delete("/memories/b") == "Successfully deleted /memories/b"
    assert files.paths() == []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({"command": "view", "path": "/memories/none"}, "The path /memories/none does not exist. Please provide a valid path."),
        ({"command": "create", "path": "/memories/d/f", "file_text": "x"}, "File /memories/d/f already exists"),
        ({"command": "create", "path": "/memories/d", "file_text": "x"}, "File /memories/d already exists"),
        ({"command": "create", "path": "/memories/d/f/g", "file_text": "x"}, "/memories/d/f is a file"),
        ({"command": "create", "path": "/memories", "file_text": "x"}, "/memories is a directory"),
        ({"command": "create", "path": "/memories/g", "file_text": "x" * 102_401}, "Leave out 1 bytes"),
        ({"command": "create", "path": "/memories/g", "file_text": 7}, "text is expected"),
        ({"command": "create", "path": "/memories/g", "file_text": "\ud800"}, "lone surrogate"),
        ({"command": "create", "path": "/memories/g"}, "create needs `file_text`"),
        ({"command": "str_replace", "path": "/memories/d", "old_str": "x", "new_str": ""}, "/memories/d is not a file"),
        ({"command": "str_replace", "path": "/memories/x", "old_str": "x", "new_str": ""}, "/memories/x does not exist"),
        ({"command": "str_replace", "path": "/memories/d/f", "old_str": "z", "new_str": ""}, "old_str `z` did not appear verbatim in /memories/d/f"),
        ({"command": "str_replace", "path": "/memories/d/f", "old_str": "tea", "new_str": ""}, "Multiple occurrences of old_str `tea` in lines: 1, 3."),
        ({"command": "str_replace", "path": "/memories/d/f", "old_str": 1, "new_str": ""}, "`old_str` is int"),
        ({"command": "insert", "path": "/memories/d/f", "insert_line": 4, "insert_text": "x"}, "Invalid `insert_line` parameter: 4. It should be within the range of lines of the text: [0, 3]."),
        ({"command": "insert", "path": "/memories/d/f", "insert_line": -1, "insert_text": "x"}, "[0, 3]"),
        ({"command": "insert", "path": "/memories/d", "insert_line": 0, "insert_text": "x"}, "/memories/d is not a file"),
        ({"command": "delete", "path": "/memories"}, "Cannot delete the /memories directory itself"),
        ({"command": "delete", "path": "/memories/x"}, "/memories/x does not exist"),
        ({"command": "rename", "old_path": "/memories/d/f", "new_path": "/memories/e"}, "The destination /memories/e already exists"),
        ({"command": "rename", "old_path": "/memories/d/f", "new_path": "/memories/d/f"}, "already exists"),
        ({"command": "rename", "old_path": "/memories/x", "new_path": "/memories/y"}, "/memories/x does not exist"),
        ({"command": "rename", "old_path": "/memories", "new_path": "/memories/y"}, "Cannot rename the /memories directory itself"),
        ({"command": "rename", "old_path": "/memories/d", "new_path": "/memories"}, "Cannot rename"),
        ({"command": "rename", "old_path": "/memories/d", "new_path": "/memories/d/g/h"}, "into itself"),
        ({"command": "rename", "old_path": "/memories/d/f", "new_path": "/memories/e/f"}, "/memories/e is a file"),
        ({"command": "view", "path": "/memories/../etc"}, "'..'"),
        ({"command": "peek", "path": "/memories"}, "Unknown command: 'peek'"),
        ({"path": "/memories"}, "Unknown command: None"),
        ({"command": ["view"], "path": "/memories"}, "Unknown command"),
        ({"command": "view", "path": "/memories", "mode": "x"}, "view takes no `mode`"),
        ([], "A command is an object"),
        (None, "A command is an object"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said_and_changes_nothing(files, command, says):
    files.create("/memories/d/f", "tea\nmilk\ntea\n")
    files.create("/memories/e", "e")
    before = [files.read(path) for path in files.paths()]
    answer = files.handle_command(command)
    assert answer.startswith("Error: ")
    assert says in answer
    with pytest.raises(MnemicError):
        files.execute(command)
    assert [files.read(path) for path in files.paths()] == before


def test_texts_come_back_byte_for_byte(files):
    for place, text in enumerate(["", "\n", " a \r\n\tb ", "\u0000", "é🎈\u2028", "x" * 102_400]):
        files.create(f"/memories/{place}", text)
        assert files.read(f"/memories/{place}").text == text


def test_nothing_is_seen_from_another_scope(memory, files):
    files.create("/memories/f", "tea")
    assert MemoryFiles(memory.scope("acme/bob")).paths() == []
    assert MemoryFiles(memory.scope("acme")).paths() == []
    assert len(memory.scope("acme/alice").list()) == 0


# -- versions -------------------------------------------------------------------------------------------------


def test_every_edit_is_a_version_with_who_and_why(files):
    files.create("/memories/f", "tea", reason="asked for")
    files.str_replace("/memories/f", "tea", "milk")
    files.delete("/memories/f", reason="drunk")
    assert [(one.operation, one.text, one.actor, one.reason) for one in files.versions("/memories/f")] == [
        ("created", "tea", "tutor", "asked for"),
        ("modified", "milk", "tutor", "str_replace"),
        ("deleted", None, "tutor", "drunk"),
    ]
    assert files.versions("/memories/f")[1].sha256 == sha("milk")


def test_an_edit_that_changes_nothing_makes_no_version(files):
    files.create("/memories/f", "tea")
    files.str_replace("/memories/f", "tea", "tea")
    assert len(files.versions("/memories/f")) == 1


def test_the_versions_follow_a_file_through_its_names(files):
    files.create("/memories/a", "1")
    files.rename("/memories/a", "/memories/b")
    files.create("/memories/a", "another")
    files.str_replace("/memories/b", "1", "2")
    files.rename("/memories/b", "/memories/c")
    files.rename("/memories/c", "/memories/b")
    told = [(one.path, one.operation, one.text) for one in files.versions("/memories/b") if one.operation != "deleted"]
    assert told[-5:] == [
        ("/memories/a", "created", "1"),
        ("/memories/b", "modified", "1"),
        ("/memories/b", "modified", "2"),
        ("/memories/c", "modified", "2"),
        ("/memories/b", "modified", "2"),
    ]
    assert [one.text for one in files.versions("/memories/a")] == ["1", None, "another"]


def test_a_deleted_file_is_restored_from_any_version(files):
    files.create("/memories/f", "tea")
    files.str_replace("/memories/f", "tea", "milk")
    first = files.versions("/memories/f")[0]
    files.clear()
    assert files.restore("/memories/f", first.version).text == "tea"
    assert [one.text for one in files.versions("/memories/f")] == ["tea", "milk", None, "tea"]
    with pytest.raises(EpisodeNotFound, match="`versions` lists"):
        files.restore("/memories/f", "no such version")


def test_a_hash_that_is_not_the_files_stops_the_edit(files):
    files.create("/memories/f", "tea")
    for edit in (
        lambda: files.write("/memories/f", "x", expected_sha256=sha("milk")),
        lambda: files.str_replace("/memories/f", "tea", "x", expected_sha256=sha("milk")),
        lambda: files.insert("/memories/f", 0, "x", expected_sha256=sha("milk")),
        lambda: files.delete("/memories/f", expected_sha256=sha("milk")),
        lambda: files.write("/memories/none", "x", expected_sha256=sha("milk")),
    ):
        with pytest.raises(EditConflict, match="not as you read it"):
            edit()
    assert files.write("/memories/f", "x", expected_sha256=sha("tea").upper()).text == "x"
    assert files.paths() == ["/memories/f"]


def test_redaction_leaves_what_the_file_says_now_and_nothing_else(open_memory, tmp_path):
    memory = open_memory(tmp_path / "a.db")
    files = MemoryFiles(memory, actor="tutor")
    files.create("/memories/f", "the password is swordfish")
    files.rename("/memories/f", "/memories/g")
    files.write("/memories/g", "the password is elsewhere")
    receipt = files.redact("/memories/g", reason="a secret slipped in")
    assert receipt.episodes >= 4
    assert files.read("/memories/g").text == "the password is elsewhere"
    assert [(one.operation, one.reason) for one in files.versions("/memories/g")] == [
        ("created", "a secret slipped in")
    ]
    assert memory.find_traces("swordfish") == []


def test_a_redaction_that_is_cut_off_loses_no_text(files, monkeypatch):
    files.create("/memories/f", "tea")
    files.write("/memories/f", "milk")
    with monkeypatch.context() as cut:
        cut.setattr(files._documents, "put", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            files.redact("/memories/f")
    assert [one.text for one in files.versions("/memories/f")] == ["tea", "milk", None]
    files.restore("/memories/f", files.versions("/memories/f")[1].version)
    files.redact("/memories/f")
    assert [one.text for one in files.versions("/memories/f")] == ["milk"]


def test_a_purged_file_is_gone_with_all_its_past(open_memory, tmp_path):
    memory = open_memory(tmp_path / "a.db")
    files = MemoryFiles(memory)
    files.create("/memories/f", "swordfish one")
    files.rename("/memories/f", "/memories/g")
    files.str_replace("/memories/g", "one", "two")
    files.create("/memories/other", "stays")
    files.purge("/memories/g")
    assert files.paths() == ["/memories/other"]
    assert files.versions("/memories/g") == []
    assert memory.find_traces("swordfish") == []
    with pytest.raises(EpisodeNotFound):
        files.purge("/memories/g")


# -- several at once ------------------------------------------------------------------------------------------


def test_two_agents_that_edit_at_once_lose_nothing(open_memory, tmp_path):
    where = tmp_path / "a.db"
    shared = MemoryFiles(open_memory(where))
    shared.create("/memories/f", "begin\n")
    handles = [MemoryFiles(Memory.open(where, embedder="hashing"), actor=name) for name in ("one", "two")]

    def work(files, name):
        for number in range(8):
            while files.handle_command(
                {"command": "insert", "path": "/memories/f", "insert_line": 1, "insert_text": f"{name} {number}"}
            ).startswith("Error"):
                pass

    threads = [threading.Thread(target=work, args=(files, name)) for files, name in zip(handles, "ab", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for files in handles:
        files._documents.handle.close()
    lines = shared.read("/memories/f").text.split("\n")
    assert sorted(lines[1:-1]) == sorted(f"{name} {number}" for name in "ab" for number in range(8))
    assert len(shared.versions("/memories/f")) == 17


def test_of_two_that_create_the_same_file_one_is_told(open_memory, tmp_path):
    where = tmp_path / "a.db"
    open_memory(where)
    answers = []
    start = threading.Barrier(4)

    def work(number):
        with Memory.open(where, embedder="hashing") as memory:
            files = MemoryFiles(memory)
            start.wait()
            answers.append(files.handle_command({"command": "create", "path": "/memories/f", "file_text": str(number)}))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = "Error: File /memories/f already exists."
    assert sorted(answers) == [refused, refused, refused, "File created successfully at: /memories/f"]


def test_an_edit_that_was_overtaken_is_made_on_what_the_other_wrote(files, memory, monkeypatch):
    other = MemoryFiles(memory.scope("acme/alice"), actor="other")
    files.create("/memories/f", "tea\nmilk\n")
    put, overtaken = files._documents.put, []

    def late(*args, **kwargs):
        if not overtaken:
            overtaken.append(True)
            other.str_replace("/memories/f", "milk", "oat milk")
        return put(*args, **kwargs)

    monkeypatch.setattr(files._documents, "put", late)
    files.str_replace("/memories/f", "tea", "coffee")
    assert files.read("/memories/f").text == "coffee\noat milk\n"
    assert [one.actor for one in files.versions("/memories/f")] == ["tutor", "other", "tutor"]


# -- against a model ------------------------------------------------------------------------------------------


class Plain:
    """The commands on a dictionary: what each must do, without a word of how."""

    def __init__(self):
        self.files = {}

    def below(self, path):
        return [one for one in self.files if one.startswith(path + "/")]

    def taken(self, path):
        parts = path.split("/")
        return (
            path in self.files
            or self.below(path)
            or any("/".join(parts[:n]) in self.files for n in range(3, len(parts)))
        )

    def run(self, command):
        """Whether the command is accepted; done if it is."""
        name, path = command["command"], command.get("path") or command["old_path"]
        text = self.files.get(path)
        if name == "create":
            if self.taken(path):
                return False
            self.files[path] = command["file_text"]
        elif name == "str_replace":
            if text is None or text.count(command["old_str"]) != 1:
                return False
            self.files[path] = text.replace(command["old_str"], command["new_str"])
        elif name == "insert":
            lines = [] if text is None else text.splitlines(keepends=True)
            if text is None or command["insert_line"] > len(lines):
                return False
            lines = [line if line.endswith("\n") else line + "\n" for line in lines]
            lines.insert(command["insert_line"], command["insert_text"] + "\n")
            self.files[path] = "".join(lines)
        elif name == "delete":
            chosen = [path] if text is not None else self.below(path)
            for one in chosen:
                del self.files[one]
            return bool(chosen)
        elif name == "rename":
            new = command["new_path"]
            chosen = [path] if text is not None else self.below(path)
            if not chosen or self.taken(new) or new.startswith(path + "/"):
                return False
            for one in chosen:
                self.files[new + one[len(path) :]] = self.files.pop(one)
        elif name == "view":
            return text is not None or bool(self.below(path))
        return True


PATHS = st.sampled_from(["/memories/a", "/memories/a/b", "/memories/a/b/c", "/memories/d", "/memories/d/b"])
TEXTS = st.sampled_from(["", "x", "xy", "x\ny", "y\n", "z\nz"])
COMMANDS = st.one_of(
    st.fixed_dictionaries({"command": st.just("create"), "path": PATHS, "file_text": TEXTS}),
    st.fixed_dictionaries(
        {"command": st.just("str_replace"), "path": PATHS, "old_str": st.sampled_from(["x", "y", "\n"]), "new_str": TEXTS}
    ),
    st.fixed_dictionaries(
        {"command": st.just("insert"), "path": PATHS, "insert_line": st.integers(0, 3), "insert_text": st.sampled_from(["x", "w\nv"])}
    ),
    st.fixed_dictionaries({"command": st.just("delete"), "path": PATHS}),
    st.fixed_dictionaries({"command": st.just("rename"), "old_path": PATHS, "new_path": PATHS}),
    st.fixed_dictionaries({"command": st.just("view"), "path": PATHS}),
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(COMMANDS, max_size=14))
def test_any_commands_do_what_they_do_to_plain_files(commands):
    plain = Plain()
    with Memory.open(None, embedder="hashing") as memory:
        files = MemoryFiles(memory)
        for command in commands:
            was_accepted = not files.handle_command(command).startswith("Error: ")
            assert was_accepted == plain.run(command), command
            assert {path: files.read(path).text for path in files.paths()} == plain.files
