"""Agreement with another implementation's behaviour on English phrases: a guard against drifting, not the truth.

Where the two differ it is mostly on purpose: a bare "may" is a verb to us, "this morning" and "next week" are times,
"between A and B" is one interval, and "a few months ago" is made of whole months.
"""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mnemic.text.times import find_times

DATA = Path(os.environ.get("MNEMIC_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
PHRASES = DATA / "time-expressions" / "query_ranges.jsonl"
NOT_ENGLISH = re.compile(
    r"\b(?:aprile|avril|abril|agosto|aout|ayer|cosa|dezember|dicembre|diciembre|fin de|el mes|enero|febbraio|febrero"
    r"|februar|gennaio|gestern|giugno|heute|hier|hoy|ieri|mese|il y|januar|janvier|juillet|juin|juli|julio|juni|junio"
    r"|anno|semaine|semana|settimana|mois|le week|le weekend|letzte\w*|lo scorso|luglio|maggio|mai|mars|marzo|mayo"
    r"|novembre|noviembre|octobre|octubre|oggi|oktober|ottobre|que|riunione|septembre|septiembre|settembre|vor|was ist"
    r"|giorni|aujourd)\b",
    re.IGNORECASE,
)
MEASURED = 0.870  # the share of the English phrases that agree to the day


@pytest.mark.skipif(not PHRASES.exists(), reason="the shared data sets are not on this machine")
def test_english_phrases_agree_with_the_recorded_ranges_as_often_as_when_last_measured() -> None:
    rows = [json.loads(line) for line in PHRASES.read_text(encoding="utf-8").splitlines()]
    english = [row for row in rows if row["query"].isascii() and not NOT_ENGLISH.search(row["query"])]
    agreeing = sum(_days(row["query"], row["reference"]) == _recorded_days(row["range"]) for row in english)
    assert len(english) > 1000
    assert agreeing / len(english) >= MEASURED - 0.01


def _days(query: str, reference: str) -> tuple[str, str] | None:
    times = find_times(query, datetime.fromisoformat(reference).replace(tzinfo=UTC))
    if not times:
        return None
    last = times[0].end - timedelta(microseconds=1)
    return times[0].start.date().isoformat(), last.date().isoformat()


def _recorded_days(recorded: list[str] | None) -> tuple[str, str] | None:
    return (recorded[0][:10], recorded[1][:10]) if recorded else None
