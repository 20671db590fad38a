"""Packing hits into a block within a budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.model import Episode, Hit, Record
from mnemic.ops.pack import HEADING, Block, Citation, pack, unframed
from mnemic.text.tokens import count_tokens

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def hit(at: int, text: str, occurred_at: datetime = NOW, actor: str | None = None) -> Hit:
    return Hit(
        score=1.0,
        episode=Episode(
            text=text, id=f"e{at}", scope="", occurred_at=occurred_at, recorded_at=NOW, actor=actor, seq=at
        ),
    )


def mark(one: Hit) -> str:
    return f"[m:{one.id}]"


zones = st.sampled_from([UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=14))])
hits = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8"), max_size=300), st.datetimes(timezones=zones, min_value=datetime(2, 1, 1))
    )
).map(lambda said: [hit(at, text, moment) for at, (text, moment) in enumerate(said)])


def test_a_block_is_a_heading_days_and_cited_lines() -> None:
    block = pack([hit(1, "later", NOW), hit(0, " a\n b ", NOW - timedelta(days=1), "Anna")], 200, mark)
    text = f"{HEADING}\nTuesday 30 April 2024\n- Anna: a b [m:e0]\nWednesday 1 May 2024\n- user: later [m:e1]"
    assert block == Block(
        text, (Citation("[m:e0]", "e0", ("e0",)), Citation("[m:e1]", "e1", ("e1",))), count_tokens(text)
    )


def test_no_hits_and_no_room_give_an_empty_block() -> None:
    assert pack([], 1000, mark) == pack([hit(0, "tea")], 5, mark) == Block("", (), 0)


@given(hits=hits, budget=st.integers(1, 300))
def test_a_block_stays_within_its_budget_and_cites_each_line(hits: list[Hit], budget: int) -> None:
    block = pack(hits, budget, mark)
    assert block.tokens == count_tokens(block.text) <= budget
    assert [line.rsplit(" ", 1)[-1] for line in block.text.splitlines() if line.startswith("- ")] == [
        one.mark for one in block.citations
    ]


@given(hits=hits)
def test_with_room_enough_every_hit_is_shown_in_the_order_of_events(hits: list[Hit]) -> None:
    block = pack(hits, 10**6, mark)
    shown = sorted(hits, key=lambda one: (one.occurred_at.date(), one.occurred_at))
    assert [one.id for one in block.citations] == [one.id for one in shown]
    days = [line for line in block.text.splitlines()[1:] if not line.startswith("- ")]
    assert len(days) == len({one.occurred_at.date() for one in hits})


def test_the_best_hit_goes_in_first() -> None:
    long = "tea " * 40
    block = pack([hit(0, f"best {long}"), hit(1, f"second {long}")], 90, mark)
    assert block.citations[0].id == "e0"
    assert f"best {long.strip()} [m:e0]" in block.text


def test_what_does_not_fit_is_cut_at_a_word_if_enough_of_it_remains() -> None:
    block = pack([hit(0, "tea in the garden " * 100)], 60, mark)
    assert block.text.endswith("… [m:e0]")
    assert pack([hit(0, "tea in the garden " * 100)], 40, mark) == Block("", (), 0)


def test_a_shorter_hit_takes_the_room_that_a_longer_one_left() -> None:
    block = pack([hit(0, "tea " * 50), hit(1, "unbreakable" * 40), hit(2, "mint")], 105, mark)
    assert [one.id for one in block.citations] == ["e0", "e2"]


def test_a_record_has_no_speaker_and_cites_its_sources() -> None:
    record = Record(
        id="r", system="s", scope="", kind="fact", text="Anna likes tea", sources=("e0", "e1"), recorded_at=NOW
    )
    block = pack([Hit(score=1.0, record=record)], 100, mark)
    assert block.text.splitlines()[-1] == "- Anna likes tea [m:r]"
    assert block.citations == (Citation("[m:r]", "r", ("e0", "e1")),)


def test_a_text_far_beyond_the_budget_is_not_counted_whole() -> None:
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(len(text))
        return count_tokens(text)

    block = pack([hit(0, "tea " * 10**6)], 50, mark, count)
    assert block.tokens <= 50
    assert max(counted) < 10_000


@pytest.mark.parametrize(
    "count", [len, lambda text: len(text) ** 2 // 400, lambda text: 7], ids=["len", "square", "flat"]
)
def test_any_counter_is_kept_to(count: object) -> None:
    for budget in (1, 20, 200, 2000):
        block = pack([hit(at, f"tea {at} " * 9) for at in range(9)], budget, mark, count)  # type: ignore[arg-type]
        assert block.text == "" or count(block.text) <= budget  # type: ignore[operator]


@given(hits=hits)
def test_a_block_without_its_frame_is_what_it_recalls(hits: list[Hit]) -> None:
    block = pack(hits, 10**6, mark)
    lines = [line for line in block.text.splitlines() if line.startswith("- ")]
    assert [line for line in unframed(block.text).splitlines() if line] == lines


def test_what_is_written_around_a_block_stays() -> None:
    block = pack([hit(0, "tea on Monday 3 May 2024")], 100, mark)
    assert unframed(f"Sure.\n{block.text}\nMore?") == "Sure.\n\n\n- user: tea on Monday 3 May 2024 [m:e0]\nMore?"
