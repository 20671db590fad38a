"""Whose memory a request reaches: what it names, below the base, and nobody else's."""

from __future__ import annotations

import pytest

pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
pytest.importorskip("openai")

import openai
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import InvalidInput, MnemicError, ParameterError
from mnemic.model import is_within
from mnemic.proxy import Settings
from mnemic.proxy.whose import NotAllowed, Whose, whose

from .conftest import Running, Start

ACME = Settings(scope="acme", session="default")


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, {}, Whose("acme", "default")),
        ({"x-mnemic-scope": "red/night"}, {}, Whose("acme/red/night", "default")),
        ({"x-mnemic-user": "ana"}, {"user": "bob"}, Whose("acme/user:ana", "default")),
        ({"x-mnemic-scope": "red", "x-mnemic-user": " ana "}, {}, Whose("acme/red/user:ana", "default")),
        ({}, {"user": "bob@example.org"}, Whose("acme/user:bob@example.org", "default")),
        ({}, {"user": 7}, Whose("acme", "default")),
        ({"x-mnemic-user": "Zoë".encode().decode("latin-1")}, {}, Whose("acme/user:Zoë", "default")),
        ({"x-mnemic-session": "monday"}, {"metadata": {"session_id": "s1"}}, Whose("acme", "monday")),
        ({}, {"metadata": {"session_id": "s1"}}, Whose("acme", "s1")),
        ({"x-mnemic-session": " ", "x-mnemic-scope": ""}, {"metadata": "none", "user": ""}, Whose("acme", "default")),
    ],
)
def test_a_request_names_a_place_below_the_base(
    headers: dict[str, str], body: dict[str, object], expected: Whose
) -> None:
    assert whose(ACME, headers, body) == expected


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../other",
        "red/../../other",
        "/etc",
        "red//blue",
        "red/",
        ".",
        "red/ blue",
        "a\x00b",
        "USER:bob",
        "red/user:bob",
    ],
)
def test_a_path_cannot_climb_or_name_a_user(path: str) -> None:
    with pytest.raises(InvalidInput):
        whose(ACME, {"x-mnemic-scope": path}, {})


@pytest.mark.parametrize("user", ["../bob", "a/b", "..\x00", "bob\u200b"])
def test_a_users_name_cannot_climb(user: str) -> None:
    with pytest.raises(InvalidInput):
        whose(ACME, {}, {"user": user})


@given(st.text(), st.text(), st.text())
def test_no_header_reaches_outside_the_base_or_another_users_place(path: str, user: str, field: str) -> None:
    headers = {"x-mnemic-scope": path, "x-mnemic-user": user}
    try:
        found = whose(ACME, headers, {"user": field})
    except MnemicError:
        return
    assert found is not None
    assert is_within(found.scope, "acme")
    assert sum(segment.startswith("user:") for segment in found.scope.split("/")) <= 1
    alone = Settings(scope="acme", user="ana")
    try:
        found = whose(alone, headers, {"user": field})
    except NotAllowed:
        return
    assert found is None or found.scope.endswith("/user:ana")


def test_a_proxy_of_one_user_lets_no_other_in_unless_it_is_told_to() -> None:
    ana = Settings(user="ana")
    assert whose(ana, {}, {}) == Whose("user:ana")
    assert whose(ana, {"x-mnemic-user": "ana"}, {}) == Whose("user:ana")
    with pytest.raises(NotAllowed, match="--any-user"):
        whose(ana, {"x-mnemic-user": "bob"}, {})
    assert whose(ana, {}, {"user": "bob"}) is None  # his chat goes on, without her memory
    assert whose(Settings(user="ana", is_any_user=True), {"x-mnemic-user": "bob"}, {}) == Whose("user:bob")


def test_two_users_do_not_hear_of_each_other(proxy: Running) -> None:
    proxy.ask("My dog is called Bruno and loves the lake.", headers={"X-Mnemic-User": "ana"})
    proxy.settle()
    for name, recalled in (("bob", "0"), ("ana", "1")):
        raw = proxy.client().chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": "What is my dog called?"}], user=name
        )
        assert raw.headers["x-mnemic-recalled"] == recalled
        assert ("Bruno" in proxy.upstream.raw.decode()) is (recalled == "1")
    assert set(proxy.memory.scopes()) == {"user:ana", "user:bob"}
    assert (
        proxy.memory.search("Bruno loves the lake", user_id="ana")[0].text
        == "My dog is called Bruno and loves the lake."
    )


def test_somebody_elses_chat_passes_without_a_memory(start: Start, memory: Memory) -> None:
    proxy = start(user="ana")
    memory.add("My dog is called Bruno.", user_id="ana")
    raw = proxy.client().chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "What is my dog called?"}], user="bob"
    )
    assert raw.headers["x-mnemic-reason"] == "not-kept-here"
    assert "Bruno" not in proxy.upstream.raw.decode()
    assert len(proxy.log("user:ana")) == 1
    assert set(memory.scopes()) == {"user:ana"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Mnemic-Scope": "../other"}, 400),
        ({"X-Mnemic-Scope": "/other"}, 400),
        ({"X-Mnemic-Session": "x" * 300}, 400),
        ({"X-Mnemic-User": "bob"}, 403),
    ],
)
def test_what_reaches_outside_is_refused_before_anything_is_sent(
    start: Start, headers: dict[str, str], status: int
) -> None:
    proxy = start(scope="acme", user="ana")
    with pytest.raises(openai.APIStatusError) as caught:
        proxy.ask("Hello?", headers=headers)
    assert caught.value.status_code == status
    assert proxy.llm.requests == []
    assert proxy.memory.scopes() == {}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"upstream": "api.openai.com"}, "no address"),
        ({"upstream": "http://[::1/v1"}, "no address"),
        ({"upstream": "http://localhost:port/v1"}, "no address"),
        ({"upstream": "https://me:pass@host/v1"}, "user name"),
        ({"proxy_key": "short"}, "16 or more"),
        ({"proxy_key": "with a space in the key"}, "without spaces"),
        ({"upstream_key": "two\nlines"}, "upstream's key"),
        ({"scope": "../x"}, "segment"),
        ({"user": "a/b"}, "user"),
        ({"session": ""}, "session"),
        ({"budget_tokens": 10}, "100 or more"),
        ({"min_confidence": 1.5}, "between 0 and 1"),
        ({"read_timeout_s": 0}, "more than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        Settings(**wrong)  # type: ignore[arg-type]
    assert "pass@" not in str(caught.value)
    assert issubclass(ParameterError, InvalidInput)
