"""Polynomials through given points, and their integrals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FEW, MANY = 16, 48
"""Points of the Gauss-Legendre rule for polynomials, and for polynomials times another function."""


def lagrange(nodes: Sequence[float], index: int, at: Array) -> Array:
    """Return the polynomial that is 1 at `nodes[index]` and 0 at the other nodes, at the points `at`."""
    value = np.ones_like(at)
    for other, node in enumerate(nodes):
        if other != index:
            value *= (at - node) / (nodes[index] - node)
    return value


def lagrange_weights(
    nodes: Sequence[float], start: float, end: float, weight: Callable[[Array], Array] | None = None
) -> list[float]:
    """Return the integrals of each node's polynomial over [start, end], times the function `weight` if there is one.

    The sum of values at the nodes times these weights is the integral of the polynomial through them.
    """
    points, shares = _rule(FEW if weight is None else MANY)
    at = start + (end - start) * (points + 1) / 2
    shares = shares * (end - start) / 2
    if weight is not None:
        shares = shares * weight(at)
    return [float((shares * lagrange(nodes, index, at)).sum()) for index in range(len(nodes))]


@lru_cache(maxsize=4)
def _rule(count: int) -> tuple[Array, Array]:
    """Return the points and weights of the Gauss-Legendre rule over [-1, 1], read-only."""
    points, weights = np.polynomial.legendre.leggauss(count)
    points.flags.writeable = weights.flags.writeable = False
    return points, weights
