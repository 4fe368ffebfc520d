"""Metrics against Keras, over batches and with weights."""

import inspect
import os

import numpy as np
import pytest

from cnnfast import metrics
from metric_cases import CASES, IDS

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

# The only metric here that Keras does not have: what it calls "accuracy" in compile.
OWN = {"FittingAccuracy"}
# What a class cannot be made without.
NEEDED = {"MeanMetricWrapper": lambda library: {"fn": library.mean_squared_error}}


def both(name, given, batches):
    """Our result and Keras's over batches of (labels, predictions, weights)."""
    ours, theirs = getattr(metrics, name)(**given), getattr(keras.metrics, name)(**given)
    for y, p, weights in batches:
        ours.update_state(y, p, weights)
        theirs.update_state(y, p.astype(np.float32), None if weights is None else weights.astype(np.float32))
    return ours.result(), np.array(theirs.result().tolist())


@pytest.mark.parametrize("weighted", ["none", "examples", "positions", "column"])
@pytest.mark.parametrize("shape", [(7, 5), (4, 3, 6)], ids=str)
@pytest.mark.parametrize(("name", "given", "data", "definition"), CASES, ids=IDS)
def test_means_over_batches(rng, name, given, data, definition, shape, weighted):
    if "ignore_class" in given and weighted != "positions":
        pytest.skip("Keras leaves ignored labels out only where there are weights, of the labels' shape")
    batches = []
    for n in (shape[0], 3):
        y, p = data(rng, (n, *shape[1:]))
        values = np.shape(definition(y, p, **given))
        shapes = {"examples": values[:1], "positions": values, "column": (n,) + (1,) * (len(values) - 1)}
        batches.append((y, p, None if weighted == "none" else rng.random(shapes[weighted])))
    ours, theirs = both(name, given, batches)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("RootMeanSquaredError", {}),
        ("R2Score", {}),
        ("R2Score", {"class_aggregation": None}),
        ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 3}),
    ],
)
def test_errors_over_batches(rng, name, given, weighted):
    batches = [(rng.random((n, 3)), rng.random((n, 3)), rng.random(n) if weighted else None) for n in (9, 4)]
    ours, theirs = both(name, given, batches)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(set(metrics.registry.CLASSES) - OWN))
def test_arguments_names_and_directions_are_keras_own(name):
    ours, theirs = getattr(metrics, name), getattr(keras.metrics, name)
    their = list(inspect.signature(theirs.__init__).parameters)
    assert list(inspect.signature(ours.__init__).parameters) == their
    needed = NEEDED.get(name, lambda library: {})
    made, other = ours(**needed(metrics)), theirs(**needed(keras.metrics))
    assert made._direction == getattr(other, "_direction", made._direction)
    if name not in NEEDED:
        config, expected = made.get_config(), other.get_config()
        assert {key: value for key, value in config.items() if key not in ("name", "dtype")}.items() <= (
            {**expected, **config}
        ).items()
        assert ours.from_config(expected).get_config().keys() == config.keys()
        assert made.name.rstrip("_0123456789") == other.name.rstrip("_0123456789")
