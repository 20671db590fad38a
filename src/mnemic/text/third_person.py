"""What somebody says of themselves, as somebody else would tell it: "I moved" said by Ann becomes "Ann moved".

The one idea: walk over the words, replace each pronoun of the speaker by the speaker's name (names stay right out of their
context, where "she" would not), and give the verb that follows the form that a name asks for. "You" becomes the listener
where there is one. "We" is "Ann and others", afterwards "they". Quotations, code and links are left as they are.

By rule, for English only: a text that has no English word comes back as it is. What it cannot know it leaves alone: who "he"
is, or whether "you" means anybody.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mnemic.text.sentences import sentence_spans
from mnemic.text.verbs import ADVERBS, AUXILIARIES, COMMON, has_no_tense, is_participle, is_past, third_singular

_ROLES = frozenset("user assistant human ai bot agent system tool customer patient student client".split())


def called(speaker: str) -> str:
    """How a speaker is named inside a sentence: roles get an article.

    >>> called("user"), called("Ann")
    ('the user', 'Ann')
    """
    name = " ".join(speaker.split())
    return f"the {name.casefold()}" if name.casefold() in _ROLES else name or "the speaker"


def third_person(text: str, speaker: str, other: str | None = None) -> str:
    """The text without "I", "my" and "we": the speaker's name stands for them, verbs agree with it.

    other: whom "you" means, where that is evident; None leaves "you" alone.

    >>> third_person("I'm a nurse and I've moved to Porto with my son.", "Ann")
    "Ann is a nurse and Ann has moved to Porto with Ann's son."
    >>> third_person("I think you should visit me.", "user", "Bo")
    'The user thinks Bo should visit the user.'
    """
    text = _APOSTROPHES.sub("'", text)
    return "".join(
        _told(text[start:end], called(speaker), other and called(other)) for start, end in sentence_spans(text)
    )


_APOSTROPHES = re.compile(r"(?<=[^\W\d_])[’`´](?=[^\W\d_])")
_LONGEST = 2000  # characters of a sentence; longer ones are pasted matter
_PIECE = re.compile(
    r"```.*?(?:```|\Z)|`[^`]*`|https?://\S+|\"[^\"]*\"|“[^”]*”|\S+@\S+"  # left alone
    r"|(?P<word>[^\W\d_](?:[\w]|['-](?=\w))*)|\s+|.",
    re.DOTALL,
)
_CLITIC = re.compile(r"(i|you|we)('(?:m|ve|ll|d|re|s))$", re.IGNORECASE)
_FULL = {"'m": "am", "'ve": "have", "'ll": "will", "'re": "are", "'s": "is"}

# words of English that are words of few other languages
_ENGLISH = frozenset(
    """
    the and is are was were of to in it that this with for on at my you your have has had am i'm i've i'll i'd do does did
    not but from been be would will can could should they we our he she his her what when where who how just like love very
    about some there their them then so because if or an as went want got don't can't didn't it's
    """.split()
) - frozenset("on as an am so he in no do is was her".split())

_OWN = {"my": "'s", "our": "'s"}
_NUMBERED = frozenset(
    "war part chapter volume vol type phase class act book level stage henry charles edward george elizabeth william"
    " napoleon wilhelm francis philip richard james nicholas alexander catherine peter leopold article title section".split()
)
# words before "mine" that show it to be a pronoun
_BEFORE_MINE = frozenset("of is are was were than like as to with be from not for".split())
_INVERTED = frozenset("am do have was haven't don't did can could will would should must may might 're are".split())
_BREAKS = frozenset(
    "and but or so because that if when while since which who what where why how as though although".split()
)
_BEFORE_YOU = _BREAKS | frozenset(
    "think thinks hope hopes know knows glad say says said believe guess wish wishes sure happy sorry whatever everything"
    " things way until unless once before after until heard hear thinking".split()
)
_NOT_VERBS = frozenset(
    """
    and or but nor to in on at of for with by from about as than that which who whom whose if the a an this these those my our
    your his her its their i you we he she it they me him us them not n't too myself alone both there here all when where
    """.split()
)


@dataclass(slots=True)
class _Telling:
    """One sentence on its way: its pieces, and what has been made of them."""

    pieces: list[str]
    is_word: list[bool]
    me: str
    you: str | None
    at: int = 0
    has_we: bool = False
    agreed: list[int] = field(default_factory=list)  # places of verbs that were made to agree

    def before(self, at: int) -> str:
        """The word before, in lower case; "" when a mark stands between."""
        at -= 1
        while at >= 0 and self.pieces[at].isspace():
            at -= 1
        return self.pieces[at].lower() if at >= 0 and self.is_word[at] else ""

    def next_word(self, at: int) -> int | None:
        """Where the next word is, if only white space stands before it."""
        at += 1
        while at < len(self.pieces) and self.pieces[at].isspace():
            at += 1
        return at if at < len(self.pieces) and self.is_word[at] else None


def _told(sentence: str, me: str, you: str | None) -> str:
    if len(sentence) > _LONGEST:
        return sentence
    pieces, is_word = _split(sentence, splits_you=you is not None)
    words = [piece.lower() for piece, word in zip(pieces, is_word, strict=True) if word]
    if "I" not in pieces and _ENGLISH.isdisjoint(words) and ("i" not in words or COMMON.isdisjoint(words)):
        return sentence
    telling = _Telling(pieces, is_word, me, you)
    for at in range(len(pieces)):
        if is_word[at]:
            _tell(telling, at)
    _agree_second_verbs(telling)
    return _capitalised(sentence, "".join(telling.pieces))


def _split(sentence: str, *, splits_you: bool) -> tuple[list[str], list[bool]]:
    """(pieces, which of them are words); "I've" becomes three pieces, as "I have" is."""
    pieces: list[str] = []
    is_word: list[bool] = []
    for match in _PIECE.finditer(sentence):
        word = match["word"]
        clitic = _CLITIC.match(word) if word else None
        if clitic and (splits_you or clitic[1].lower() != "you"):
            pieces += [clitic[1], " ", _FULL.get(clitic[2].lower(), clitic[2].lower())]
            is_word += [True, False, True]
        else:
            pieces.append(match.group())
            is_word.append(word is not None)
    return pieces, is_word


def _tell(telling: _Telling, at: int) -> None:
    word = telling.pieces[at]
    low = word.lower()
    if word == "I" or (low == "i" and _stands_alone(telling, at)):
        if not _is_numeral(telling, at):
            _tell_i(telling, at)
    elif low in _OWN:
        telling.pieces[at] = "their" if low == "our" and telling.has_we else telling.me + "'s"
    elif low == "me":
        telling.pieces[at] = telling.me
    elif low == "myself":
        telling.pieces[at] = "themselves"
    elif low == "mine":
        if telling.before(at) in _BEFORE_MINE or at == 0:
            telling.pieces[at] = telling.me + "'s"
    elif low == "we" or low == "us":
        telling.pieces[at] = ("they" if low == "we" else "them") if telling.has_we else f"{telling.me} and others"
        telling.has_we = True
        _resolve_would(telling, at)
    elif low in ("ours", "ourselves"):
        telling.pieces[at] = "theirs" if low == "ours" else "themselves"
    elif telling.you is not None and low in _YOURS:
        _tell_you(telling, at, low)


_YOURS = frozenset("you your yours yourself".split())


def _stands_alone(telling: _Telling, at: int) -> bool:
    """Whether a small "i" is the pronoun: a verb follows it."""
    after = telling.next_word(at)
    if after is None:
        return False
    word = telling.pieces[after].lower()
    return word in AUXILIARIES or word in COMMON or word in ADVERBS or is_past(word)


def _is_numeral(telling: _Telling, at: int) -> bool:
    following = telling.pieces[at + 1] if at + 1 < len(telling.pieces) else ""
    leading = telling.pieces[at - 1] if at else ""
    return following in ("/", "-") or leading in ("/", "-") or telling.before(at) in _NUMBERED


def _tell_i(telling: _Telling, at: int) -> None:
    before = telling.before(at)
    telling.pieces[at] = telling.me
    if before in ("and", "or") and _is_joined(telling, at):
        _resolve_would(telling, at)
        return
    if before in _INVERTED and _is_inversion(telling, at):
        place = _place_before(telling, at)
        telling.pieces[place] = _cased(telling.pieces[place], third_singular(before))
        return
    _agree(telling, at)


def _place_before(telling: _Telling, at: int) -> int:
    at -= 1
    while telling.pieces[at].isspace():
        at -= 1
    return at


def _is_inversion(telling: _Telling, at: int) -> bool:
    """Whether the auxiliary before the pronoun is its own: "so do I", "have I told you", and no other verb follows at once."""
    place = _place_before(telling, at)
    earlier = telling.before(place)
    return not earlier or earlier in _BREAKS or earlier in ("neither", "nor", "so", "what", "never", "only", "not")


def _is_joined(telling: _Telling, at: int) -> bool:
    """Whether "and I" adds the speaker to somebody: "my sister and I", not "it rained and I left"."""
    words: list[str] = []
    place = _place_before(telling, at)  # the "and"
    while place > 0 and len(words) < 6:
        place -= 1
        if telling.is_word[place]:
            words.append(telling.pieces[place])
        elif not telling.pieces[place].isspace():
            break
    words.reverse()
    while words and words[0].lower() in _BREAKS:
        words = words[1:]
    if not 1 <= len(words) <= 4:
        return False
    lows = [word.lower() for word in words]
    if any(
        low in AUXILIARIES or is_past(low) or low in ("it", "he", "she", "they", "you", "this", "that") for low in lows
    ):
        return False
    return words[0][0].isupper() or lows[0] in ("the", "a", "an", "his", "her", "their") or lows[0].endswith("'s")


def _verb_after(telling: _Telling, at: int) -> int | None:
    """Where the verb of a subject is: the next word, past adverbs."""
    place = telling.next_word(at)
    for _ in range(4):
        if place is None:
            return None
        if telling.pieces[place].lower() not in ADVERBS:
            return place
        place = telling.next_word(place)
    return None


def _agree(telling: _Telling, at: int) -> None:
    """Give the verb of the subject at `at` the form that follows a name."""
    place = _resolve_would(telling, at)
    if place is None:
        return
    word = telling.pieces[place]
    low = word.lower()
    if low in _NOT_VERBS or low.endswith("ing"):
        return
    if has_no_tense(low) and not _is_habit(telling, at, place):
        return  # "I read": more often told than habitual
    telling.pieces[place] = third_singular("was" if low == "were" else low if low in AUXILIARIES else word)
    telling.agreed.append(place)


def _is_habit(telling: _Telling, at: int, verb: int) -> bool:
    between = {telling.pieces[place].lower() for place in range(at, verb)}
    after = {piece.lower() for piece in telling.pieces[verb:]}
    return bool(between & {"always", "usually", "often", "never", "sometimes"} or after & {"every", "daily", "weekly"})


def _resolve_would(telling: _Telling, at: int) -> int | None:
    """Spell out "'d" as "had" or "would"; returns where the verb is."""
    place = _verb_after(telling, at)
    if place is not None and telling.pieces[place] == "'d":
        after = _verb_after(telling, place)
        following = telling.pieces[after].lower() if after is not None else ""
        has_had = (is_participle(following) and not has_no_tense(following)) or following == "better"
        telling.pieces[place] = "had" if has_had else "would"
    return place


def _tell_you(telling: _Telling, at: int, low: str) -> None:
    assert telling.you is not None
    before = telling.before(at)
    if low == "yourself":
        telling.pieces[at] = "themselves"
        return
    if low in ("your", "yours"):
        telling.pieces[at] = telling.you + "'s"
        return
    if before == "thank":
        telling.pieces[at] = telling.you
        return
    after = telling.next_word(at)
    following = telling.pieces[after].lower() if after is not None else ""
    if following in ("guys", "all", "two", "folks"):
        return
    telling.pieces[at] = telling.you
    if before in ("are", "aren't", "do", "don't", "have", "haven't", "were", "weren't"):
        if _is_inversion(telling, at):
            place = _place_before(telling, at)
            telling.pieces[place] = _cased(telling.pieces[place], third_singular(before))
        return
    verb = _verb_after(telling, at)
    found = telling.pieces[verb].lower() if verb is not None else ""
    if found in AUXILIARIES or ((not before or before in _BEFORE_YOU) and found in COMMON):
        _agree(telling, at)


def _agree_second_verbs(telling: _Telling) -> None:
    """ "Ann lives in Rome and work" → "works": a second verb of a subject whose first one was made to agree."""
    for first in list(telling.agreed):
        place: int | None = first
        if telling.pieces[first].lower() in AUXILIARIES - {"has", "does"} or telling.pieces[first].lower() == "did":
            continue
        for at in range(first + 1, len(telling.pieces)):
            piece = telling.pieces[at].lower()
            if piece in ("to", "let", "lets", "make", "makes", "help", "helps") or piece in _HALTS:
                break
            if telling.is_word[at] and (piece in AUXILIARIES or piece in _SUBJECTS):
                break
            if piece in ("and", "but") and (place := _verb_after(telling, at)) is not None:
                verb = telling.pieces[place]
                if verb in COMMON and _has_object(telling, place):
                    telling.pieces[place] = third_singular(verb)
                    telling.agreed.append(place)
                break


_HALTS = frozenset(".;:!?")
_SUBJECTS = frozenset("he she it they you we who which that".split())
_OBJECTS = frozenset(
    "a an the my our his her their its in at for with on as it them him this that these those to about every some lots most"
    " from by until".split()
)


def _has_object(telling: _Telling, at: int) -> bool:
    after = telling.next_word(at)
    if after is None:
        return False
    word = telling.pieces[after]
    return word.lower() in _OBJECTS or word.endswith("'s") or word[0].isupper() or word.lower().endswith("ing")


def _cased(old: str, new: str) -> str:
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


_FIRST_WORD = re.compile(r"[\s\"'“‘(\[*_-]*")


def _capitalised(old: str, new: str) -> str:
    """With a capital where a role has come to begin a sentence that began with one."""
    if new == old:
        return old
    match = _FIRST_WORD.match(new)
    at = match.end() if match else 0
    return new[:at] + new[at : at + 1].upper() + new[at + 1 :] if new[at:].startswith("the ") else new
