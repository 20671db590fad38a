"""BM25 equals its formula, counted slowly, whatever was added in which pieces, hidden or taken out again."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.index import lexical as module
from mnemic.index.lexical import K1, B, LexicalIndex

WORD = st.sampled_from(["ada", "bob", "cat", "dog", "eel", "fox", "çédille", "日本"])
TEXT = st.lists(WORD, max_size=8).map(" ".join)
LOG = st.lists(TEXT, max_size=25)
CUE = st.lists(WORD | st.just("unheard"), max_size=4)


def bm25(log: list[str], cue: list[str], visible: list[bool] | None = None) -> list[float]:
    """Robertson and Zaragoza's formula, one text at a time."""
    shown = [text.split() if visible is None or visible[row] else None for row, text in enumerate(log)]
    there = [words for words in shown if words is not None]
    if not there:
        return [0.0] * len(log)
    mean = sum(map(len, there)) / len(there) or 1.0
    scores = []
    for words in shown:
        score = 0.0
        for term in set(cue):
            n = sum(term in other for other in there)
            count = 0 if words is None else words.count(term)
            if count:
                idf = math.log(1 + (len(there) - n + 0.5) / (n + 0.5))
                score += idf * count * (K1 + 1) / (count + K1 * (1 - B + B * len(words) / mean))
        scores.append(score)
    return scores


def index_of(log: list[str]) -> LexicalIndex:
    index = LexicalIndex()
    index.extend(log)
    return index


def scores(index: LexicalIndex, cue: list[str], visible=None) -> list[float]:
    mask = None if visible is None else np.array(visible, np.bool_)
    return index.scores(cue, mask)[0].tolist()


def told(index: LexicalIndex) -> tuple:
    """All that it tells."""
    words = sorted(index._vocabulary)
    known = {word: index.rows_of(word).tolist() for word in words}
    return (
        len(index),
        {word: rows for word, rows in known.items() if rows},
        {word: scores(index, [word]) for word, rows in known.items() if rows},
        index.lengths.values.tolist(),
    )


@settings(max_examples=150)
@given(LOG, CUE, st.lists(st.booleans(), min_size=25, max_size=25) | st.none())
def test_scores_are_those_of_the_formula_over_the_visible_texts(log, cue, visible) -> None:
    visible = None if visible is None else visible[: len(log)]
    assert scores(index_of(log), cue, visible) == pytest.approx(bm25(log, cue, visible), abs=1e-5)


@settings(max_examples=100)
@given(LOG, CUE, st.lists(st.booleans(), min_size=25, max_size=25))
def test_hidden_texts_count_for_nothing_as_if_they_had_never_been_added(log, cue, visible) -> None:
    visible = visible[: len(log)]
    shown = [text for text, is_shown in zip(log, visible, strict=True) if is_shown]
    masked, ideal = index_of(log).scores(cue, np.array(visible, np.bool_))
    alone, ideal_alone = index_of(shown).scores(cue)
    assert masked[np.array(visible, np.bool_)].tolist() == pytest.approx(alone.tolist(), abs=1e-6)
    assert masked[~np.array(visible, np.bool_)].tolist() == [0.0] * (len(log) - len(shown))
    assert ideal == pytest.approx(ideal_alone)


@settings(max_examples=100)
@given(LOG, st.lists(st.integers(1, 6), min_size=1), st.sampled_from([1, 2, 4, 500]), st.sampled_from([0.0, 0.05, 5.0]))
def test_an_index_grown_in_pieces_tells_what_one_built_at_once_tells(log, pieces, bulk, share) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BULK", bulk)
        patch.setattr(module, "_SEAL_SHARE", share)
        index, at = LexicalIndex(), 0
        for n in range(len(log)):
            size = pieces[n % len(pieces)]
            index.extend(log[at : at + size])
            at += size
            if n % 3 == 0:
                assert len(scores(index, ["ada"])) == min(at, len(log))
        index.extend([])
        assert told(index) == told(index_of(log))


@settings(max_examples=100)
@given(LOG, LOG, st.lists(st.booleans(), min_size=50, max_size=50))
def test_what_is_kept_tells_what_an_index_of_only_that_tells(log, later, keep) -> None:
    index = index_of(log)
    index.extend(later)
    whole = log + later
    keep = keep[: len(whole)]
    before = told(index)
    smaller = index.kept(np.array(keep, np.bool_))
    assert told(smaller) == told(index_of([text for text, stays in zip(whole, keep, strict=True) if stays]))
    assert told(index) == before
    names = smaller.arrays()["terms"].tobytes().decode().split()
    assert set(names) == {word for text, stays in zip(whole, keep, strict=True) if stays for word in text.split()}


@settings(max_examples=60)
@given(LOG, LOG, LOG)
def test_an_index_comes_back_from_its_arrays_and_goes_on(log, later, latest) -> None:
    index = index_of(log)
    index.extend(later)
    arrays = {name: array.copy() for name, array in index.arrays().items()}
    again = LexicalIndex.from_arrays(arrays)
    assert told(again) == told(index_of(log + later))
    again.extend(latest)
    assert told(again) == told(index_of(log + later + latest))


@settings(max_examples=60)
@given(LOG, st.lists(LOG, min_size=1, max_size=4), st.sampled_from([1, 3, 500]))
def test_a_clone_that_grows_changes_nothing_for_those_who_read_the_older_one(log, later, bulk) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BULK", bulk)
        index = index_of(log)
        index.extend(["ada bob"])  # into the lists of what is recent, which clones share
        before = (scores(index, ["ada", "cat"]), index.frequency("ada"), index.rows_of("cat").tolist())
        clone, whole = index, [*log, "ada bob"]
        for more in later:
            clone = clone.clone()
            clone.extend(more)
            whole += more
            assert (scores(index, ["ada", "cat"]), index.frequency("ada"), index.rows_of("cat").tolist()) == before
        assert told(clone) == told(index_of(whole))
        # also as arrays, and with rows taken out, the older one knows nothing of what its clones added
        assert told(LexicalIndex.from_arrays(index.arrays())) == told(index_of([*log, "ada bob"]))
        assert told(index.kept(np.ones(len(index), np.bool_))) == told(index_of([*log, "ada bob"]))


def test_the_ideal_row_has_mean_length_and_every_term_that_anybody_has() -> None:
    index = index_of(["ada bob", "ada cat", "dog eel"])
    _, ideal = index.scores(["ada", "bob", "unheard"])
    idf = [math.log(1 + (3 - n + 0.5) / (n + 0.5)) for n in (2, 1)]
    assert ideal == pytest.approx(sum(idf))  # a term once in a row of mean length has weight 1
    assert index.scores(["unheard"])[1] == index.scores([])[1] == LexicalIndex().scores(["ada"])[1] == 0.0


def test_a_term_said_more_often_than_can_be_counted_counts_as_often_as_can_be() -> None:
    index = index_of(["ada " * 70_000, "bob"])
    index.extend(["ada " * 70_000])
    assert index.rows_of("ada").tolist() == [0, 2]
    assert index.arrays()["posting_counts"].tolist() == [65_535, 65_535, 1]


def test_reading_sorts_in_what_was_added_in_bulk_whichever_question_comes_first() -> None:
    for ask in (
        lambda index: index.frequency("ada") == 2,
        lambda index: index.rows_of("ada").tolist() == [0, 2],
        lambda index: scores(index, ["bob"])[1] > 0,
        lambda index: index.arrays()["posting_rows"].tolist() == [0, 2, 1],
    ):
        assert ask(index_of(["ada", "bob", "ada"]))
