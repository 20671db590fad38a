"""Observing in the background: what asks a model takes seconds or minutes, and nobody shall wait for it.

One thread for an open store, started when there is first something to do. Work is a pair of a system and a scope; what
could not be done, because a model was down, is tried again after a pause that grows. Nothing is lost when the process
ends: what was not observed still stands in the log, behind the system's cursor.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 300.0
_LOG = logging.getLogger("mnemic")
_PATIENCE_S = 10.0  # how long `stop` waits for what is under way

Work = tuple[str, str]  # (system, scope)


class Background:
    """Does work in a thread of its own; `do` says whether it was done."""

    def __init__(self, do: Callable[[str, str], bool], *, is_on: bool = True) -> None:
        self._is_on = is_on
        self.cancelled = threading.Event()  # who works looks at it between two steps
        self._do = do
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Work, float] = OrderedDict()  # with the time from which it may be done
        self._pauses: dict[Work, float] = {}
        self._thread: threading.Thread | None = None

    def wake(self, system: str, scope: str) -> None:
        """There is something to observe."""
        with self._changed:
            if self.cancelled.is_set() or not self._is_on:
                return
            work = (system, scope)
            if work not in self._waiting:  # after a failure it waits for its pause to end
                self._waiting[work] = time.monotonic() + self._pauses.get(work, 0.0)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mnemic-background", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self, release: Callable[[], None]) -> None:
        """Give up what is under way; `release` closes what it may be waiting for."""
        with self._changed:
            self.cancelled.set()
            self._changed.notify_all()
        release()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                is_done = self._do(*work)
            except Exception as error:  # the store is busy or full, say: what was not written is still to be observed
                # its kind alone: what an error says may quote a memory
                _LOG.warning("%s could not observe, and tries again later: %s", work[0], type(error).__name__)
                is_done = False
            with self._changed:
                if is_done:
                    self._pauses.pop(work, None)
                elif not self.cancelled.is_set():
                    pause = min(max(2.0 * self._pauses.get(work, 0.0), FIRST_PAUSE_S), LONGEST_PAUSE_S)
                    self._pauses[work] = pause
                    self._waiting[work] = time.monotonic() + pause
                self._changed.notify_all()

    def _next(self) -> Work | None:
        with self._changed:
            while not self.cancelled.is_set():
                now = time.monotonic()
                ready = next((work for work, at in self._waiting.items() if at <= now), None)
                if ready is not None:
                    del self._waiting[ready]
                    return ready
                self._changed.wait(min(self._waiting.values()) - now if self._waiting else None)
            return None
