import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.text.tokens import ELLIPSIS, count_tokens, fit_tokens

# What cl100k_base makes of each text, counted once with tiktoken.
GPT_COUNTS = [
    ("The quick brown fox jumps over the lazy dog.", 10),
    ("Yesterday I went to the LGBTQ support group with Melanie, and it was so powerful!", 17),
    ("The user prefers functional patterns and asked that the reranker stay on the local cross-encoder.", 19),
]


@pytest.mark.parametrize(("text", "gpt"), GPT_COUNTS)
def test_english_is_counted_within_fifteen_percent_and_one_token_of_gpt(text: str, gpt: int) -> None:
    assert abs(count_tokens(text) - gpt) <= 0.15 * gpt + 1


@pytest.mark.parametrize(
    ("text", "least"),  # three quarters of what cl100k_base makes of it
    [
        ("def count(self, text: str) -> int:\n    return len(self.encode(text))\n", 14),
        ("昨日は友達と一緒に美術館に行って、とても楽しかったです。", 25),
        ("어제 친구들과 함께 미술관에 갔는데 정말 즐거웠어요.", 28),
        ("😀😂🎉🧠", 8),
        ("550e8400-e29b-41d4-a716-446655440000", 14),
        ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", 16),
    ],
)
def test_dense_text_is_not_counted_far_under(text: str, least: int) -> None:
    assert count_tokens(text) >= least


def test_nothing_costs_nothing() -> None:
    assert count_tokens("") == 0


@given(st.text())
def test_a_text_never_costs_more_than_three_tokens_for_each_character(text: str) -> None:
    assert 0 <= count_tokens(text) <= 3 * len(text)


@given(st.text(), st.integers(0, 30))
def test_what_fits_never_counts_more_than_the_budget_and_begins_as_the_text_does(text: str, budget_tokens: int) -> None:
    fitted = fit_tokens(text, budget_tokens)
    assert count_tokens(fitted) <= budget_tokens
    assert fitted == text or fitted == "" or text.startswith(fitted.removesuffix(ELLIPSIS))


@given(
    st.lists(st.sampled_from(["one", "two", "three", "-", "4", "五"]), max_size=40).map(" ".join), st.integers(1, 40)
)
def test_the_cut_is_between_words(text: str, budget_tokens: int) -> None:
    fitted = fit_tokens(text, budget_tokens)
    if fitted != text and len(fitted) > 4:
        assert text[len(fitted) - 1 :][:1] in ("", " ")


def test_more_budget_keeps_at_least_as_much() -> None:
    text = "It was a long, long story about a dog, two cats and 33 birds. " * 5
    lengths = [len(fit_tokens(text, budget)) for budget in range(count_tokens(text) + 1)]
    assert lengths == sorted(lengths)
    assert lengths[-1] == len(text)


def test_a_counter_of_the_user_is_obeyed() -> None:
    assert fit_tokens("one two three four", 9, count=len) == "one two…"


def test_a_single_word_too_long_is_cut_inside() -> None:
    fitted = fit_tokens("x" * 400, 20)
    assert fitted.startswith("xxx")
    assert fitted.endswith(ELLIPSIS)


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ParameterError, match="0 or more"):
        fit_tokens("text", -1)
