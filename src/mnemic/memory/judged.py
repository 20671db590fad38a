"""What feedback speaks of must be there: checked before anything is written.

An id that names nothing would be kept, and no system would ever learn from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mnemic.errors import EpisodeNotFound
from mnemic.memory.intake import Draft
from mnemic.memory.remember import episode_from
from mnemic.memory.shared import Shared
from mnemic.systems.feedback import feedback_in
from mnemic.systems.view import FEEDBACK


def check_judged(shared: Shared, scope: str, drafts: Sequence[Draft]) -> None:
    """Raise EpisodeNotFound where feedback names what is neither an episode nor a record of the scope.

    What is said of another message of the same call is of an episode. A retry is left to the log: what it names may have
    been forgotten meanwhile.
    """
    said = [draft for draft in drafts if draft.role == FEEDBACK]
    if not said:
        return
    retried = shared.store.existing(scope, [draft.id for draft in said if draft.is_client_id])
    now = shared.clock.now()
    judged = [feedback_in(episode_from(draft, scope, now)) for draft in said if draft.id not in retried]
    named = list(dict.fromkeys(id for one in judged if one is not None for id in one.ids))
    known = {draft.id for draft in drafts} | shared.store.existing(scope, named)
    known |= shared.store.records.existing(scope, named)
    unknown = [id for id in named if id not in known]
    if unknown:
        raise EpisodeNotFound(
            f"{unknown[0]!r} is neither an episode nor a record of the scope {scope!r}. Nothing was written. Give ids of hits, "
            "on the handle of the scope that they are from (`hit.scope`); what a system has made anew since has other ids: "
            "search again."
        )
