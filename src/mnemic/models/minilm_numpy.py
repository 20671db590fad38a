"""The forward pass of all-MiniLM-L6-v2 in numpy, for machines without onnxruntime.

BERT as published (arXiv 1810.04805): embeddings, six layers of attention and feed-forward, each followed by layer
normalisation; then the mean over a text's tokens, at unit length. Equal to the onnxruntime path to about 1e-6.

numpy has no erf. With x's tail e(z) = erfc(z / sqrt 2) = exp(z * P(z)), the activation is
gelu(x) = max(x, 0) - |x| e(|x|) / 2, which cancels nothing; P is a polynomial fitted by weighted least squares on
0..6, with an error below 1e-8 in gelu.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LAYERS, WIDTH, HEADS = 6, 384, 12
EPSILON = 1e-12
_MASKED = np.float32(-10_000.0)
_BLOCK = 64  # rows of 1,536 activations that stay in the cache through the polynomial
_TAIL = tuple(
    np.float32(coefficient)
    for coefficient in (
        -1.3184640120285e-06,
        1.944819590139869e-05,
        -9.113308326861136e-05,
        -1.885819698627648e-04,
        5.022134898836242e-03,
        -3.647867431256874e-02,
        -3.182669468250361e-01,
        -7.978893754974329e-01,
    )
)  # of P, highest power first

Array = NDArray[np.float32]
Weights = Mapping[str, NDArray[Any]]


class NumpyMiniLM:
    """Piece numbers to unit vectors; the weights are read where they lie, only query, key and value are joined."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._joined = [_join(weights, f"encoder.layer.{layer}.attention.self") for layer in range(LAYERS)]

    def __call__(self, ids: NDArray[np.int32], lengths: NDArray[np.int32]) -> Array:
        """ids: [batch, tokens], padded; lengths: [batch], 1 or more. Returns [batch, 384]."""
        batch, tokens = ids.shape
        is_token = np.arange(tokens) < lengths[:, None]  # [batch, tokens]
        bias = np.where(is_token, np.float32(0), _MASKED)[:, None, None, :]
        state = self._embed(ids)  # [batch * tokens, 384]
        for layer in range(LAYERS):
            state = self._layer(layer, state, batch, bias)
        summed = np.matmul(is_token[:, None, :].astype(np.float32), state.reshape(batch, tokens, WIDTH))[:, 0]
        unit: Array = summed / np.linalg.norm(summed, axis=1, keepdims=True)
        return unit

    def _embed(self, ids: NDArray[np.int32]) -> Array:
        tokens = ids.shape[1]
        state = self._weights["embeddings.word_embeddings.weight"][ids]
        state += self._weights["embeddings.position_embeddings.weight"][:tokens]
        state += self._weights["embeddings.token_type_embeddings.weight"][0]
        return self._normalise(state.reshape(-1, WIDTH), "embeddings.LayerNorm")

    def _layer(self, layer: int, state: Array, batch: int, bias: Array) -> Array:
        at = f"encoder.layer.{layer}"
        matrix, offset = self._joined[layer]
        joined = multiply(state, matrix)  # [batch * tokens, 3 * 384]
        joined += offset
        attended = self._dense(attend(joined, batch, bias), f"{at}.attention.output.dense")
        attended += state
        state = self._normalise(attended, f"{at}.attention.output.LayerNorm")
        inner = gelu_in_place(self._dense(state, f"{at}.intermediate.dense"))
        narrowed = self._dense(inner, f"{at}.output.dense")
        narrowed += state
        return self._normalise(narrowed, f"{at}.output.LayerNorm")

    def _dense(self, state: Array, name: str) -> Array:
        out = multiply(state, self._weights[f"{name}.weight"])
        out += self._weights[f"{name}.bias"]
        return out

    def _normalise(self, state: Array, name: str) -> Array:
        state -= state.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", state, state) / np.float32(WIDTH)
        state /= np.sqrt(variance + np.float32(EPSILON))[:, None]
        state *= self._weights[f"{name}.weight"]
        state += self._weights[f"{name}.bias"]
        return state


def multiply(state: Array, matrix: Array) -> Array:
    """state [n, in] by the transpose of matrix [out, in]: [n, out], contiguous."""
    if len(state) < 128:  # a query: the wide side first is 1.7 times as fast in OpenBLAS at 12 rows
        return np.ascontiguousarray((matrix @ state.T).T)
    product: Array = state @ matrix.T
    return product


def attend(joined: Array, batch: int, bias: Array) -> Array:
    """Scaled dot-product attention of all heads.

    joined: [batch * tokens, 3 * 384], queries, keys and values; bias: [batch, 1, 1, tokens], added to the scores.
    Returns [batch * tokens, 384].
    """
    tokens = joined.shape[0] // batch
    size = WIDTH // HEADS
    query, key, value = joined.reshape(batch, tokens, 3, HEADS, size).transpose(2, 0, 3, 1, 4)
    scores = np.matmul(query * np.float32(size**-0.5), key.swapaxes(2, 3))  # [batch, heads, tokens, tokens]
    scores += bias
    scores -= scores.max(axis=3, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=3, keepdims=True)
    seen: Array = np.matmul(scores, value).swapaxes(1, 2)
    return seen.reshape(batch * tokens, WIDTH)


def gelu_in_place(x: Array) -> Array:
    """x * Phi(x), Phi the normal distribution function, written over x [n, m] and returned.

    >>> gelu_in_place(np.array([[-1.0, 0.0, 2.0]], np.float32)).round(6).tolist()
    [[-0.15865500271320343, 0.0, 1.9544999599456787]]
    """
    for start in range(0, len(x), _BLOCK):
        block = x[start : start + _BLOCK]
        distance = np.abs(block)
        tail = np.full_like(distance, _TAIL[0])
        for coefficient in _TAIL[1:]:
            tail *= distance
            tail += coefficient
        tail *= distance
        np.exp(tail, out=tail)
        tail *= distance
        tail *= np.float32(0.5)
        np.maximum(block, 0, out=block)
        block -= tail
    return x


def _join(weights: Weights, at: str) -> tuple[Array, Array]:
    parts = [f"{at}.{part}" for part in ("query", "key", "value")]
    matrix = np.concatenate([weights[f"{part}.weight"] for part in parts])  # [3 * 384, 384]
    return matrix, np.concatenate([weights[f"{part}.bias"] for part in parts])
