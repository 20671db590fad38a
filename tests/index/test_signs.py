"""Bits tell which vectors may be near: as many differ as the angle says, and a code hangs on its own vector alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.index import signs


def at_angle(angle: float, dim: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """[n, dim] unit vectors, and others at that angle to them."""
    random = np.random.default_rng(dim)
    one = random.standard_normal((n, dim))
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    other = random.standard_normal((n, dim))
    other -= (other * one).sum(1, keepdims=True) * one
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return one.astype(np.float32), (np.cos(angle) * one + np.sin(angle) * other).astype(np.float32)


@pytest.mark.parametrize("dim", [64, 384])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_as_many_bits_differ_as_the_angle_says(share: float, dim: int) -> None:
    one, other = at_angle(share * np.pi, dim, 400)
    mine, theirs = signs.codes(one), signs.codes(other)
    found = [int(signs.distances(theirs[at : at + 1].T, mine[at])[0]) for at in range(400)]
    assert np.mean(found) / signs.BITS == pytest.approx(share, abs=0.01)


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_code_is_the_same_whatever_else_is_coded_with_it(n: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((n, 32)).astype(np.float32)
    apart = np.concatenate([signs.codes(vectors[at : at + 1]) for at in range(n)])
    assert (signs.codes(vectors) == apart).all()
    counted = [bin(int(np.bitwise_xor.reduce([a, b]))).count("1") for a, b in zip(apart[0], apart[-1], strict=True)]
    assert signs.distances(apart.T, apart[0])[-1] == sum(counted)
