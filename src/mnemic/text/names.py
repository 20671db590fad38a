"""Names of people, places and things, found by how they are written.

The one idea: in scripts with capitals, a capital where the grammar does not ask for one marks a name. At the start of
a sentence the grammar does ask, so there a single capitalised word counts only when it is known, is capitalised
elsewhere in the text too, or is not a word that ordinarily begins sentences or ends like a verb or adverb.

Also names: acronyms ("NASA"), @handles, and quoted titles ("Becoming Nicole"). Never: months, weekdays, or the words of a
text that shouts. Scripts without capitals (Han, Arabic, ...) yield only names that are `known`.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it stands in a text, without a possessive 's."""

    text: str
    start: int
    end: int
    is_certain: bool  # False when only the start of a sentence speaks for it


_UPPER = "A-ZÀ-ÖØ-ÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮİĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽΑ-ΩΆΈ-ΏЀ-ЯԱ-Ֆ"
_REST = r"[^\W_]*(?:['’](?!s\b|S\b)[^\W_]+)*"
_WORD = rf"(?:[{_UPPER}]{_REST}|(?:[a-z]|Mc|Mac|O['’]|D['’]|d['’])[{_UPPER}]{_REST})"  # incl. iPhone, McKay, d'Arc
_PART = rf"{_WORD}(?:-[^\W_]+)*"
_PARTICLE = (
    r"(?:of(?: the)?|the|and the|de(?: la| las| los|l)?|del|della|di|da|do|dos|du|des|la|le|van(?: der| den| de)?"
    r"|von(?: der| dem)?|der|den|ter|ten|bin|ibn|al|el|y|e|zu|&|for|at)"
)
_LEADING = r"(?:(?:van(?: der| den| de)?|von(?: der| dem)?|de la|della|di|da|del|ibn|bin|al)[ ])?"
_SPAN = re.compile(
    rf"(?<![\w@#])(?P<name>{_LEADING}{_PART}\.?(?:(?:[ ]|(?<=\.))(?:{_PARTICLE}[ ])?(?:{_PART}\.?|\d{{1,4}}(?![\w%:/.,])))*)"
)
_HANDLE = re.compile(r"(?<![\w@.])@[A-Za-z0-9_][\w.]{0,38}\w")
_TITLE = re.compile(
    r"\"([^\"\n]{2,80})\"|“([^”\n]{2,80})”|«\s?([^»\n]{2,80})\s?»|『([^』\n]{1,60})』|《([^》\n]{1,60})》"
)
_STARTS_SENTENCE = re.compile(r"(?:^|[.!?…:。！？]|[\n\r]|[\"“”‘(\[*_>–—-]|[^\w\s.,;'’&/)\]%$€£@#+=-])[\"'“‘(*_\s]*$")
_POSSESSIVE = re.compile(r"['’][sS]?$")
_HONORIFICS = frozenset("mr mrs ms mx dr prof sir lady lord st rev capt sgt lt gen col sen gov pres saint".split())
_CONNECTS_NAMES = frozenset("of the and de la for at e y & do da".split())

_CALENDAR = frozenset(
    """
    january february march april may june july august september october november december jan feb mar apr jun jul aug
    sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri
    sat sun mondays tuesdays wednesdays thursdays fridays saturdays sundays am pm ad bc bce ce
    """.split()
)
# Words that are not names by themselves however they are written.
_NEVER = _CALENDAR | frozenset(
    """
    i i'm i've i'll i'd im ive ok okay omg lol lmao btw fyi imo tbh idk asap rip diy faq pov tv pc id ai vs etc aka ps
    mr mrs ms dr prof sir madam mom mum mommy mama dad daddy grandma grandpa granny
    """.split()
)
# Words that ordinarily begin sentences; a capital on them says nothing.
_COMMON = frozenset(
    """
    a about above absolutely according actually add after again ago agreed ah aha all almost alone along already alright
    also although always amazing among an and another any anyone anything anyway anyways apart apparently are aren't
    around as ask at aw awesome aww back bad based be because been before being besides best better between big both
    bring but bye by call can can't cause check cheers clearly close come coming congrats congratulations consider cool
    could couldn't crazy create currently cute damn day days dear definitely describe despite did didn't do does doesn't
    doing don't done down during each earlier either else enjoy enough especially even eventually ever every everyone
    everything everywhere exactly excellent excited except explain fair family fantastic far few finally find fine first
    follow for forget from fun further generally get getting gimme give given glad go god going gonna good goodbye got
    gotta great guess guys ha had haha half happy hard has hasn't have haven't having he he's head hear hello help hence
    her here here's hers hey hi his hmm hold home honestly hope hopefully how how's however huge hugs hurry if imagine
    important in indeed inside instead interesting into is isn't it it'd it'll it's its it’s just keep kids kind
    kinda know last lately later learning least let let's life like likewise list listen little live long look looking
    looks lots love loved loving luckily lucky made make makes making many may maybe me mean meanwhile might mine miss
    more moreover morning most much music must my myself nah name near need needed neither never nevertheless new next
    nice night no nobody none nope nor not note nothing now nowadays obviously of off often oh old on once one ones only
    open opposite or original other others otherwise ouch our ours out outside over overall own pay people perfect
    perhaps personally place play please plus pretty previously probably put quick quite rather read ready really
    recently regarding remember respect right running sad said same save say says scary second see seems seriously
    several shall she she'll she's should show similarly since sit so some somebody someone something sometimes soon
    sorry sounds speaking start still stop strange such super sure sweet take taking talk tell than thank thanks that
    that'd that'll that's the their theirs them then there there's therefore these they they'd they'll they're they've
    thing things think thinking third this those though three through throughout thus time to today together tomorrow
    tonight too totally toward true truly try trying turn twice two ugh uh um under unfortunately unless unlike until up
    upon us use used using usually very wait walk wanna want warm was wasn't watch way we we'd we'll we're we've
    weather week welcome well were weren't what what'd what'll what's whatever when when's whenever where where's
    whereas wherever whether which while who who's whoever whole whom whose why why's will win wish with within without
    woah wonder wonderful won't work working would wouldn't wow write yay yea yeah year years yep yes yesterday yet yo
    you you'd you'll you're you've young your yours yourself yup
    """.split()
)
_COMMON_ENDING = re.compile(r"(?:ly|ing|n't|n’t|['’](?:ll|re|ve|d|m))$")
_LONGEST_NAME_WORDS = 8


def find_names(text: str, known: Collection[str] = ()) -> list[Name]:
    """The names in `text`, in order, without overlaps; names in `known` are found in any writing of theirs.

    >>> [name.text for name in find_names("Yesterday Dr. Anna O'Neil flew to New York City with Sam.")]
    ["Dr. Anna O'Neil", 'New York City', 'Sam']
    """
    if not text or (text.islower() and not known and "@" not in text and '"' not in text and "“" not in text):
        return []
    keys = {name.casefold() for name in known}
    found = [Name(match.group(), match.start(), match.end(), True) for match in _HANDLE.finditer(text)]
    found += _titles(text)
    if not _shouts(text):
        spans = [match.span("name") for match in _SPAN.finditer(text)]
        inner = _capitalised_inside(text, spans)
        for start, end in spans:
            found += _names_in_span(text, start, end, keys, inner)
    found += _known_names(text, known)
    return _without_overlaps(found)


def name_keys(names: Iterable[str | Name]) -> frozenset[str]:
    """Lower-case keys under which names may be compared, with the first and last names of full names.

    >>> sorted(name_keys(["Dr. Anna O'Neil"]))
    ['anna', "anna o'neil", "o'neil"]
    """
    keys: set[str] = set()
    for name in names:
        words = _POSSESSIVE.sub("", str(name.text if isinstance(name, Name) else name)).replace("’", "'").split()
        while len(words) > 1 and _bare(words[0]) in _HONORIFICS and words[1] not in _CONNECTS_NAMES:
            words = words[1:]
        full = " ".join(words).lstrip("@").casefold()
        if full:
            keys.add(full)
        is_title = any(word.casefold() in _CONNECTS_NAMES for word in words)
        if 2 <= len(words) <= 4 and not is_title:
            keys |= {word.casefold() for word in (words[0], words[-1]) if len(word.rstrip(".")) > 1}
    return frozenset(keys)


def _titles(text: str) -> list[Name]:
    titles = []
    for match in _TITLE.finditer(text):
        group = match.lastindex or 0
        title = match[group]
        start, end = match.span(group)
        words = re.findall(r"[^\W\d_][\w'’-]*", title)
        capitals = sum(word[0].isupper() or not word[0].islower() for word in words)
        is_title = words and words[0][:1].isupper() and capitals * 2 >= len(words) and title[-1] not in ".,;"
        if (is_title and len(words) <= _LONGEST_NAME_WORDS) or match.group()[0] in "『《":
            titles.append(Name(title, start, end, len(words) > 1))
    return titles


def _shouts(text: str) -> bool:
    letters = sum(map(str.isalpha, text[:400]))
    return letters > 12 and sum(map(str.isupper, text[:400])) > 0.6 * letters


def _capitalised_inside(text: str, spans: list[tuple[int, int]]) -> set[str]:
    inner: set[str] = set()
    for start, end in spans:
        words = [_bare(word) for word in text[start:end].split()]
        inner.update(words[1:] if _starts_sentence(text, start) else words)
    return inner


def _bare(word: str) -> str:
    return _POSSESSIVE.sub("", word).rstrip(".").casefold().replace("’", "'")


def _starts_sentence(text: str, at: int) -> bool:
    return _STARTS_SENTENCE.search(text, max(0, at - 12), at) is not None if at else True


def _names_in_span(text: str, start: int, end: int, keys: set[str], inner: set[str]) -> list[Name]:
    """What is left of a run of capitalised words when those that are no names are taken from its ends."""
    begins = _starts_sentence(text, start)
    names: list[Name] = []
    words = [(match.start() + start, match.end() + start) for match in re.finditer(r"\S+", text[start:end])]
    run: list[tuple[int, int]] = []
    for place, (at, to) in enumerate([*words, (end, end)]):
        word = _POSSESSIVE.sub("", text[at:to])
        bare = _bare(word)
        is_possessive = len(word) < to - at
        is_first = place == 0 and begins
        is_plain = is_first and bare not in keys and (bare in _COMMON or (not inner & {bare} and _is_verbish(bare)))
        is_end = at == end
        stops = is_end or is_plain or _is_never(bare, word) or (not run and bare in _CONNECTS_NAMES)
        if stops and not (bare in _HONORIFICS and word[:1].isupper() and place + 1 < len(words)):
            names += _one_name(text, run, begins and bool(run) and run[0] == words[0], keys, inner)
            run = []
            continue
        run.append((at, at + len(word)))
        if is_possessive or (word.endswith(".") and len(word) > 3 and bare not in _HONORIFICS):
            names += _one_name(text, run, begins and run[0] == words[0], keys, inner)
            run = []
    return names


def _is_never(bare: str, word: str) -> bool:
    return bare in _NEVER or (len(bare) == 1 and not word.endswith(".")) or bare in {"i", "i'm"}


def _is_verbish(bare: str) -> bool:
    return _COMMON_ENDING.search(bare) is not None


def _one_name(text: str, run: list[tuple[int, int]], begins: bool, keys: set[str], inner: set[str]) -> list[Name]:
    while run and (text[run[-1][0] : run[-1][1]].casefold() in _CONNECTS_NAMES or text[run[-1][0]].isdigit()):
        if text[run[-1][0]].isdigit() and len(run) > 1 and run[-1][1] - run[-1][0] < 4:
            break  # "Apollo 11", but not "Honda 2019"
        run = run[:-1]
    if not run:
        return []
    start, end = run[0][0], run[-1][1]
    name = text[start:end]
    if name.endswith(".") and not re.search(r"\b\w\.$|\b(?:Jr|Sr|Inc|Ltd|Co|Corp)\.$", name):
        end, name = end - 1, name[:-1]
    bare = name.casefold()
    if bare.rstrip(".") in _HONORIFICS or not any(map(str.isalpha, name)):
        return []
    is_alone = len(run) == 1
    if is_alone and not begins and bare in _COMMON and bare not in keys:
        return []
    is_acronym = len(name) > 1 and name.isupper()
    is_certain = not (is_alone and begins) or bare in keys or bare in inner or is_acronym
    return [Name(name, start, end, is_certain)]


def _known_names(text: str, known: Collection[str]) -> list[Name]:
    found = []
    folded = text.casefold()
    for name in known:
        if not name.strip() or name.casefold() not in folded:
            continue
        edge_before = r"(?<!\w)" if name[0].isalnum() and name[0].isascii() else ""
        edge_after = r"(?!\w)" if name[-1].isalnum() and name[-1].isascii() else ""
        pattern = edge_before + re.escape(name) + edge_after
        found += [Name(hit.group(), *hit.span(), True) for hit in re.finditer(pattern, text, re.IGNORECASE)]
    return found


def _without_overlaps(found: list[Name]) -> list[Name]:
    """The longest name of each place; of equal ones the first."""
    kept: list[Name] = []
    for name in sorted(found, key=lambda one: (one.start, -one.end)):
        if not kept or name.start >= kept[-1].end:
            kept.append(name)
        elif name.end - name.start > kept[-1].end - kept[-1].start:
            kept[-1] = name
    return kept
