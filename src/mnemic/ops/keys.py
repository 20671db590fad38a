"""Keys that find, values that are returned: recall as a sum of values, weighted by how well their keys match.

α_i = σ(k_i·q), out = Σ α_i v_i. The separation σ decides how sharply keys compete: linear lets every key answer by its
product (Hebbian memory, linear attention), softmax with a factor β favours the best exponentially (attention, dense Hopfield
networks), max lets only the best answer. The linear form is the matrix M = Σ v_i k_iᵀ, with out = M q.
Source: Gershman, Fiete and Irie, Key-value memory in the brain, arXiv 2501.02950. Keys are learned by contrast, values are
never changed: the loss is that of van den Oord, Li and Vinyals, arXiv 1807.03748 (InfoNCE).

Sums are taken in float64 and in a fixed order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnemic.errors import ParameterError
from mnemic.ops.granularity import softmax

Vectors = NDArray[np.floating[Any]]
Separation = Literal["linear", "softmax", "max"]


def separated(similarities: ArrayLike, separation: Separation = "softmax", beta: float = 1.0) -> NDArray[np.float64]:
    """[n] the weight of each value from the products of its key with the query.

    "linear": the products themselves. "softmax": exp(beta·s) / Σ exp(beta·s), summing to 1. "max": 1 for the highest, the
    earlier of two alike, and 0 for all others.

    >>> separated([0.2, 0.9], "max").tolist(), separated([0.2, 0.9], "linear").tolist()
    ([0.0, 1.0], [0.2, 0.9])
    """
    s = np.asarray(similarities, np.float64)
    if separation == "linear":
        return s.copy()
    if separation == "softmax":
        if not beta > 0.0:
            raise ParameterError(f"beta={beta!r}: it must be above 0.")
        return softmax(beta * s)
    if separation != "max":
        raise ParameterError(f"separation={separation!r}: it is 'linear', 'softmax' or 'max'.")
    found = np.zeros(len(s))
    if len(s):
        found[int(np.argmax(s))] = 1.0
    return found


def recall_values(
    query: Vectors, keys: Vectors, values: Vectors, separation: Separation = "softmax", beta: float = 1.0
) -> NDArray[np.float64]:
    """[e] Σ α_i v_i for a query [d], keys [n, d] and values [n, e]; zeros where n is 0."""
    weights = separated(_along(keys, query), separation, beta)
    found: NDArray[np.float64] = np.einsum("n,ne->e", weights, np.asarray(values, np.float64))
    return found


def matrix(keys: Vectors, values: Vectors) -> NDArray[np.float64]:
    """[e, d] M = Σ v_i k_iᵀ for keys [n, d] and values [n, e]: all pairs in one matrix, whatever n is."""
    k, v = np.asarray(keys, np.float64), np.asarray(values, np.float64)
    found: NDArray[np.float64] = np.zeros((v.shape[1], k.shape[1]))
    for key, value in zip(k, v, strict=True):
        found += value[:, None] * key
    return found


def recall_from(matrix: Vectors, query: Vectors) -> NDArray[np.float64]:
    """[e] M q: what linear recall gives, in a time that does not depend on how many pairs were stored."""
    return _along(matrix, query)


def loss(keys: Vectors, queries: Vectors, hits: Sequence[Sequence[int]], beta: float = 10.0) -> float:
    """The mean over queries of -Σ_hits log softmax(beta·K q) / number of hits, in nats: 0 where hits alone are found.

    keys: [n, d]. queries: [m, d]. hits: [m] the rows that each query should find; a query without hits counts as 0.
    """
    total, counted = 0.0, 0
    for query, found in zip(queries, hits, strict=True):
        if found:
            scaled = beta * _along(keys, query)
            highest = scaled.max()
            total -= float((scaled[list(found)] - highest - np.log(np.exp(scaled - highest).sum())).mean())
            counted += 1
    return total / counted if counted else 0.0


def learned(
    keys: Vectors, queries: Vectors, hits: Sequence[Sequence[int]], *, rate: float = 0.05, beta: float = 10.0
) -> NDArray[np.float64]:
    """[n, d] the keys after one step down the loss: towards the queries that should find them, away from those that would.

    k_i += rate·beta/m·Σ_q (t_qi - p_qi)·q, p = softmax(beta·K q), t even over the hits of q; then each key gets its old length
    again. A key is pushed away the more, the more likely it is taken for a hit. rate 0 changes nothing.
    """
    k = np.array(keys, np.float64)
    if len(queries) != len(hits):
        raise ParameterError(f"{len(queries)} queries, {len(hits)} lists of hits: give each query its hits.")
    told = [(np.asarray(query, np.float64), list(found)) for query, found in zip(queries, hits, strict=True) if found]
    lengths = np.sqrt(np.einsum("nd,nd->n", k, k))
    step = np.zeros_like(k)
    for query, found in told:
        wanted = np.zeros(len(k))
        wanted[found] = 1.0 / len(set(found))
        step += (wanted - softmax(beta * _along(k, query)))[:, None] * query
    if told:
        k += rate * beta / len(told) * step
    now = np.sqrt(np.einsum("nd,nd->n", k, k))
    scale = np.where(now > 0.0, lengths / np.where(now > 0.0, now, 1.0), 1.0)
    return np.asarray(k * scale[:, None], np.float64)


def _along(rows: Vectors, query: Vectors) -> NDArray[np.float64]:
    """[n] the product of each row with the query."""
    found: NDArray[np.float64] = np.einsum(
        "nd,d->n", np.asarray(rows, np.float64), np.asarray(query, np.float64)
    )  # not BLAS: a product must not depend on how many rows there are
    return found
