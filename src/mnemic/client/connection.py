"""The way to one server: requests with retries, answers read or refused, and the key, which is never shown.

What may pass is tried again with growing, jittered pauses, or after as long as the server asks: a connection that cannot be
made or breaks, 429 and 503, and what a proxy says of a server that is away. Every request but forgetting may be repeated
when it is not known whether it arrived: reading changes nothing, and what is written has ids of its own. Redirects are not
followed, so the key goes nowhere else.
"""

from __future__ import annotations

import json
import os
import random
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from mnemic._version import __version__
from mnemic.client.problem import error_in, lasts
from mnemic.errors import DependencyMissing, MnemicError, ParameterError, ServerUnreachable, StoreClosed
from mnemic.models.retry_after import seconds_asked
from mnemic.progress import track

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
Verify = bool | str | Path | ssl.SSLContext
Parameters = Mapping[str, Any]  # of a query: text, numbers, truths, lists of these; what is None is left out
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 8.0
LONGEST_ASKED_S = 60.0  # a server that asks for more is not waited for
LONG_S = 3600.0  # for the answer to an import
_PIECE = 1 << 18
_NOT_NOW = (429, 503)
_NOT_PART = ("v1", "mcp", "inspector")  # of a server's address, though addresses that people copy have them
_IN_BETWEEN = (502, 504)  # a proxy that does not know whether the server did it
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError)


class Connection:
    """An address, a key, and the connections to it, shared by all handles; nothing is sent before the first verb."""

    def __init__(
        self, base_url: str | None, api_key: str | None, *, timeout_s: float, retries: int, verify: Verify
    ) -> None:
        if find_spec("httpx") is None:
            raise DependencyMissing(
                "The client needs httpx, which is not installed. Install it with: pip install 'mnemic[remote]'"
            )
        if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
            raise ParameterError(f"retries={retries!r}: give a whole number of at least 0.")
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s > 0:
            raise ParameterError(f"timeout_s={timeout_s!r}: give more than 0.")
        self.address = _address(base_url if base_url is not None else os.environ.get("MNEMIC_URL"))
        self.timeout_s = float(timeout_s)
        self.retries = retries
        self.verify = verify
        self._key = _key(api_key if api_key is not None else os.environ.get("MNEMIC_API_KEY"))
        self._sleep: Callable[[float], None] = time.sleep
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"Connection({self.address!r})"

    def ask(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        query: Parameters | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool = True,
    ) -> T:
        """The answer to one request, as `read` makes it of the JSON.

        Raises the error that the server names, and ServerUnreachable where there is no answer that can be read.
        """
        content = None if body is None else _as_json(body)
        kind = {} if content is None else {"Content-Type": "application/json"}
        answer = self._answer(
            method,
            _target(path, query),
            lambda: content,
            {**kind, **(headers or {})},
            is_repeatable=is_repeatable,
        )
        return self._read(answer, read)

    def upload(
        self, path: str, read: Callable[[Any], T], *, query: Parameters, file: Path, show_progress: bool = False
    ) -> T:
        """Send a file up, piece by piece, and read the answer; the file is sent again where that fails."""
        size = file.stat().st_size
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        answer = self._answer(
            "POST", _target(path, query), lambda: _pieces(file, size, show_progress), headers, read_s=LONG_S
        )
        return self._read(answer, read)

    def lines(self, path: str, query: Parameters) -> Iterator[str]:
        """The lines of a text, as they come, each with its end. Raises ServerUnreachable where it is cut short."""
        import httpx

        answer = self._answer("GET", _target(path, query), lambda: None, {}, stream=True)
        try:
            kind = answer.headers.get("content-type", "")
            if not kind.startswith("application/x-ndjson"):
                raise self._not_mnemic(answer)
            begun: list[bytes] = []  # of the line whose end has not come yet
            for piece in answer.iter_bytes():
                *ends, last = piece.split(b"\n")
                for end in ends:
                    yield b"".join([*begun, end]).decode() + "\n"
                    begun.clear()
                begun.append(last)
        except (httpx.HTTPError, UnicodeDecodeError) as error:
            raise self._unreachable(
                f"the answer broke off ({type(error).__name__}: {error})",
                "What came before it is not the whole. Ask again",
            ) from None
        finally:
            answer.close()
        if any(begun):
            raise self._unreachable("the answer ended inside a line", "What came is not the whole. Ask again")

    def close(self) -> None:
        """Close the connections for good. Calling it again does nothing."""
        with self._lock:
            http, self._http, self._is_closed = self._http, None, True
        if http is not None:
            http.close()

    # -- inside -------------------------------------------------------------------------------------------

    def _answer(
        self,
        method: str,
        target: str,
        content: Callable[[], Any],
        headers: Mapping[str, str],
        *,
        is_repeatable: bool = True,
        stream: bool = False,
        read_s: float = 0.0,
    ) -> httpx.Response:
        """An answer that is well; every other one is raised as the error that it names."""
        import httpx

        for attempt in range(self.retries + 1):
            is_last = attempt == self.retries
            asked_s: float | None = None
            try:
                http = self._open()
                timeout = httpx.Timeout(self.timeout_s, read=max(self.timeout_s, read_s))
                request = http.build_request(
                    method, self.address + target, content=content(), headers=dict(headers), timeout=timeout
                )
                answer = http.send(request, stream=stream)
                if stream and answer.status_code >= 300:
                    answer.read()
            except httpx.TransportError as error:
                is_certain = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                if is_last or "CERTIFICATE_VERIFY_FAILED" in str(error) or not (is_repeatable or is_certain):
                    raise self._no_answer(error, attempt, is_known=is_repeatable or is_certain) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise self._unreachable(f"{type(error).__name__}: {error}", "Check the address") from None
            except RuntimeError:  # another thread has closed the connections meanwhile
                if self._is_closed:
                    raise _closed() from None
                raise
            else:
                if answer.status_code < 300:
                    return answer
                refusal = self._error(answer)
                may_pass = answer.status_code in _NOT_NOW or (answer.status_code in _IN_BETWEEN and is_repeatable)
                if not may_pass or is_last or lasts(refusal):
                    raise refusal
                asked_s = seconds_asked(answer.headers.get("retry-after"), datetime.now(UTC))
                if asked_s is not None and asked_s > LONGEST_ASKED_S:
                    raise refusal
            self._sleep(pause_s(attempt, asked_s, random.random()))
        raise AssertionError("the last attempt returns or raises")

    def _open(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._is_closed:
                raise _closed()
            if self._http is None:
                headers = {"User-Agent": f"mnemic/{__version__}", "Accept": "application/json, application/x-ndjson"}
                if self._key:
                    headers["Authorization"] = f"Bearer {self._key}"
                self._http = httpx.Client(headers=headers, verify=self._trusted(), follow_redirects=False)
                weakref.finalize(self, self._http.close)  # for those who do not close
            return self._http

    def _trusted(self) -> bool | ssl.SSLContext:
        """Whose certificates are trusted; nobody's where none is needed, since reading them takes its time."""
        if self.address.startswith("http:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if isinstance(self.verify, str | Path):
            try:
                return ssl.create_default_context(cafile=self.verify)
            except OSError as error:
                raise ParameterError(
                    f"verify={str(self.verify)!r} cannot be read as certificates ({error.strerror or error}). Give a PEM file."
                ) from None
        return self.verify

    def _read(self, answer: httpx.Response, read: Callable[[Any], T]) -> T:
        if not answer.headers.get("content-type", "").startswith("application/json"):
            raise self._not_mnemic(answer)
        try:
            return read(answer.json())
        except MnemicError as error:
            raise self._unreachable(f"its answer cannot be read ({error})", _VERSIONS) from None
        except _UNREADABLE as error:
            raise self._unreachable(f"its answer cannot be read ({type(error).__name__}: {error})", _VERSIONS) from None

    def _error(self, answer: httpx.Response) -> MnemicError:
        if 300 <= answer.status_code < 400:
            where = answer.headers.get("location", "nowhere")[:200]
            return self._unreachable(f"it sends on to {where}", "Give that address instead, if it is your server")
        named = error_in(answer.status_code, answer.headers.get("content-type", ""), answer.content)
        if named is None:
            return self._not_mnemic(answer)
        kind, says = named
        server, _, last = self.address.rpartition("/")
        if answer.status_code == 404 and kind is ServerUnreachable and last in _NOT_PART:
            return self._unreachable("there is no such path", f"Leave out the /{last}: {server}")
        return self._unreachable(says, "") if kind is ServerUnreachable else kind(self._without_key(says))

    def _not_mnemic(self, answer: httpx.Response) -> ServerUnreachable:
        kind = answer.headers.get("content-type", "no content type")[:80]
        return self._unreachable(
            f"HTTP {answer.status_code} with {kind}, which is not how Mnemic answers",
            "Check the address and what stands in between, such as a proxy or a login page",
        )

    def _no_answer(self, error: Exception, attempt: int, *, is_known: bool) -> ServerUnreachable:
        said = f"{type(error).__name__}: {error}" + (f", after {attempt + 1} tries" if attempt else "")
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return self._unreachable(said, "If the certificate is your own, give it as verify='CA.pem'")
        if not is_known:
            remedy = "Whether it was forgotten is not known. Forget it again: what is gone already stays so"
            return self._unreachable(said, remedy)
        return self._unreachable(said, "Check that the server runs (`mnemic serve`) and is reachable, then do it again")

    def _unreachable(self, what: str, remedy: str) -> ServerUnreachable:
        said = f"{self.address}: {what}"
        return ServerUnreachable(self._without_key(f"{said}. {remedy}." if remedy else said))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


_VERSIONS = "Check the address; if it is Mnemic, bring client and server to the same version"


def pause_s(attempt: int, asked_s: float | None, chance: float) -> float:
    """How long to wait after the attempt of that number, from 0. chance, in [0, 1), keeps many from coming at once.

    >>> pause_s(0, None, 0.0), pause_s(9, None, 0.0), pause_s(0, 3.0, 0.5)
    (0.125, 4.0, 3.375)
    """
    if asked_s is not None:  # never earlier than that
        return asked_s * (1.0 + chance / 4)
    return float(min(_FIRST_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S) * (0.5 + chance / 2))


def segment(name: str) -> str:
    """Text as one segment of a path, whatever it holds.

    >>> segment("a/b?c"), segment("..")
    ('a%2Fb%3Fc', '%2E%2E')
    """
    return quote(name, safe="", errors="surrogatepass").replace(".", "%2E")


def _target(path: str, query: Parameters | None) -> str:
    given = {name: _said(value) for name, value in (query or {}).items() if value is not None}
    return path + (f"?{urlencode(given, doseq=True, errors='surrogatepass')}" if given else "")


def _said(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _as_json(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError(
            f"This cannot be sent as JSON: {error}. Use text, finite numbers, true, false, null, lists and dictionaries."
        ) from None


def _pieces(file: Path, size: int, show_progress: bool) -> Iterator[bytes]:
    """The file's first `size` bytes: what is written to it meanwhile is not sent."""
    sizes = [_PIECE] * (size // _PIECE) + [size % _PIECE]
    with file.open("rb") as stream:
        for wanted in track(sizes, f"Sending {file.name}", len(sizes), show=show_progress):
            yield stream.read(wanted)


def _address(given: str | None) -> str:
    """The address without a slash at its end. Raises ParameterError; what may be secret in it is not repeated."""
    if given is None or given == "":
        raise ParameterError(
            "No server was named. Give its address, such as Client('http://127.0.0.1:8700'), or set MNEMIC_URL."
        )
    example = "Write it as 'http://127.0.0.1:8700'"
    if not isinstance(given, str):
        raise ParameterError(f"The address of a server is text; {type(given).__name__} was given. {example}.")
    try:
        parts = urlsplit(given.strip())
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_whole, parts = False, SplitResult("", "", "", "", "")
    if not is_whole or not given.strip().isascii() or not given.strip().isprintable():
        raise ParameterError(f"This is not the address of a server. {example}.")
    if parts.username is not None or parts.password is not None:
        raise ParameterError("The address holds a user name or password. Give the key as api_key instead.")
    if parts.query or parts.fragment:
        raise ParameterError(f"The address has something behind its path. {example}.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _key(given: str | None) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        raise ParameterError(f"The key is {type(given).__name__}; text is expected.")
    key = given.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ParameterError("The key has characters that no key has. `mnemic keys create` makes one.")
    return key


def _closed() -> StoreClosed:
    return StoreClosed("This client was closed. Make a new one.")
