"""From a word in the settings to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mnemic.errors import ParameterError
from mnemic.models.anthropic_chat import AnthropicChat
from mnemic.models.llm import Completion, Priced
from mnemic.models.open_llm import open_llm
from mnemic.models.openai_chat import OpenAIChat
from mnemic.models.prompt import Message

pytest.importorskip("openai", reason="openai, of the extra 'openai', is not installed")
pytest.importorskip("anthropic", reason="anthropic, of the extra 'anthropic', is not installed")


class Mine:
    """The least that is a model."""

    id = "mine:1"

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        return Completion(text="yes")

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MNEMIC_LLM", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-anthropic")
    monkeypatch.setenv("ROUTER_KEY", "sk-router")


def test_a_model_is_opened_by_its_name():
    assert isinstance(open_llm("openai:gpt-4o-mini"), OpenAIChat)
    assert isinstance(open_llm("anthropic:claude-haiku-4-5"), AnthropicChat)
    local = open_llm("openai:org/qwen3:8b?base_url=http://localhost:11434/v1&temperature=0.2")
    assert isinstance(local, OpenAIChat)
    assert (local.model, local.base_url) == ("org/qwen3:8b", "http://localhost:11434/v1")
    assert local.id == "openai:org/qwen3:8b?temperature=0.2"


def test_settings_stand_behind_the_name():
    priced = open_llm("openai:m?price_in=0.15&price_out=0.6&max_tries=2&seed=4&structured=none&label=x&timeout_s=9")
    assert isinstance(priced, Priced)
    assert (priced.price_in, priced.price_out) == (0.15, 0.6)
    assert priced.id == "openai:m?label=x&seed=4"


def test_a_models_id_opens_the_same_model():
    for spec in (
        "openai:m?temperature=0.7&seed=3&label=x%26y",
        'openai:m?extra_body={"a":{"b":"c %26 d"}}',
        "anthropic:m",
    ):
        opened = open_llm(spec)
        again = open_llm(opened.id)
        assert (type(again), again.id) == (type(opened), opened.id)
    assert open_llm('openai:m?extra_body={"a":1}').extra_body == {"a": 1}


def test_a_models_spec_opens_it_at_the_same_address():
    spec = "openai:m?base_url=http://localhost:1/v1&price_in=1&price_out=2"
    assert open_llm(spec).spec == spec
    for made in (OpenAIChat("m", base_url="http://localhost:1/v1"), AnthropicChat("m", base_url="http://localhost:1")):
        again = open_llm(made.spec)
        assert (type(again), again.id, again.base_url) == (type(made), made.id, made.base_url)
    assert OpenAIChat("m", temperature=0.5).spec == "openai:m?temperature=0.5"


def test_the_environment_names_the_model_where_nothing_is_given(monkeypatch):
    assert open_llm() is None
    monkeypatch.setenv("MNEMIC_LLM", "openai:gpt-4o-mini")
    assert open_llm().id == "openai:gpt-4o-mini"
    assert open_llm("none") is None
    monkeypatch.setenv("MNEMIC_LLM", " ")
    assert open_llm(None) is None


def test_an_object_with_an_id_that_completes_is_a_model():
    mine = Mine()
    assert open_llm(mine) is mine
    with pytest.raises(ParameterError, match="int was given as a language model and has no id, no complete"):
        open_llm(3)


def test_the_key_comes_from_the_variable_that_is_named(monkeypatch):
    assert open_llm("openai:m?api_key_env=ROUTER_KEY")._address.key == "sk-router"
    monkeypatch.delenv("ROUTER_KEY")
    with pytest.raises(ParameterError, match=r"\$ROUTER_KEY, which is not set"):
        open_llm("openai:m?api_key_env=ROUTER_KEY")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "It can be openai:MODEL"),
        ("gpt-4o-mini", "'gpt-4o-mini' is not a language model"),
        ("openai:", "It can be openai:MODEL"),
        ("openai:?seed=1", "It can be openai:MODEL"),
        ("gemini:flash", "is not a language model"),
        ("openai:m?api_key=sk-mine", "api_key_env=MY_KEY"),
        ("openai:m?base_url=http://me:sk-mine@host/v1", "holds no password"),
        ("openai:m?colour=red", "'colour' is not one. They are api_key_env, base_url"),
        ("anthropic:m?structured=none", "'structured' is not one"),
        ("openai:m?seed=1&seed=2", "'seed' stands there twice"),
        ("openai:m?temperature=warm", "temperature is a number; 'warm'"),
        ("openai:m?seed=1.5", "seed is a whole number"),
        ("openai:m?temperature=9", "from 0 to 2"),
        ("openai:m?price_in=1", "belong together"),
        ("openai:m?base_url=localhost:1/v1", "is no address"),
        ("openai:m?structured=xml", "json_object"),
        ("openai:m?extra_body=[1]", "JSON object"),
    ],
)
def test_what_names_no_model_is_refused_with_what_does(spec, said):
    with pytest.raises(ParameterError) as raised:
        open_llm(spec)
    assert said in str(raised.value)
    assert "sk-" not in str(raised.value)
