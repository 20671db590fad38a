"""Paths of agents: one spelling for one place, and no tricks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.text.paths import checked_path


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/memories", ""),
        ("/memories/", ""),
        ("/memories/a.md", "a.md"),
        ("/memories/plans//may.md", "plans/may.md"),
        ("/memories/plans/", "plans"),
        ("/memories/.hidden", ".hidden"),
        ("/memories/mais où/été 100%.md", "mais où/été 100%.md"),
        ("/memories/план.md", "план.md"),
        ("/memories/Δx/計画：五月.md", "Δx/計画：五月.md"),
        ("/memories/a..b", "a..b"),
    ],
)
def test_plain_names_of_any_script_are_paths(path, inside):
    assert checked_path(path) == inside


@pytest.mark.parametrize(
    "path",
    [
        "",
        "notes.md",
        "memories/notes.md",
        "/memoriesx/a",
        "/Memories/a",
        "/etc/passwd",
        "../memories/a",
        "/memories/../etc/passwd",
        "/memories/a/../b",
        "/memories/./a",
        "/memories/...",
        "/memories/%2e%2e/a",
        "/memories/..%2fa",
        "/memories/%252e%252e/a",
        "/memories/a%00.md",
        "/memories\\a",
        "/memories/..\\a",
        "/memories/a\x00b",
        "/memories/a\nb",
        "/memories/a\u200bb",
        "/memories/a\u202eb",
        "/memories/a\u00a0b",
        "/memories/\ud800",
        "/memories/a\U000e0041",
        "/memories/\uff0e\uff0e/a",
        "/memories/\u2025/a",
        "/memories/a\uff0fb",
        "/memories/a\u2215b",
        "/memories/a\u2044b",
        "/memories/a\uff3cb",
        "/memories/\uff052e",
        "/mem\u043eries/a",
        "/memories/n\u043etes.md",
        "/memories/e\u0301te\u0301",
        "/memories/ a",
        "/memories/a /b",
        "/memories/" + "a" * 1000,
        None,
        7,
        b"/memories/a",
    ],
)
def test_what_could_be_a_trick_is_refused(path):
    with pytest.raises(ParameterError):
        checked_path(path)


@given(st.text(max_size=30))
def test_what_passes_is_its_own_normal_form(text):
    try:
        inside = checked_path(f"/memories/{text}")
    except ParameterError:
        return
    assert checked_path(f"/memories/{inside}") == inside
    assert not {"", ".", ".."} & set(inside.split("/")) or inside == ""
