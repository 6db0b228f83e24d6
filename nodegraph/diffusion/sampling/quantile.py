"""Quantiles of the Beta distribution, in float64 and without scipy."""

from __future__ import annotations

import math

_TINY = 1e-300  # keeps a vanishing term of the continued fraction from a division by zero
_ROUNDING = 2.2e-16


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _continued_fraction(x, a, b) / a
    return 1.0 - front * _continued_fraction(1.0 - x, b, a) / b  # the fraction converges fast on this side only


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return x with I_x(a, b) = p, by Newton steps kept inside a bracket that shrinks."""
    if not (0.0 <= p <= 1.0 and a > 0.0 and b > 0.0):
        raise ValueError(f"beta_quantile: got p={p}, a={a}, b={b}, expected 0 <= p <= 1, a > 0 and b > 0")
    if p in (0.0, 1.0):
        return p
    low, high, x = 0.0, 1.0, 0.5
    log_scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    for _ in range(200):
        excess = beta_cdf(x, a, b) - p
        low, high = (low, x) if excess > 0 else (x, high)
        density = math.exp(log_scale + (a - 1.0) * math.log(x) + (b - 1.0) * math.log1p(-x))
        following = x - excess / density
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= 4 * _ROUNDING * x or following in (0.0, 1.0):
            return following
        x = following
    return x


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Evaluate the fraction of I_x(a, b) by Lentz's method (Numerical Recipes, section 6.4)."""
    c, d = 1.0, 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _nonzero(1.0 + term * d)
            c = _nonzero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _ROUNDING:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
