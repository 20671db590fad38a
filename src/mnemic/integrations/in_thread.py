"""A call of the memory from a coroutine: in a thread, and to its end even when the caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def finish(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the call returns. A caller that is cancelled meanwhile learns of it when the call is done, not before.

    So a cancelled write is either there, or it failed; it never happens later, behind the back of who cancelled it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is not None:
        running.exception()  # looked at, so that asyncio does not complain of it
        raise cancelled
    return running.result()
