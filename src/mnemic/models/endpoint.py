"""One HTTP endpoint of a language model: its address, its key, and how its failures are told.

The address and the key are no part of any text that leaves here: errors show the address without user name, password and
query, and the key as "***", also where the endpoint itself repeats it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Generic
from urllib.parse import urlencode, urlsplit

from mnemic.errors import DependencyMissing, LLMError, LLMRefused, LLMUnavailable, ParameterError
from mnemic.models.background import C, Desk
from mnemic.models.llm import Completion
from mnemic.models.retrying import Failure, Patience, asked_to_wait_s, passes, until_answered

SHOWN_CHARACTERS = 300  # of what an endpoint says about an error
CONNECT_S = 10.0
NO_KEY = "none"  # the clients insist on a key; endpoints that need none ignore it


@dataclass(frozen=True, slots=True)
class Address:
    """Where a model is asked, with what key. Raises ParameterError for what is no address or cannot be a key."""

    url: str
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_one = False
        if not is_one:
            raise ParameterError("The model's base_url is no address. Write it as http://localhost:11434/v1.")
        if not (self.key.isascii() and self.key.isprintable()) or self.key != self.key.strip():
            raise ParameterError("The model's key holds white space or characters that no key has. Copy it again.")

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    @property
    def shown(self) -> str:
        """The address without user name, password and query, which may be secret."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"

    def hidden(self, text: str) -> str:
        """The text without what is secret, cut to what is worth showing."""
        for secret in (self.key, urlsplit(self.url).password or ""):
            if secret:
                text = text.replace(secret, "***")
        return text[:SHOWN_CHARACTERS].strip()


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer of HTTP status 200, as it came."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Vendor:
    """Whose protocol an endpoint speaks, and what is so at the vendor's own."""

    family: str  # also the name of the client's package, and of our extra
    url: str  # its own address
    example: str  # a model
    hottest: float  # the highest temperature

    @property
    def key_name(self) -> str:
        """The variable that holds the key."""
        return f"{self.family.upper()}_API_KEY"

    def address(self, model: str, base_url: str | None, api_key: str | None, temperature: float) -> Address:
        """Where the model is asked, with what key; what is not given is read from the environment here and now.

        Raises ParameterError for what cannot be asked, DependencyMissing where the client is not installed.
        """
        own, variable = f"{self.family}:{model}", f"{self.family.upper()}_BASE_URL"
        if not model.strip():
            raise ParameterError(f"The model has no name. Give one, such as '{self.family}:{self.example}'.")
        if not 0.0 <= temperature <= self.hottest:
            raise ParameterError(f"The temperature {temperature} is out of range. Give one from 0 to {self.hottest:g}.")
        if find_spec(self.family) is None:
            raise DependencyMissing(
                f"The model '{own}' needs the {self.family} client, which is not installed. Install it with: "
                f"pip install 'mnemic[{self.family}]'"
            )
        url = (base_url or os.environ.get(variable) or self.url).rstrip("/")
        key = (api_key if api_key is not None else os.environ.get(self.key_name, "")).strip()
        if not key and url == self.url:
            raise ParameterError(
                f"The model '{own}' has no key. Set {self.key_name}, or {variable} for another endpoint."
            )
        return Address(url, key)

    def spec(self, model: str, changing: Mapping[str, Any], address: Address) -> str:
        """What opens the model again: its id and, where that is not the vendor's own, its address."""
        elsewhere = {} if address.url == self.url else {"base_url": address.shown}
        return named(self.family, model, {**changing, **elsewhere})


class Endpoint(Generic[C]):
    """A model's endpoint: requests go through a desk, what passes is tried again, what fails is told.

    id: of the model, for errors. errors: the client's package, which defines APIStatusError and APIConnectionError.
    """

    def __init__(
        self,
        id: str,
        address: Address,
        open_client: Callable[[], C],
        errors: Callable[[], Any],
        *,
        patience: Patience,
        timeout_s: float,
        concurrency: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not timeout_s > 0 or concurrency < 1:
            raise ParameterError("timeout_s must be more than 0, concurrency 1 or more.")
        self.id = id
        self.address = address
        self.timeout_s = timeout_s
        self._errors = errors
        self._patience = patience
        self._sleep = sleep
        self._desk = Desk(id, open_client, concurrency)

    def ask(self, once: Callable[[C], Awaitable[Completion | Failure]]) -> Completion | Failure:
        """What `once` answers, tried as often as is worth it. Raises LLMClosed alone."""
        return self._desk.ask(lambda client: until_answered(lambda: once(client), self._patience, self._sleep))

    async def aask(self, once: Callable[[C], Awaitable[Completion | Failure]]) -> Completion | Failure:
        """The same for coroutines."""
        return await self._desk.aask(lambda client: until_answered(lambda: once(client), self._patience, self._sleep))

    def close(self) -> None:
        """Give up what is under way and release connections."""
        self._desk.close()

    async def post(self, call: Awaitable[Any]) -> Posted | Failure:
        """The outcome of one call of the client, which must ask for the raw response."""
        errors = self._errors()
        try:
            async with asyncio.timeout(self.timeout_s):  # of all of it: the client's own holds between two bytes
                return Posted((await call).http_response.content)
        except TimeoutError:
            return Failure(said=f"no answer within {self.timeout_s:g} s")
        except errors.APIStatusError as error:
            return self.refusal(error.status_code, error.response.text, error.response.headers)
        except errors.APIConnectionError as error:
            cause = error.__cause__ or error
            return Failure(said=self.address.hidden(f"{type(cause).__name__}: {cause}"))

    def refusal(self, status: int, text: str, headers: Mapping[str, str]) -> Failure:
        """The failure that an HTTP status tells."""
        is_spent = status == 429 and "insufficient_quota" in text  # an account without credit, not a rate
        return Failure(
            said=f"HTTP {status}: {self.address.hidden(text)}",
            status=status,
            passes=passes(status),
            is_worth_a_try=not is_spent,
            asked_s=asked_to_wait_s(headers),
            remedy="Check the account's credit" if is_spent else "",
        )

    def checked(self, answer: Completion | Failure, key_name: str) -> Completion:
        """The answer; raises LLMUnavailable or LLMRefused for a failure."""
        if isinstance(answer, Failure):
            raise self._error(answer, key_name)
        return answer

    def _error(self, failure: Failure, key_name: str) -> LLMError:
        remedy = failure.remedy or _remedy(failure, key_name)
        message = f"{self.id} was asked at {self.address.shown}: {failure.what}. {remedy}."
        return LLMUnavailable(message) if failure.passes else LLMRefused(message, is_of_request=failure.is_of_request)


def _remedy(failure: Failure, key_name: str) -> str:
    if failure.passes:
        return "Check that it runs and is reachable, then do it again"
    if failure.status in (401, 403):
        return f"Check {key_name} and what it may be used for"
    if failure.status == 404:
        return "Check the model's name and the address"
    return "Check the model's name and settings; what is too long for it must be made shorter"


def named(family: str, model: str, settings: Mapping[str, Any]) -> str:
    """A model's id: family and name, and behind them the settings that change its answers.

    >>> named("openai", "gpt-4o-mini", {}), named("openai", "qwen3:8b", {"temperature": 0.7})
    ('openai:gpt-4o-mini', 'openai:qwen3:8b?temperature=0.7')
    """
    return f"{family}:{model}" + (f"?{urlencode(sorted(settings.items()))}" if settings else "")


def sendable(text: str) -> str:
    """The text with lone surrogates, which are not JSON, replaced."""
    return text.encode("utf-8", "replace").decode()


def check_prices(price_in: float | None, price_out: float | None) -> None:
    """Raises ParameterError unless both are given or none, and neither is negative."""
    if (price_in is None) != (price_out is None):
        raise ParameterError("price_in and price_out belong together. Give both, in US dollars for a million tokens.")
    if price_in is not None and price_out is not None and not (price_in >= 0 and price_out >= 0):
        raise ParameterError("price_in and price_out must be 0 or more, in US dollars for a million tokens.")
