"""Which episodes a cue asks for by time, how strictly, and what else it asks.

The one idea: three kinds of cue name a time. "What did we discuss in May?" asks for all that was said then; "What did
she say about the tent in May?" asks for one thing of it; "When she camped in May, who came?" dates what happened, which
may have been told before or after. So a time comes with its `hold`: how little what lies outside it may count.

A cue of several lines is a conversation, oldest line first, whose last line asks: the last line that names a time
decides which, and "the week after" in a later line moves what an earlier one named.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import as_aware, to_microseconds
from mnemic.text.periods import plus_units, unit_of
from mnemic.text.time_order import wants_newest
from mnemic.text.time_sessions import SessionPhrase, find_sessions
from mnemic.text.times import BEGINNING, END_OF_TIME, TimeSpan, find_times

Signal = NDArray[np.float32]
Keys = NDArray[np.int64]
Named = TimeSpan | SessionPhrase
_DAY = 86_400_000_000  # microseconds
ALL, SAID, HAPPENED = 1.0, 0.6, 0.4  # how strictly a time holds, by the kind of cue
_LATER = 7 * _DAY  # what happened is told of for at least so long
_LONGEST = (
    4000  # characters of a cue that are searched for times, its last ones: every time is compared with every word
)


@dataclass(frozen=True, slots=True)
class SessionTable:
    """The sessions in sight, in the order in which they began."""

    keys: Keys  # [m]
    began_at: Keys  # [m] microseconds since 1970, ascending

    @classmethod
    def of(cls, keys: Keys, occurred_at: Keys) -> SessionTable:
        """From the session keys (see `session_keys`) and times of the rows in sight, or only of each session's first: [n]."""
        rows = np.flatnonzero(keys >= 0)
        found, first = np.unique(keys[rows], return_index=True)
        began_at = occurred_at[rows[first]]
        order = np.lexsort((rows[first], began_at))
        return cls(found[order], began_at[order])

    def at(self, ranges: Sequence[tuple[int, int]]) -> frozenset[int]:
        """The keys at these places: 1, 2, … from the first session, -1, -2, … from the last."""
        n, chosen = len(self.keys), set[int]()
        for first, last in ranges:
            start, stop = first - 1 if first > 0 else n + first, last if last > 0 else n + last + 1
            chosen.update(self.keys[max(start, 0) : max(stop, 0)].tolist())
        return frozenset(chosen)

    def within(self, spans: Sequence[TimeSpan]) -> SessionTable:
        """The sessions that began in one of the spans."""
        began = np.zeros(len(self.keys), np.bool_)
        for span in spans:
            began |= (self.began_at >= to_microseconds(span.start)) & (self.began_at < to_microseconds(span.end))
        return SessionTable(self.keys[began], self.began_at[began])


def session_keys(scopes: Keys, sessions: NDArray[np.int32]) -> Keys:
    """[n] one number for a session of a scope; -1 where a row has no session."""
    return np.where(sessions >= 0, scopes << 32 | sessions, np.int64(-1))


@dataclass(frozen=True, slots=True)
class When:
    """What a cue says of time."""

    spans: tuple[TimeSpan, ...] = ()  # what was said in one of these is asked for,
    sessions: frozenset[int] | None = None  # or, when sessions are named, in one of these; None: none is named
    is_all: bool = False  # nothing else is asked: everything that was said (or happened) then
    hold: float = 0.0  # in [0, 1]: how strictly the time holds; 0 when none is named
    rest: str = (
        ""  # what to look for in a text: the cue, without the time where that is the time of saying; "" if is_all
    )
    newest: float = 0.0  # in [-1, 1], see `wants_newest`
    note: str = ""  # the words that name the time

    def __bool__(self) -> bool:
        """Is a time named?"""
        return self.hold > 0.0


def read_when(
    text: str,
    asked_at: datetime,
    sessions: Callable[[], SessionTable],
    speakers: Collection[str] = (),
) -> When:
    """What a cue says of time. `sessions` is only called when the cue names sessions by their place.

    speakers: the words, in small letters, of the names of those who speak in the scope: "what did Ann say in May" asks
    for all that was said then, by Ann.
    """
    if len(text) > _LONGEST:
        start = next((gap.end() for gap in _gap.finditer(text, len(text) - _LONGEST)), len(text) - _LONGEST)
        when = read_when(text[start:], asked_at, sessions, speakers)
        return when if when.is_all else replace(when, rest=text[:start] + when.rest)
    newest = wants_newest(text)
    asked_at = as_aware(asked_at)
    found: list[Named] = [*find_times(text, asked_at), *find_sessions(text)]
    if not found:
        return When(rest=text, newest=newest)
    cue = _Cue.read(text, found)
    spans, phrases, is_said = cue.asked()
    spans = [one for one in spans if one.start <= asked_at]  # nothing has been said in the future
    if not spans and not phrases:
        return When(rest=text, newest=newest)
    named: list[Named] = [*phrases, *spans]
    asks = cue.nothing_else(named, frozenset(speakers))
    is_said = asks == "said" or is_said or bool(phrases) or cue.asks_what_was_said(named)
    keys = _resolved(phrases, spans, sessions) if phrases else None
    if keys is not None and not keys:  # there is no such session
        keys = None
        if not spans:
            return When(rest=text, newest=newest)
    return When(
        spans=() if keys is not None else tuple(spans),
        sessions=keys,
        is_all=bool(asks),
        hold=HAPPENED if not is_said else ALL if asks else SAID,
        # a date of what happened may stand in the answer
        rest="" if asks else cue.without(named) if is_said else text,
        newest=0.0 if phrases or asks else newest,
        note=", ".join(one.text for one in (phrases or spans)),
    )


def in_when(when: When, occurred_at: Keys, keys: Keys) -> Signal:
    """[n] 1 where an episode is in the time asked for, less outside it, falling to 0 with the distance.

    occurred_at, keys: [n] each row's time, and its session as in `session_keys`. One length of the interval (a day at
    least) away nothing is left. Outside the time of saying at most a half is; what happened may also have been told in
    the week after. Beside a session that was named nothing is left.
    """
    if when.sessions is not None:
        wanted = np.sort(np.fromiter(when.sessions, np.int64, len(when.sessions)))
        nearest_key = wanted[np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)]
        is_named: NDArray[np.bool_] = nearest_key == keys
        return is_named.astype(np.float32)
    is_loose = when.hold <= HAPPENED
    nearest = np.zeros(len(occurred_at), np.float32)
    for span in when.spans:
        start, end = to_microseconds(span.start), to_microseconds(span.end)
        before, after = np.maximum(start - occurred_at, 0), np.maximum(occurred_at - (end - 1), 0)
        reach = float(max(end - start, _DAY))
        away = before / reach + after / (max(reach, _LATER) if is_loose else reach)
        share = np.where(away == 0.0, 1.0, (1.0 if is_loose else 0.5) * np.maximum(1.0 - away, 0.0))
        nearest = np.maximum(nearest, share.astype(np.float32))
    return nearest


def told_in_turn(told: Signal, keys: Keys, is_in: NDArray[np.bool_]) -> Signal:
    """[n] in [0, 1]: the order in which to tell all of a time, so that its beginning does not crowd out its end.

    told: [n] how much each episode tells, its length say. Every session's most telling episode comes first, the earliest
    session before the others, then every session's second, and so on. 0 outside `is_in`.
    """
    rows = np.flatnonzero(is_in)
    order = np.zeros(len(told), np.float32)
    if not len(rows):
        return order
    by_session = np.lexsort((rows, -told[rows], keys[rows]))
    starts = np.flatnonzero(np.diff(keys[rows][by_session], prepend=np.int64(-2)))
    place = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    round_of = np.empty(len(rows), np.int64)
    round_of[by_session] = place
    in_turn = np.lexsort((rows, round_of))
    order[rows[in_turn]] = 1.0 - np.arange(len(rows), dtype=np.float32) / len(rows)
    return order


# -- reading the cue ------------------------------------------------------------------------------------------

_name_before = re.compile(r"^\s*[\w .'’-]{1,30}:\s+")
_gap = re.compile(r"\s")
_word = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_sentence = re.compile(r"(?<=[.!?])\s+")

# "…, as mentioned on 5 May", "according to the conversation on 5 May": the time of saying, whatever else is dated
_said_before = re.compile(
    r"(?:\b(?:mentioned|discussed|stated|described|noted|reported|talked\sabout|spoken\sof|said|told|shared)"
    r"|\b(?:conversation|discussion|session|chat|dialogue|talk)s?)(?:\s(?:back\s)?(?:on|in|during|at|from|of|over|dated))?\s$"
)
_according = re.compile(r"\b(?:according\sto|as\sper|per)\s(?:\w+\s){0,4}$")
_opens = re.compile(r"^\W*(?:(?:back\s)?(?:on|in|during|at|over|from|between)\s)?(?:the\s|our\s)?$")
_lead = re.compile(
    r"(?:,?\s?\b(?:as\s)?(?:mentioned|discussed|stated|described|noted|reported)\s)?"
    r"(?:\b(?:according\sto|as\sper|per|in|during|from|on|at|over|across|for|within|through(?:out)?)\s)?"
    r"(?:\b(?:the|his|her|their|our|a|that)\s)?(?:\b(?:conversation|discussion|session|chat)s?\s)?"
    r"(?:\b(?:on|in|during|from|of|at|over|across|for|within|between)\s)?(?:\b(?:the|our)\s)?$"
)

_TALK_WORDS = frozenset(
    """
    say says said saying tell tells told telling talk talks talked talking speak spoke speaking spoken discuss discusses
    discussed discussing chat chats chatted chatting mention mentions mentioned mentioning converse conversed cover covered
    share shared exchange exchanged message messages messaged conversation conversations discussion discussions session
    sessions dialogue dialogues
    """.split()
)
_talk = re.compile(r"\b(?:(?:go|going|went|gone)\s(?:over|through)|(?:bring|brought)\sup|catch\sme\sup)\b")
_SAID_VERB = re.compile(
    r"\b(?:say|said|says|mention|mentions|mentioned|tell|tells|told|discuss|discusses|discussed|talk(?:ed|s)?\sabout|express(?:ed)?"
    r"|suggest(?:s|ed)?|propos(?:e|es|ed)|shar(?:e|es|ed)|ask(?:s|ed)?|describ(?:e|es|ed)|stated|explain(?:s|ed)?"
    r"|bring\sup|brought\sup|advise[sd]?|recommend(?:s|ed)?)\b"
)
_HAPPEN_WORDS = frozenset("do doing done happen happens happened happening".split())
_FILLER = (
    _TALK_WORDS
    | _HAPPEN_WORDS
    | frozenset(
        """
    a an the this that these those it its we us our ours i me my mine you your yours he she him her his they them their one
    ones each other another both what which when and or but nor so then also too not no yes yeah yep ok okay sure well oh
    hey hi hello please thanks thank kindly just only really exactly exact precisely specifically quite bit lot lots much
    many several few couple some any all every everything anything something nothing more most main key important whole
    entire entirety full complete general generally briefly brief short detail details detailed content contents thing
    things stuff topic topics subject subjects matter matters point points sort sorts kind kinds type types summary
    summaries recap overview highlights gist rundown list transcript history in on at to from for with about between
    during through over across within throughout into by as since until till up out of off than there here back around far
    long do did does done doing is are was were be been being am have has had having can could will would shall should may
    might must give show let let's summarize summarise summarized recall recalls remember remembers remembered remembering
    remind reminds reminded recollect forget forgot forgotten describe outline repeat recount review look looking see
    calendar diary agenda asked bring brought raise raised time times day days date dates week weeks month months year
    years period span moment past last first next previous before after ago earlier later early late morning afternoon
    evening night today yesterday recently again ever already enjoy enjoyed enjoying nice fun great good lovely pleasant
    interesting wonderful glad always together particular possible able couldn't can't cannot don't didn't doesn't wasn't
    weren't i'm i've we've you're it's that's what's
    """.split()
    )
)
# "I would like to know", "did you know": ways of asking, whose words mean something elsewhere
_asking = re.compile(
    r"\b(?:(?:i|we)(?:['’](?:d|m|ll)|\s(?:would|am|will))?\s(?:like|love|want|need|trying|wish|curious|wondering)\s(?:to\s(?=\w))?"
    r"(?:(?:know|see|hear|find\sout)\b)?|(?:let\sme|do\syou|did\syou|to)\sknow\b|(?:go|goes|going|went|gone)\sover\b"
    r"|(?:go|going|went|gone)\sthrough\b|catch\sme\sup\b|(?<!you\s)(?<!i\s)(?<!we\s)\btell\s(?:me|us)\b|trying\sto\s(?=rem|rec))"
)


@dataclass(frozen=True, slots=True)
class _Cue:
    """A cue's lines, with the times that stand in each."""

    text: str
    lines: tuple[tuple[int, int], ...]  # where each begins and ends, without the name of who said it
    found: tuple[Named, ...]  # in order

    @classmethod
    def read(cls, text: str, found: Sequence[Named]) -> _Cue:
        lines, at = [], 0
        has_many = "\n" in text.strip()
        for line in text.split("\n"):
            name = _name_before.match(line) if has_many else None
            start = at + (name.end() if name else 0)
            if text[start : at + len(line)].strip():
                lines.append((start, at + len(line)))
            at += len(line) + 1
        return cls(text, tuple(lines), tuple(sorted(found, key=lambda one: one.span)))

    def asked(self) -> tuple[list[TimeSpan], list[SessionPhrase], bool]:
        """The times and sessions of the last line that names any, moved where it says so; and are they those of saying?"""
        low, before = self.text.lower(), list[TimeSpan]()
        spans, phrases = list[TimeSpan](), list[SessionPhrase]()
        for start, end in self.lines:
            here = [one for one in self.found if start <= one.span[0] < end]
            moved = _moved(low, start, end, before, here)
            times = [one for one in here if isinstance(one, TimeSpan)] + moved
            named = [one for one in here if isinstance(one, SessionPhrase)]
            if times or named:
                spans, phrases, before = times, named, times or before
        told = [one for one in spans if self._is_time_of_saying(one, low)]
        if told:
            return told, phrases, True
        if phrases:  # a session is named; another date belongs to it only when it stands beside it
            return [one for one in spans if _is_beside(one, phrases, low)], phrases, True
        opening = [one for one in spans if self._opens_a_question(one, low)]
        return opening or spans, phrases, bool(opening)

    def _is_time_of_saying(self, span: TimeSpan, low: str) -> bool:
        start = span.span[0]
        near = low[max(0, start - 60) : start]
        return bool(_said_before.search(near) and not near.endswith("what ")) or bool(_according.search(near))

    def _opens_a_question(self, span: TimeSpan, low: str) -> bool:
        """ "On 5 May, what did she say …": what comes first dates the saying, when saying is what is asked."""
        return bool(_opens.match(low[self._line(span)[0] : span.span[0]]) and _SAID_VERB.search(low, span.span[1]))

    def asks_what_was_said(self, named: Sequence[Named]) -> bool:
        """Is saying what the last question is about, and does the time stand by it?"""
        if any(isinstance(one, TimeSpan) and self._is_time_of_saying(one, self.text.lower()) for one in named):
            return True
        return bool(_SAID_VERB.search(_asking.sub(" ", self.text.lower())))

    def nothing_else(self, named: Sequence[Named], speakers: frozenset[str]) -> Literal["", "said", "happened"]:
        """What is asked for, where nothing but the time narrows it: all that was said, or all that happened; else "".

        Only words for talking, asking and the time may stand in the sentences that count: the last line, the sentence that
        names the time, and those that named one before where the last line only asks the same of another time ("and in
        June?"). In a conversation there must be a word for talking too, or it may ask for something said to be known.
        """
        told = [word for one in self._sentences(named) for word in self._words(one, named)]
        if (told and told[0] == "when") or any(word not in _FILLER and word not in speakers for word in told):
            return ""
        lines = {self._line(one) for one in named}
        if any(one not in named and self._line(one) in lines for one in self.found):
            return ""  # "what did she do last weekend, in our talk of 5 May": that weekend is asked about
        every = {word for line in self.lines for word in self._words(line, ())}
        is_session = any(isinstance(one, SessionPhrase) for one in named)
        if is_session or not every.isdisjoint(_TALK_WORDS) or _talk.search(self.text.lower()):
            return "said"
        if len(self.lines) > 1:
            return ""
        return "said" if _HAPPEN_WORDS.isdisjoint(told) else "happened"

    def _line(self, one: Named) -> tuple[int, int]:
        return next((line for line in self.lines if line[0] <= one.span[0] < line[1]), self.lines[-1])

    def _sentences(self, named: Sequence[Named]) -> list[tuple[int, int]]:
        last = self.lines[-1]
        chosen = [last]
        is_bare = any(one.span[0] >= last[0] for one in named) and _TALK_WORDS.isdisjoint(self._words(last, named))
        for one in [*named, *(self.found if is_bare else ())]:
            line = self._line(one)
            if line != last:
                stops = [line[0], *(stop.end() for stop in _sentence.finditer(self.text, *line)), line[1]]
                chosen += [(start, end) for start, end in pairwise(stops) if start <= one.span[0] < end]
        return chosen

    def _words(self, part: tuple[int, int], named: Sequence[Named]) -> list[str]:
        """The words of a part of the cue, in small letters, without those that name the time."""
        found, low = [], self.text.lower()
        skipped = [one.span for one in [*named, *self.found]] + [one.span() for one in _asking.finditer(low, *part)]
        for match in _word.finditer(self.text, *part):
            if not any(start <= match.start() < end for start, end in skipped):
                word = match.group().lower().replace("’", "'")
                found.append(word.removesuffix("'s") if word not in _FILLER else word)
        return found

    def without(self, named: Sequence[Named]) -> str:
        """The cue without the time, the words that lead to it, and the names before its lines."""
        kept = list(self.text)
        for one in named:
            start, end = one.span
            lead = _lead.search(self.text.lower(), max(0, start - 60), start)
            start = lead.start() if lead else start
            kept[start:end] = [" "] * (end - start)
        text = "".join(kept)
        return " ".join(" ".join(text[start:end] for start, end in self.lines).split()).strip(" ,")


_step = re.compile(
    r"\bthe\s(?P<unit>day|week|weekend|month|quarter|year)\s(?:right\s|just\s)?(?P<way>before|after)"
    r"(?:\s(?:that|it|this)\b|(?=\s*(?:$|[?.!,;])))"
)


def _moved(low: str, start: int, end: int, before: Sequence[TimeSpan], here: Sequence[Named]) -> list[TimeSpan]:
    """ "And the week after?": the unit beside the last time told in an earlier line."""
    match = _step.search(low, start, end)
    if match is None or not before or any(isinstance(one, TimeSpan) for one in here):
        return []
    anchor, unit = before[-1], match["unit"]
    if (anchor.start == BEGINNING) or (anchor.end == END_OF_TIME):
        return []
    is_after = match["way"] == "after"
    zone, edge = anchor.start.tzinfo, anchor.end if is_after else anchor.start
    local = edge.replace(tzinfo=None)
    try:
        if unit == "weekend":
            first = unit_of(plus_units(local, 0 if is_after else -7, "day"), "weekend")
            begin, stop = first.start, first.end
        else:
            begin, stop = sorted((local, plus_units(local, 1 if is_after else -1, unit)))
    except (ValueError, OverflowError):
        return []
    span = (match.start(), match.end())
    return [
        replace(anchor, start=begin.replace(tzinfo=zone), end=stop.replace(tzinfo=zone), text=match.group(), span=span)
    ]


_between_session_and_date = re.compile(r"^\s?(?:in|of|on|from|during|,)?\s?(?:the\s)?$")


def _is_beside(span: TimeSpan, phrases: Sequence[SessionPhrase], low: str) -> bool:
    return any(_between_session_and_date.match(low[one.span[1] : span.span[0]]) for one in phrases)


def _resolved(
    phrases: Sequence[SessionPhrase], spans: Sequence[TimeSpan], sessions: Callable[[], SessionTable]
) -> frozenset[int]:
    """The sessions named, counted within the spans where there are some ("our last session in May")."""
    table = sessions()
    if spans and len((inside := table.within(spans)).keys):
        table = inside
    return frozenset().union(*(table.at(one.ranges) for one in phrases))
