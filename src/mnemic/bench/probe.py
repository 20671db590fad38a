"""Questions made from a log itself, without an LLM, each pointing to episodes that are known: a probe of memory systems.

The one idea: a log holds its own questions. Something said twice in other words, a sentence with words left out, a day, a
rare name, a question that somebody asked and the turn that followed: each is a cue whose right answer is known by how
it was made. What only asks (the second wording, the question's own turn) is held out: whoever runs the probe must put the
systems on the log without it, or a neighbour would give the answer away.

Figures of a probe compare systems on this log. They are no accuracies: the questions are easier in wording than a
user's, some point to a turn that answers nothing, and each kind leans to one signal (`KINDS` says which).
Deterministic by seed: candidates are taken in the order of a hash of the seed and their ids, so that a log that grows
keeps most of its questions.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice, zip_longest

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.model import ECHO, Episode
from mnemic.ops.repeats import content_hash, jaccard
from mnemic.systems.view import HIDDEN_ROLES
from mnemic.text.names import find_names
from mnemic.text.sentences import sentences
from mnemic.text.terms import terms

FEWEST_EPISODES = 20
GIVEN = "given"  # the kind of a question that a user wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuestion:
    """One question to a log, and what it points to: episodes, or, where those are not known, an answer."""

    id: str
    text: str
    kind: str  # GIVEN, or one of KINDS
    scope: str
    evidence: tuple[str, ...] = ()  # ids of episodes
    answer: str | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to make questions, and what it really measures."""

    id: str
    measures: str


KINDS = (
    Kind(
        "paraphrase",
        "something said in two sessions in different words; the later wording asks for the earlier. Pairs are found half "
        "by shared words and half by the log's own vectors, and lean to systems that rank by the same",
    ),
    Kind(
        "reply",
        "a question that was asked in the log; the turn that followed is the evidence, whether or not it answers. Nearest "
        "to real use, and the noisiest",
    ),
    Kind("cloze", "a sentence with its one or two rarest words left out: finding it by the rest. Leans to words"),
    Kind(
        "keywords", "two to four words that stand together in one episode, and none of them there alone. Leans to words"
    ),
    Kind("date", "who said what on a day: whether dates in a question are understood"),
    Kind("name", "a rare name with a word that stood beside it: exact words, and names as such"),
)


@dataclass(frozen=True, slots=True)
class ScopeLog:
    """One scope's episodes in log order, with the vectors they have, [n, dim] of unit length; None where there are none."""

    scope: str
    episodes: Sequence[Episode]
    vectors: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """The questions, and the episodes that must be out of every system's sight: (scope, id)."""

    questions: tuple[LogQuestion, ...]
    held_out: frozenset[tuple[str, str]]

    @property
    def counts(self) -> dict[str, int]:
        """How many questions there are of each kind that has any."""
        found = Counter(one.kind for one in self.questions)
        return {kind.id: found[kind.id] for kind in KINDS if found[kind.id]}


def make_probe(logs: Iterable[ScopeLog], *, n: int = 200, seed: int = 0) -> Probe:
    """At most n questions, as evenly from all kinds as the log allows. Nothing of one scope is asked of another.

    At most a tenth of the episodes is held out. Raises ParameterError where the log is too small, or yields nothing.
    """
    read = [_read(log) for log in logs]
    total = sum(len(log.episodes) for log in read)
    if total < FEWEST_EPISODES:
        raise ParameterError(
            f"The log holds {total} episodes that can be asked about; a probe needs {FEWEST_EPISODES} or more. Add to it, or "
            "give questions of your own with --questions."
        )
    share = max(1, -(-n // len(KINDS)))
    room = max(2, total // 10)
    asking = _pick(
        [(read, _paraphrase_by_words), (read, _paraphrase_by_meaning)], "paraphrase", seed, min(share, room // 2)
    )
    taken = {(question.scope, one) for question, held in asking for one in (*question.evidence, held)}
    replies = _pick([(read, _reply)], "reply", seed, min(share, room - len(asking)), taken)
    held_out = frozenset((question.scope, held) for question, held in (*asking, *replies))
    left = [_without(log, held_out) for log in read]
    by_kind = [[question for question, _ in found] for found in (asking, replies)]
    makers: dict[str, _Maker] = {"cloze": _cloze, "keywords": _keywords, "date": _date, "name": _name}
    by_kind += [[question for question, _ in _pick([(left, make)], kind, seed, n)] for kind, make in makers.items()]
    chosen = list(islice((one for turn in zip_longest(*by_kind) for one in turn if one is not None), n))
    if not chosen:
        raise ParameterError(
            "No question can be made from this log: nothing in it is said twice, asked, named or dated in a way that points to "
            "few episodes. Give questions of your own with --questions."
        )
    places = {kind.id: place for place, kind in enumerate(KINDS)}
    chosen.sort(key=lambda one: places[one.kind])
    return Probe(tuple(chosen), held_out)


# -- reading a log --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Log:
    """What questions are made from: the episodes in sight, each statement once."""

    scope: str
    episodes: list[Episode]
    words: list[frozenset[str]]  # the terms of each
    rows_with: dict[str, list[int]]
    following: list[int]  # the next row of the session, -1
    repeated: frozenset[int]  # rows whose words were said again
    speakers: frozenset[str]  # terms of the speakers' names
    days: dict[str, list[int]]  # rows by day and speaker
    vectors: NDArray[np.float32] | None


_Made = tuple[LogQuestion, str]  # the question, and the id of the episode to hold out, or ""
_Maker = Callable[[_Log, int], tuple[str, list[int], int] | None]  # (text, rows of evidence, row to hold out or -1)


def statement(episode: Episode) -> tuple[int, str | None]:
    """Equal for the same words from the same mouth, which are one thing to remember however often they were said."""
    return content_hash(episode.text), episode.actor


def _read(log: ScopeLog) -> _Log:
    replaced = {episode.supersedes for episode in log.episodes if episode.supersedes}
    first: dict[tuple[int, str | None], int] = {}
    rows, repeated = list[int](), set[int]()
    for row, episode in enumerate(log.episodes):
        if episode.role in HIDDEN_ROLES or episode.origin == ECHO or episode.id in replaced or not episode.text.strip():
            continue
        earlier = first.setdefault(statement(episode), len(rows))
        if earlier == len(rows):
            rows.append(row)
        else:
            repeated.add(earlier)
    episodes = [log.episodes[row] for row in rows]
    return _indexed(log.scope, episodes, frozenset(repeated), None if log.vectors is None else log.vectors[rows])


def _indexed(
    scope: str, episodes: list[Episode], repeated: frozenset[int], vectors: NDArray[np.float32] | None
) -> _Log:
    words = [frozenset(terms(episode.text)) for episode in episodes]
    rows_with: dict[str, list[int]] = {}
    following, last_of = [-1] * len(episodes), dict[str, int]()
    days: dict[str, list[int]] = {}
    for row, episode in enumerate(episodes):
        for word in words[row]:
            rows_with.setdefault(word, []).append(row)
        if episode.session is not None:
            if (before := last_of.get(episode.session)) is not None:
                following[before] = row
            last_of[episode.session] = row
        days.setdefault(_day_of(episode), []).append(row)
    speakers = frozenset(word for name in {one.actor for one in episodes if one.actor} for word in terms(name))
    return _Log(scope, episodes, words, rows_with, following, repeated, speakers, days, vectors)


def _without(log: _Log, held_out: frozenset[tuple[str, str]]) -> _Log:
    rows = [row for row, one in enumerate(log.episodes) if (log.scope, one.id) not in held_out]
    places = {row: place for place, row in enumerate(rows)}
    return _indexed(
        log.scope,
        [log.episodes[row] for row in rows],
        frozenset(places[row] for row in log.repeated if row in places),
        None if log.vectors is None else log.vectors[rows],
    )


# -- choosing -------------------------------------------------------------------------------------------------

_TRIES = 40  # episodes looked at for each question wanted: a log where a kind does not occur must not cost a full pass


def _pick(
    makers: Sequence[tuple[Sequence[_Log], _Maker]],
    kind: str,
    seed: int,
    most: int,
    taken: Iterable[tuple[str, str]] = (),
) -> list[_Made]:
    """At most `most` questions of a kind, in turn from its makers. What one asks with is no evidence of another."""
    used, texts = set(taken), set[str]()
    streams = [_candidates(logs, make, kind, seed, max(400, _TRIES * most)) for logs, make in makers]
    found: list[_Made] = []
    for made in (one for turn in zip_longest(*streams) for one in turn if one is not None):
        if len(found) >= most:
            break
        question, held = made
        touched = {(question.scope, one) for one in (*question.evidence, held) if one} if held else set()
        if touched & used or question.text in texts:
            continue
        used |= touched
        texts.add(question.text)
        found.append((replace(question, id=f"{kind}-{len(found) + 1}"), held))
    return found


def _candidates(logs: Sequence[_Log], make: _Maker, kind: str, seed: int, tries: int) -> Iterator[_Made]:
    order = sorted(
        (_draw(seed, kind, log.scope, episode.id), place, row)
        for place, log in enumerate(logs)
        for row, episode in enumerate(log.episodes)
    )
    for _, place, row in order[:tries]:
        log = logs[place]
        if (made := make(log, row)) is not None:
            text, rows, held = made
            evidence = tuple(log.episodes[one].id for one in rows)
            question = LogQuestion(id="", text=text, kind=kind, scope=log.scope, evidence=evidence)
            yield question, log.episodes[held].id if held >= 0 else ""


def _draw(seed: int, *parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass"), digest_size=8).digest()


# -- the kinds ------------------------------------------------------------------------------------------------

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_LONGEST = 60  # words of an episode that may serve as a question
_ALIKE_WORDS, _SAME_WORDS = 0.3, 0.8  # weighted overlap from which two sayings are alike; plain overlap of the same one
_FAR_OUT = 4.5  # standard deviations by which a cosine must exceed what is usual between sessions
_BLANK = "…"


def _paraphrase_by_words(log: _Log, row: int) -> tuple[str, list[int], int] | None:
    other, weight = _nearest_by_words(log, row)
    if other < 0 or weight < _ALIKE_WORDS or _nearest_by_words(log, other)[0] != row:
        return None
    return _asked_by_the_later(log, row, other)


def _paraphrase_by_meaning(log: _Log, row: int) -> tuple[str, list[int], int] | None:
    if log.vectors is None:
        return None
    other, cosine, usual, spread = _nearest_by_meaning(log, row)
    if other < 0 or cosine < usual + _FAR_OUT * spread or _nearest_by_meaning(log, other)[0] != row:
        return None
    return _asked_by_the_later(log, row, other)


def _asked_by_the_later(log: _Log, row: int, other: int) -> tuple[str, list[int], int] | None:
    earlier, later = sorted((row, other))
    text = log.episodes[later].text
    is_plain = log.repeated.isdisjoint((earlier, later)) and not (
        log.episodes[later].supersedes or log.episodes[earlier].supersedes
    )
    if not is_plain or len(text.split()) > _LONGEST or jaccard(log.words[row], log.words[other]) > _SAME_WORDS:
        return None
    return text, [earlier], later


def _nearest_by_words(log: _Log, row: int) -> tuple[int, float]:
    """(the row of another session that shares most, by rarity; the share of what either has), -1 where there is none."""
    mine, n = log.words[row], len(log.episodes)
    if len(mine) < 4:
        return -1, 0.0
    shared: Counter[int] = Counter()
    for word in mine:
        rows = log.rows_with[word]
        if len(rows) <= max(3, n // 20):  # common words make nothing alike
            for other in rows:
                shared[other] += 1
    best, most = -1, 0.0
    for other, _ in sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:20]:
        if len(log.words[other]) >= 4 and _are_apart(log.episodes[row], log.episodes[other]):
            weight = _weight(log, mine & log.words[other]) / _weight(log, mine | log.words[other])
            if weight > most:
                best, most = other, weight
    return best, most


def _weight(log: _Log, words: Iterable[str]) -> float:
    n = len(log.episodes)
    return sum(float(np.log1p(n / len(log.rows_with[word]))) for word in sorted(words))


def _nearest_by_meaning(log: _Log, row: int) -> tuple[int, float, float, float]:
    """(the nearest row of another session, its cosine, mean and deviation of the others' cosines), -1 where there is none."""
    assert log.vectors is not None
    cosines = log.vectors @ log.vectors[row]
    for other in np.argsort(-cosines, kind="stable")[:30].tolist():
        if other != row and len(log.words[other]) >= 4 and _are_apart(log.episodes[row], log.episodes[other]):
            usual = np.delete(cosines, [row, other])
            return other, float(cosines[other]), float(usual.mean()), float(usual.std())
    return -1, 0.0, 0.0, 0.0


def _are_apart(one: Episode, other: Episode) -> bool:
    if one.session is None or other.session is None:
        return one.occurred_at.date() != other.occurred_at.date()
    return one.session != other.session


def _reply(log: _Log, row: int) -> tuple[str, list[int], int] | None:
    episode, after = log.episodes[row], log.following[row]
    said = episode.text.strip()
    if after < 0 or not said.endswith(("?", "？")) or row in log.repeated or episode.supersedes:
        return None
    reply = log.episodes[after]
    is_answer = reply.speaker != episode.speaker and not reply.text.strip().endswith(("?", "？"))
    if not is_answer or len(log.words[row]) < 4 or len(log.words[after]) < 3 or len(said.split()) > _LONGEST:
        return None
    return said, [after], row


def _cloze(log: _Log, row: int) -> tuple[str, list[int], int] | None:
    for sentence in sorted(sentences(log.episodes[row].text), key=lambda one: (-len(set(terms(one))), one)):
        words = [(match.span(), terms(match.group())) for match in _WORD.finditer(sentence)]
        known = {word for _, found in words for word in found if word in log.rows_with}
        if len(known) < 5 or len(words) > _LONGEST:
            continue
        rarest = sorted(known, key=lambda word: (len(log.rows_with[word]), word))[:2]
        if _rows_with_all(log, known - set(rarest)) != {row}:
            rarest = rarest[:1]
            if _rows_with_all(log, known - set(rarest)) != {row}:
                continue
        shown = sentence
        for (start, end), found in reversed(words):
            if not set(rarest).isdisjoint(found):
                shown = shown[:start] + _BLANK + shown[end:]
        return shown, [row], -1
    return None


def _keywords(log: _Log, row: int) -> tuple[str, list[int], int] | None:
    text, n = log.episodes[row].text, len(log.episodes)
    usable = [
        word
        for word in log.words[row] - log.speakers
        if 2 <= len(log.rows_with[word]) <= max(3, n // 5) and word.isalpha() and len(word) > 2
    ]
    usable.sort(key=lambda word: (len(log.rows_with[word]), word))
    for size in (2, 3, 4):
        for start in range(max(0, len(usable) - size + 1)):
            chosen = usable[start : start + size]
            if _rows_with_all(log, chosen) == {row}:
                written = [word for word in _as_written(text, chosen) if word]
                if len(written) == size:
                    return f"What was said about {', '.join(written[:-1])} and {written[-1]}?", [row], -1
    return None


def _as_written(text: str, chosen: Sequence[str]) -> list[str]:
    """The words of the text that have these terms, in the text's order."""
    found: dict[str, str] = {}
    for match in _WORD.finditer(text):
        for word in terms(match.group()):
            if word in chosen:
                found.setdefault(word, match.group())
    return list(found.values())


_MOST_OF_A_DAY, _FEWEST_DAYS = 10, 3


def _date(log: _Log, row: int) -> tuple[str, list[int], int] | None:
    episode = log.episodes[row]
    rows = log.days[_day_of(episode)]
    if len(rows) > _MOST_OF_A_DAY or len({key.split()[0] for key in log.days}) < _FEWEST_DAYS:
        return None
    moment = episode.occurred_at
    day = f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    return (f"What did {episode.actor} say on {day}?" if episode.actor else f"What was said on {day}?"), rows, -1


def _day_of(episode: Episode) -> str:
    return f"{episode.occurred_at.date().isoformat()} {episode.actor or ''}"


_MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
_MOST_OF_A_NAME = 3


def _name(log: _Log, row: int) -> tuple[str, list[int], int] | None:
    for sentence in sentences(log.episodes[row].text):
        for name in find_names(sentence):
            own = set(terms(name.text))
            if not name.is_certain or not own or not own.isdisjoint(log.speakers) or not own <= log.rows_with.keys():
                continue
            named = _rows_with_all(log, own)
            beside = [
                word
                for word in set(terms(sentence)) - own - log.speakers
                if word.isalpha() and len(word) > 2 and len(log.rows_with.get(word, ())) >= 2
            ]
            if not 1 <= len(named) <= _MOST_OF_A_NAME or not beside:
                continue
            word = min(beside, key=lambda one: (len(log.rows_with[one]), one))
            rows = sorted(named & set(log.rows_with[word]))
            written = _as_written(sentence, [word])
            return f"What was said about {name.text} and {written[0]}?", rows, -1
    return None


def _rows_with_all(log: _Log, words: Iterable[str]) -> set[int]:
    """The rows that have all of these terms; none where no term is given."""
    lists = sorted((log.rows_with.get(word, []) for word in words), key=len)
    return set(lists[0]).intersection(*lists[1:]) if lists else set()
