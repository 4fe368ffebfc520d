"""Every layer of the list, pass by pass: right, and how fast."""

import numpy as np
import pytest

from bench import exact, layer_passes, shapes
from bench.measure import difference

CASES = [(layer, pass_) for layer in shapes.LAYERS for pass_ in layer.passes]


@pytest.mark.parametrize(("layer", "pass_"), CASES, ids=[f"{layer.name}-{pass_}" for layer, pass_ in CASES])
def test_layer(benchmark, peak, scaled_down, layer, pass_):
    layer = layer.scaled_down() if scaled_down else layer
    data = layer.data()
    function = layer_passes.passes(layer, data)[pass_]
    exact.check(layer, data, pass_, layer_passes.first_array(function()))
    algorithm = layer_passes.algorithms(layer).get(pass_, "")
    if "winograd" in algorithm:
        direct = layer_passes.passes(layer, data, algorithm="direct")[pass_]
        assert difference(layer_passes.first_array(function()), layer_passes.first_array(direct())) < 1e-5
    benchmark.group = pass_
    benchmark(function)
    benchmark.extra_info["algorithm"] = algorithm
    if layer.flops and not scaled_down:
        rate = layer.flops / benchmark.stats.stats.min / 1e9
        benchmark.extra_info |= {"gflops": rate, "peak_gflops": peak, "percent_of_peak": 100 * rate / peak}


@pytest.mark.parametrize("layer", shapes.LAYERS, ids=lambda layer: layer.name)
def test_shapes_are_those_of_the_operations(layer):
    layer = layer.scaled_down()
    y = layer_passes.passes(layer, layer.data())["forward"]()
    assert np.shape(y) == layer.y_shape
