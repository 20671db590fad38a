"""The library's own clients against the scripted model: what is spoilt is asked again, and comes out right."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from mnemic.errors import AnswerUnusable
from mnemic.models.anthropic_chat import AnthropicChat
from mnemic.models.llm import LLM
from mnemic.models.openai_chat import OpenAIChat
from mnemic.models.prompt import Prompt, Shown
from mnemic.models.structured import ask_structured
from mnemic.testing import MALFORMATIONS, RuleLLM, Script, ScriptedLLM


@dataclass
class Fact:
    text: str
    turn: int


@dataclass
class Facts:
    facts: list[Fact]


PROMPT = Prompt(task="Extract facts from `turns`.", data={"turns": Shown([{"turn": 1, "text": "I moved to Porto."}])})
RIGHT = Facts([Fact("Ada moved to Porto.", 1), Fact("Ada likes the sea.", 1)])
Opened = tuple[Script, LLM]


@pytest.fixture(params=["openai", "openai-plain", "anthropic", "in-process"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)

    async def at_once(seconds: float) -> None:
        pass

    with ScriptedLLM() as server:
        root, base = server.anthropic_base_url, server.base_url
        makers: dict[str, Callable[[], LLM]] = {
            "openai": lambda: OpenAIChat("m", base_url=base, api_key="-", sleep=at_once),
            "openai-plain": lambda: OpenAIChat("m", base_url=base, api_key="-", structured="none", sleep=at_once),
            "anthropic": lambda: AnthropicChat("m", base_url=root, api_key="-", sleep=at_once),
            "in-process": lambda: RuleLLM("rules:library"),
        }
        llm = makers[request.param]()
        yield (llm if isinstance(llm, RuleLLM) else server), llm
        llm.close()


def test_a_rule_is_found_by_a_field_of_the_answer_whatever_the_endpoint_is_sent(opened: Opened) -> None:
    script, llm = opened
    script.rule("other", "no")
    script.rule("facts", RIGHT)
    answer = ask_structured(llm, PROMPT.messages(), Facts)
    assert (answer.value, answer.calls) == (RIGHT, 1)
    assert answer.tokens_in > answer.tokens_out > 0


@pytest.mark.parametrize("kind", [kind for kind in MALFORMATIONS if kind not in ("html", "invalid_utf8", "empty")])
def test_an_answer_malformed_once_is_repaired_or_asked_for_again(opened: Opened, kind: str) -> None:
    script, llm = opened
    script.rule("facts", RIGHT)
    script.misbehave(1.0, kinds=[kind], attempts=1)
    answer = ask_structured(llm, PROMPT.messages(), Facts)
    meant_otherwise = kind in ("other_language", "unknown_ids")  # in the right form: no reader of forms can tell
    assert answer.calls <= 2
    assert meant_otherwise or all(fact in RIGHT.facts for fact in answer.value.facts)


def test_a_model_that_never_gives_the_form_is_given_up_and_each_attempt_is_counted(opened: Opened) -> None:
    script, llm = opened
    script.rule("facts", RIGHT)
    script.misbehave(1.0, kinds=["refusal"])
    with pytest.raises(AnswerUnusable):
        ask_structured(llm, PROMPT.messages(), Facts)
    assert [asked.attempt for asked in script.requests] == [1, 2, 3]


def test_a_client_tries_again_what_passes(opened: Opened) -> None:
    script, llm = opened
    if isinstance(script, RuleLLM):
        return  # it does not try again by itself
    script.rule("facts", RIGHT)
    script.down(for_requests=2)
    script.rate_limit(every=3, retry_after_s=0)
    assert ask_structured(llm, PROMPT.messages(), Facts).value == RIGHT
    assert len(script.requests) == 4
