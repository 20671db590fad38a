"""Facts from what was said: sentences that stand alone, in the third person, each with the episodes that it came from.

With a model: it reads numbered turns and answers with facts and the turns behind them. Without one: the sentences that
state something, as somebody else would tell them ("I moved to Porto" said by Ann → "Ann moved to Porto"), with the date
behind a relative time. The offline form keeps more than a model would, resolves no "he" or "it", and joins nothing.

`path` says which of the two made a fact.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from mnemic.model import Episode
from mnemic.models.prompt import Asks, Prompt, turns
from mnemic.ops.answers import is_question
from mnemic.ops.repeats import content_hash
from mnemic.ops.statements import before_question
from mnemic.text.names import find_names
from mnemic.text.sentences import sentences
from mnemic.text.terms import terms
from mnemic.text.third_person import third_person
from mnemic.text.times import BEGINNING, END_OF_TIME, TimeSpan, find_times
from mnemic.text.verbs import is_past

__all__ = ["EXTRACT", "Fact", "dated", "entities_of", "extract_facts", "facts_in", "is_statement", "third_person"]

NOT_MINED = ("system", "developer")  # instructions to a model are nobody's facts
LONGEST_FACT = 1000  # characters

EXTRACT = """
You take notes for a memory. "turns" holds what was said, in order; each turn has a number, a time and a speaker.
Write down every fact worth remembering about the speakers and what they speak of: who they are, their preferences,
plans, experiences, relations, possessions, health, work, opinions, and what changed.
- One fact is one sentence in the third person that can be understood alone: names in the place of pronouns, nothing left out
  that it needs. A speaker called "user" or "assistant" is "the user" or "the assistant".
- Keep names, numbers, titles and dates exactly. Give relative times together with the date they mean, worked out from the
  time of the turn: "yesterday (2023-05-07)".
- Only what was said; conclude nothing. Leave out greetings, thanks, questions and small talk.
- Write in the language of the turns.
Answer with {"facts": [{"text": the sentence, "turns": [numbers of the turns it came from]}]}, an empty list when there is
nothing to remember.
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was stated."""

    text: str
    episode_ids: tuple[str, ...]  # the episodes it came from, never empty
    speaker: str  # who said it: an actor's name, or a role
    said_at: datetime
    entities: tuple[str, ...] = ()  # names in it, the speaker's first where known
    path: str = "offline"  # "llm" or "offline"


@dataclass(frozen=True, slots=True)
class FactAnswer:
    """One fact, as a model gives it."""

    text: str = ""
    turns: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FactsAnswer:
    """What a model answers to EXTRACT."""

    facts: list[FactAnswer] = field(default_factory=list)


def extract_facts(
    episodes: Sequence[Episode],
    ask: Asks,
    *,
    step: str = "extract",
    task: str = EXTRACT,
    speakers: Sequence[str] = (),
) -> list[Fact]:
    """The facts that the episodes state, in their order; the same thing said twice is one fact with both episodes.

    speakers: who takes part in the conversation, where the episodes may not show all of them; with exactly two, "you" is the
    other one. Episodes of the system itself are not mined.
    """
    said = [one for one in episodes if one.role not in NOT_MINED and one.text.strip()]
    if not said:
        return []
    answer = ask(step, Prompt(task, {"turns": turns(said)}), FactsAnswer)
    if answer is None:
        everybody = list(dict.fromkeys([*speakers, *(one.speaker for one in said)]))
        return _once([fact for one in said for fact in facts_in(one, _other(one.speaker, everybody))])
    return _once([fact for given in answer.facts if (fact := _checked(given, said)) is not None])


def facts_in(episode: Episode, other: str | None = None) -> list[Fact]:
    """The facts that one episode states, by rule. other: whom its "you" means, where that is evident."""
    said_at = episode.occurred_at
    found = []
    for sentence in statements_in(episode.text):
        stated = sentence if _KEY_VALUE.match(sentence) else _with_subject(sentence)
        text = third_person(dated(stated, said_at), episode.speaker, other)
        text = " ".join(text.split())
        names = entities_of(text, (episode.actor,) if episode.actor else ())
        found.append(Fact(text, (episode.id,), episode.speaker, said_at, names))
    return found


def statements_in(text: str) -> list[str]:
    """The sentences of a text that state something, without what only opens them ("Wow, Mel, …") and what they then ask.

    >>> statements_in("Hey Mel! Good to see you. Yeah, I moved to Porto. Did you know?")
    ['I moved to Porto.']
    >>> statements_in("I've booked a room for May 20, how do I get there?")
    ["I've booked a room for May 20"]
    """
    said = map(_without_opening, sentences(_CODE.sub(" ", text)))
    return [one for whole in said if is_statement(one := whole if is_statement(whole) else before_question(whole))]


def is_statement(sentence: str) -> bool:
    """Whether a sentence states something: no question, greeting, thanks, wish, praise or nod.

    >>> [is_statement(one) for one in ("I moved to Porto.", "What about you?", "Thanks a lot!", "That's awesome!")]
    [True, False, False, False]
    """
    if len(sentence) > LONGEST_FACT or is_question(sentence) or not any(map(str.isalnum, sentence)):
        return False
    if _KEY_VALUE.match(sentence):
        return True
    plain = sentence.replace("’", "'")
    if _INVERTED.match(plain):
        return False
    small_talk = _small_talk()
    content = [term for term in terms(plain) if term not in small_talk]
    if _SOCIAL.match(plain) and len(content) < _MUCH:
        return False
    return len(content) >= (1 if _TELLS_OF_SELF.search(plain) else 2) or _has_no_spaces(plain)


def dated(text: str, said_at: datetime) -> str:
    """The text with the date behind each time that depends on when it was said.

    >>> from datetime import UTC
    >>> dated("I ran a race yesterday.", datetime(2023, 5, 8, 13, 56, tzinfo=UTC))
    'I ran a race yesterday (2023-05-07).'
    """
    for time in reversed(find_times(text, said_at)):
        if _BARE_MONTH.fullmatch(text[slice(*time.span)]) and not any(map(is_past, text.lower().split())):
            continue  # "We fly in June": the one to come or the one gone, and a wrong date hurts more than none
        if time.is_relative and (told := _date_of(time)):
            text = f"{text[: time.span[1]]} ({told}){text[time.span[1] :]}"
    return text


def entities_of(text: str, first: Sequence[str] = ()) -> tuple[str, ...]:
    """The names in a text, each once, those of `first` before the others."""
    names = [*first, *(name.text for name in find_names(text, first))]
    return tuple(
        {name.casefold(): name for name in reversed(names)}[key] for key in dict.fromkeys(map(str.casefold, names))
    )


# -- with a model -----------------------------------------------------------------------------------------


def _checked(given: FactAnswer, said: Sequence[Episode]) -> Fact | None:
    """The fact that a model gave, with the turns that there are; None where nothing is left of it."""
    text = " ".join(given.text.split())[:LONGEST_FACT]
    numbers = sorted({number for number in given.turns if 1 <= number <= len(said)})
    if not any(map(str.isalnum, text)) or (given.turns and not numbers):
        return None
    behind = [said[number - 1] for number in numbers] or list(said)  # where it names none, it had them all before it
    actors = [one.actor for one in behind[:1] if one.actor]
    return Fact(
        text,
        tuple(one.id for one in behind),
        behind[0].speaker,
        max(one.occurred_at for one in behind),
        entities_of(text, [actor for actor in actors if actor in text]),
        "llm",
    )


def _once(facts: Sequence[Fact]) -> list[Fact]:
    kept: dict[tuple[int, str], Fact] = {}
    for fact in facts:
        key = content_hash(fact.text), fact.speaker
        if first := kept.pop(key, None):  # said again, it is the newest
            ids = tuple(dict.fromkeys((*first.episode_ids, *fact.episode_ids)))
            fact = Fact(first.text, ids, first.speaker, max(first.said_at, fact.said_at), first.entities, first.path)
        kept[key] = fact
    return list(kept.values())


# -- without one ------------------------------------------------------------------------------------------


def _other(speaker: str, everybody: Sequence[str]) -> str | None:
    """Whom the speaker's "you" means: the other one of two."""
    return next((one for one in everybody if one != speaker), None) if len(everybody) == 2 else None


def _with_subject(sentence: str) -> str:
    """With the "I" that speech leaves out: "Just moved to Porto" → "I just moved to Porto"."""
    match = _NO_SUBJECT.match(sentence)
    if not match:
        return sentence
    adverb, verb = match["adverb"] or "", match["verb"].lower()
    rest = sentence[match.end() :]
    if verb in _SPELLED:
        verb = _SPELLED[verb]
    elif not is_past(verb) or verb in _NOT_ALONE or (verb.endswith("ed") and rest.startswith(" by ")):
        return sentence
    return f"I {adverb.lower()}{verb}{rest}"


_NO_SUBJECT = re.compile(
    r"(?P<adverb>(?:(?:just|also|finally|recently|really|already|even)\s)*)(?P<verb>[a-z']+)\b", re.I
)
_SPELLED = {"gonna": "am going to", "wanna": "want to", "been": "have been", "can't": "can't", "gotta": "have to"}
_NOT_ALONE = frozenset(
    """
    based given said known done gone made left felt born lost found excited inspired interested addicted devoted married
    used related dedicated compared committed linked supposed located blessed needed
    """.split()
)


def _date_of(time: TimeSpan) -> str:
    """The days that a relative time means; "" where it has no two ends."""
    if time.start == BEGINNING or time.end == END_OF_TIME:
        return ""
    first, last = time.start.date(), (time.end - timedelta(microseconds=1)).date()
    if time.grain in ("minute", "hour", "part"):
        return first.isoformat()
    if time.grain == "year" and first.year == last.year:
        return f"{first.year:04d}"
    if time.grain == "month" and first.month == last.month:
        return f"{first.year:04d}-{first.month:02d}"
    return first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"


def _without_opening(sentence: str) -> str:
    """The sentence without interjections, thanks and whom it is addressed to, as far as they stand before a comma."""
    while match := _OPENING.match(sentence):
        rest = sentence[match.end() :].lstrip()
        if not rest:
            break
        sentence = rest
    return sentence


def _has_no_spaces(text: str) -> bool:
    """Whether it is of a script without spaces and long enough to state something."""
    return len(text) >= 5 and " " not in text.strip() and any(ord(letter) >= 0x0E00 for letter in text)


_MUCH = 4  # telling terms from which also a sentence that begins with thanks or praise says something
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_BARE_MONTH = re.compile(
    r"(?:in\s+|during\s+|since\s+)?(?:january|february|march|april|may|june|july|august|september|october|november|december)",
    re.IGNORECASE,
)
_KEY_VALUE = re.compile(r"\s*[-*•]?\s*[^\s:：=?!.,\"][^:：=?!\"\n]{0,58}?\s?(?:(?<!\d):|:(?!\d)|：|=|->)(?!//)\s*\S")
_INTERJECTION = (
    r"(?i:oh|ah|aw+|wow|whoa|woah|yeah|yea|yep|yup|yes|no|nope|nah|hey|hi|hello|haha|lol|omg|ok|okay|well|sure|right|"
    r"absolutely|definitely|totally|exactly|of course|for sure|thanks(?: (?:so|very) much| a lot| a bunch)?|"
    r"thank you(?: so much)?|"
    r"cool|nice|great|awesome|amazing|congrats|congratulations|sorry|hmm+|um+|uh+|yay|aha|true|agreed|indeed|"
    r"by the way|btw|anyway)"
)
_OPENING = re.compile(
    rf"\s*(?:{_INTERJECTION}(?:,? [A-Z][\w'-]+)?|[A-Z][\w'-]+)(?:,|\s[-–—]|!)\s*"
    r"(?=(?:I|I'\w+|I’\w+|[Mm]y|[Ww]e|[Tt]h\w+|[Ii]t|[Ii]t's|[Yy]ou)\b)"
    rf"|\s*{_INTERJECTION}(?:,? [A-Z][\w'-]+)?\s*(?:[,!]|\s[-–—])\s*",
)
_SOCIAL = re.compile(
    r"\s*(?:thanks|thank you|good (?:morning|evening|night|luck|to (?:see|hear|know))|great to (?:see|hear|know)|nice to|"
    r"(?:it's |it is |it was )?(?:so |really )?(?:good|great|nice|lovely|awesome|wonderful) (?:to (?:see|hear|talk|chat|catch)|"
    r"hearing|seeing|talking|chatting|catching)|"
    r"take care|talk (?:to you )?(?:soon|later)|see you|bye|keep (?:it up|going|up|me|in touch)|let me know|let's|let us|"
    r"(?:i )?(?:hope|wish) (?:you|your|that you|it)|(?:i )?can't wait to (?:see|hear)|have (?:a|fun|an)\b|enjoy (?:your|the|it)|"
    r"(?:i'm |i am |so |really )*(?:glad|happy|sorry|proud|excited) (?:to hear|you|of you|for you|that you|it|i could)|"
    r"that(?:'s| is| was| sounds| must)\b(?: \w+){0,5}[.!, ]*$|(?:it )?(?:sounds|looks)\b(?: \w+){0,5}[.!]*$|"
    r"i(?:'d| would) (?:love|like) to (?:hear|see|know)|"
    r"(?:i )?(?:totally |completely |really |definitely )*(?:agree|understand|get it|hear you|feel you)\b(?: \w+){0,3}[.!]*$|"
    r"(?:no|not a) problem|my pleasure|you're welcome|no worries|of course|what (?:a|an)\b|how \w+ ?[.!]|check (?:it|this|out)|"
    r"take a look|here's (?:a|the|one|some)?\s?(?:photo|pic|picture|look)|congrat\w+|cheers|way to go|well done|"
    r"good (?:job|for you))",
    re.IGNORECASE,
)
_INVERTED = re.compile(
    r"\s*(?:(?:what|who|where|when|why|how|which)(?:'s|'re|'d)? (?:is|are|do|does|did|was|were|has|have|about|kind|else)\b|"
    r"(?:do|does|did|are|is|was|were|have|has|can|could|would|will|should) (?:you|i|we|they|he|she|it|your)\b)",
    re.IGNORECASE,
)
_TELLS_OF_SELF = re.compile(r"\b(?:I|I'\w+|my|mine|we|we'\w+|our|we're)\b", re.IGNORECASE)
_SMALL = """
    thank thanks great good nice awesome amazing cool wow hey hello hi yeah sure right really see look sound thing lot way love
    glad happy bye soon talk hear know think mean guess wait fun best wonderful lovely fantastic incredible inspiring
    beautiful well luck care agree understand definitely absolutely totally exactly course time day keep going got
    """


@cache
def _small_talk() -> frozenset[str]:
    return frozenset(term for word in _SMALL.split() for term in terms(word))
