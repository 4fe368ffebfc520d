"""What the table of rounding errors shows is rounding."""

import pytest

from bench.precision import ALGORITHMS, errors


@pytest.mark.parametrize(("algorithm", "taps"), ALGORITHMS)
def test_errors_are_those_of_rounding(algorithm, taps):
    assert max(errors(algorithm, taps, 16).values()) < 2e-6
