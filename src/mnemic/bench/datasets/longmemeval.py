"""LongMemEval: a user's long chat history with an assistant, and a question on each that a few sessions answer.

Each question has a haystack of its own, so a sample is a haystack. `has_answer` and the session ids, which contain
"answer" where the answer is, never leave this loader: turns and sessions are numbered. Sessions are put in order of
time, since the published oracle file is not. Evidence is the turns marked `has_answer`; where none is marked, all turns of
the answer sessions, and then the session is what there is to find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Category, Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import TURN_GAP_S, categories, counted, find, read_json, variant_of
from mnemic.errors import FormatError
from mnemic.formats.dates import clock_at_start, date_at_start
from mnemic.formats.json_stream import elements
from mnemic.formats.message import Problem

ABSTENTION, UPDATE, EXTRA = "abstention", "knowledge-update", "third-party"
_URL = "https://huggingface.co/datasets/xiaowu0162/longmemeval-cleaned/resolve/main"

Instance = Mapping[str, Any]


def load(folder: Path, variant_id: str) -> Iterator[Sample]:
    """The haystacks of a variant. Raises FormatError where the counts are not the stated ones."""
    variant = variant_of(LONGMEMEVAL, variant_id)
    haystacks, *extra = (folder / one.path for one in variant.files)
    more = [one for path in extra for one in read_json(path)]
    return counted(LONGMEMEVAL, variant, (read(one, more) for one in _instances(haystacks)))


def read(instance: Instance, extra: Iterable[Mapping[str, Any]] = ()) -> Sample:
    """One instance in the published format; `extra` are further questions on haystacks, by `question_id`."""
    id = instance["question_id"]
    order = sorted(enumerate(instance["haystack_dates"]), key=lambda one: (parse_when(one[1]), one[0]))
    turns: dict[str, list[Turn]] = {}  # by the dataset's id of the session
    marked: set[str] = set()
    for number, (index, when) in enumerate(order):
        said = instance["haystack_sessions"][index]
        kept = [(f"s{number}:{place}", one) for place, one in enumerate(said) if one["content"].strip()]
        began_at = parse_when(when)
        turns.setdefault(instance["haystack_session_ids"][index], []).extend(
            Turn(
                id=turn_id,
                text=one["content"],
                role=one["role"],
                session=f"s{number}",
                occurred_at=began_at + timedelta(seconds=TURN_GAP_S * place),
            )
            for place, (turn_id, one) in enumerate(kept)
        )
        marked.update(turn_id for turn_id, one in kept if one.get("has_answer"))
    asked_at = parse_when(instance["question_date"])
    questions = [_question(id, instance, _category(instance), turns, marked, asked_at)]
    for one in extra:
        if one["question_id"] == id:
            questions.append(_question(f"{id}/{one['extra_index']}", one, EXTRA, turns, marked, asked_at))
    return Sample(id=id, turns=tuple(turn for said in turns.values() for turn in said), questions=tuple(questions))


def parse_when(text: str) -> datetime:
    """A time such as "2023/05/30 (Tue) 08:08", as UTC. Raises FormatError.

    >>> parse_when("2023/05/30 (Tue) 08:08").isoformat()
    '2023-05-30T08:08:00+00:00'
    """
    day = date_at_start(text)
    at = clock_at_start(day[1].rpartition(")")[2]) if day else None
    if day is None or at is None:
        raise FormatError(f"{text!r} is no time such as '2023/05/30 (Tue) 08:08'. Get the file again.")
    return datetime.combine(day[0], at, UTC)


def _instances(path: Path) -> Iterator[Instance]:
    for one in elements(find(path)):
        if isinstance(one, Problem):
            raise FormatError(f"{path.name} is no LongMemEval file: {one}. Get it again.")
        yield one.value


def _category(instance: Instance) -> str:
    return ABSTENTION if instance["question_id"].endswith("_abs") else str(instance["question_type"])


def _question(
    id: str,
    asked: Mapping[str, Any],
    category: str,
    turns: Mapping[str, list[Turn]],
    marked: set[str],
    asked_at: datetime,
) -> Question:
    sessions = [turns[one] for one in asked["answer_session_ids"] if one in turns]
    said = sorted((turn for session in sessions for turn in session), key=_when)
    evidence = [turn for turn in said if turn.id in marked] or said
    newest = evidence[-1].session if evidence else None
    return Question(
        id=id,
        text=asked["question"],
        category=category,
        key=Key(evidence=tuple(turn.id for turn in evidence), answers=(str(asked["answer"]),)),
        task="absent" if category == ABSTENTION else "recall",
        error=None if evidence else "its answer sessions are not in the haystack",
        asked_at=asked_at,
        stale=tuple(turn.id for turn in evidence if turn.session != newest) if category == UPDATE else (),
    )


def _when(turn: Turn) -> datetime:
    assert turn.occurred_at is not None  # every session has a date
    return turn.occurred_at


_PUBLISHED = categories(
    (one, one.replace("-", " "), n)
    for one, n in (
        ("single-session-user", 64),
        ("single-session-assistant", 56),
        ("single-session-preference", 30),
        ("multi-session", 121),
        ("temporal-reasoning", 127),
        (UPDATE, 72),
        (ABSTENTION, 30),
    )
)


def _variant(id: str, samples: int, turns: int, counts: tuple[Category, ...], *files: File) -> Variant:
    return Variant(id=id, samples=samples, turns=turns, categories=counts, files=files)


LONGMEMEVAL = Dataset(
    id="longmemeval",
    title="LongMemEval",
    source="Wu et al. 2024, arXiv 2410.10813; xiaowu0162/LongMemEval, the cleaned release of September 2025",
    licence="MIT",
    about=(
        "What a user told an assistant, or was told, in a few sessions among many. Beware that published recall@5 figures "
        "differ in what they count (any or all, sessions or turns, user turns alone) and are not comparable."
    ),
    variants=(
        _variant(
            "s-samples",
            2,
            805,
            categories(
                ((UPDATE, "knowledge update", 1), ("multi-session", "multi session", 1), (EXTRA, "third party", 16))
            ),
            File(
                path="longmemeval/longmemeval_s_sample.json.gz",
                sha256="e96336e61e99ef7fac11761a4d7fb4ebaf3c3e9b30b0c21e8fef585b570d8361",
            ),
            File(
                path="longmemeval/extra_questions.json",
                sha256="fb3932dec87800487071ce65e0becd514032b27dde1f1e1d9fceba0a579b010c",
            ),
        ),
        _variant(
            "oracle-sample",
            1,
            24,
            categories(((ABSTENTION, ABSTENTION, 1),)),
            File(
                path="longmemeval/longmemeval_oracle_sample.json",
                sha256="0462e92aa99bacf94ef1e3055b6aadd4572803f95e9a69350df305213030b356",
            ),
        ),
        *(
            _variant(id, 500, 0, _PUBLISHED, File(path=f"longmemeval/{name}", url=f"{_URL}/{name}"))
            for id, name in (
                ("s", "longmemeval_s_cleaned.json"),
                ("m", "longmemeval_m_cleaned.json"),
                ("oracle", "longmemeval_oracle.json"),
            )
        ),
    ),
    load=load,
    apart=(ABSTENTION,),
    ks=(5, 10, 30, 50),
    notes={
        "variants": "`s-samples` is two of the 500 haystacks of S with their questions and 16 more by a third party: enough "
        "to see that a system runs, too few for a claim. `oracle-sample` is one abstention question.",
        "counts": "How many turns the published files have is not stated, so only their samples and questions are checked.",
        "evidence": "Turns marked `has_answer`, and nothing else of a session that has some. The third party's questions mark "
        "none: each has all 2 to 14 turns of its session as evidence, so score them by session.",
        "third-party": "These ask for knowledge of the world that the haystack happens to hold; an LLM may know it anyway.",
        "abstention": "Ids that end in '_abs'. Their evidence is the nearest matter, which does not answer; they stand apart.",
        "now": "Questions are asked at `question_date`, which may be before the last session's end, or even its beginning.",
        "stale": "For knowledge updates the evidence of all sessions but the newest, so that their order can be scored.",
        "nDCG": "The published one is not the standard one: its first two ranks weigh the same.",
    },
)
