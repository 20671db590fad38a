"""The documentation is true: its examples run, and it mentions what there is."""

import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest

import mnemic
from mnemic.systems.registry import SYSTEMS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = {page: re.findall(r"^```python\n(.*?)^```", page.read_text(), re.S | re.M) for page in PAGES}


@pytest.mark.parametrize("page", [page for page, found in EXAMPLES.items() if found], ids=lambda page: page.name)
def test_the_examples_of_a_page_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # without the weights, "auto" says that recall is lexical
        for place, example in enumerate(EXAMPLES[page]):
            exec(compile(example, f"{page.name}, example {place + 1}", "exec"), names)
    for value in names.values():
        if isinstance(value, mnemic.Memory):
            value.close()


def test_the_readme_shows_a_memory_in_five_lines():
    first = EXAMPLES[ROOT / "README.md"][0]
    assert len([line for line in first.splitlines() if line.strip()]) <= 5


@pytest.mark.parametrize("embedder", ["auto", "hashing"])
def test_the_examples_of_the_readme_print_what_stands_beside_them(embedder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = "".join(EXAMPLES[ROOT / "README.md"]).replace('"agent.db"', f'"agent.db", embedder="{embedder}"')
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        exec(compile(page, "README.md", "exec"), names)
    names["memory"].close()
    printed = capsys.readouterr().out
    told = re.findall(r"^print\(.*\)  # (.*)$", page, re.M)
    assert len(told) == 2
    assert [line for line in told if line.removesuffix("…") not in printed] == []


def test_every_system_is_described():
    described = (ROOT / "docs/systems.md").read_text()
    assert [system for system in SYSTEMS if f"`{system}`" not in described] == []


def test_the_pages_of_the_systems_are_what_their_cards_say():
    tool = ROOT / "tools/make_system_pages.py"
    done = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_dependency_has_its_reason():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs/architecture.md").read_text()
    names = [re.split(r"[<>=\[]", line)[0] for line in settings["dependencies"]]
    assert len(names) <= 8
    assert [name for name in names if f"| {name} |" not in reasons] == []


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_the_public_names_are_those_that_are_listed():
    assert all(hasattr(mnemic, name) for name in mnemic.__all__)
    assert sorted(mnemic.__all__) == mnemic.__all__
