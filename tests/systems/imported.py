"""Feedback as it comes with a log from elsewhere: what it names need not be there, or not any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mnemic import Memory
from mnemic.memory.intake import drafts_from
from mnemic.memory.remember import remember
from mnemic.systems.feedback import feedback_message


def import_feedback(
    memory: Memory,
    ids: str | Sequence[str],
    verdict: str,
    *,
    note: str = "",
    value: float | None = None,
    id: str | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """What `Memory.feedback` would refuse for ids that name nothing."""
    said = feedback_message(ids, verdict, note, value)
    drafts = drafts_from([said], role=None, actor=None, session=None, occurred_at=occurred_at, metadata=None, id=id)
    remember(memory._shared, memory.scope_path, drafts)
