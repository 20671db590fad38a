"""search, context, list, show."""

from __future__ import annotations

import pytest

from mnemic.cli import render
from mnemic.cli.main import app
from mnemic.model import Reason

from .conftest import AsJson, Run

pytestmark = pytest.mark.usefixtures("story")


def test_search_shows_rank_score_day_speaker_and_text(run: Run) -> None:
    first = run("search", "Where is Porto?", "--limit", "1").stdout.splitlines()[1]
    assert first.split(maxsplit=7) == [
        "1",
        first.split()[1],
        "Sun",
        "10",
        "Mar",
        "2024",
        "Mara",
        "I moved to Porto in March.",
    ]
    assert 0.0 < float(first.split()[1]) <= 1.0


def test_why_draws_a_bar_for_each_signal(run: Run) -> None:
    lines = run("search", "Porto", "--limit", "1", "--why").stdout
    assert "words" in lines
    assert "█" in lines
    assert "█" not in run("search", "Porto", "--limit", "1").stdout


def test_search_as_json_has_the_librarys_shape(as_json: AsJson) -> None:
    answer = as_json("search", "telescope")
    assert answer["results"][0]["id"] == "t1"
    assert answer["system"] == "hybrid"
    assert "words" in answer["results"][0]["score_details"]


def test_search_narrows_by_session_filter_time_and_threshold(as_json: AsJson) -> None:
    def ids(*options: str, code: int = 0) -> list[str]:
        return sorted(hit["id"] for hit in as_json("search", "Porto telescope code", *options, code=code)["results"])

    assert ids("--session", "two") == ["m2"]
    assert ids("--filter", '{"topic": "sky"}') == ["t1"]
    assert ids("--until", "2024-03-10") == ["m1"]
    assert ids("--threshold", "1", code=1) == []
    assert ids("--as-of", "2020-01-01", code=1) == []
    assert ids("--system", "recent", "--limit", "1") == ["m2"]


def test_nothing_found_is_exit_code_1_and_names_the_scopes_that_hold_something(run: Run) -> None:
    run("add", "Far away.", "--scope", "acme/alice")
    assert "acme/alice (1)" in run("list", "--scope", "acme", code=1).stderr
    assert run("search", "Far", "--scope", "acme", "--children").stdout.count("Far away.") == 1


def test_context_prints_the_block_alone(run: Run, as_json: AsJson) -> None:
    block = run("context", "door code", "--budget", "100").stdout
    assert "Mara: The door code is 8264. [m:" in block
    answer = as_json("context", "door code", "--budget", "100")
    assert answer["tokens"] <= 100
    assert "m2" in [one["id"] for one in answer["citations"]]


def test_list_pages_through_everything_once(as_json: AsJson) -> None:
    first = as_json("list", "--limit", "2")
    rest = as_json("list", "--limit", "2", "--after", str(first["next_after"]))
    assert [one["id"] for page in (first, rest) for one in page["episodes"]] == ["m1", "t1", "m2"]
    assert rest["next_after"] is None
    back = as_json("list", "--newest", "--limit", "2")
    assert [one["id"] for one in back["episodes"]] == ["m2", "t1"]
    assert [one["id"] for one in as_json("list", "--newest", "--after", str(back["next_after"]))["episodes"]] == ["m1"]


def test_show_prints_one_episode_with_its_history(run: Run, as_json: AsJson, db: object) -> None:
    from mnemic import Memory

    with Memory.open(str(db), embedder="hashing") as memory:
        new = memory.update("t1", "I bought a ten-inch telescope.").id
    shown = run("show", new).stdout
    assert "I bought a ten-inch telescope." in shown
    assert "I bought a telescope." in shown
    answer = as_json("show", "t1")
    assert answer["metadata"] == {"topic": "sky"}
    assert [one["text"] for one in answer["history"]] == ["I bought a telescope.", "I bought a ten-inch telescope."]
    assert "No episode 'nobody'" in run("show", "nobody", code=1).stderr


def test_what_was_remembered_cannot_steer_the_terminal(run: Run) -> None:
    run("add", "safe \x1b[31mred\x1b[0m [bold]markup[/bold]", "--id", "x")
    for words in (("show", "x"), ("search", "markup"), ("list",)):
        shown = run(*words).stdout
        assert "\x1b" not in shown
        assert "[bold]markup[/bold]" in shown


def test_a_bar_grows_with_its_share() -> None:
    assert [render.bar(share, 2) for share in (0.0, 0.001, 0.5, 1.0, 3.0)] == ["", "▏", "█", "██", "██"]


def test_reasons_in_words_are_honest_about_spelling() -> None:
    from datetime import UTC, datetime

    from mnemic.model import Episode, Hit

    moment = datetime(2024, 1, 1, tzinfo=UTC)
    episode = Episode(text="x", id="x", scope="", occurred_at=moment, recorded_at=moment)
    reasons = (Reason("words", 0.5, 0.2, "tea"), Reason("meaning", 0.9, 0.4), Reason("time", 0.0, 0.1))
    hit = Hit(score=0.5, episode=episode, reasons=reasons)
    assert render.in_words(hit) == "close in meaning, shares tea"
    assert render.in_words(hit, is_semantic=False) == "alike in spelling, shares tea"


def test_the_app_is_importable_by_name() -> None:
    assert app.info.name == "mnemic"
