"""Paths that an agent may name, made safe: one spelling for one place, and no way out of the root.

There is no file system behind them, so nothing can be escaped to; but a path is also read by people and by other
tools, and two that look alike must not be two places. So ".." and ".", escapes such as "%2e", backslashes, invisible
characters, and letters or signs that pass for others are refused, not repaired.
"""

from __future__ import annotations

import re
import unicodedata

from mnemic.errors import ParameterError

LONGEST_PATH = 900
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_UNSEEN = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
_SLASHES = "\u2044\u2215\u2216\u27cb\u27cd\u29f5\u29f8\u29f9\u2571\u2572\u3033\u3035\u1735\ufe68\uff0f\uff3c"
_CYRILLIC = (
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425"
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u051d"
)
_GREEK = "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03f2"
_PASSES_FOR_LATIN = frozenset(_CYRILLIC + _GREEK)


def checked_path(path: object, root: str = "/memories") -> str:
    """The part of `path` below `root`, without slashes around it; "" for the root itself.

    >>> checked_path("/memories/plans/may.md"), checked_path("/memories/")
    ('plans/may.md', '')

    Raises ParameterError, naming what is wrong with it.
    """
    if not isinstance(path, str):
        raise ParameterError(f"A path is text such as {root}/notes.md; {type(path).__name__} was given.")
    if len(path) > LONGEST_PATH:
        raise ParameterError(f"The path has {len(path)} characters; {LONGEST_PATH} is the most. Shorten it.")
    if path != root and not path.startswith(root + "/"):
        raise ParameterError(f"Path must start with {root}, got: {path[:80]!a}. Write it as {root}/notes.md.")
    _refuse_tricks(path)
    segments = [segment for segment in path[len(root) :].split("/") if segment]
    for segment in segments:
        _check_segment(segment, path)
    return "/".join(segments)


def _refuse_tricks(path: str) -> None:
    escape = _ESCAPE.search(path)
    if escape:
        raise _refused(path, f"the escape {escape.group()!r}, and paths are taken as they are written")
    for character in path:
        category = unicodedata.category(character)
        if category in _UNSEEN or (category == "Zs" and character != " "):
            raise _refused(path, f"the character {character!a}, which cannot be seen")
        if character == "\\":
            raise _refused(path, "a backslash; the separator is '/'")
        if not character.isascii() and (
            character in _SLASHES or set(unicodedata.normalize("NFKC", character)) & set("./\\%")
        ):
            raise _refused(path, f"the character {character!a}, which passes for another")
    if not unicodedata.is_normalized("NFC", path):
        raise _refused(path, "characters that are not in NFC form")


def _check_segment(segment: str, path: str) -> None:
    if segment.strip(".") == "":
        raise _refused(path, f"the segment {segment!r}")
    if segment != segment.strip():
        raise _refused(path, "white space around a segment")
    for word in re.findall(r"[^\W\d_]+", segment):
        if any(letter.isascii() for letter in word) and (tricks := _PASSES_FOR_LATIN.intersection(word)):
            raise _refused(path, f"the letter {min(tricks)!a} among Latin letters, which passes for one of them")


def _refused(path: str, what: str) -> ParameterError:
    return ParameterError(f"The path {path[:80]!a} has {what}. Use plain names joined by '/'.")
