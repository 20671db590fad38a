"""MiniLM: both backends give the same vectors, in the right order, and nothing is loaded before it is needed."""

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnemic.errors import DependencyMissing, ParameterError, WeightsMissing
from mnemic.models import MiniLM
from mnemic.models.minilm_numpy import gelu_in_place
from mnemic.models.weights import find_weights

ROOT = Path(__file__).parents[2]
needs_weights = pytest.mark.skipif(find_weights() is None, reason="the weights of all-MiniLM-L6-v2 are not installed")
needs_onnxruntime = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed"
)
TEXTS = [
    "Caroline went to the support group yesterday.",
    "a",
    "What did the quarterly report say about revenue in Łódź?",
    "東京は日本の首都です 🗼",
    "def f(x): return x ** 2  # squares",
    "word " * 300,
    "Привет, мир",
    "The meeting was moved from Tuesday to Friday because the room was taken. " * 4,
    "!!!",
]
REFERENCE_HEAD = [-0.039756, -0.002536, -0.011995, 0.048677, -0.033175, 0.02632, -0.010398, -0.016797]


@pytest.fixture(scope="module")
def onnx() -> MiniLM:
    return MiniLM(backend="onnx")


@pytest.fixture(scope="module")
def plain() -> MiniLM:
    return MiniLM(backend="numpy")


@needs_weights
@needs_onnxruntime
def test_both_backends_agree(onnx: MiniLM, plain: MiniLM) -> None:
    fast, slow = onnx.embed(TEXTS), plain.embed(TEXTS)
    assert float((fast * slow).sum(axis=1).min()) >= 0.9999
    np.testing.assert_allclose(fast, slow, atol=5e-6)
    assert onnx.id == plain.id == "all-MiniLM-L6-v2/53aa5117"


@needs_weights
@pytest.mark.parametrize("backend", [pytest.param("onnx", marks=needs_onnxruntime), "numpy"])
def test_batches_change_nothing(backend: str, request: pytest.FixtureRequest) -> None:
    embedder = request.getfixturevalue({"onnx": "onnx", "numpy": "plain"}[backend])
    together = embedder.embed(TEXTS)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=5e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert together.dtype == np.float32
    small = MiniLM(embedder.folder, backend=embedder.backend, batch_size=2)
    small._loaded = embedder._loaded
    np.testing.assert_allclose(small.embed(TEXTS[::-1])[::-1], together, atol=5e-6)


@needs_weights
def test_meaning_is_near_and_its_absence_far(plain: MiniLM) -> None:
    car, automobile, cake = plain.embed(
        ["He bought a new car.", "He purchased an automobile.", "Bake the cake slowly."]
    )
    assert car @ automobile > 0.7
    assert car @ cake < 0.3


@needs_weights
def test_a_vector_is_the_one_of_the_reference(plain: MiniLM) -> None:
    # from sentence-transformers 6.2.0 on torch 2.13.0
    (vector,) = plain.embed(["Caroline went to the support group yesterday."])
    np.testing.assert_allclose(vector[:8], REFERENCE_HEAD, atol=5e-6)


@needs_weights
def test_a_text_with_nothing_to_embed_is_the_zero_vector(plain: MiniLM) -> None:
    vectors = plain.embed(["", " \n", "\x00\x01", "a"])
    assert vectors.any(axis=1).tolist() == [False, False, False, True]
    assert plain.embed([]).shape == (0, 384)


@needs_weights
def test_only_the_first_256_tokens_are_seen(plain: MiniLM) -> None:
    long, longer = plain.embed(["cat " * 254 + "dog", "cat " * 254 + "dog " * 200_000])
    assert np.array_equal(long, longer)


@needs_weights
def test_tokens_can_be_counted(plain: MiniLM) -> None:
    assert plain.count("Mnemic remembers, doesn't it?") == 10


@needs_weights
def test_clear_forgets_the_words(plain: MiniLM) -> None:
    plain.count("zebra")
    plain.clear()
    assert plain._load()[0]._words == {}


def test_nothing_is_loaded_at_construction(tmp_path: Path) -> None:
    embedder = MiniLM(tmp_path / "nowhere")
    assert (embedder.dim, embedder.max_tokens, embedder.is_semantic) == (384, 256, True)
    assert not embedder.embed(["", " "]).any()
    with pytest.raises(WeightsMissing, match="nowhere"):
        embedder.embed(["text"])


def test_a_different_bound_is_a_different_identity() -> None:
    assert MiniLM(max_tokens=512).id == "all-MiniLM-L6-v2/53aa5117/512"


@pytest.mark.parametrize("wrong", [{"backend": "torch"}, {"max_tokens": 513}, {"max_tokens": 2}, {"batch_size": 0}])
def test_arguments_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ParameterError):
        MiniLM(**wrong)


@needs_weights
def test_without_onnxruntime_auto_is_numpy_and_onnx_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyMissing, match=r"pip install 'mnemic\[onnx\]'"):
        MiniLM(backend="onnx").embed(["text"])
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxruntime" else find_spec(name))
    assert MiniLM().embed(["text"]).any()


@needs_weights
def test_a_process_that_was_forked_loads_its_own_session(plain: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    before = plain._load()[1]
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert plain._load()[1] is not before


def test_gelu_is_that_of_the_error_function() -> None:
    x = np.linspace(-12, 12, 100_001, dtype=np.float32).reshape(1, -1)
    exact = [value * 0.5 * math.erfc(-value / math.sqrt(2)) for value in x[0].tolist()]
    np.testing.assert_allclose(gelu_in_place(x.copy())[0], exact, rtol=1e-7, atol=1.2e-7)


def test_the_committed_graph_is_the_one_that_the_tool_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="onnx, a development package, is not installed")
    monkeypatch.syspath_prepend(ROOT / "tools")
    import make_minilm_graph

    assert make_minilm_graph.build() == make_minilm_graph.TARGET.read_bytes()


IN_A_NEW_HOME = """
from mnemic.models.minilm import MiniLM
assert abs(float((MiniLM().embed(["a cat"])[0] ** 2).sum()) - 1.0) < 1e-5
"""


@needs_weights
def test_embedding_leaves_nothing_in_the_users_home(tmp_path):
    """onnxruntime would keep an id there and look for a server, were it not told otherwise."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", IN_A_NEW_HOME], check=True, env=environment, cwd=tmp_path)
    assert list(tmp_path.rglob("*")) == []


IN_A_CHILD = """
import os, sys
from mnemic.models.minilm import MiniLM
model = MiniLM()
before = model.embed(["a cat"])
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if (model.embed(["a cat"]) == before).all() else 3)
    assert os.waitpid(child, 0)[1] == 0
"""


@needs_weights
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_embeds_with_a_model_that_its_parent_had_loaded():
    subprocess.run([sys.executable, "-W", "ignore", "-c", IN_A_CHILD], check=True, timeout=120)
