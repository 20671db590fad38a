"""Association: which episodes point to which, and how strongly."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnemic.index.lexical import LexicalIndex
from mnemic.ops.spread import Found, Names, Sight, associate, mentions, names_in
from mnemic.text.terms import terms

FILMS = [
    "Big Eyes is a film directed by Tim Burton.",
    "The wife of Tim Burton is an actress.",
    "The wife of Sam Reed is a painter.",
    "Rain fell on the harbour all day.",
]
QUESTION = "Who is the wife of the director of Big Eyes?"


def index_of(texts: list[str]) -> LexicalIndex:
    lexical = LexicalIndex()
    lexical.extend([" ".join(terms(text)) for text in texts])
    return lexical


def associated(
    texts: list[str],
    scores: list[float],
    question: str = "",
    visible: NDArray[np.bool_] | None = None,
    *,
    seeds: int = 1,
    hops: int = 1,
) -> Found:
    def names_of(rows: NDArray[np.int64]) -> Mapping[int, Names]:
        return {row: names_in(texts[row]) for row in rows.tolist()}

    sight = Sight.of(index_of(texts), visible)
    return associate(np.array(scores, np.float32), terms(question), names_of, sight, weight=1.0, seeds=seeds, hops=hops)


def test_an_episode_is_pointed_to_by_a_name_it_shares_with_what_was_found() -> None:
    found = associated(FILMS, [0.8, 0.2, 0.2, 0.0], QUESTION)

    assert np.flatnonzero(found.values).tolist() == [1]
    assert found.through == {1: "Tim Burton"}


def test_nothing_points_to_itself() -> None:
    found = associated(["Ada met Bo. Ada met Bo again."], [1.0])

    assert found.values.tolist() == [0.0]


def test_a_name_that_the_cue_holds_points_nowhere() -> None:
    assert not associated(FILMS, [0.8, 0.0, 0.0, 0.0], "What else did Tim Burton do?").values.any()


def test_the_value_is_rarity_squared_times_the_share_of_the_row_and_grows_with_each_word_of_the_cue_added() -> None:
    texts = ["zeno met Ada here", "Ada sails boats today", "zeno runs fast now", "rain falls again slowly"]
    # four rows of mean length 4 or so; "Ada" in two of four, once in a row: rarity log(4/2)/log(4) = 1/2
    lengths = np.array([len(terms(text)) for text in texts], float)
    share = 1 / (1 + 1.2 * (0.25 + 0.75 * lengths[1] / lengths.mean()))

    plain = associated(texts, [1.0, 0.0, 0.0, 0.0], "zeno")
    helped = associated(texts, [1.0, 0.0, 0.0, 0.0], "zeno boats")

    assert plain.values.tolist() == pytest.approx([0, 0.25 * share, 0, 0])
    idf = {"zeno": np.log1p(2.5 / 2.5), "boats": np.log1p(3.5 / 1.5)}
    added = idf["boats"] / np.mean(list(idf.values())) * min(2.2 * share, 1.0)
    assert helped.values[1] == pytest.approx(0.25 * share * (1 + added))


def test_a_rare_name_points_more_strongly_than_a_common_one() -> None:
    texts = ["we saw Ada and Bo", "with Ada there", *["with Bo there"] * 4, *["with none there"] * 4]
    found = associated(texts, [1.0] + [0.0] * 9)

    assert found.values[1] > found.values[2] > 0.0


def test_a_name_in_every_episode_points_nowhere() -> None:
    assert not associated(["saw Ada", "met Ada", "like Ada"], [1.0, 0.0, 0.0]).values.any()


def test_a_name_counts_only_where_all_of_it_stands() -> None:
    texts = ["by Tim Burton", "Tim left early", "Burton left early", "then Tim Burton left"]
    rows, weights = mentions(("tim", "burton"), Sight.of(index_of(texts)))

    assert rows.tolist() == [0, 3]
    assert weights[0] > weights[1] > 0.0  # it makes up more of the shorter one


def test_a_weak_start_points_with_the_square_of_its_strength() -> None:
    texts = ["saw Ada", "saw Bo", "with Ada", "with Bo", "rain"]
    found = associated(texts, [0.8, 0.4, 0.0, 0.0, 0.0], seeds=2)

    assert found.values[3] == pytest.approx(found.values[2] / 4)


def test_an_episode_full_of_names_hands_on_less_by_each() -> None:
    many = " and ".join(f"{letter}{letter.lower()}xo" for letter in "BCDEFGHIJKLMNOP")  # fifteen names beside Ada's
    few = associated(["with Ada then", "then Ada left", "rain", "snow"], [1.0, 0.0, 0.0, 0.0])
    crowd = associated([f"with Ada and {many}", "then Ada left", "rain", "snow"], [1.0, 0.0, 0.0, 0.0])

    lengths = len(terms(many)) + 1, 2, 1, 1
    share = [1 / (1 + 1.2 * (0.25 + 0.75 * 2 / (total / 4))) for total in (5, sum(lengths))]
    assert crowd.values[1] / few.values[1] == pytest.approx(share[1] / share[0] / 2)


def test_a_second_hop_goes_on_from_what_the_first_found() -> None:
    texts = ["the film by Ada", "as Ada wed Bo", "then Bo moved to Oslo", "one", "two", "three"]
    scores = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]

    assert associated(texts, scores, seeds=2).through == {1: "Ada"}
    further = associated(texts, scores, seeds=2, hops=2)
    assert further.through == {0: "Ada", 1: "Ada", 2: "Bo"}  # the second points back to the first as well
    assert further.values[1] > further.values[2]


def test_a_word_that_only_begins_a_sentence_is_no_name() -> None:
    assert names_in("Books are fun. Rejections hurt.") == {}


def test_names_far_into_a_long_text_are_not_read() -> None:
    assert names_in("a " * 1_000 + "then we met Ada Byron") == {}


def test_rows_out_of_sight_neither_start_nor_count() -> None:
    texts = [*FILMS, "Tim Burton draws.", "Tim Burton sings."]
    visible = np.array([True] * 4 + [False] * 2)

    partly = associated(texts, [0.8, 0.2, 0.2, 0.0, 0.0, 0.0], QUESTION, visible)
    alone = associated(FILMS, [0.8, 0.2, 0.2, 0.0], QUESTION)

    assert partly.values[:4].tolist() == alone.values.tolist()
    assert partly.values[4:].tolist() == [0.0, 0.0]
    assert partly.through == alone.through


@pytest.mark.parametrize("texts", [[], ["Only one of Ada"]])
def test_a_scope_of_one_episode_or_none_has_no_associations(texts: list[str]) -> None:
    assert not associated(texts, [1.0] * len(texts)).values.any()


def test_no_score_no_association() -> None:
    assert not associated(FILMS, [0.0] * 4, QUESTION).values.any()


_WORDS = ["saw", "Ada", "Bo", "Cy", "Di", "rain", "boats", "home"]
_TEXTS = st.lists(
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=6).map(" ".join),
    min_size=1,
    max_size=12,
)


@given(texts=_TEXTS, seed=st.integers(0, 9), question=st.sampled_from(["", "rain", "boats home", "saw Ada"]))
def test_values_lie_in_the_unit_interval_and_every_one_has_its_name(texts: list[str], seed: int, question: str) -> None:
    scores = np.random.default_rng(seed).random(len(texts)).astype(np.float32).tolist()
    found = associated(texts, scores, question, seeds=3, hops=2)

    assert found.values.min() >= 0.0
    assert found.values.max() <= 1.0
    assert set(found.through) == set(np.flatnonzero(found.values).tolist())
    for row, name in found.through.items():
        assert set(terms(name)) <= set(terms(texts[row]))


@given(texts=_TEXTS, seed=st.integers(0, 9))
def test_the_order_of_the_episodes_changes_no_value(texts: list[str], seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = (generator.permutation(len(texts)) + 1).astype(np.float32) / len(texts)  # no ties among the starts
    order = generator.permutation(len(texts))

    plain = associated(texts, scores.tolist(), "rain", seeds=2)
    shuffled = associated([texts[at] for at in order], scores[order].tolist(), "rain", seeds=2)

    assert shuffled.values == pytest.approx(plain.values[order], abs=1e-6)
