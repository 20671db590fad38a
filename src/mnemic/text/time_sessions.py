"""Sessions that a text names by their place: "the third session", "two conversations ago", "sessions 4 to 6".

The one idea: a place is counted from the front (1, 2, …) or from the back (-1 is the latest), so that what is named can
be told without knowing how many sessions there are; whoever has the sessions resolves it.

Only what people call talking with each other counts: a session, conversation, discussion, chat or dialogue, and after
"our" also a talk, call or meeting. "My first session with the trainer", "therapy session 3" and "the last chat about
money" tell of something else, or of a topic, and name no place. English only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mnemic.text.time_words import MONTH, UNIT

Range = tuple[int, int]  # first and last place, both included


@dataclass(frozen=True, slots=True)
class SessionPhrase:
    """Some sessions told in a text, as ranges of places."""

    ranges: tuple[Range, ...]
    text: str
    span: tuple[int, int]  # where `text` stands


def find_sessions(text: str) -> list[SessionPhrase]:
    """The sessions that `text` names, in order and without overlaps.

    >>> [(one.text, one.ranges) for one in find_sessions("Was it in our third session, or two sessions ago?")]
    [('third session', ((3, 3),)), ('two sessions ago', ((-2, -2),))]
    """
    low = text.lower()
    if len(low) != len(text) or not mentions_sessions(low):
        return []
    matches = sorted(_matches(low), key=lambda one: one[:3])
    found: list[SessionPhrase] = []
    for start, minus_end, place, match in matches:
        end = -minus_end
        if (found and start < found[-1].span[1]) or _tells_of_something_else(low, start, end):
            continue
        read = _RULES[place][1]
        if read is _shift:
            if not found:
                continue
            ranges = tuple(_shifted(one, _sign(match)) for one in found[-1].ranges)
            if not _joins.search(low, max(0, start - 12), start):
                found.pop()  # "not the last session, but the one before that" names one session
        else:
            ranges = _from_there(low, start, read(match))
        if ranges:
            found.append(SessionPhrase(ranges, text[start:end], (start, end)))
    return found


def mentions_sessions(low: str) -> bool:
    """Is there a word without which no session can be named? `low` is in small letters."""
    return _quick.search(low) is not None


_quick = re.compile(
    r"\b(?:(?:session|conversation|discussion|chat|dialogue|talk|call|meeting)s?|last|first|(?:one|time)\s(?:before|after))\b"
)

_ONES = "one two three four five six seven eight nine".split()  # noqa: SIM905 - word lists are read as text
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_ODD_PLACES = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_ODD_PLACES |= {"twelve": "twelfth"}


def _numbers() -> Iterator[tuple[str, int]]:
    yield from ((word, number) for number, word in enumerate([*_ONES, *_TEENS], 1))
    for ten, word in enumerate(_TENS, 2):
        yield word, 10 * ten
        yield from ((f"{word} {one}", 10 * ten + number) for number, one in enumerate(_ONES, 1))


def _place_word(number_word: str) -> str:
    head, _, tail = number_word.rpartition(" ")
    place = _ODD_PLACES.get(tail) or (tail[:-1] + "ieth" if tail.endswith("y") else tail + "th")
    return f"{head} {place}".strip()


_COUNTS = dict(_numbers())
_PLACES = {_place_word(word): number for word, number in _COUNTS.items()}


def _any_of(words: dict[str, int]) -> str:
    return "|".join(word.replace(" ", r"[\s-]") for word in sorted(words, key=len, reverse=True))


_NOUN = r"(?:session|conversation|discussion|chat|dialogue)s?"
_OURS = r"(?:session|conversation|discussion|chat|dialogue|talk|call|meeting)s?"
_PLACE = rf"(?:\d{{1,3}}(?:st|nd|rd|th)|{_any_of(_PLACES)})"
_COUNT = rf"(?:\d{{1,3}}|{_any_of(_COUNTS)})"
_LOOSE = {"a couple of": (1, 3), "a couple": (1, 3), "a few": (2, 5), "few": (2, 5), "several": (3, 7)}
_MANY = rf"(?:{_COUNT}|an?|{'|'.join(_LOOSE)})"
_TO = r"\s?(?:to|through|thru|until|till|-|–)\s?"
_WITH_EACH_OTHER = r"(?:talked|spoke|chatted|met|had\sa\s(?:chat|talk|conversation|session))"
_LAST = r"(?:very\s)?(?:last|latest|most\srecent|previous|prior|preceding|final)"
_TALKED = r"\b(?:talk|discuss|chat|speak|spoke|say|said|tell|told|mention|cover)"


def _number(word: str) -> int:
    word = re.sub(r"[\s-]+", " ", word)
    if word[0].isdigit():
        return int(re.sub(r"\D", "", word))
    return _COUNTS.get(word) or _PLACES[word]


def _counted(word: str) -> Range:
    """The least and the most that a count may mean."""
    word = re.sub(r"\s+", " ", word)
    if word in _LOOSE:
        return _LOOSE[word]
    number = 1 if word in {"a", "an"} else _number(word)
    return number, number


def _shifted(places: Range, by: int) -> Range:
    """The places one session further; what would leave the ends is (0, 0), which is nowhere."""
    first, last = places[0] + by, places[1] + by
    return (first, last) if first * places[0] > 0 and last * places[1] > 0 else (0, 0)


def _ordered(first: int, last: int) -> tuple[Range, ...]:
    return ((min(first, last), max(first, last)),) if first and last else ()


def _from_to(match: re.Match[str]) -> tuple[Range, ...]:
    return _ordered(_number(match["first"]), _number(match["last"]))


_list_part = re.compile(rf"(?P<between>\bbetween\b)|(?P<to>\b(?:to|through|thru|until|till)\b|[-–])|(?P<n>{_COUNT})")


def _numbered(match: re.Match[str]) -> tuple[Range, ...]:
    """ "sessions 3, 5 and 7 to 9"; between two numbers "and" is "to"."""
    ranges: list[Range] = []
    is_open = False
    is_between = match.group().startswith("between")
    for part in _list_part.finditer(match.group()):
        if part["to"]:
            is_open = bool(ranges)
        elif part["n"]:
            number = _number(part["n"])
            if ranges and (is_open or is_between):
                ranges[-1] = _ordered(ranges[-1][0], number)[0] if number else ranges[-1]
            elif number:
                ranges.append((number, number))
            is_open = False
    return tuple(ranges)


def _two_places(match: re.Match[str]) -> tuple[Range, ...]:
    first, second = _number(match["first"]), _number(match["last"])
    if match["between"]:
        return _ordered(first, second)
    return ((first, first), (second, second))


def _first_few(match: re.Match[str]) -> tuple[Range, ...]:
    _, most = _counted(match["count"])
    return ((1, most),) if match["which"].endswith(("first", "opening")) else ((-most, -1),)


def _ago(match: re.Match[str]) -> tuple[Range, ...]:
    least, most = _counted(match["count"])
    if match["count"] in {"a", "an"} and match.group().endswith("earlier"):  # "we had a discussion earlier"
        return ()
    return ((-most, -least),) if least else ()


def _nth(match: re.Match[str]) -> tuple[Range, ...]:
    number = _number(match["place"])
    return ((-number, -number),) if match["back"] else ((number, number),)


def _always(place: int) -> Callable[[re.Match[str]], tuple[Range, ...]]:
    return lambda match: ((place, place),)


_last, _before_last, _first = _always(-1), _always(-2), _always(1)


def _shift(match: re.Match[str]) -> tuple[Range, ...]:
    raise AssertionError("a shift is read with what stands before it")


def _sign(match: re.Match[str]) -> int:
    return 1 if re.search(r"\b(?:after|next|following)\b", match.group()) else -1


_joins = re.compile(r"\b(?:and|plus|or)\s+$")
_other_before = re.compile(
    r"(?:\b(?:each|every|per|any|no)|\b\w+ing|\b(?:therapy|study|jam|practice|photo|workout|yoga|class|group|team|work|gym|lab"
    r"|sales|client|customer|doctor|zoom|phone))\s+$"
)
_may_stand_before = re.compile(r"\b(?:during|discussing|preceding|following|starting|beginning|including)\s+$")
_other_after = re.compile(
    rf"\s+(?:with\s+(?!(?:you|me|us|each)\b)|(?:(?:about|regarding|concerning)\s+\w|(?:where|in\swhich|that|for|at)\b)"
    rf"|of\s+(?!(?:the|this|last|that)\s+(?:day|week|month|year|quarter)\b|{MONTH}\b|\d{{4}}|ours\b))"
)


_bound = re.compile(r"\b(?P<way>since|after|before|prior\sto|until)\s(?:the\s|our\s)?$")


def _from_there(low: str, start: int, ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges as "since", "after" or "before" opens them."""
    match = _bound.search(low, max(0, start - 16), start)
    if match is None or len(ranges) != 1:
        return ranges
    (first, last), way = ranges[0], match["way"]
    if way == "since":
        return ((first, -1),)
    if way == "after":
        return ((last + 1, -1),) if last != -1 else ()
    return ((1, first - 1),) if first != 1 else ()


_needs_our = re.compile(r"\b(?:talk|call|meeting)s?\b")
_our = re.compile(r"\bour\s+(?:\w+\s+)?$")


def _tells_of_something_else(low: str, start: int, end: int) -> bool:
    if _other_after.match(low, end):
        return True
    near = max(0, start - 24)
    if _needs_our.search(low, start, end) and not _our.search(low, near, start):
        return True
    return bool(_other_before.search(low, near, start) and not _may_stand_before.search(low, near, start))


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[Range, ...]]], ...] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (rf"\b(?P<first>{_PLACE})(?:\s{_OURS})?{_TO}(?:the\s|our\s)?(?P<last>{_PLACE})\s{_OURS}\b", _from_to),
        (
            rf"\b(?P<between>between\s)?(?:the\s|our\s)?(?P<first>{_PLACE})(?:\s{_OURS})?\s?(?:and|&|or)\s"
            rf"(?:the\s|our\s)?(?P<last>{_PLACE})\s{_OURS}\b",
            _two_places,
        ),
        (
            rf"\b(?:between\s)?{_NOUN}\s?(?:number\s|no\.?\s?|nr\.?\s?|#)?{_COUNT}(?!\w)"
            rf"(?:(?:{_TO}|\s?,\s?(?:and\s|or\s)?|\s(?:and|&|or)\s)(?:{_NOUN}\s)?#?{_COUNT}(?!\w))*"
            rf"(?!(?:\s|-){{1,2}}(?:{UNIT}|{_NOUN})s?\b|\s?[%:]|\s?[ap]\.?m\b|[./]\d)",
            _numbered,
        ),
        (
            rf"\b(?P<which>(?:very\s)?(?:first|opening|last|past|previous|latest|most\srecent|final))\s"
            rf"(?P<count>{_COUNT}|few|couple\sof|several)\s{_OURS}\b",
            lambda match: _first_few(match) if "couple" not in match["count"] else _pair(match),
        ),
        (
            rf"\b(?:{_NOUN}\s(?:from\s|of\s)?)?(?P<count>{_MANY})\s{_OURS}\s(?:ago|before\snow|back|earlier)\b",
            _ago,
        ),
        (rf"\b(?P<place>{_PLACE})(?P<back>(?:[\s-]to[\s-]|[\s-]from[\s-]the[\s-]|[\s-])last)?\s{_OURS}\b", _nth),
        (rf"\b(?:next[\s-]to[\s-]last|penultimate)\s{_OURS}\b|\blast\s{_OURS}\sbut\sone\b", _before_last),
        (rf"\b{_OURS}\sbefore\s(?:the\s|our\s)?last(?:\s(?:one|{_OURS}))?\b", _before_last),
        (rf"\b(?:one|time)\sbefore\s(?:the\s|our\s)?last(?:\s{_OURS})?\b(?!\s(?:week|month|year|night))", _before_last),
        (rf"\b{_LAST}\s{_OURS}\b", _last),
        (rf"\b(?:opening|initial|earliest)\s{_OURS}\b", _first),
        (rf"\blast\stime(?:\sthat)?\s(?:we|you\sand\si|i)\s{_WITH_EACH_OTHER}\b(?!\s(?:to|with)\b)", _last),
        (rf"(?<=\bwe\s)last\s{_WITH_EACH_OTHER}\b(?!\s(?:to|with)\b)", _last),
        (rf"{_TALKED}\w*\s(?:about\s)?(?P<bare>last\stime)(?=\s*(?:$|[?.!,;\n]))", _last),
        (rf"^last\stime\b(?=.*{_TALKED})", _last),
        (rf"\bfirst\stime(?:\sthat)?\s(?:we|you\sand\si)\s(?:ever\s)?{_WITH_EACH_OTHER}\b", _first),
        (rf"(?<=\bwe\s)first\s{_WITH_EACH_OTHER}\b", _first),
        (
            rf"\bthe\s(?:one|{_OURS})\s(?:right\s|just\s|immediately\s)?(?:before|after|preceding|following)"
            rf"(?:\s(?:that|it|this)(?:\sone)?\b|(?=\s*(?:$|[?.!,;\n])))"
            rf"|\bthe\s(?:(?:next|following)\s(?:one|{_OURS})|(?:previous|preceding|prior)\sone)\b",
            _shift,
        ),
    )
)


def _pair(match: re.Match[str]) -> tuple[Range, ...]:
    return ((1, 2),) if match["which"].endswith(("first", "opening")) else ((-2, -1),)


def _matches(low: str) -> Iterator[tuple[int, int, int, re.Match[str]]]:
    """Where each match begins, where it ends (negative: the longest first), its rule's place, and the match."""
    for place, (pattern, _) in enumerate(_RULES):
        for match in pattern.finditer(low):
            start = match.start("bare") if "bare" in pattern.groupindex else match.start()
            yield start, -match.end(), place, match
