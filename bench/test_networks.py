"""The networks: training lowers the loss, and how fast steps are."""

import math

import numpy as np
import pytest

from bench.networks import ours, zoo
from bench.networks.nodes import with_weights

CASES = [(network, size) for network in zoo.NETWORKS for size in network.batches]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def runner(request, scaled_down):
    network, size = request.param
    if scaled_down:
        network, size = network.scaled_down(), min(size, 2)
    return ours.build(network, with_weights(network), size)


def test_training_step(benchmark, runner):
    first = runner.train_step()
    assert math.isfinite(first)
    benchmark.group = "training step"
    benchmark(runner.train_step)
    assert runner.train_step() < first


def test_inference(benchmark, runner):
    logits = runner.infer()
    assert np.isfinite(logits).all()
    benchmark.group = "inference"
    assert (benchmark(runner.infer) == logits).all()
