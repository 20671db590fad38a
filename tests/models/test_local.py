"""The sentence-transformers adapter, against a scripted package."""

import sys
import types

import numpy as np
import pytest

from mnemic.errors import DependencyMissing
from mnemic.models import SentenceTransformerEmbedder


class FakeModel:
    prompts = {"query": "query: "}
    max_seq_length = 128

    def __init__(self, name, revision=None, device=None) -> None:
        self.calls = []

    def get_sentence_embedding_dimension(self) -> int:
        return 2

    def encode(self, texts, **settings):
        self.calls.append((list(texts), settings["prompt_name"]))
        return np.array([[3.0, 4.0]] * len(texts))


@pytest.fixture
def fake_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType("sentence_transformers")
    package.SentenceTransformer = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    monkeypatch.setattr("mnemic.models.local.find_spec", lambda name: object())


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.models.local.find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match=r"pip install 'mnemic\[sentence-transformers\]'"):
        SentenceTransformerEmbedder("some/model")


@pytest.mark.usefixtures("fake_package")
def test_it_passes_texts_through_and_normalises() -> None:
    embedder = SentenceTransformerEmbedder("some/model", revision="abc")
    assert embedder.id == "sentence-transformers:some/model@abc"
    assert (embedder.dim, embedder.max_tokens) == (2, 128)
    np.testing.assert_allclose(embedder.embed(["a", " ", "b"]), [[0.6, 0.8], [0, 0], [0.6, 0.8]])
    embedder.embed(["what?"], "query")
    assert embedder._load().calls == [(["a", "b"], None), (["what?"], "query")]
