"""Pasts on their way to a server and back."""

import io
import zipfile

import pytest

from mnemic.client import Client
from mnemic.errors import FormatError, ParameterError, TooLarge

from .serving import mnemic_at

JOURNAL = "# 2024-03-01\n\nI moved to Porto today.\n\n# 2024-03-02\n\nIt rains.\n"


def test_a_file_is_known_by_its_name_and_importing_it_again_changes_nothing(client, tenant, tmp_path):
    file = tmp_path / "journal.md"
    file.write_text(JOURNAL)
    handle = client.scope(tenant)
    assert (handle.import_(file).added, handle.import_(file).skipped) == (2, 2)
    assert {one.metadata["file"] for one in handle.list()} == {"journal.md"}


def test_an_import_gives_what_it_gives_in_a_file(client, tenant, tmp_path, memory):
    file = tmp_path / "journal.md"
    file.write_text(JOURNAL)
    here, there = memory.scope(tenant), client.scope(tenant)
    assert here.import_(file) == there.import_(file)
    assert [(one.id, one.text, one.occurred_at) for one in here.list()] == [
        (one.id, one.text, one.occurred_at) for one in there.list()
    ]


def test_problems_name_the_file_as_the_caller_knows_it(client, tenant, tmp_path):
    file = tmp_path / "talk.jsonl"
    file.write_text('{"format": "mnemic", "version": 1}\n{nonsense\n')
    problems = client.scope(tenant).import_(file, "mnemic").problems
    assert [one.location for one in problems] == ["talk.jsonl:2"]


@pytest.mark.parametrize("name", ["..\\..\\x.md", "a%2Fb.md", "ключ 🗝.md", "x" * 200 + ".md", "-rf.md", " .md"])
def test_a_name_leads_nowhere_else(name, client, tenant, tmp_path):
    file = tmp_path / name
    file.write_text(JOURNAL)
    assert client.scope(tenant).import_(file, "markdown").added == 2


def test_a_folder_goes_as_a_zip(client, tenant, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "journal.md").write_text(JOURNAL)
    with pytest.raises(FormatError, match=r"\.zip"):
        client.scope(tenant).import_(tmp_path / "notes")
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as packed:
        packed.write(tmp_path / "notes" / "journal.md", "journal.md")
    assert client.scope(tenant).import_(tmp_path / "notes.zip", show_progress=True).added == 2


def test_an_unknown_format_is_refused_with_those_there_are(client, tenant, tmp_path):
    file = tmp_path / "journal.md"
    file.write_text(JOURNAL)
    with pytest.raises(FormatError, match="markdown"):
        client.scope(tenant).import_(file, "nope")


def test_a_file_that_is_too_large_is_refused_before_it_is_taken_in(tmp_path, clock):
    file = tmp_path / "big.jsonl"
    file.write_bytes(b"x" * (4 << 20))
    with mnemic_at(tmp_path / "server", clock, max_import_mb=1) as (url, _), Client(url) as client:
        with pytest.raises(TooLarge, match="1 MB"):
            client.scope("acme").import_(file)
        with pytest.raises(TooLarge):
            client.scope("acme").add("x" * (17 << 20))


def test_more_than_a_page_is_read_page_by_page(client, tenant):
    handle = client.scope(tenant)
    handle.add([{"content": f"note {number}", "id": f"n{number}", "session": f"s{number}"} for number in range(1203)])
    assert [one.id for one in handle.list(limit=1100)] == [f"n{number}" for number in range(1100)]
    assert [one.id for one in handle.list(limit=2000, newest_first=True)][:2] == ["n1202", "n1201"]
    assert len(handle.list(limit=5000, after=3)) == 1200
    assert len(handle.sessions(limit=1500)) == 1203
    assert len(handle.get_all(limit=1500)["results"]) == 1203
    assert len(list(handle.export_lines())) == 1204


def test_records_by_many_ids_and_by_pages(client, tenant):
    handle = client.scope(tenant).attach("documents")
    handle.add([{"content": f"text {n}", "role": "document", "metadata": {"document": f"d{n}"}} for n in range(5)])
    every = client.scope(tenant).records()
    ids = [one.id for one in every]
    asked = [f"none{n}" for n in range(130)] + ids
    assert client.scope(tenant).records(ids=asked, system="documents") == client.scope(tenant).records(
        system="documents"
    )
    assert client.scope(tenant).records(ids=[]) == []


def test_an_export_goes_into_an_open_file_too(client, tenant):
    handle = client.scope(tenant)
    handle.add(["one", "two\nlines", "drei\u2028é"])
    out = io.StringIO()
    assert handle.export(out) == 3
    assert out.getvalue().count("\n") == 4


def test_what_cannot_be_sent_is_refused_here(client, tenant):
    with pytest.raises(ParameterError, match="cannot be sent as JSON"):
        client.scope(tenant).attach("bm25", k1=object())
