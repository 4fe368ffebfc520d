"""Slow, obvious float64 NumPy of every operation, written from the definitions.

Nothing here shares code, layout tricks or algorithms with the engine: loops over output positions and taps.
"""

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
