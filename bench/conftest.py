"""`pytest bench` measures the full list; `pytest bench --benchmark-disable` checks scaled-down shapes in seconds."""

import pytest

from cnnfast import _core


@pytest.fixture(scope="session")
def scaled_down(request):
    """Whether nothing is to be measured, so that small shapes do."""
    return bool(request.config.getoption("benchmark_disable"))


@pytest.fixture
def peak(scaled_down):
    """The rate of fused multiply-adds right before a measurement, in GFLOP/s."""
    return 1.0 if scaled_down else _core.measure_peak(0.05)
