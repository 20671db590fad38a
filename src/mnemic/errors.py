"""Every error Mnemic raises on purpose. Each message says what was asked, what is so, and what to do.

MnemicError
├── InvalidInput (ValueError)      refused at the door; nothing was written
│   ├── InvalidEpisode             text, role, parts, metadata or id that cannot be kept faithfully
│   ├── InvalidScope               a scope path that is not one
│   ├── InvalidTime                a time that cannot be understood
│   ├── InvalidFilter              a filter in neither dialect
│   └── ParameterError             any other argument out of its range
├── NotFound (LookupError)
│   ├── EpisodeNotFound
│   ├── ScopeNotFound
│   └── SystemNotFound
├── Conflict
│   ├── IdConflict                 an id that already names other content
│   └── EditConflict               the episode changed since it was read
├── StoreError
│   ├── StoreBusy                  another writer held the store for too long
│   ├── StoreFull                  the disk is full
│   ├── StoreReadOnly              the file or the handle cannot be written
│   ├── StoreCorrupt               the database file is damaged
│   ├── NotAStore                  the file is something else
│   ├── StoreTooNew                a newer Mnemic wrote it
│   └── StoreClosed
├── EmbedderError
│   ├── EmbedderMismatch           the store holds vectors of another embedder
│   ├── EmbedderUnavailable        an endpoint that does not answer
│   ├── WeightsMissing
│   └── WeightsDamaged
├── LLMError                       a language model did not do what it was asked; nothing was written
│   ├── LLMUnavailable             it does not answer now: down, overloaded, rate-limited
│   ├── LLMRefused                 it will not answer this request as it is: key, model, length
│   ├── LLMClosed                  it was given up while it was asked
│   ├── AnswerUnusable             it answered, and nothing that could be used, in all tries
│   └── BudgetSpent                what may be spent on it is spent
├── AccessError                    a server refuses, whatever the request
│   ├── Unauthenticated            no key, or one that is not known
│   └── Forbidden                  the key does not reach that scope or verb
├── LimitError
│   ├── TooLarge                   more at once than the server takes
│   └── TooManyRequests
├── ServerUnreachable              a server that does not answer, or not as Mnemic does
├── DependencyMissing (ImportError) an optional package, with the command that installs it
└── FormatError                    a file to import that is not in the format that was named
"""


class MnemicError(Exception):
    """Base of every error that Mnemic raises on purpose."""


class InvalidInput(MnemicError, ValueError):
    """Input refused before anything was written."""


class InvalidEpisode(InvalidInput):
    """An episode that cannot be kept faithfully."""


class InvalidScope(InvalidInput):
    """A scope path that is not one."""


class InvalidTime(InvalidInput):
    """A time that cannot be understood."""


class InvalidFilter(InvalidInput):
    """A filter that neither dialect explains."""


class ParameterError(InvalidInput):
    """An argument out of its range."""


class NotFound(MnemicError, LookupError):
    """Something named that is not there."""


class EpisodeNotFound(NotFound):
    """No episode of that id in that scope."""


class ScopeNotFound(NotFound):
    """No such scope."""


class SystemNotFound(NotFound):
    """No memory system of that name."""


class Conflict(MnemicError):
    """Two writes that cannot both be right."""


class IdConflict(Conflict):
    """An id that already names other content."""


class EditConflict(Conflict):
    """The episode changed since the caller read it."""


class StoreError(MnemicError):
    """The store cannot do what was asked."""


class StoreBusy(StoreError):
    """Another writer held the store for longer than the timeout."""


class StoreFull(StoreError):
    """The disk is full. What was acknowledged before is safe."""


class StoreReadOnly(StoreError):
    """The file, its folder or this handle cannot be written."""


class StoreCorrupt(StoreError):
    """The database file is damaged."""


class NotAStore(StoreError):
    """The file is not a Mnemic store."""


class StoreTooNew(StoreError):
    """The file was written by a newer version."""


class StoreClosed(StoreError):
    """The store was closed."""


class EmbedderError(MnemicError):
    """Text cannot be turned into vectors."""


class EmbedderMismatch(EmbedderError):
    """The store holds the vectors of another embedder."""


class EmbedderUnavailable(EmbedderError):
    """The embedding endpoint does not answer."""


class WeightsMissing(EmbedderError):
    """The model's weights are not on this machine."""


class WeightsDamaged(EmbedderError):
    """The weights' checksum is not the expected one."""


class LLMError(MnemicError):
    """A language model did not do what it was asked.

    calls, tokens_in, tokens_out: what it cost nevertheless.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class LLMUnavailable(LLMError):
    """The model does not answer now; later it may."""


class LLMRefused(LLMError):
    """The endpoint refuses the request as it is.

    is_of_request: it is this request that it refuses, such as one that is too long, and not all of them.
    """

    def __init__(self, message: str, *, is_of_request: bool = False) -> None:
        super().__init__(message)
        self.is_of_request = is_of_request


class LLMClosed(LLMError):
    """The model was closed while it was asked."""


class AnswerUnusable(LLMError):
    """The model answered, and not in a form that can be used.

    raw: its last answer, as it came.
    """

    def __init__(self, message: str, raw: str = "") -> None:
        super().__init__(message)
        self.raw = raw


class BudgetSpent(LLMError):
    """The calls, tokens or money allowed are spent."""


class AccessError(MnemicError):
    """The caller may not do this."""


class Unauthenticated(AccessError):
    """No key was given, or one that is not known."""


class Forbidden(AccessError):
    """The key does not reach that scope or verb."""


class LimitError(MnemicError):
    """More than is allowed."""


class TooLarge(LimitError):
    """More at once than is taken."""


class TooManyRequests(LimitError):
    """More often than is allowed."""

    retry_after_s = 1  # when to try again


class ServerUnreachable(MnemicError):
    """The server does not answer, or is not Mnemic's."""


class DependencyMissing(MnemicError, ImportError):
    """An optional package is not installed."""


class FormatError(MnemicError):
    """A file that is not in the format that was named."""
