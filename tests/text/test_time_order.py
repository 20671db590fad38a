"""Which questions ask for the newest, which for the oldest, and which for neither."""

import pytest

from mnemic.text.time_order import wants_newest


@pytest.mark.parametrize(
    "text",
    [
        "What is the current value of x?",
        "Where does she live now?",
        "What's the latest on the house?",
        "her most recent address",
        "Does he still smoke?",
        "What is his job these days?",
        "When did Megan last go riding?",
        "how many have I read so far",
    ],
)
def test_words_of_now_ask_for_the_newest(text: str) -> None:
    assert wants_newest(text) > 0


@pytest.mark.parametrize(
    "text",
    [
        "What was the original plan?",
        "her first job",
        "Where did he live at first?",
        "my previous address",
        "the earliest value",
    ],
)
def test_words_of_the_beginning_ask_for_the_oldest(text: str) -> None:
    assert wants_newest(text) < 0


@pytest.mark.parametrize(
    "text",
    [
        "What is her job?",
        "What did we do last week?",
        "the last few days",
        "last Friday",
        "the first week of May",
        "her last name",
        "first aid",
        "Now that she is here, who cooks?",
        "everything until now",
    ],
)
def test_times_names_and_ranks_ask_for_neither(text: str) -> None:
    assert wants_newest(text) == 0.0


def test_plain_words_weigh_more_than_those_that_may_count_events() -> None:
    assert wants_newest("the current one") > wants_newest("the last one") > 0
