"""Records that hold several messages side by side: what is left of one when a message of it was corrected.

A record may be a hit as long as one of its episodes stands. What the others said, which were corrected since, must not come
back with it; where a record tells its parts from each other, they are left out of the hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mnemic.model import Cue, Hit, Record
from mnemic.systems.view import View

LENGTHS = "lengths"  # in the data of a record whose text is one message for each source: their lengths
LINES = "lines"  # in the data of a record of lines: the sources of each
DIGEST = "digest"  # in the data of a record: what was made of all its parts together


def parts_of(record: Record) -> list[tuple[str, Sequence[str]]]:
    """The parts of a record's text that stand side by side, each with the episodes that it came from."""
    lengths = record.data.get(LENGTHS)
    if lengths is None:
        sources = record.data.get(LINES)
        return list(zip(record.text.split("\n"), sources, strict=True)) if sources else [(record.text, record.sources)]
    found: list[tuple[str, Sequence[str]]] = []
    start = 0
    for length, source in zip(lengths, record.sources, strict=True):
        found.append((record.text[start : start + length], (source,)))
        start += length + 1
    return found


def without_corrected(hits: Sequence[Hit], cue: Cue, view: View) -> list[Hit]:
    """The hits without the parts of them that only came from episodes which were corrected as of the cue's time."""
    parts = {
        hit.id: parts_of(hit.record)
        for hit in hits
        if hit.record is not None and (LENGTHS in hit.record.data or LINES in hit.record.data)
    }
    alone = [
        (hit.record, id)
        for hit in hits
        if hit.record is not None
        for id in dict.fromkeys(id for _, sources in parts.get(hit.id, ()) for id in sources)
    ]
    anywhere = replace(cue, session=None, since=None, until=None, filters=None)
    seen = view.sees([replace(record, sources=(id,), retired_at=None) for record, id in alone], anywhere)
    gone = {id for (_, id), is_seen in zip(alone, seen, strict=True) if not is_seen}
    found = []
    for hit in hits:
        stands = [(text, sources) for text, sources in parts.get(hit.id, ()) if not gone.issuperset(sources)]
        if hit.record is None or len(stands) == len(parts.get(hit.id, ())):
            found.append(hit)
        elif stands:
            ids = {id for _, sources in stands for id in sources}
            text, sources = "\n".join(text for text, _ in stands), tuple(id for id in hit.sources if id in ids)
            data = {name: value for name, value in hit.record.data.items() if name not in (LENGTHS, LINES, DIGEST)}
            found.append(replace(hit, record=replace(hit.record, text=text, sources=sources, data=data)))
    return found
