"""What a proxy is told: where it sends to, whose memory it keeps, and how much it recalls."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from mnemic.errors import ParameterError
from mnemic.model import DOUBTFUL, check_scope

OPENAI_URL = "https://api.openai.com/v1"
LEAST_BUDGET_TOKENS = 100  # less holds hardly one memory beside its frame
LONGEST_NAME = 256  # characters of a session's name
LEAST_KEY = 16  # characters of a proxy key


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Checked when they are made. Raises ParameterError and InvalidScope."""

    upstream: str = OPENAI_URL  # with the /v1, as OPENAI_BASE_URL has it
    upstream_key: str | None = field(default=None, repr=False)  # sent where a client sends none of its own
    is_own_key_first: bool = False  # send upstream_key whatever the client sends
    proxy_key: str | None = field(
        default=None, repr=False
    )  # what clients must show; without it, only this machine's may ask
    scope: str = ""  # nothing outside of it is ever read or written
    user: str | None = None  # the only user, unless is_any_user; without one, each request names its own, or none
    is_any_user: bool = False  # `user` is only a default
    session: str | None = None  # of requests that name none; without one, conversations are told by their content
    budget_tokens: int = 1000  # of the block of memories, its frame included
    min_confidence: float = DOUBTFUL  # a recall that is less sure is not shown to the model
    recall_timeout_s: float = 5.0  # then the chat goes on without memories
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 600.0  # between two pieces of an answer
    max_body_bytes: int = 64 * 2**20  # of a chat request; others are not read here, only passed on
    is_remembering: bool = True
    is_recalling: bool = True

    def __post_init__(self) -> None:
        parts = _parts(self.upstream)
        if (
            parts is None
            or parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.fragment
        ):
            raise ParameterError(
                f"The upstream {_shown(self.upstream)!r} is no address. Write it as 'https://api.openai.com/v1', with the path "
                "that its API begins with."
            )
        if parts.username or parts.password:
            raise ParameterError("The upstream's address holds a user name. Give the key in OPENAI_API_KEY instead.")
        if self.proxy_key is not None and (len(self.proxy_key) < LEAST_KEY or not _is_token(self.proxy_key)):
            raise ParameterError(
                f"The proxy's key must have {LEAST_KEY} or more letters, digits and signs, without spaces. Make one with: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        if self.upstream_key is not None and not _is_token(self.upstream_key):
            raise ParameterError("The upstream's key has spaces or characters that no header can hold. Set it again.")
        check_scope(self.scope)
        if self.user is not None:
            if not self.user or "/" in self.user:
                raise ParameterError(f"The user {self.user!r} is empty or has a '/'. Give a name.")
            check_scope(f"user:{self.user}")
        if self.session is not None and not is_session(self.session):
            raise ParameterError(f"The session {self.session[:80]!a} is empty, too long or not printable. Give a name.")
        if self.budget_tokens < LEAST_BUDGET_TOKENS:
            raise ParameterError(
                f"budget_tokens={self.budget_tokens}: give {LEAST_BUDGET_TOKENS} or more, or switch recalling off."
            )
        if not 0.0 <= self.min_confidence <= 1.0:
            raise ParameterError(f"min_confidence={self.min_confidence}: it lies between 0 and 1.")
        for name in ("recall_timeout_s", "connect_timeout_s", "read_timeout_s", "max_body_bytes"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name}={getattr(self, name)}: give more than 0.")

    @property
    def base(self) -> str:
        """The upstream's address without the slash at its end."""
        return self.upstream.rstrip("/")


def is_session(name: str) -> bool:
    """Whether the text can name a session."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def _is_token(key: str) -> bool:
    return key.isascii() and key.isprintable() and bool(key) and not any(map(str.isspace, key))


def _parts(address: str) -> SplitResult | None:
    """The parts of an address; None when it is none."""
    try:
        parts = urlsplit(address)
        is_port = parts.port != 0
    except ValueError:
        return None
    return parts if is_port else None


def _shown(address: str) -> str:
    """The address without what may be secret in it."""
    return address.split("?")[0].rsplit("@", 1)[-1][:200]
