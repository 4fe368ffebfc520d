"""Fixtures that run a test on every instruction set of the machine and with several thread counts."""

import numpy as np
import pytest

from cnnfast import _core

ISAS = _core.available_isas()


def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=1, metavar="N", help="run each Nth test only: for slow builds")


def pytest_collection_modifyitems(config, items):
    items[:] = items[:: config.getoption("--every")]


@pytest.fixture(params=ISAS)
def isa(request):
    """Runs the test once per available instruction set."""
    before = _core.isa()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)


@pytest.fixture(params=[1, 2, 7])
def threads(request):
    """Runs the test with 1, 2 and 7 threads."""
    before = _core.get_num_threads()
    _core.set_num_threads(request.param)
    yield request.param
    _core.set_num_threads(before)


@pytest.fixture
def rng(request):
    """A generator seeded by the test's own name: random, and the same on every run."""
    return np.random.default_rng(list(request.node.nodeid.encode()))


@pytest.fixture
def same_bits_for_all_threads():
    """Checks that a function's arrays do not depend on the number of threads, bit for bit."""

    def check(compute):
        before = _core.get_num_threads()
        results = []
        try:
            for count in (1, 2, 7):
                _core.set_num_threads(count)
                value = compute()
                results.append([np.array(v) for v in (value if isinstance(value, (tuple, list)) else [value])])
        finally:
            _core.set_num_threads(before)
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))
        return results[0]

    return check
