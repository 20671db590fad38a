"""Forgetting with open eyes: choose, see everything that would go, confirm, and keep a receipt.

What was shown is what goes: the form carries a digest of the ids in the preview, and where the memory has changed since, the
preview is shown anew instead. A receipt holds ids and numbers, nothing of the content; it is kept in this process, for whoever
made it, until the server stops.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from mnemic.errors import EpisodeNotFound, InvalidInput
from mnemic.memory import Memory
from mnemic.memory.forget import Receipt
from mnemic.model import ECHO, Episode
from mnemic.serve.inspector import looking
from mnemic.serve.inspector.frame import PREFIX, Asked, Frame
from mnemic.serve.inspector.question import filters_in

SHOWN = 100  # episodes of a preview
RECEIPTS = 256


@dataclass(frozen=True, slots=True)
class Choice:
    """What to forget, as it stands in an address: all that is given must hold."""

    scope: str
    id: str | None = None
    ids: str | None = None  # several, with spaces between
    session: str | None = None
    since: str | None = None
    until: str | None = None
    filters: str | None = None
    everything: bool = False

    @classmethod
    def of(cls, asked: Asked) -> Choice:
        """As the address or a form has it. Raises InvalidScope."""
        return cls(
            scope=asked.scope,
            id=asked.name("id"),
            ids=asked.text("ids"),
            session=asked.name("session"),
            since=asked.text("since"),
            until=asked.text("until"),
            filters=asked.text("filters"),
            everything=asked.flag("everything"),
        )

    @property
    def is_made(self) -> bool:
        """Whether anything was chosen."""
        return bool(self.fields)

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `Memory.forget`. Raises InvalidFilter."""
        return {
            "id": [*([self.id] if self.id else []), *(self.ids or "").split()] or None,
            "session": self.session,
            "since": self.since,
            "until": self.until,
            "filters": filters_in(self.filters),
            "everything": self.everything,
        }

    @property
    def fields(self) -> dict[str, str]:
        """The fields of a form, or an address, that chooses this; empty ones left out."""
        given = {
            "id": self.id,
            "ids": self.ids,
            "session": self.session,
            "since": self.since,
            "until": self.until,
            "filters": self.filters,
            "everything": "1" if self.everything else None,
        }
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything that would go."""

    receipt: Receipt
    episodes: Sequence[Episode]  # those of this scope, in log order
    n_echoes: int
    n_earlier: int  # texts that were corrected since
    n_above: int  # echoes in the scopes above, which are not shown here
    digest: str

    @property
    def n_current(self) -> int:
        """Memories as they stand now."""
        return len(self.episodes) - self.n_echoes - self.n_earlier

    @property
    def is_typed(self) -> bool:
        """Whether the number must be typed."""
        return self.receipt.episodes > 1


class Receipts:
    """The last receipts, each for who made it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, Receipt]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, owner: str, receipt: Receipt) -> str:
        """A name under which it can be read again."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._kept[name] = (owner, receipt)
            while len(self._kept) > RECEIPTS:
                self._kept.popitem(last=False)
        return name

    def get(self, owner: str, name: str) -> Receipt:
        """The receipt of that name. Raises EpisodeNotFound for one that is not there or somebody else's."""
        with self._lock:
            known, receipt = self._kept.get(name, (None, None))
        if receipt is None or known != owner:
            raise EpisodeNotFound(
                "This receipt is not kept here. Receipts are kept until the server stops, the last 256 of them; what was "
                "forgotten stays forgotten."
            )
        return receipt


def add(router: APIRouter, frame: Frame) -> None:
    """Add the routes."""
    receipts = Receipts()
    sent = Depends(frame.form)

    def shown(
        request: Request, memory: Memory, choice: Choice, *, problem: str | None = None, status: int = 200
    ) -> Response:
        preview = None
        if choice.is_made:
            try:
                preview = _preview(memory, choice)
            except (InvalidInput, EpisodeNotFound) as error:
                problem, status = str(error), 422 if isinstance(error, InvalidInput) else 404
        return frame.page(
            request,
            "forget.html",
            principal=frame.desk.principal(request),
            scope=choice.scope,
            status=status,
            title="Forget",
            choice=choice,
            preview=preview,
            shown=preview.episodes[:SHOWN] if preview else [],
            problem=problem,
            known_sessions=[one.session for one in memory.sessions(limit=100, newest_first=True)],
        )

    @router.get(f"{PREFIX}/forget")
    def choose(request: Request) -> Response:
        choice = Choice.of(Asked.of(request))
        with frame.desk.handle(request, choice.scope, "forget") as memory:
            return shown(request, memory, choice)

    @router.post(f"{PREFIX}/forget")
    def forget(request: Request, form: Asked = sent) -> Response:
        choice = Choice.of(form)
        with frame.desk.handle(request, choice.scope, "forget") as memory:
            if not choice.is_made:
                return shown(request, memory, choice, problem="Nothing was chosen.", status=422)
            preview = _preview(memory, choice)
            if preview.digest != form.text("digest"):
                problem = "The memory has changed since you looked. Nothing was forgotten; this is what would go now."
                return shown(request, memory, choice, problem=problem, status=409)
            if preview.is_typed and (form.text("confirm") or "").replace(",", "") != str(preview.receipt.episodes):
                problem = f"To forget, type the number of episodes: {preview.receipt.episodes}. Nothing was forgotten."
                return shown(request, memory, choice, problem=problem, status=422)
            receipt = _forget(memory, choice, preview)
        name = receipts.keep(frame.desk.principal(request).key_id, receipt)
        return RedirectResponse(f"{request.scope.get('root_path', '')}{PREFIX}/receipt/{name}", 303)

    @router.get(f"{PREFIX}/receipt/{{name}}")
    def receipt(request: Request, name: str) -> Response:
        principal = frame.desk.principal(request)
        found = receipts.get(principal.key_id, name)
        return frame.page(
            request, "receipt.html", principal=principal, scope=found.scope, title="Receipt", receipt=found, name=name
        )

    @router.get(f"{PREFIX}/receipt/{{name}}/json")
    def receipt_json(request: Request, name: str) -> Response:
        found = receipts.get(frame.desk.principal(request).key_id, name)
        content = json.dumps(found.to_dict(), ensure_ascii=False, indent=2)
        headers = {"Content-Disposition": f'attachment; filename="forgotten-{found.at:%Y%m%d-%H%M%S}.json"'}
        return Response(content, media_type="application/json", headers=headers)


def _preview(memory: Memory, choice: Choice) -> Preview:
    receipt = memory.forget(**choice.arguments, dry_run=True)
    episodes = looking.by_ids(memory, receipt.ids)
    corrected = {one.supersedes for one in episodes}
    n_echoes = sum(one.origin == ECHO for one in episodes)
    n_earlier = sum(one.id in corrected for one in episodes if one.origin != ECHO)
    return Preview(
        receipt, episodes, n_echoes, n_earlier, receipt.episodes - len(episodes), _digest(choice.fields, receipt.ids)
    )


def _forget(memory: Memory, choice: Choice, preview: Preview) -> Receipt:
    """Forget what was shown, and nothing that came in since; all of a scope goes with the scope itself."""
    if choice.everything or not preview.episodes:
        return memory.forget(**choice.arguments)
    return memory.forget([one.id for one in preview.episodes])


def _digest(fields: Mapping[str, str], ids: Sequence[str]) -> str:
    told = json.dumps([sorted(fields.items()), sorted(ids)])
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
