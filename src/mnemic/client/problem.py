"""From an answer that is no success to the error that it names: problem+json, whose `code` is a class of `mnemic.errors`."""

from __future__ import annotations

import json

from mnemic import errors
from mnemic.errors import MnemicError, ServerUnreachable

KINDS: dict[str, type[MnemicError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MnemicError)
}
_LASTING = (  # asking again changes nothing
    errors.StoreCorrupt,
    errors.NotAStore,
    errors.StoreTooNew,
    errors.StoreReadOnly,
    errors.WeightsMissing,
    errors.WeightsDamaged,
)


def error_in(status: int, content_type: str, body: bytes) -> tuple[type[MnemicError], str] | None:
    """The class and message of the error; None where this is not how Mnemic says one.

    What has no class here (a path that this server does not have, a fault in it, a class of a newer server) is a
    ServerUnreachable: it does not answer as was expected.
    """
    if not content_type.startswith("application/problem+json"):
        return None
    try:
        problem = json.loads(body)
        code, says = problem["code"], problem["detail"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(code, str) or not isinstance(says, str):
        return None
    if code in KINDS:
        return KINDS[code], says
    return ServerUnreachable, f"HTTP {status} ({code[:80]}). {says}"


def lasts(error: MnemicError) -> bool:
    """Whether it will be the same however often one asks."""
    return isinstance(error, _LASTING)


def error_of_job(said: str) -> MnemicError:
    """The error that a job was stopped by, of the class that its text begins with, if it does.

    >>> error_of_job("StoreFull: The disk is full.")
    StoreFull('The disk is full.')
    """
    name, _, rest = said.partition(": ")
    return KINDS[name](rest) if name in KINDS and rest else MnemicError(said)
