"""Every kernel on every instruction set, reached through the public operation that uses it.

The families' own tests are thorough; this one makes sure that none of the kernels in the list goes untested: a new
kernel needs an entry here, and the calls are counted to see that the entry reaches it.
"""

import numpy as np
import pytest

from cnnfast import _core


def uniform(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def activation_forward(rng):
    x = uniform(rng, 3, 5, 7)
    np.testing.assert_array_equal(_core.activation_forward("relu", x), np.maximum(x, 0))


def activation_backward(rng):
    y, dy = uniform(rng, 3, 5, 7), uniform(rng, 3, 5, 7)
    np.testing.assert_array_equal(_core.activation_backward("relu", y, dy), dy * (y > 0))


def peak_chains(rng):
    assert 0.01 < _core.measure_peak(0.01) < 1e6


# kernel -> a function that runs an operation which needs this kernel and checks what comes out
CASES = {
    "activation_forward": activation_forward,
    "activation_backward": activation_backward,
    "peak_chains": peak_chains,
}


def test_list_and_tests_agree():
    names = _core.kernel_names()
    assert sorted(CASES) == sorted(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kernel", CASES)
def test_kernel(kernel, isa, rng):
    _core.count_kernel_calls()
    try:
        CASES[kernel](rng)
        calls = dict(zip(_core.kernel_names(), _core.kernel_calls(), strict=True))
    finally:
        _core.select_isa(isa)
    assert calls[kernel] > 0
