"""Gradients made smaller before a step: each on its own, all together, or every element."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cnnfast.autograd import FloatArray

Gradients = Sequence[FloatArray]


def clip_by_norm(gradients: Gradients, limit: float) -> list[FloatArray]:
    """Scale every gradient whose Euclidean norm is above `limit` down to it.

    Example:
        >>> clip_by_norm([np.float32([3, 4]), np.float32([0.5])], 1.0)
        [array([0.6, 0.8], dtype=float32), array([0.5], dtype=float32)]
    """
    return [_scaled(g, limit, math.sqrt(_sum_of_squares(g))) for g in gradients]


def clip_by_global_norm(gradients: Gradients, limit: float) -> list[FloatArray]:
    """Scale all gradients by one factor if the norm of all of them together is above `limit`.

    Where a gradient holds NaN or infinity, all become NaN: no factor would make them comparable again.

    Example:
        >>> clip_by_global_norm([np.float32([3]), np.float32([4])], 1.0)
        [array([0.6], dtype=float32), array([0.8], dtype=float32)]
    """
    norm = math.sqrt(sum(_sum_of_squares(g) for g in gradients))
    if not math.isfinite(norm):
        return [np.full_like(g, np.nan) for g in gradients]
    return [_scaled(g, limit, norm) for g in gradients]


def clip_by_value(gradients: Gradients, limit: float) -> list[FloatArray]:
    """Bring every element into [-limit, limit].

    Example:
        >>> clip_by_value([np.float32([-3, 0.5])], 1.0)
        [array([-1. ,  0.5], dtype=float32)]
    """
    return [np.clip(g, np.float32(-limit), np.float32(limit)) for g in gradients]


def _sum_of_squares(gradient: FloatArray) -> float:
    flat = gradient.reshape(-1)
    with np.errstate(all="ignore"):
        total = float(np.dot(flat, flat))
    if math.isinf(total) or total < 1e-30:
        # Squares left float32's range, not necessarily the gradient.
        wide = flat.astype(np.float64)
        total = float(np.dot(wide, wide))
    return total


def _scaled(gradient: FloatArray, limit: float, norm: float) -> FloatArray:
    if norm <= limit:
        return gradient
    with np.errstate(invalid="ignore"):
        return gradient * np.float32(limit / norm)
