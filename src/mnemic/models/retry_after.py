"""What an endpoint that is busy asks for: how long to wait before the next try."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def seconds_asked(retry_after: str | None, now: datetime) -> float | None:
    """Retry-After, as seconds or as a date; None where it is neither.

    >>> seconds_asked("3", datetime.now(UTC)), seconds_asked("soon", datetime.now(UTC))
    (3.0, None)
    """
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
