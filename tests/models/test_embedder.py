"""The cache before an embedder changes how often it is asked, never what comes back."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.errors import EmbedderError, ParameterError
from mnemic.models import CachedEmbedder, HashingEmbedder
from mnemic.models.embedder import to_unit_length


class Counting:
    """A small embedder that records what it was asked."""

    id, dim, max_tokens, is_semantic = "counting/1", 4, 16, False

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.is_cleared = False

    def embed(self, texts, kind="document"):
        self.asked.append(tuple(texts))
        shift = 1.0 if kind == "query" else 0.0
        return to_unit_length(np.array([[len(text) + 1, shift, 2.0, 1.0] for text in texts]).reshape(-1, 4))

    def clear(self) -> None:
        self.is_cleared = True


def test_it_shows_the_face_of_what_it_wraps() -> None:
    cached = CachedEmbedder(Counting())
    assert (cached.id, cached.dim, cached.max_tokens, cached.is_semantic) == ("counting/1", 4, 16, False)


def test_a_text_is_embedded_once_within_a_call_and_between_calls() -> None:
    inner = Counting()
    cached = CachedEmbedder(inner)
    first = cached.embed(["b", "aa", "b"])
    second = cached.embed(["aa", "ccc"])
    assert inner.asked == [("b", "aa"), ("ccc",)]
    assert np.array_equal(first, Counting().embed(["b", "aa", "b"]))
    assert np.array_equal(second, Counting().embed(["aa", "ccc"]))


def test_a_query_and_a_document_of_one_text_are_kept_apart() -> None:
    cached = CachedEmbedder(Counting())
    assert not np.array_equal(cached.embed(["a"]), cached.embed(["a"], "query"))


def test_the_least_recently_used_vector_goes_first() -> None:
    inner = Counting()
    cached = CachedEmbedder(inner, capacity=2)
    cached.embed(["a", "b"])
    cached.embed(["a"])
    cached.embed(["c"])
    cached.embed(["a", "b"])
    assert inner.asked == [("a", "b"), ("c",), ("b",)]


@pytest.mark.parametrize("capacity", [0, 1, 3])
def test_a_call_larger_than_the_cache_is_answered_whole(capacity: int) -> None:
    cached = CachedEmbedder(Counting(), capacity)
    texts = [str(number) * number for number in range(8)]
    assert np.array_equal(cached.embed(texts), Counting().embed(texts))
    assert len(cached._vectors) == capacity


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["", "a", "bb", "ccc", "dddd"]), max_size=6), max_size=6))
def test_cached_equals_uncached(calls: list[list[str]]) -> None:
    cached = CachedEmbedder(Counting(), capacity=3)
    for texts in calls:
        assert np.array_equal(cached.embed(texts), Counting().embed(texts))


def test_the_answer_belongs_to_the_caller() -> None:
    cached = CachedEmbedder(Counting())
    cached.embed(["a"])[:] = 0
    assert np.array_equal(cached.embed(["a"]), Counting().embed(["a"]))


def test_clear_forgets_and_passes_it_on() -> None:
    inner = Counting()
    cached = CachedEmbedder(inner)
    cached.embed(["a"])
    cached.clear()
    cached.embed(["a"])
    assert inner.asked == [("a",), ("a",)]
    assert inner.is_cleared


def test_what_is_cleared_while_it_is_embedded_does_not_come_back_into_the_cache() -> None:
    inner = Counting()
    cached = CachedEmbedder(inner)
    plain = inner.embed
    inner.embed = lambda texts, kind="document": (cached.clear(), plain(texts, kind))[1]  # type: ignore[method-assign]
    assert cached.embed(["a"]).shape == (1, 4)
    assert not cached._vectors


def test_the_lock_is_not_held_while_embedding() -> None:
    inner = Counting()
    cached = CachedEmbedder(inner)
    cached.embed(["known"])
    begun, may_end = threading.Event(), threading.Event()
    plain = inner.embed

    def waiting(texts, kind="document"):
        begun.set()
        assert may_end.wait(10)
        return plain(texts, kind)

    inner.embed = waiting  # type: ignore[method-assign]
    slow = threading.Thread(target=cached.embed, args=(["new"],))
    slow.start()
    assert begun.wait(10)
    assert cached.embed(["known"]).shape == (1, 4)  # would hang if the slow thread held the lock
    may_end.set()
    slow.join(10)
    assert not slow.is_alive()


def test_many_threads_get_their_own_rows() -> None:
    cached = CachedEmbedder(HashingEmbedder(), capacity=16)
    texts = [f"text number {number}" for number in range(40)]
    expected = HashingEmbedder().embed(texts)
    wrong = []

    def ask(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(20):
            rows = rng.integers(0, len(texts), 8)
            if not np.array_equal(cached.embed([texts[row] for row in rows]), expected[rows]):
                wrong.append(seed)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_embed_many_is_embed_in_batches() -> None:
    inner = Counting()
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    vectors = CachedEmbedder(inner).embed_many(texts, show_progress=True, batch_size=2)
    assert inner.asked == [("a", "bb"), ("ccc", "dddd"), ("eeeee",)]
    assert np.array_equal(vectors, Counting().embed(texts))
    assert CachedEmbedder(inner).embed_many([]).shape == (0, 4)


def test_a_lone_string_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"Give a list of texts"):
        CachedEmbedder(Counting()).embed("hello")
    with pytest.raises(ParameterError, match="NoneType at position 1"):
        CachedEmbedder(Counting()).embed(["a", None])  # type: ignore[list-item]


def test_an_embedder_that_gives_another_shape_is_named() -> None:
    inner = Counting()
    inner.embed = lambda texts, kind="document": np.ones((1, 3))  # type: ignore[method-assign]
    with pytest.raises(EmbedderError, match=r"counting/1 was asked for 2 vectors of 4 .* \(1, 3\)"):
        CachedEmbedder(inner).embed(["a", "b"])


def test_texts_with_lone_surrogates_have_a_key() -> None:
    assert CachedEmbedder(Counting()).embed(["\ud800", "\ud801"]).shape == (2, 4)
