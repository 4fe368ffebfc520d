"""Slow, obvious float64 NumPy of every operation, written from the definitions.

Nothing here shares code, layout tricks or algorithms with the engine: loops over output positions and taps.
"""

import math

import numpy as np

EPS = float(np.finfo(np.float32).eps)


def assert_close(actual, expected, terms=1, scale=None):
    """Compare a float32 result with a float64 reference.

    A sum of `terms` products, each at most `scale` large, is off by at most about terms * eps * scale; the random signs
    of real rounding errors make it sqrt(terms) in practice, of which this allows a generous multiple.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == np.float32, actual.dtype
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    magnitude = np.max(np.abs(expected), initial=1.0) if scale is None else scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=16 * EPS * np.sqrt(max(terms, 1)) * magnitude)


# ---- elementwise


def numerical_gradient(f, x, dy, step=1e-6):
    """The gradient of sum(f(x) * dy) by central differences, where `f` works element by element."""
    return dy * (f(x + step) - f(x - step)) / (2 * step)


def normal_distribution(x):
    """P(X <= x) for a standard normal X."""
    return np.vectorize(math.erfc, otypes=[float])(-x / math.sqrt(2)) / 2


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu_tanh(x):
    # 1 + tanh(u) = 2 * sigmoid(2 * u), without the cancellation.
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "elu": lambda x: elu(x, 1.0),
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "softplus": lambda x: np.logaddexp(0, x),
    "gelu": lambda x: x * normal_distribution(x),
    "silu": lambda x: x * sigmoid(x),
}
