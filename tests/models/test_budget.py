"""What may be spent on a model, and what was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import BudgetSpent, ParameterError
from mnemic.models.budget import Budget, Spending, estimated_tokens, price_usd, spent_on
from mnemic.models.llm import Completion
from mnemic.models.prompt import Message
from mnemic.text.tokens import count_tokens

counts = st.integers(0, 1000)
spendings = st.builds(
    Spending, calls=counts, cached=counts, failed=counts, tokens_in=counts, tokens_out=counts, usd=st.integers(0, 9)
)


class Free:
    id = "free"


class Priced:
    id = "priced"
    price_in = 0.15
    price_out = 0.6


@given(spendings, spendings, spendings)
def test_spendings_add_up_in_any_order(one, other, third):
    assert (one + other) + third == third + (other + one)
    assert one + Spending() == one
    assert (one + other).tokens == one.tokens + other.tokens
    assert Spending(**(one + other).to_dict()) == one + other


SPENT = Spending(calls=10, tokens_in=900, tokens_out=100, usd=1.5)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(calls_per_day=10), "called 10 times today; calls_per_day is 10"),
        (Budget(tokens_per_day=1099), "took 1000 tokens today, .* about 100; tokens_per_day is 1099"),
        (Budget(usd_per_day=1.5), "took 1.5000 US dollars today; usd_per_day is 1.5"),
        (Budget(scope_tokens_per_day=149), "This scope took 50 tokens today, .* scope_tokens_per_day is 149"),
        (Budget(tokens_per_call=99), "about 100 tokens was to be made; tokens_per_call is 99"),
        (Budget(calls_per_day=0), "calls_per_day is 0"),
    ],
    ids=["calls", "tokens", "money", "scope", "call", "nothing"],
)
def test_what_is_spent_is_named_with_its_limit_and_what_to_do(budget, said):
    with pytest.raises(BudgetSpent, match=said) as raised:
        budget.check(SPENT, Spending(tokens_in=50), 100)
    assert "llow more" in str(raised.value)


def test_up_to_its_limits_a_budget_allows():
    Budget().check(SPENT, SPENT, 10**9)
    Budget(
        calls_per_day=11, tokens_per_day=1100, usd_per_day=1.51, scope_tokens_per_day=150, tokens_per_call=100
    ).check(SPENT, Spending(tokens_in=50), 100)


@given(st.lists(st.integers(0, 50)), st.integers(0, 500))
def test_the_tokens_of_a_day_never_pass_their_limit_where_estimates_hold(requests, limit):
    budget, spent = Budget(tokens_per_day=limit), Spending()
    for tokens in requests:
        try:
            budget.check(spent, Spending(), tokens)
        except BudgetSpent:
            continue
        spent += Spending(calls=1, tokens_in=tokens)
    assert spent.tokens <= limit


@pytest.mark.parametrize("name", ["calls_per_day", "tokens_per_day", "usd_per_day", "tokens_per_call"])
def test_a_negative_limit_is_refused(name):
    with pytest.raises(ParameterError, match=name):
        Budget(**{name: -1})


def test_a_request_takes_its_messages_and_what_may_be_answered():
    messages = [Message(role="system", content="Extract facts."), Message(role="user", content="It rains in Porto.")]
    inside = sum(count_tokens(one.content) for one in messages)
    assert estimated_tokens(messages, 100) == inside + 8 + 100
    assert estimated_tokens(messages, count=len) == 14 + 18 + 8
    assert estimated_tokens([]) == 0


def test_money_is_known_where_prices_are():
    assert price_usd(Priced(), 2_000_000, 1_000_000) == pytest.approx(0.9)
    assert price_usd(Free(), 2_000_000, 1_000_000) is None
    said = Completion(text="x", tokens_in=1000, tokens_out=500)
    assert spent_on(Priced(), said) == Spending(calls=1, tokens_in=1000, tokens_out=500, usd=pytest.approx(0.00045))
    assert spent_on(Free(), said).usd == 0.0
