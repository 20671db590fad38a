"""Is a system wired up rightly? Asked before any number: most wrong tables of this field came from an adapter.

Facts that nobody could guess are written to two scopes and read back; the requested number of hits must be honoured,
what is recalled must reach the context block, nothing may cross from one scope to the other, and nothing that was to be
taken in may fail. And a log that is measured must not give away what is asked of it: no id, session or metadata in it
may come from the dataset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mnemic.errors import MnemicError
from mnemic.memory import Memory
from mnemic.memory.choose_model import NONE as NO_MODEL
from mnemic.models.embedder import Embedder

PLACES = ("locker", "cellar", "garage", "boathouse", "attic", "pantry", "workshop", "stable", "greenhouse", "vault")
WORDS = ("quartz", "heron", "saffron", "walnut", "tundra", "copper", "lantern", "marble", "juniper", "falcon")
_LIMITS = (1, 3, 5)
_NEUTRAL_ID, _NEUTRAL_SESSION = re.compile(r"m\d{6,}"), re.compile(r"s\d{4,}")


def canaries(salt: int) -> list[str]:
    """Ten facts, other ones for each salt.

    >>> canaries(0)[0], canaries(1)[0]
    ('The code of the locker is quartz-100.', 'The code of the locker is heron-200.')
    """
    return [
        f"The code of the {place} is {WORDS[(at + salt) % len(WORDS)]}-{100 * (salt + 1) + at}."
        for at, place in enumerate(PLACES)
    ]


def problems(system: str, parameters: Mapping[str, Any], embedder: str | Embedder) -> list[str]:
    """What is wrong with the system as it is wired up, in words; nothing when all is well."""
    with Memory.open(embedder=embedder, llm=NO_MODEL) as root:  # how it is wired does not depend on what a model says
        ours, theirs = root.scope("canary/ours"), root.scope("canary/theirs")
        for memory, salt in ((ours, 0), (theirs, 1)):
            memory.add([{"content": text, "id": f"m{at:06}"} for at, text in enumerate(canaries(salt), start=1)])
        try:
            root.attach(system, **parameters)
            failed = {str(done["error"]) for done in root.consolidate().values() if "error" in done}
            return [f"it could not take in what was written: {why}" for why in sorted(failed)] or [
                *_of_reading(ours.system(system), theirs.system(system))
            ]
        except MnemicError as error:
            return [f"{type(error).__name__}: {error}"]
        except Exception as error:  # whatever an adapter does wrong, it is said and the other systems are measured
            return [f"it raised {type(error).__name__}: {error}"]


def _of_reading(ours: Memory, theirs: Memory) -> Iterable[str]:
    facts, others = canaries(0), canaries(1)
    for place, fact in zip(PLACES, facts, strict=True):
        query = f"What is the code of the {place}?"
        hits = ours.search(query, limit=2 * len(facts)).hits
        if not any(_code(fact) in hit.text for hit in hits):
            yield f"it did not read back {fact!r} when asked {query!r}, among all its hits"
            return
        if any(_code(other) in hit.text for hit in hits for other in others):
            yield "it recalled what stands in another scope alone"
            return
    if not ours.context(query, budget_tokens=2000):
        yield f"its context block for {query!r} is empty"
    for limit in _LIMITS:
        if (n := len(ours.search(query, limit=limit).hits)) != min(limit, len(hits)):
            yield f"asked for {limit} hits it gave {n}, of {len(hits)} that it can give"
    hits = theirs.search(f"What is the code of the {PLACES[0]}?", limit=2 * len(facts)).hits
    if any(_code(fact) in hit.text for hit in hits for fact in facts):
        yield "it recalled what stands in another scope alone"


def _code(fact: str) -> str:
    return fact.rsplit(" ", 1)[1].rstrip(".")


def leaks(memory: Memory) -> list[str]:
    """What of a dataset shows in a log beside the words that were said: ids and sessions that are not neutral, metadata."""
    found: list[str] = []
    after = 0
    while page := memory.list(after=after, limit=1000):
        after = page[-1].seq
        for one in page:
            if not _NEUTRAL_ID.fullmatch(one.id):
                found.append(f"the id {one.id!r}")
            if one.session is not None and not _NEUTRAL_SESSION.fullmatch(one.session):
                found.append(f"the session {one.session!r}")
            if one.metadata or one.parts:
                found.append(f"metadata of {one.id!r}: {json.dumps(dict(one.metadata), default=str)[:80]}")
    return found
