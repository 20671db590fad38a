"""Speakers named in a question. Who is asked about said "I" themselves, so the question is asked in their words.

"What did Caroline research?" is answered by what Caroline said: "I researched adoption agencies." A vector of the
question that holds her name is drawn to whatever mentions her; asked as "What did I research?" it is drawn to the answer,
and who said it is a signal of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mnemic.text.terms import STOP_WORDS

_WORD = re.compile(r"\b([^\W\d_]+)(['’]s?)?(?!\w)")
_AGAIN = re.compile(r"\b(I|my)(?:(?:,? and)? (?:I|my))+\b")


def named_speakers(text: str, is_speaker: Callable[[str], bool]) -> list[str]:
    """The words of the text that name a speaker, in lower case, each once.

    is_speaker: whether a word in lower case stands in a speaker's name. A word that is also a common one ("will") counts
    only with a capital.

    >>> named_speakers("When will Will and ann meet?", {"will", "ann"}.__contains__)
    ['will', 'ann']
    >>> named_speakers("When will we meet?", {"will"}.__contains__)
    []
    """
    return list(dict.fromkeys(word[1].casefold() for word in _WORD.finditer(text) if _is_name(word[1], is_speaker)))


def in_first_person(text: str, is_speaker: Callable[[str], bool]) -> str:
    """The text with every speaker's name replaced by "I", or "my" where it owns something.

    >>> in_first_person("What did Caroline's friend tell Caroline?", {"caroline"}.__contains__)
    'What did my friend tell I?'
    >>> in_first_person("Do Ann and Bo like tea?", {"ann", "bo"}.__contains__)
    'Do I like tea?'
    """

    def replaced(word: re.Match[str]) -> str:
        if not _is_name(word[1], is_speaker):
            return word[0]
        return "my" if word[2] else "I"

    asked = _WORD.sub(replaced, text)
    return asked if asked == text else _AGAIN.sub(r"\1", asked)


def _is_name(word: str, is_speaker: Callable[[str], bool]) -> bool:
    folded = word.casefold()
    return is_speaker(folded) and (word[0].isupper() or folded not in STOP_WORDS)
