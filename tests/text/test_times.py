"""What time expressions mean. Everything is said on Thursday 25 May 2023 at 18:30, two hours east of Greenwich."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.text.times import BEGINNING, END_OF_TIME, TimeSpan, find_times, mentions_time

SAID = datetime(2023, 5, 25, 18, 30, tzinfo=timezone(timedelta(hours=2)))


def told(text: str, said_at: datetime = SAID) -> list[tuple[str, str, str]]:
    """Each time of a text as its words, first and last moment (the end is exclusive)."""
    return [(time.text, _short(time.start), _short(time.end)) for time in find_times(text, said_at)]


def _short(moment: datetime) -> str:
    if moment in (BEGINNING, END_OF_TIME):
        return "open"
    return moment.strftime("%Y-%m-%d" if (moment.hour, moment.minute) == (0, 0) else "%Y-%m-%d %H:%M")


DAYS = [
    ("I ran today", "today", "2023-05-25", "2023-05-26"),
    ("yesterday's meeting", "yesterday", "2023-05-24", "2023-05-25"),
    ("see you tomorrow", "tomorrow", "2023-05-26", "2023-05-27"),
    ("the day before yesterday", "the day before yesterday", "2023-05-23", "2023-05-24"),
    ("the day after tomorrow", "the day after tomorrow", "2023-05-27", "2023-05-28"),
    ("I saw her the other day", "the other day", "2023-05-18", "2023-05-25"),
    ("tonight", "tonight", "2023-05-25 17:00", "2023-05-26 06:00"),
    ("this morning", "this morning", "2023-05-25 05:00", "2023-05-25 12:00"),
    ("last night", "last night", "2023-05-24 18:00", "2023-05-25 06:00"),
    ("the night before last", "the night before last", "2023-05-23 18:00", "2023-05-24 06:00"),
    ("early this morning", "early this morning", "2023-05-25 05:00", "2023-05-25 07:20"),
    ("I left early yesterday", "yesterday", "2023-05-24", "2023-05-25"),
    ("what was said earlier in the morning", "earlier in the morning", "2023-05-25 05:00", "2023-05-25 12:00"),
    ("earlier this morning", "earlier this morning", "2023-05-25 05:00", "2023-05-25 12:00"),
]
WEEKDAYS = [
    ("I ran on Friday", "Friday", "2023-05-19", "2023-05-20"),
    ("On Thursday we met", "Thursday", "2023-05-18", "2023-05-19"),
    ("We will meet on Friday", "Friday", "2023-05-26", "2023-05-27"),
    ("My appointment is on Friday", "Friday", "2023-05-26", "2023-05-27"),
    ("last Friday", "last Friday", "2023-05-19", "2023-05-20"),
    ("last fri", "last fri", "2023-05-19", "2023-05-20"),
    ("this Friday", "this Friday", "2023-05-26", "2023-05-27"),
    ("next Friday", "next Friday", "2023-06-02", "2023-06-03"),
    ("the Friday before 25 May 2023", "the Friday before 25 May 2023", "2023-05-19", "2023-05-20"),
    ("the Sunday after 3 March 2023", "the Sunday after 3 March 2023", "2023-03-05", "2023-03-06"),
    ("two Fridays ago", "two Fridays ago", "2023-05-12", "2023-05-13"),
    ("Friday last week", "Friday last week", "2023-05-19", "2023-05-20"),
    ("Monday of next week", "Monday of next week", "2023-05-29", "2023-05-30"),
    ("Friday, May 5, 2023", "Friday, May 5, 2023", "2023-05-05", "2023-05-06"),
    ("a week from Friday", "a week from Friday", "2023-06-02", "2023-06-03"),
    ("from Monday to Wednesday", "from Monday to Wednesday", "2023-05-22", "2023-05-25"),
]
UNITS = [
    ("this last week", "this last week", "2023-05-18", "2023-05-26"),
    ("this previous week", "this previous week", "2023-05-18", "2023-05-26"),
    ("last week", "last week", "2023-05-15", "2023-05-22"),
    ("this week", "this week", "2023-05-22", "2023-05-29"),
    ("next week", "next week", "2023-05-29", "2023-06-05"),
    ("the week before last", "the week before last", "2023-05-08", "2023-05-15"),
    ("last month", "last month", "2023-04-01", "2023-05-01"),
    ("next month", "next month", "2023-06-01", "2023-07-01"),
    ("last quarter", "last quarter", "2023-01-01", "2023-04-01"),
    ("last year", "last year", "2022-01-01", "2023-01-01"),
    ("next year", "next year", "2024-01-01", "2025-01-01"),
    ("last decade", "last decade", "2010-01-01", "2020-01-01"),
    ("last weekend", "last weekend", "2023-05-20", "2023-05-22"),
    ("this weekend", "this weekend", "2023-05-27", "2023-05-29"),
    ("over the weekend I rested", "the weekend", "2023-05-20", "2023-05-22"),
    ("two weekends ago", "two weekends ago", "2023-05-13", "2023-05-15"),
    ("the past two weeks", "the past two weeks", "2023-05-11", "2023-05-26"),
    ("over the last month", "the last month", "2023-04-25", "2023-05-26"),
    ("in the next few weeks", "the next few weeks", "2023-05-25", "2023-06-30"),
    ("earlier this week", "earlier this week", "2023-05-22", "2023-05-25 18:30"),
    ("later this month", "later this month", "2023-05-25 18:30", "2023-06-01"),
    ("the end of the year", "the end of the year", "2023-09-01", "2024-01-01"),
]
DISTANCES = [
    ("two weeks ago", "two weeks ago", "2023-05-08", "2023-05-15"),
    ("3 days ago", "3 days ago", "2023-05-22", "2023-05-23"),
    ("three months ago", "three months ago", "2023-02-01", "2023-03-01"),
    ("3 years ago", "3 years ago", "2020-01-01", "2021-01-01"),
    ("a couple of days ago", "a couple of days ago", "2023-05-22", "2023-05-25"),
    ("a few days ago", "a few days ago", "2023-05-20", "2023-05-24"),
    ("several months ago", "several months ago", "2022-10-01", "2023-03-01"),
    ("half a year ago", "half a year ago", "2022-11-01", "2022-12-01"),
    ("a year and a half ago", "a year and a half ago", "2021-11-01", "2021-12-01"),
    ("an hour ago", "an hour ago", "2023-05-25 17:00", "2023-05-25 18:00"),
    ("in two weeks", "in two weeks", "2023-06-05", "2023-06-12"),
    ("in 3 days", "in 3 days", "2023-05-28", "2023-05-29"),
    ("ten days from now", "ten days from now", "2023-06-04", "2023-06-05"),
    ("two days before Christmas 2022", "two days before Christmas 2022", "2022-12-23", "2022-12-24"),
    ("The week before 27 June 2023", "The week before 27 June 2023", "2023-06-20", "2023-06-27"),
    ("the weekend before 13 September 2023", "the weekend before 13 September 2023", "2023-09-09", "2023-09-11"),
    ("the month before May 2022", "the month before May 2022", "2022-04-01", "2022-05-01"),
]
DATES = [
    ("2023-03-05", "2023-03-05", "2023-03-05", "2023-03-06"),
    ("2023/03/05", "2023/03/05", "2023-03-05", "2023-03-06"),
    ("at 2023-03-05T14:30:00Z", "2023-03-05T14:30:00Z", "2023-03-05 16:30", "2023-03-05 16:31"),
    ("5/3/2023", "5/3/2023", "2023-05-03", "2023-05-04"),
    ("13/3/2023", "13/3/2023", "2023-03-13", "2023-03-14"),
    ("5.3.2023", "5.3.2023", "2023-03-05", "2023-03-06"),
    ("March 5", "March 5", "2023-03-05", "2023-03-06"),
    ("August 5", "August 5", "2022-08-05", "2022-08-06"),
    ("We will meet on August 5", "August 5", "2023-08-05", "2023-08-06"),
    ("5 March 2023", "5 March 2023", "2023-03-05", "2023-03-06"),
    ("March 5th, 2023", "March 5th, 2023", "2023-03-05", "2023-03-06"),
    ("the 5th of March 2023", "the 5th of March 2023", "2023-03-05", "2023-03-06"),
    ("14September, 2022", "14September, 2022", "2022-09-14", "2022-09-15"),
    ("Dec. 5th, 2022", "Dec. 5th, 2022", "2022-12-05", "2022-12-06"),
    ("March 5-7, 2023", "March 5-7, 2023", "2023-03-05", "2023-03-08"),
    ("March 5 last year", "March 5 last year", "2022-03-05", "2022-03-06"),
    ("on the 5th of this month", "the 5th of this month", "2023-05-05", "2023-05-06"),
    ("2024年3月5日", "2024年3月5日", "2024-03-05", "2024-03-06"),
]
LONGER = [
    ("in March", "March", "2023-03-01", "2023-04-01"),
    ("in August", "August", "2022-08-01", "2022-09-01"),
    ("we will marry in August", "August", "2023-08-01", "2023-09-01"),
    ("March 2022", "March 2022", "2022-03-01", "2022-04-01"),
    ("in may", "may", "2023-05-01", "2023-06-01"),
    ("last March", "last March", "2023-03-01", "2023-04-01"),
    ("2022", "2022", "2022-01-01", "2023-01-01"),
    ("in 2022", "2022", "2022-01-01", "2023-01-01"),
    ("Pride 2022", "2022", "2022-01-01", "2023-01-01"),
    ("Q3 2023", "Q3 2023", "2023-07-01", "2023-10-01"),
    ("the third quarter of 2023", "the third quarter of 2023", "2023-07-01", "2023-10-01"),
    ("the summer of 2022", "summer of 2022", "2022-06-01", "2022-09-01"),
    ("last summer", "last summer", "2022-06-01", "2022-09-01"),
    ("in the fall", "fall", "2022-09-01", "2022-12-01"),
    ("winter 2022", "winter 2022", "2022-12-01", "2023-03-01"),
    ("early May", "early May", "2023-05-01", "2023-05-11"),
    ("mid-May", "mid-May", "2023-05-11", "2023-05-21"),
    ("late May 2022", "late May 2022", "2022-05-21", "2022-06-01"),
    ("the end of June", "the end of June", "2022-06-21", "2022-07-01"),
    ("early 2022", "early 2022", "2022-01-01", "2022-05-01"),
    ("the first week of August", "the first week of August", "2022-08-01", "2022-08-08"),
    ("the last Friday in March", "the last Friday in March", "2023-03-31", "2023-04-01"),
    ("the first two weeks of June", "the first two weeks of June", "2022-06-01", "2022-06-15"),
    ("the weekend of 24June, 2022", "the weekend of 24June, 2022", "2022-06-25", "2022-06-27"),
    ("the 1990s", "the 1990s", "1990-01-01", "2000-01-01"),
    ("the early '90s", "the early '90s", "1990-01-01", "1993-05-01"),
    ("the 19th century", "the 19th century", "1801-01-01", "1901-01-01"),
]
HOLIDAYS = [
    ("on Christmas Eve", "Christmas Eve", "2022-12-24", "2022-12-25"),
    ("last Christmas", "last Christmas", "2022-12-25", "2022-12-26"),
    ("Christmas 2021", "Christmas 2021", "2021-12-25", "2021-12-26"),
    ("on New Year’s Eve", "New Year’s Eve", "2022-12-31", "2023-01-01"),
    ("for Halloween", "Halloween", "2022-10-31", "2022-11-01"),
    ("last Thanksgiving", "last Thanksgiving", "2022-11-24", "2022-11-25"),
    ("the day after Thanksgiving", "the day after Thanksgiving", "2022-11-25", "2022-11-26"),
    ("on Mother's Day", "Mother's Day", "2023-05-14", "2023-05-15"),
    ("Easter 2024", "Easter 2024", "2024-03-31", "2024-04-01"),
]
CLOCK = [
    ("at 3 pm", "3 pm", "2023-05-25 15:00", "2023-05-25 16:00"),
    ("yesterday at 3 pm", "yesterday at 3 pm", "2023-05-24 15:00", "2023-05-24 16:00"),
    ("3:30 pm on Friday", "3:30 pm on Friday", "2023-05-19 15:30", "2023-05-19 15:31"),
    ("at 15:30 yesterday", "15:30 yesterday", "2023-05-24 15:30", "2023-05-24 15:31"),
    ("9 o'clock in the evening", "9 o'clock in the evening", "2023-05-25 21:00", "2023-05-25 22:00"),
    ("Friday night", "Friday night", "2023-05-19 18:00", "2023-05-20 06:00"),
    ("tomorrow morning", "tomorrow morning", "2023-05-26 05:00", "2023-05-26 12:00"),
    ("the morning of 5 May", "the morning of 5 May", "2023-05-05 05:00", "2023-05-05 12:00"),
    ("at noon", "noon", "2023-05-25 12:00", "2023-05-25 13:00"),
    ("after 3 pm", "after 3 pm", "2023-05-25 15:00", "2023-05-26"),
    ("from 3 pm to 5 pm tomorrow", "3 pm to 5 pm tomorrow", "2023-05-26 15:00", "2023-05-26 17:00"),
]
OPEN = [
    ("since June", "since June", "2022-06-01", "2023-05-25 18:30"),
    ("ever since 2016", "ever since 2016", "2016-01-01", "2023-05-25 18:30"),
    ("before May 2022", "before May 2022", "open", "2022-05-01"),
    ("before 2020", "before 2020", "open", "2020-01-01"),
    ("after 3 March", "after 3 March", "2023-03-04", "open"),
    ("until March 2022", "until March 2022", "open", "2022-04-01"),
    ("from June 2022 onwards", "from June 2022 onwards", "2022-06-01", "open"),
    ("between August 11 and August 15 2023", "between August 11 and August 15 2023", "2023-08-11", "2023-08-16"),
    ("from May to July", "from May to July", "2022-05-01", "2022-08-01"),
    ("from November to February", "from November to February", "2022-11-01", "2023-03-01"),
    ("from 2019 to 2021", "from 2019 to 2021", "2019-01-01", "2022-01-01"),
    ("2019-2021", "2019-2021", "2019-01-01", "2022-01-01"),
    ("between 2020-01-01 and 2020-12-31", "between 2020-01-01 and 2020-12-31", "2020-01-01", "2021-01-01"),
]
ALL = DAYS + WEEKDAYS + UNITS + DISTANCES + DATES + LONGER + HOLIDAYS + CLOCK + OPEN


@pytest.mark.parametrize(("text", "words", "start", "end"), ALL)
def test_an_expression_means_this_interval(text: str, words: str, start: str, end: str) -> None:
    assert told(text) == [(words, start, end)]


@pytest.mark.parametrize("text", [text for text, *_ in ALL])
def test_a_text_that_tells_a_time_is_seen_to_mention_one(text: str) -> None:
    assert mentions_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I may go there, if I may",
        "May I ask you something?",
        "we march on",
        "we march 5 miles",
        "wait a second, the second one",
        "I might fall or spring up",
        "the cat sat in the sun",
        "2000 tokens",
        "I paid $2022 for it",
        "it has 2022 lines",
        "room 2022",
        "every Friday, each summer and on Sundays",
        "for two years",
        "24/7 support for version 1.2.23",
        "a score of 3-2, call 555-1234, a 16:9 screen",
        "I have 3 dogs and 12 cats",
        "2020-13-45 and 99999999999",
        "on the 5th floor",
        "a late-night show",
        "three days later",
        "Christmas tree",
        "June is my sister and April is hers",
        "user@example.com https://example.com/2023?id=42",
        "so what do we do now",
    ],
)
def test_words_and_numbers_that_tell_no_time_are_left_alone(text: str) -> None:
    assert told(text) == []


def test_what_comes_later_counts_from_the_time_told_before() -> None:
    assert told("We met on 3 March. Three days later we left. The next day it rained.") == [
        ("3 March", "2023-03-03", "2023-03-04"),
        ("Three days later", "2023-03-06", "2023-03-07"),
        ("The next day", "2023-03-07", "2023-03-08"),
    ]


def test_several_times_are_found_in_order() -> None:
    assert told("On Sunday I'm going to paint; yesterday was great, and 2021 too, since we met in March 2020.") == [
        ("Sunday", "2023-05-28", "2023-05-29"),
        ("yesterday", "2023-05-24", "2023-05-25"),
        ("March 2020", "2020-03-01", "2020-04-01"),
    ]


def test_day_first_reads_slashed_dates_the_european_way() -> None:
    (time,) = find_times("on 5/3/2023", SAID, is_day_first=True)
    assert time.start.date().isoformat() == "2023-03-05"


def test_a_span_says_where_it_stands_its_grain_and_whether_it_depends_on_now() -> None:
    text = "Back in İstanbul we met last week, and in March 2022."
    zone = SAID.tzinfo
    assert find_times(text, SAID) == [
        TimeSpan(
            start=datetime(2023, 5, 15, tzinfo=zone),
            end=datetime(2023, 5, 22, tzinfo=zone),
            text="last week",
            span=(text.index("last"), text.index(", and")),
            grain="week",
            is_relative=True,
        ),
        TimeSpan(
            start=datetime(2022, 3, 1, tzinfo=zone),
            end=datetime(2022, 4, 1, tzinfo=zone),
            text="March 2022",
            span=(text.index("March"), len(text) - 1),
            grain="month",
            is_relative=False,
        ),
    ]


def test_days_are_those_of_the_zone_in_which_it_was_said() -> None:
    late_in_tokyo = datetime(2023, 5, 26, 0, 30, tzinfo=ZoneInfo("Asia/Tokyo"))
    (time,) = find_times("today", late_in_tokyo)
    assert (time.start, time.end) == (
        datetime(2023, 5, 25, 15, tzinfo=UTC),
        datetime(2023, 5, 26, 15, tzinfo=UTC),
    )


def test_an_hour_ago_is_an_hour_ago_across_a_change_of_the_clocks() -> None:
    after_the_change = datetime(2023, 3, 26, 3, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    (time,) = find_times("an hour ago", after_the_change)
    assert time.start.astimezone(UTC) == datetime(2023, 3, 26, 0, 0, tzinfo=UTC)


def test_a_naive_moment_is_taken_to_be_utc() -> None:
    assert find_times("today", datetime(2023, 5, 25, 18)) == find_times("today", datetime(2023, 5, 25, 18, tzinfo=UTC))


@pytest.mark.parametrize(
    "text", ["March 0000", "31 February 0000", "in 10000 years", "9999 years ago", "the year 9999"]
)
def test_dates_outside_years_1_to_9999_are_not_found(text: str) -> None:
    assert told(text) == []


WORDS = [
    "last",
    "next",
    "this",
    "the",
    "a",
    "two",
    "few",
    "of",
    "in",
    "on",
    "at",
    "by",
    "since",
    "before",
    "after",
    "between",
    "from",
    "to",
    "and",
    "until",
    "ago",
    "later",
    "week",
    "weeks",
    "day",
    "month",
    "year",
    "weekend",
    "quarter",
    "century",
    "Friday",
    "sun",
    "March",
    "may",
    "5",
    "5th",
    "31",
    "2022",
    "9999",
    "0001",
    "13",
    "12:30",
    "3",
    "pm",
    "5/3/2023",
    "2023-02-29",
    "summer",
    "fall",
    "Christmas",
    "easter",
    "early",
    "late",
    "mid-",
    "end",
    "first",
    "second",
    "half",
    "night",
    "morning",
    "Q3",
    "'90s",
    ",",
    ".",
    "'",
    "’s",
    "-",
    "–",
    "İ",
    "年",
    "月",
    "day's",
]
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), ZoneInfo("America/New_York")]))
extremes = st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(), moments | extremes)
def test_any_text_at_any_moment_gives_proper_intervals(text: str, said_at: datetime) -> None:
    end = 0
    for time in find_times(text, said_at):
        assert time.start < time.end
        assert time.start.astimezone(UTC) < time.end.astimezone(UTC)
        assert end <= time.span[0] < time.span[1]
        assert text[slice(*time.span)] == time.text
        assert mentions_time(text)
        end = time.span[1]


@settings(max_examples=100, deadline=None)
@given(st.dates().map(lambda day: datetime(day.year, day.month, day.day, tzinfo=UTC)))
def test_a_written_date_is_found_whenever_it_was_said(day: datetime) -> None:
    if 1000 <= day.year < 9999:
        for text in (f"{day:%Y-%m-%d}", f"{day:%B} {day.day}, {day.year}" if day.year < 3000 else f"{day:%Y-%m-%d}"):
            (time,) = find_times(text, SAID.astimezone(UTC))
            assert (time.start, time.end) == (day, day + timedelta(days=1))


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("between 3 and 9 May", "2023-05-03", "2023-05-10"),
        ("between the 3rd and 9th of May 2022", "2022-05-03", "2022-05-10"),
        ("between May 3 and 9, 2022", "2022-05-03", "2022-05-10"),
        ("between March 3 and April 9", "2023-03-03", "2023-04-10"),
        ("May 3 through 9", "2023-05-03", "2023-05-10"),
        ("on Febuary 3rd", "2023-02-03", "2023-02-04"),
    ],
)
def test_days_that_share_their_month_make_one_interval(text: str, first: str, end: str) -> None:
    assert [(start, stop) for _, start, stop in told(text)] == [(first, end)]


def test_between_two_numbers_and_a_verb_there_is_no_date() -> None:
    assert told("between 3 and 9 may be enough") == []


def test_an_earlier_morning_before_dawn_began_at_midnight() -> None:
    at_four = SAID.replace(hour=4, minute=0)
    assert told("earlier this morning", at_four) == [("earlier this morning", "2023-05-25", "2023-05-25 04:00")]
